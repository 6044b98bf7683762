from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop._core.mask import Mask
from simdrop._core.stream import Rng

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
    def backward(
        self, dy: ArrayLike, *, out: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None)
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...

class DropoutAddContext(Context):
    def backward(
        self, dy: ArrayLike, *, out: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None)
    ) -> tuple[NDArray[Any], NDArray[Any]]: ...

class ReluDropoutContext(Context):
    @property
    def y(self) -> NDArray[Any]: ...
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

def restored(
    cls: type[Context], mask: Mask, dtype: np.dtype[Any], kept: tuple[Any, ...]
) -> Context: ...
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
def dropout_add(
    x: ArrayLike,
    residual: ArrayLike,
    p: float | Mask = 0.5,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], DropoutAddContext]: ...
def relu_dropout(
    x: ArrayLike,
    p: float | Mask = 0.5,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], ReluDropoutContext]: ...
