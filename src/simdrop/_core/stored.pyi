from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from simdrop._typing import Scalar

class StoredMask:
    def __init__(
        self,
        bits: bytes | NDArray[np.uint8],
        p: float,
        shape: int | Sequence[int],
        *,
        scale: bool = True,
    ) -> None: ...
    @property
    def p(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def scaled(self) -> bool: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def shared_axes(self) -> tuple[int, ...]: ...
    @property
    def size(self) -> int: ...
    def window(self, start: int | Sequence[int], shape: int | Sequence[int]) -> StoredMask: ...
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
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

@overload
def apply_packed(
    x: NDArray[Scalar],
    bits: NDArray[np.uint8],
    p: float = 0.5,
    *,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> NDArray[Scalar]: ...
@overload
def apply_packed(
    x: ArrayLike,
    bits: NDArray[np.uint8],
    p: float = 0.5,
    *,
    scale: bool = True,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
