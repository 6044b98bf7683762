from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop._core.draw import Draw
from simdrop._core.stream import Rng
from simdrop._typing import Scalar

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
    @overload
    def apply(
        self, x: NDArray[Scalar], *, out: NDArray[Scalar] | None = None
    ) -> NDArray[Scalar]: ...
    @overload
    def apply(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    @overload
    def backward(
        self, dy: NDArray[Scalar], *, out: NDArray[Scalar] | None = None
    ) -> NDArray[Scalar]: ...
    @overload
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

@overload
def alpha_dropout(
    x: NDArray[Scalar],
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], AlphaDropoutContext]: ...
@overload
def alpha_dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], AlphaDropoutContext]: ...
