from typing import Any

from numpy.typing import ArrayLike, NDArray

def operands(
    given: ArrayLike, out: NDArray[Any] | None, shape: tuple[int, ...], scaled: bool
) -> tuple[NDArray[Any], NDArray[Any]]: ...
