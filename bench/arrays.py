"""The arrays that all contenders of a group share."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import ml_dtypes  # noqa: F401  (gives NumPy bfloat16)
import numpy as np

from .layouts import Layout

# Bytes from a 64-byte boundary to the first element, another one in each pass. NumPy's allocations
# begin at multiples of 16 bytes (large, freshly mapped ones at 16), so the offset would be a matter
# of luck; and np.multiply(x, mask, out=y) with AVX-512 is twice as fast at 0 as at the others.
OFFSETS = (16, 32, 48, 0)

# Elements between the rows of a view of a larger array.
GAP = 64

# How many random numbers are drawn; larger arrays repeat them, which saves most of the time.
DRAWN = 1 << 20


def offset_of(number: int) -> int:
    """The offset of all arrays in a pass."""
    return OFFSETS[number % len(OFFSETS)]


def empty(n: int, dtype: np.dtype, offset: int) -> np.ndarray:
    """An array of n elements at an offset from a 64-byte boundary, with all pages touched."""
    size = n * dtype.itemsize
    block = np.empty(size + 64 + offset, np.uint8)
    block.fill(0)
    start = -block.ctypes.data % 64 + offset
    return block[start : start + size].view(dtype)


def laid_out(
    shape: tuple[int, ...], dtype: np.dtype, offset: int, layout: str | Layout
) -> np.ndarray:
    """An array in a layout of `cases.py`."""
    if isinstance(layout, Layout):
        return layout.view(empty(prod(layout.memory), dtype, offset))
    n = prod(shape)
    match layout:
        case "contiguous":
            return empty(n, dtype, offset).reshape(shape)
        case "Fortran":
            return empty(n, dtype, offset).reshape(shape, order="F")
        case "rows of a larger array":
            rows, columns = shape
            block = empty(rows * (columns + GAP), dtype, offset)
            return block.reshape(rows, columns + GAP)[:, :columns]
        case "every other element":
            return empty(2 * n, dtype, offset)[::2]
        case "byte-swapped":
            return empty(n, dtype.newbyteorder(), offset)
        case "reversed":
            return empty(n, dtype, offset)[::-1]
        case "unaligned":
            return empty(n, dtype, offset + 1)
    raise ValueError(f"unknown layout {layout!r}")


class Arrays:
    """Inputs, outputs and gradients of one shape, type and layout, made when they are used."""

    def __init__(
        self, number: int, shape: tuple[int, ...], dtype: str, layout: str | Layout
    ) -> None:
        self.number, self.shape, self.dtype, self.layout = number, shape, np.dtype(dtype), layout
        self.rng = np.random.default_rng(number)
        # The values of the names in contenders' lines, which are freed with the arrays.
        self.names: dict[Hashable, dict[str, Any]] = {}

    def empty(self) -> np.ndarray:
        """Another such array, of zeros."""
        return laid_out(self.shape, self.dtype, offset_of(self.number), self.layout)

    def random(self) -> np.ndarray:
        """Another such array: normal values, integers with standard deviation 10, or bools."""
        values = self.rng.standard_normal(min(prod(self.shape), DRAWN))
        if self.dtype == bool:
            values = values > 0
        elif self.dtype.kind == "i":
            values = values * 10
        array = self.empty()
        array[...] = np.resize(values.astype(self.dtype), self.shape)
        return array

    x = cached_property(random)
    y = cached_property(empty)
    dy = cached_property(random)
    dx = cached_property(empty)
    mask = cached_property(empty)
    residual = cached_property(random)


@lru_cache(maxsize=1)
def arrays(number: int, shape: tuple[int, ...], dtype: str, layout: str | Layout) -> Arrays:
    """The arrays of one group in one pass; the ones before them are freed."""
    return Arrays(number, shape, dtype, layout)
