# cython: language_level=3, nonecheck=True, freethreading_compatible=True
"""Runs the kernels of `noise.pyx` on arrays: at once, by threads, or a block at a time where the layout asks for it."""

from itertools import product
from math import prod

import numpy as np

from simdrop import _arrays, _threads

cimport numpy as cnp
from libc.stdint cimport uint64_t

from simdrop._core.mask cimport Mask, noise_kernels, simdrop_noise, simdrop_rule
from simdrop._core.plain cimport are_same_or_apart, is_plain
from simdrop._core.task cimport Task, share

cnp.import_array()

cdef enum:
    GRAIN = 4096  # elements: threads' parts begin at lines of memory and of keystream

cdef Py_ssize_t SPLIT_FROM = _threads.SPLIT_FROM
cdef Py_ssize_t SPLIT_NORMALS_FROM = _threads.SPLIT_NORMALS_FROM
cdef Py_ssize_t NEAR = _arrays.NEAR


cdef class Work(Task):
    """A kernel and what it is given, for elements."""

    cdef Mask mask
    cdef int kernel, double
    cdef double first, second, third  # the kernel's numbers
    cdef size_t size  # bytes of an element
    cdef const char *x
    cdef char *y

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        self.compute(self.mask.first + start, stop - start, self.x + start * self.size, self.y + start * self.size)
        return 0

    cdef void compute(self, uint64_t start, size_t n, const char *x, char *y) noexcept nogil:
        """Of n elements, numbered from `start` on."""
        cdef const simdrop_rule *rule = &self.mask.rule
        cdef const simdrop_noise *kernels = noise_kernels()
        if self.kernel == MULTIPLY:
            kernels.multiply_noise[self.double](rule, start, n, x, y, self.first)
        elif self.kernel == ADD:
            kernels.add_noise[self.double](rule, start, n, x, y, self.first)
        elif self.kernel == SHIFT:
            kernels.dropout_shift[self.double](rule, start, n, x, y, self.first, self.second, self.third)
        else:
            kernels.normals(rule, start, n, <float *>y)


cdef class Blocks(Task):
    """
    Work on arrays of any layout, or of a window, for blocks of them. Each is copied to a buffer that stays in the
    caches, where its elements lie in the order of their numbers, as far as these go on.
    """

    cdef Work work
    cdef object x, y, dtype
    cdef tuple lengths, strides  # of a block, and between numbers
    cdef list corners

    cdef int run(self, size_t first, size_t stop) except -1 nogil:
        with gil:
            self.run_blocks(first, stop)
        return 0

    cdef run_blocks(self, Py_ssize_t first, Py_ssize_t stop):
        buffer = np.empty(prod(self.lengths), self.dtype)
        known = {}  # runs of blocks by their shape: those at an edge are smaller
        with np.errstate(all="ignore"):  # as a kernel rounds
            for corner in self.corners[first:stop]:
                part = tuple([slice(i, i + n) for i, n in zip(corner, self.lengths)]) + (...,)
                y = self.y[part]
                block = buffer[: y.size].reshape(y.shape)
                if self.x is not None:
                    np.copyto(block, self.x[part])
                if y.shape not in known:
                    known[y.shape] = _arrays.runs(y.shape, self.strides)
                run, starts = known[y.shape]
                self.run_rows(sum([i * n for i, n in zip(corner, self.strides)]), run, starts, block)
                np.copyto(y, block, casting="unsafe")

    cdef int run_rows(self, uint64_t number, size_t run, cnp.ndarray starts, cnp.ndarray block) except -1:
        """Of runs of consecutive numbers, which begin so far behind a number."""
        cdef const uint64_t *start = <const uint64_t *>cnp.PyArray_DATA(starts)
        cdef size_t i, rows = cnp.PyArray_SIZE(starts), size = run * self.work.size
        cdef char *memory = <char *>cnp.PyArray_DATA(block)
        number += self.work.mask.first
        with nogil:
            for i in range(rows):
                self.work.compute(number + start[i], run, memory + i * size, memory + i * size)
        return 0


cdef run(int kernel, Mask mask, x, out, double first, double second, double third):
    """
    A kernel's result for x, in `out` if there is one. Kernels take float32 and float64 in the order of their numbers;
    what is not goes through blocks, and 16-bit floats are computed in float32 and rounded once.
    """
    cdef Work work = Work.__new__(Work)
    cdef Blocks blocks
    cdef bint plain = mask.in_order and is_plain(x) and (
        out is None or (is_plain(out) and cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(x) and are_same_or_apart(x, out))
    )
    if out is not None:
        y = out
    elif plain:
        y = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)
    else:
        y = _arrays.new_like(x)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x), bytes = cnp.PyArray_NBYTES(x)
    cdef Py_ssize_t split_from = SPLIT_FROM if kernel == SHIFT else SPLIT_NORMALS_FROM * cnp.PyArray_ITEMSIZE(x)
    work.kernel, work.mask, work.first, work.second, work.third = kernel, mask, first, second, third
    work.double = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64
    work.size = sizeof(double) if work.double else sizeof(float)
    if plain:
        work.arrays = (x, y)
        work.x = <const char *>cnp.PyArray_DATA(x)
        work.y = <char *>cnp.PyArray_DATA(y)
        share(work, n, GRAIN, bytes, split_from)
    elif mask.in_order and n <= NEAR:
        block = np.array(x, np.float64 if work.double else np.float32, order="C")
        work.arrays = (block,)
        work.x = work.y = <char *>cnp.PyArray_DATA(block)
        share(work, n, n, work.size * n, 0)
        with np.errstate(all="ignore"):  # as a kernel rounds
            np.copyto(y, block, casting="unsafe")
    elif n != 0:
        blocks = Blocks.__new__(Blocks)
        blocks.work, blocks.y, blocks.dtype = work, y, np.float64 if work.double else np.float32
        if kernel != NORMALS:
            blocks.x = x if _arrays.apart(x, y) else x.copy()
        blocks.lengths = _arrays.block_lengths(x)
        blocks.strides = _arrays.number_strides((mask if mask.source is None else mask.source).decided())
        blocks.corners = list(product(*[range(0, m, k) for m, k in zip(x.shape, blocks.lengths)]))
        share(blocks, len(blocks.corners), 1, bytes, split_from)
    return y
