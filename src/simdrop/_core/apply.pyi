from typing import Any

from numpy.typing import ArrayLike, NDArray

from simdrop._core.draw import Draw

def operands(
    given: ArrayLike, out: NDArray[Any] | None, shape: tuple[int, ...], scaled: bool
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def split_axis(x: NDArray[Any], draw: Draw) -> tuple[int, int]: ...
