from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from simdrop._core.mask import Mask
from simdrop._core.stored import StoredMask
from simdrop._typing import Scalar

class Kept:
    def __init__(self, mask: Mask | StoredMask) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def indices(self) -> NDArray[Any]: ...

def gather(
    matrix: NDArray[Scalar],
    rows: Kept | None = None,
    columns: Kept | None = None,
    *,
    out: NDArray[Scalar] | None = None,
) -> NDArray[Scalar]: ...
def sgd(
    value: NDArray[Any],
    grad: NDArray[Any],
    velocity: NDArray[Any],
    rows: Kept | None = None,
    columns: Kept | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    l2: float = 0.0,
    l1: float = 0.0,
    squares: NDArray[Any] | None = None,
) -> None: ...
def adam(
    value: NDArray[Any],
    grad: NDArray[Any],
    mean: NDArray[Any],
    square: NDArray[Any],
    rows: Kept | None = None,
    columns: Kept | None = None,
    *,
    lr: float,
    step: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    l2: float = 0.0,
    l1: float = 0.0,
    squares: NDArray[Any] | None = None,
) -> None: ...
def prepared_sgd(
    value: NDArray[Any],
    grad: NDArray[Any],
    velocity: NDArray[Any],
    rows: Kept | None,
    columns: Kept | None,
    *,
    lr: float,
    momentum: float,
    nesterov: bool,
    l2: float,
    l1: float,
    squares: NDArray[Any] | None,
) -> Callable[[], None]: ...
def prepared_adam(
    value: NDArray[Any],
    grad: NDArray[Any],
    mean: NDArray[Any],
    square: NDArray[Any],
    rows: Kept | None,
    columns: Kept | None,
    *,
    lr: float,
    step: int,
    beta1: float,
    beta2: float,
    eps: float,
    l2: float,
    l1: float,
    squares: NDArray[Any] | None,
) -> Callable[[], None]: ...
def checked(
    name: str, number: float, below: float | None = None, *, positive: bool = False
) -> float: ...
def overlapping(arrays: list[NDArray[Any]]) -> tuple[int, int] | None: ...
