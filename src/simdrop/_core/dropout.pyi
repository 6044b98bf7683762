from collections.abc import Sequence
from typing import Any, overload

from numpy.typing import ArrayLike, NDArray

from simdrop._core.mask import Mask
from simdrop._core.stored import StoredMask
from simdrop._core.stream import Rng
from simdrop._typing import Scalar

@overload
def dropout(
    x: NDArray[Scalar],
    p: float | NDArray[Any] = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], Mask]: ...
@overload
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
@overload
def dropout_backward(
    dy: NDArray[Scalar], mask: Mask | StoredMask, *, out: NDArray[Scalar] | None = None
) -> NDArray[Scalar]: ...
@overload
def dropout_backward(
    dy: ArrayLike, mask: Mask | StoredMask, *, out: NDArray[Any] | None = None
) -> NDArray[Any]: ...
