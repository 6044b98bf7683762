from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop._core.draw import Draw
from simdrop._core.stream import Rng

class AlphaDropoutContext(Draw):
    def __init__(
        self,
        key: bytes,
        draw: int,
        p: float,
        shape: int | Sequence[int],
        *,
        shared_axes: int | Sequence[int] = (),
    ) -> None: ...
    @property
    def p(self) -> float: ...
    @property
    def a(self) -> float: ...
    @property
    def b(self) -> float: ...
    def keep(self) -> NDArray[np.bool_]: ...
    def apply(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

def alpha_dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], AlphaDropoutContext]: ...
