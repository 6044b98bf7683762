"""The arrays that all contenders of a group share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Bytes between a 64-byte boundary and the first element, one a pass. NumPy's blocks begin at
# multiples of 16 bytes, large ones from a fresh mapping at 16. Which of the four it is would be
# luck, and np.multiply(x, mask, out=y) with AVX-512 is twice as fast at 0 as at the others.
OFFSETS = (16, 32, 48, 0)


@dataclass(frozen=True)
class Arrays:
    """Inputs, gradients and where to write them; contiguous, of one length and type."""

    x: np.ndarray
    y: np.ndarray
    dy: np.ndarray
    dx: np.ndarray
    mask: np.ndarray


def offset_of(number: int) -> int:
    """The offset of all arrays of a pass."""
    return OFFSETS[number % len(OFFSETS)]


def empty(n: int, dtype: str, offset: int) -> np.ndarray:
    """An array of n elements at an offset from a 64-byte boundary, all its pages touched."""
    size = n * np.dtype(dtype).itemsize
    block = np.empty(size + 64 + max(OFFSETS), np.uint8)
    block.fill(0)
    start = -block.ctypes.data % 64 + offset
    return block[start : start + size].view(dtype)


@lru_cache(maxsize=1)
def arrays(number: int, n: int, dtype: str) -> Arrays:
    """The arrays of one pass, in the order x, y, dy, dx, mask; the mask is filled for each p."""
    made = Arrays(*(empty(n, dtype, offset_of(number)) for _ in range(5)))
    rng = np.random.default_rng(number)
    for values in (made.x, made.dy):
        rng.standard_normal(out=values, dtype=values.dtype)
    return made
