from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop._core.mask import Mask

class PackedMask(Mask):
    def __init__(
        self,
        bits: bytes | NDArray[np.uint8],
        p: float,
        shape: int | Sequence[int],
        *,
        scale: bool = True,
    ) -> None: ...

def apply_packed(
    x: ArrayLike,
    bits: NDArray[np.uint8],
    p: float = 0.5,
    *,
    scale: bool = True,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
