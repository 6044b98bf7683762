from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop._core.stream import Rng

class Drawn:
    @property
    def key(self) -> bytes: ...
    @property
    def draw(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def size(self) -> int: ...
    def apply(self, x: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def backward(self, dy: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

class Gaussian(Drawn):
    @property
    def std(self) -> float: ...
    @property
    def shared_axes(self) -> tuple[int, ...]: ...
    def normals(self) -> NDArray[np.float32]: ...
    def window(self, start: int | Sequence[int], shape: int | Sequence[int]) -> Self: ...

class GaussianDropout(Gaussian):
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

class GaussianNoise(Gaussian):
    def __init__(
        self,
        key: bytes,
        draw: int,
        std: float,
        shape: int | Sequence[int],
        *,
        shared_axes: int | Sequence[int] = (),
    ) -> None: ...

class AlphaDropout(Drawn):
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
    def shared_axes(self) -> tuple[int, ...]: ...
    @property
    def a(self) -> float: ...
    @property
    def b(self) -> float: ...
    def keep(self) -> NDArray[np.bool_]: ...

def gaussian_dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], GaussianDropout]: ...
def gaussian_noise(
    x: ArrayLike,
    std: float,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], GaussianNoise]: ...
def alpha_dropout(
    x: ArrayLike,
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: int | Sequence[int] = (),
    training: bool = True,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], AlphaDropout]: ...
