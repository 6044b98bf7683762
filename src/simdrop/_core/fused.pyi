from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop._core.mask import Mask
from simdrop._core.stream import Rng
from simdrop._typing import Scalar

Activation = Literal["relu", "gelu", "tanh", "sigmoid", "silu"] | None
ACTIVATIONS: dict[Activation, int]

class Context:
    def __init__(self, *args: Any, **named: Any) -> None: ...
    @property
    def mask(self) -> Mask: ...
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any: ...

class BiasDropoutContext(Context):
    @property
    def activation(self) -> Activation: ...
    @property
    def x(self) -> NDArray[Any] | None: ...
    @property
    def bias(self) -> NDArray[Any] | None: ...
    @property
    def y(self) -> NDArray[Any] | None: ...
    @overload
    def backward(
        self,
        dy: NDArray[Scalar],
        *,
        out: tuple[NDArray[Scalar] | None, NDArray[Scalar] | None] = (None, None),
    ) -> tuple[NDArray[Scalar], NDArray[Scalar]]: ...
    @overload
    def backward(
        self, dy: ArrayLike, *, out: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None)
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...

class DropoutAddContext(Context):
    @overload
    def backward(
        self,
        dy: NDArray[Scalar],
        *,
        out: tuple[NDArray[Scalar] | None, NDArray[Scalar] | None] = (None, None),
    ) -> tuple[NDArray[Scalar], NDArray[Scalar]]: ...
    @overload
    def backward(
        self, dy: ArrayLike, *, out: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None)
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...

class ReluDropoutContext(Context):
    @property
    def y(self) -> NDArray[Any]: ...
    @overload
    def backward(
        self, dy: NDArray[Scalar], *, out: NDArray[Scalar] | None = None
    ) -> NDArray[Scalar]: ...
    @overload
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

def restored(
    cls: type[Context], mask: Mask, dtype: np.dtype[Any], kept: tuple[Any, ...]
) -> Context: ...
@overload
def bias_dropout(
    x: NDArray[Scalar],
    bias: NDArray[Scalar],
    p: float | Mask = 0.5,
    *,
    activation: Activation = None,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], BiasDropoutContext]: ...
@overload
def bias_dropout(
    x: ArrayLike,
    bias: ArrayLike,
    p: float | Mask = 0.5,
    *,
    activation: Activation = None,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], BiasDropoutContext]: ...
@overload
def dropout_add(
    x: NDArray[Scalar],
    residual: NDArray[Scalar],
    p: float | Mask = 0.5,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], DropoutAddContext]: ...
@overload
def dropout_add(
    x: ArrayLike,
    residual: ArrayLike,
    p: float | Mask = 0.5,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], DropoutAddContext]: ...
@overload
def relu_dropout(
    x: NDArray[Scalar],
    p: float | Mask = 0.5,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], ReluDropoutContext]: ...
@overload
def relu_dropout(
    x: ArrayLike,
    p: float | Mask = 0.5,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], ReluDropoutContext]: ...
