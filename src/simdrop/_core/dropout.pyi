from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from simdrop._core.mask import Mask
from simdrop._core.stored import StoredMask
from simdrop._core.stream import Rng

def dropout(
    x: ArrayLike,
    p: float | NDArray[Any] = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    scale: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], Mask]: ...
def dropout_backward(
    dy: ArrayLike, mask: Mask | StoredMask, *, out: NDArray[Any] | None = None
) -> NDArray[Any]: ...
