# cython: language_level=3, nonecheck=True, freethreading_compatible=True
"""Kernels of single elements, on arrays of any layout: in one call, by threads, or a block at a time."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from simdrop import _args, _arrays

cimport numpy as cnp
from libc.stdint cimport uint64_t

from simdrop cimport SIMDROP_MAX_AXES, simdrop_axis
from simdrop._core.args cimport are_same_or_apart, is_plain, is_ready_out
from simdrop._core.draw cimport Draw
from simdrop._core.kernels cimport kernels
from simdrop._core.task cimport Task, share

cnp.import_array()

cdef enum:
    GRAIN = 4096  # elements: threads' parts begin at lines of memory and of keystream
    BLOCK = 1 << 15  # elements of a block, whose buffer stays in the caches
    ASCENDING = 1 << 17  # the same where blocks ascend, and so are short along axes that may be near in memory
    RUN = 384  # elements with consecutive numbers that are worth a call of a kernel
    LINES = 64  # elements: a few lines of memory, which are read whole


cdef class Elements(Task):
    """A kernel for float32 or float64, called by a subclass, with its arguments; the units of the task are elements."""

    cdef int take(self, Draw draw, x, other, y) except -1:
        """Set what all kernels have; x and `other` (or None) and y are plain arrays."""
        self.draw = draw
        self.double = cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT64
        self.size = cnp.PyArray_ITEMSIZE(y)
        self.arrays = (x, other, y)
        self.x = NULL if x is None else <const char *>cnp.PyArray_DATA(x)
        self.other = NULL if other is None else <const char *>cnp.PyArray_DATA(other)
        self.y = <char *>cnp.PyArray_DATA(y)
        return 0

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        cdef size_t at = start * self.size
        cdef const char *x = NULL if self.x is NULL else self.x + at
        cdef const char *other = NULL if self.other is NULL else self.other + at
        return self.compute(self.draw.first + start, stop - start, x, other, self.y + at)

    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        """Write n contiguous elements of the result to y; the first has this number in the draw."""
        with gil:
            raise NotImplementedError


cdef struct Axis:
    Py_ssize_t n, block  # lengths of the arrays and of a block
    uint64_t number  # between the numbers of neighbours
    Py_ssize_t[3] strides  # of x, other and y


cdef class Blocks(Task):
    """
    A kernel on arrays of any layout, or of a window; the units of the task are blocks.

    Each block is copied to a buffer, in the order of its elements' numbers, and computed there; runs of consecutive
    numbers that are contiguous in an array are read or written in place.
    """

    cdef Elements kernel
    cdef object dtype
    cdef size_t size  # elements of a block
    cdef int count
    cdef Axis[SIMDROP_MAX_AXES] axes
    cdef int[SIMDROP_MAX_AXES] order  # of axes in which blocks follow each other, the fastest first
    cdef char *data[3]  # of x, other and y; NULL: none, or to be converted
    cdef bint[3] converts
    cdef object views  # of x, other and y, with the joined axes, where they are converted

    cdef int run(self, size_t first, size_t stop) except -1 nogil:
        with gil:
            self.run_blocks(first, stop)
        return 0

    cdef run_blocks(self, size_t first, size_t stop):
        buffer = new_buffer(self.size, self.dtype)
        cdef char *memory = <char *>cnp.PyArray_DATA(buffer)
        cdef size_t unit
        with nogil:
            for unit in range(first, stop):
                self.run_block(unit, memory)

    cdef int run_block(self, size_t unit, char *buffer) except -1 nogil:
        cdef Py_ssize_t[SIMDROP_MAX_AXES] start, n
        cdef Py_ssize_t[3] at = [0, 0, 0]
        cdef bint[3] direct = [False, False, False]  # runs are contiguous in memory
        cdef char *place[3]  # of a block
        cdef char *begin[3]  # of a run
        cdef uint64_t number = self.kernel.draw.first, next
        cdef size_t parts, size = 1, run = 1, row, rest
        cdef int i, axis, array, rows = self.count  # axes along which a run follows another
        for i in range(self.count):
            axis = self.order[i]
            parts = (self.axes[axis].n + self.axes[axis].block - 1) // self.axes[axis].block
            start[axis] = unit % parts * self.axes[axis].block
            unit //= parts
            n[axis] = min(self.axes[axis].block, self.axes[axis].n - start[axis])
            number += start[axis] * self.axes[axis].number
            for array in range(3):
                at[array] += start[axis] * self.axes[axis].strides[array]
            size *= n[axis]
        for axis in range(self.count - 1, -1, -1):
            if rows == axis + 1 and (n[axis] == 1 or self.axes[axis].number == run):
                rows = axis
                run *= n[axis]
        place[0] = place[2] = buffer
        place[1] = buffer + self.size * self.kernel.size
        for array in range(3):
            if run == <size_t>n[self.count - 1] and self.data[array] is not NULL:
                direct[array] = self.axes[self.count - 1].strides[array] == <Py_ssize_t>self.kernel.size
            if direct[array]:
                place[array] = self.data[array] + at[array]
            elif array != 2:
                self.move(array, start, n, at[array], place[array])
        for row in range(size // run):
            rest, next = row, number
            for array in range(3):
                begin[array] = place[array] + (0 if direct[array] else row * run * self.kernel.size)
            for axis in range(rows - 1, -1, -1):
                next += rest % n[axis] * self.axes[axis].number
                for array in range(3):
                    if direct[array]:
                        begin[array] += <Py_ssize_t>(rest % n[axis]) * self.axes[axis].strides[array]
                rest //= n[axis]
            self.kernel.compute(next, run, begin[0], begin[1], begin[2])
        if not direct[2]:
            self.move(2, start, n, at[2], buffer)
        return 0

    cdef int move(
        self, int array, const Py_ssize_t *start, const Py_ssize_t *n, Py_ssize_t at, char *buffer
    ) except -1 nogil:
        """A block of x or `other` to the buffer, or the buffer to a block of y."""
        cdef simdrop_axis[SIMDROP_MAX_AXES] axes
        cdef size_t step = self.kernel.size
        cdef int axis, last = self.count - 1
        if self.converts[array]:
            with gil:
                self.convert(array, start, n, buffer)
        if self.data[array] is NULL:
            return 0
        for axis in range(self.count):  # the last is the buffer's innermost
            axes[axis].n, axes[axis].x, axes[axis].y = n[last - axis], self.axes[last - axis].strides[array], step
            step *= n[last - axis]
        kernels.copy_block(self.count, axes, self.data[array] + at, buffer, self.kernel.size, array == 2)
        return 0

    cdef int convert(self, int array, const Py_ssize_t *start, const Py_ssize_t *n, char *buffer) except -1:
        """The same where elements have another type or byte order, or are not aligned."""
        cdef int number = cnp.NPY_FLOAT64 if self.kernel.double else cnp.NPY_FLOAT32
        part = self.views[array][tuple([slice(start[axis], start[axis] + n[axis]) for axis in range(self.count)])]
        cdef cnp.npy_intp size = part.size
        block = cnp.PyArray_SimpleNewFromData(1, &size, number, buffer).reshape(part.shape)
        with np.errstate(all="ignore"):  # as a kernel rounds
            np.copyto(part if array == 2 else block, block if array == 2 else part, casting="unsafe")
        return 0


def new_buffer(n, dtype):
    """Memory for a block of x, and for one of another input."""
    return np.empty(2 * n, dtype)


cdef apply(Elements kernel, Draw draw, x, other, out):
    """
    The kernel's result for x and `other` (or None), in `out` or in a new array.

    Kernels take float32 and float64 with consecutive numbers. Other arrays are computed in blocks; 16-bit floats in
    float32, rounded once.
    """
    cdef Blocks blocks
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x), units
    cdef int axis
    cdef size_t grain = kernel.grain or GRAIN
    if out is None and is_plain(x):
        out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)
    y = _arrays.new_like(x) if out is None else out
    if draw.in_order and is_plain_for(x, y) and (other is None or is_plain_for(other, y)):
        kernel.take(draw, x, other, y)
        share(kernel, n, grain, cnp.PyArray_NBYTES(x))
        return y
    dtype = np.dtype(np.float64 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64 else np.float32)
    if draw.in_order and n <= BLOCK and not (is_floats(x, y) and (other is None or is_floats(other, y))):
        block = np.array(x, dtype, order="C")
        kernel.take(draw, block, None if other is None else np.array(other, dtype, order="C"), block)
        with nogil:
            kernel.run(0, n)
        with np.errstate(all="ignore"):  # as a kernel rounds
            np.copyto(y, block, casting="unsafe")
    elif n != 0:
        kernel.take(draw, None, None, np.empty(0, dtype))
        arrays = [array if array is None or can_be_read(array, y) else array.copy() for array in (x, other)]
        blocks = blocks_of(kernel, dtype, None if kernel.generates else arrays[0], arrays[1], y)
        units = 1
        for axis in range(blocks.count):
            units *= (blocks.axes[axis].n + blocks.axes[axis].block - 1) // blocks.axes[axis].block
        share(blocks, units, units if kernel.grain else 1, cnp.PyArray_NBYTES(x))
    return y


cdef bint is_floats(array, y) noexcept:
    """Whether it has y's type, float32 or float64, as kernels take it."""
    return (
        cnp.PyArray_ISBEHAVED_RO(array) and cnp.PyArray_ISBEHAVED(y) and cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(y)
        and cnp.PyArray_TYPE(y) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
    )


cdef bint can_be_read(array, y):
    """Whether no element is written to y before it is read."""
    return is_floats(array, y) and are_same_or_apart(array, y) or _arrays.apart(array, y)


cdef bint is_plain_for(x, y) noexcept:
    """Whether a kernel can read x and write y."""
    return (
        is_plain(x) and is_plain(y) and cnp.PyArray_TYPE(x) == cnp.PyArray_TYPE(y) and are_same_or_apart(x, y)
    )


cdef Blocks blocks_of(Elements kernel, dtype, x, other, y):
    """The arrays in blocks; neighbouring axes that are like one are joined."""
    cdef Blocks blocks = Blocks.__new__(Blocks)
    cdef simdrop_axis[SIMDROP_MAX_AXES] numbers
    cdef Axis here
    cdef Py_ssize_t size = dtype.itemsize
    cdef int axis, array, first = 2  # array that there is
    cdef bint in_steps
    arrays = (x, other, y)
    kernel.draw.number_axes(numbers)
    for axis in range(cnp.PyArray_NDIM(y)):
        here.n, here.block, here.number = cnp.PyArray_DIM(y, axis), 1, numbers[axis].element
        for array in range(3):
            here.strides[array] = 0 if arrays[array] is None else cnp.PyArray_STRIDE(arrays[array], axis)
        if here.n != 1:
            if blocks.count != 0 and is_outside(&blocks.axes[blocks.count - 1], &here):
                here.n *= blocks.axes[blocks.count - 1].n
                blocks.count -= 1
            blocks.axes[blocks.count] = here
            blocks.count += 1
    blocks.kernel, blocks.dtype = kernel, dtype
    for array in range(2, -1, -1):
        if arrays[array] is not None:
            first = array
    for axis in range(blocks.count):
        blocks.order[axis] = blocks.count - 1 - axis
    if kernel.grain == 0:  # what shares pages of memory with a block follows it
        order_in_memory(blocks, first)
    choose_lengths(blocks, arrays, kernel.grain != 0)
    views = [None, None, None]
    for array in range(3):
        if arrays[array] is None:
            continue
        in_steps = True  # where alignment is less, too
        for axis in range(cnp.PyArray_NDIM(y)):
            in_steps = in_steps and cnp.PyArray_STRIDE(arrays[array], axis) % size == 0
        if arrays[array].dtype == dtype and cnp.PyArray_ISALIGNED(arrays[array]) and in_steps:
            blocks.data[array] = <char *>cnp.PyArray_DATA(arrays[array])
        else:
            blocks.converts[array] = True
            shape = [blocks.axes[axis].n for axis in range(blocks.count)]
            strides = [blocks.axes[axis].strides[array] for axis in range(blocks.count)]
            views[array] = as_strided(arrays[array], shape, strides)
    blocks.views, blocks.arrays = views, arrays
    return blocks


cdef bint is_outside(const Axis *outer, const Axis *inner) noexcept:
    """Whether the outer axis goes on where the inner one ends, in the numbers and in each array."""
    cdef int array
    for array in range(3):
        if outer.strides[array] != inner.n * inner.strides[array]:
            return False
    return outer.number == <uint64_t>inner.n * inner.number


cdef inline Py_ssize_t step(Blocks blocks, int axis, int array) noexcept:
    """How far apart neighbours are in memory."""
    return abs(blocks.axes[axis].strides[array])


cdef void order_in_memory(Blocks blocks, int array) noexcept:
    """Let blocks follow each other as in an array's memory."""
    cdef int axis, i
    for axis in range(blocks.count):
        i = axis
        while i > 0 and step(blocks, axis, array) < step(blocks, blocks.order[i - 1], array):
            blocks.order[i] = blocks.order[i - 1]
            i -= 1
        blocks.order[i] = axis


cdef int choose_lengths(Blocks blocks, tuple arrays, bint ascending) except -1:
    """
    Choose the shape of the blocks that arrays are computed in.

    They are long along the last axes, whose elements have consecutive numbers, and along the axes whose elements are
    neighbours in memory; `ascending`: the elements of each follow those of the one before.
    """
    cdef Py_ssize_t most = ASCENDING if ascending else BLOCK
    cdef int axis, i, array, near
    blocks.size = 1
    if not ascending:
        for axis in range(blocks.count - 1, -1, -1):
            lengthen(blocks, axis, RUN // blocks.size, most)
        for array in range(3):
            if arrays[array] is not None and blocks.count != 0:
                near = 0
                for axis in range(1, blocks.count):
                    near = axis if step(blocks, axis, array) < step(blocks, near, array) else near
                lengthen(blocks, near, LINES, most)
    for i in range(blocks.count):
        lengthen(blocks, blocks.order[i], blocks.axes[blocks.order[i]].n, most)
    return 0


cdef void lengthen(Blocks blocks, int axis, Py_ssize_t wanted, Py_ssize_t most) noexcept:
    """Make blocks longer along an axis, to about so many elements, and all of about the same length."""
    cdef Axis *along = &blocks.axes[axis]
    cdef Py_ssize_t room = most * along.block // <Py_ssize_t>blocks.size, length
    wanted = max(wanted, 1)
    cdef Py_ssize_t parts = max((along.n + wanted // 2) // wanted, (along.n + room - 1) // room, 1)
    length = max(along.block, (along.n + parts - 1) // parts)
    blocks.size = <Py_ssize_t>blocks.size // along.block * length
    along.block = length


cdef checked_out(out, x):
    """What was given as `out` as a base array for a result like x, or an error; None stays None."""
    return out if out is None or is_ready_out(out, x) else _args.checked_out(out, x)


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
