from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from simdrop._core.draw import Draw
from simdrop._core.stored import StoredMask
from simdrop._typing import Scalar

class Mask(Draw):
    def __init__(
        self,
        key: bytes,
        draw: int,
        p: float | NDArray[Any],
        shape: int | Sequence[int],
        *,
        shared_axes: int | Sequence[int] = (),
        scale: bool = True,
    ) -> None: ...
    @property
    def p(self) -> Any: ...
    @property
    def scale(self) -> Any: ...
    @property
    def scaled(self) -> bool: ...
    @staticmethod
    def from_keep(keep: ArrayLike, p: float = 0.5, *, scale: bool = True) -> StoredMask: ...
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
    def keep(self) -> NDArray[np.bool_]: ...
    def packbits(self) -> NDArray[np.uint8]: ...
    def indices(self) -> NDArray[np.intp]: ...
    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]: ...

def probability(p: float) -> float: ...
