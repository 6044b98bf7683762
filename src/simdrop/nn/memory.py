"""Arrays that lie one after the other in one block of memory, on huge pages where there are any.

A training step streams through all weights, their gradients and the optimizer's state. With pages
of 4 KB the second-level TLB of a CPU, some 2,000 entries, reaches 8 MB, so that a pass over more
misses it at each page; with pages of 2 MB it reaches gigabytes.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LINE = 64  # bytes of a cache line, at which each array begins
HUGE_PAGE = 2 << 20

# Bytes from which a block is on huge pages. The TLB reaches all of a smaller one, of which a large
# part may be the rest of its last page. NumPy, too, asks for huge pages from this size on, but for
# single arrays, which begin anywhere in a page.
LEAST = 4 << 20


def zeros(kinds: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> list[Array]:
    """An array of zeros for each shape and dtype; they keep their block alive together."""
    starts, size = [], 0
    for shape, dtype in kinds:
        starts.append(size)
        size += -(-math.prod(shape) * dtype.itemsize // LINE) * LINE
    block = _block(size)
    return [
        np.ndarray(shape, dtype, block, start)
        for (shape, dtype), start in zip(kinds, starts, strict=True)
    ]


def whole(arrays: Sequence[Array]) -> Array | None:
    """All of these arrays as one, with what fills their last lines; None unless one call of `zeros`
    made them, one after the other, and of one dtype."""
    first = arrays[0]
    root, start = first.base, first.ctypes.data
    if not isinstance(root, np.ndarray) or root.dtype != np.uint8 or start % LINE:
        return None
    end = start
    for array in arrays:
        if array.base is not root or array.dtype != first.dtype or not array.flags.c_contiguous:
            return None
        if array.ctypes.data != end + -end % LINE:
            return None
        end = array.ctypes.data + array.nbytes
    size = (end - start) // first.itemsize
    return np.ndarray((size,), first.dtype, root, start - root.ctypes.data)


def together(arrays: Sequence[Array]) -> list[Array]:
    """Copies of C-contiguous arrays, in one block."""
    copies = zeros([(array.shape, array.dtype) for array in arrays])
    for copy, array in zip(copies, arrays, strict=True):
        copy[...] = array
    return copies


def _block(size: int) -> Array:
    """Bytes, all zero, from the beginning of a line or, if they are many, of a huge page."""
    pages = _huge_pages(size + HUGE_PAGE) if size >= LEAST else None
    if pages is None:
        memory, align = np.zeros(size + LINE, np.uint8), LINE
    else:
        memory, align = np.frombuffer(pages, np.uint8), HUGE_PAGE
    start = -memory.ctypes.data % align
    return memory[start : start + size]


def _huge_pages(size: int) -> mmap.mmap | None:
    """Memory of this process alone (a forked child gets a copy), freed with the last array in it;
    None where the system has no huge pages for it."""
    if sys.platform != "linux" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    with suppress(OSError):  # a limit of the process, or a kernel without huge pages
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        pages.madvise(mmap.MADV_HUGEPAGE)
        return pages
    return None
