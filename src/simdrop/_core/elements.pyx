# cython: language_level=3, nonecheck=True, freethreading_compatible=True
"""Kernels of single elements, on arrays of any layout: in one call, by threads, or a block at a time."""

from itertools import product
from math import prod

import numpy as np

from simdrop import _args, _arrays
from simdrop._core import draw as draws

cimport numpy as cnp
from libc.stdint cimport uint64_t

from simdrop._core.args cimport are_same_or_apart, is_plain
from simdrop._core.draw cimport Draw
from simdrop._core.task cimport Task, share

cnp.import_array()

cdef enum:
    GRAIN = 4096  # elements: threads' parts begin at lines of memory and of keystream
    BLOCK = 1 << 15  # elements of a block, whose buffer stays in the caches
    RUN = 512  # elements with consecutive numbers that are worth a call of a kernel
    LINES = 64  # elements: a few lines of memory, which are read whole


cdef class Elements(Task):
    """A kernel for float32 or float64, called by a subclass, with its arguments; the units of the task are elements."""

    cdef int take(self, Draw draw, x, y, others) except -1:
        """Set what all kernels have; x (or None) and y are plain arrays, and `others` what else must stay alive."""
        self.draw = draw
        self.double = cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT64
        self.size = cnp.PyArray_ITEMSIZE(y)
        self.arrays = (x, y, others)
        self.x = NULL if x is None else <const char *>cnp.PyArray_DATA(x)
        self.y = <char *>cnp.PyArray_DATA(y)
        return 0

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        cdef size_t at = start * self.size
        cdef const char *x = NULL if self.x is NULL else self.x + at
        return self.compute(self.draw.first + start, stop - start, x, self.y + at)

    cdef int compute(self, uint64_t number, size_t n, const char *x, char *y) except -1 nogil:
        """Write n contiguous elements of the result to y; the first has this number in the draw."""
        with gil:
            raise NotImplementedError


cdef class Blocks(Task):
    """
    A kernel on arrays of any layout, or of a window; the units of the task are blocks.

    Each block is copied to a buffer, in the order of its elements' numbers, and computed there.
    """

    cdef Elements kernel
    cdef object x, y, dtype
    cdef tuple lengths, strides  # of a block; between the numbers of neighbours along each axis
    cdef list corners

    cdef int run(self, size_t first, size_t stop) except -1 nogil:
        with gil:
            self.run_blocks(first, stop)
        return 0

    cdef run_blocks(self, Py_ssize_t first, Py_ssize_t stop):
        buffer = np.empty(prod(self.lengths), self.dtype)
        known = {}  # runs by the shape of a block: those at an edge are smaller
        with np.errstate(all="ignore"):  # as a kernel rounds
            for corner in self.corners[first:stop]:
                part = tuple([slice(i, i + n) for i, n in zip(corner, self.lengths)]) + (...,)
                y = self.y[part]
                block = buffer[: y.size].reshape(y.shape)
                if self.x is not None:
                    np.copyto(block, self.x[part])
                if y.shape not in known:
                    known[y.shape] = draws.runs(y.shape, self.strides)
                run, starts = known[y.shape]
                self.run_rows(self.kernel.draw.number_of(corner), run, starts, block)
                np.copyto(y, block, casting="unsafe")

    cdef int run_rows(self, uint64_t number, size_t run, cnp.ndarray starts, cnp.ndarray block) except -1:
        """A call for each run of consecutive numbers, of which `starts` has the first ones, counted from `number`."""
        cdef const uint64_t *start = <const uint64_t *>cnp.PyArray_DATA(starts)
        cdef size_t i, rows = cnp.PyArray_SIZE(starts), size = run * self.kernel.size
        cdef char *memory = <char *>cnp.PyArray_DATA(block)
        with nogil:
            for i in range(rows):
                self.kernel.compute(number + start[i], run, memory + i * size, memory + i * size)
        return 0


cdef apply(Elements kernel, Draw draw, x, out, Py_ssize_t split_from):
    """
    The kernel's result for x, in `out` if there is one; by threads from `split_from` bytes on.

    Kernels take float32 and float64 with consecutive numbers. Other arrays are computed in blocks; 16-bit floats in
    float32, rounded once.
    """
    cdef Blocks blocks
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef bint plain = draw.in_order and is_plain(x) and (
        out is None or (is_plain(out) and cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(x) and are_same_or_apart(x, out))
    )
    if plain:
        y = out
        if y is None:
            y = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)
        kernel.take(draw, x, y, None)
        share(kernel, n, GRAIN, cnp.PyArray_NBYTES(x), split_from)
        return y
    y = _arrays.new_like(x) if out is None else out
    dtype = np.float64 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64 else np.float32
    if draw.in_order and n <= BLOCK:
        block = np.array(x, dtype, order="C")
        kernel.take(draw, block, block, None)
        with nogil:
            kernel.run(0, n)
        with np.errstate(all="ignore"):  # as a kernel rounds
            np.copyto(y, block, casting="unsafe")
    elif n != 0:
        kernel.take(draw, None, np.empty(0, dtype), None)
        blocks = Blocks.__new__(Blocks)
        blocks.kernel, blocks.dtype = kernel, dtype
        blocks.y = y
        if not kernel.generates:
            blocks.x = x if _arrays.apart(x, y) else x.copy()
        blocks.lengths, blocks.strides = block_lengths(x), draw.strides()
        blocks.corners = list(product(*[range(0, m, k) for m, k in zip(x.shape, blocks.lengths)]))
        share(blocks, len(blocks.corners), 1, cnp.PyArray_NBYTES(x), split_from)
    return y


cdef tuple block_lengths(x):
    """
    The shape of the blocks that x is computed in.

    They are long along the last axes, whose elements have consecutive numbers, and along the axis whose elements are
    neighbours in memory.
    """
    lengths = [1] * x.ndim
    strides = [abs(s) if n > 1 else 2**62 for s, n in zip(x.strides, x.shape)]
    wanted = [(x.ndim - 1, RUN), (strides.index(min(strides)), LINES)] if x.ndim else []
    wanted += [(axis, x.shape[axis]) for axis in reversed(range(x.ndim))]
    for axis, n in wanted:
        room = BLOCK * lengths[axis] // prod(lengths)
        lengths[axis] = max(lengths[axis], min(x.shape[axis], n, room))
    return tuple(lengths)


cdef copied(x, out):
    """x in `out`, or in a new array of its type and order."""
    result = _arrays.new_like(x) if out is None else out
    _arrays.copy_to(x, result)
    return result


cdef floats(x):
    """x as a base array of floats."""
    if not is_plain(x):
        x = _args.base(x)
        _args.check_floats(x.dtype, True)
    return x


cdef floats_of(Draw draw, x):
    """The same of an array of a draw's shape."""
    x = floats(x)
    if x.shape != draw.shape:
        raise ValueError(f"the array has shape {x.shape}, but the draw has shape {draw.shape}")
    return x
