# cython: language_level=3, binding=True, freethreading_compatible=True
"""Decisions applied to arrays of any type and layout: those that kernels draw, and those stored as bits."""

import numpy as np

from simdrop import _args, _arrays

cimport numpy as cnp
from libc.stdint cimport intptr_t, uint8_t, uint64_t

from simdrop cimport SIMDROP_BF16, SIMDROP_MAX_AXES, simdrop_axis, simdrop_elements, simdrop_rule, simdrop_type
from simdrop._core.args cimport are_same_or_apart, is_ready_out
from simdrop._core.draw cimport Draw, number_c_order
from simdrop._core.kernels cimport kernels
from simdrop._core.task cimport LEAST, Task, quotient, share

cnp.import_array()

cdef enum:
    GRAIN = 4096  # elements: threads' parts of a flat array begin at lines of memory and of keystream
    ENOUGH = 16  # pieces
    RUN = 256  # elements of a piece that follow each other in memory, and in the mask: half a block of a kernel's
    REPEATS = 16  # of a decision in each of the pieces that draw it
    RELEASE_GIL_FROM = 8192  # elements; below them that costs more than it gives to other threads


cdef struct Operation:  # what kernels are given
    const simdrop_rule *rule  # by which decisions are drawn, where
    const uint8_t *bits  # is NULL
    const char *x
    char *y
    uint64_t first  # number of the first element
    simdrop_elements elements
    int count, split_axis
    simdrop_axis axes[SIMDROP_MAX_AXES]


cdef class Apply(Task):
    """An operation that threads share; its units are those of the axis that is split."""

    cdef Operation operation

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        apply_part(&self.operation, start, stop)
        return 0


cdef void apply_part(const Operation *whole, size_t start, size_t stop) noexcept nogil:
    """The operation, from `start` to `stop` along the axis that is split."""
    cdef simdrop_axis[SIMDROP_MAX_AXES] axes
    cdef const char *x = whole.x
    cdef char *y = whole.y
    cdef uint64_t first = whole.first
    cdef int axis
    for axis in range(whole.count):
        axes[axis] = whole.axes[axis]
    if whole.count != 0:
        axis = whole.split_axis
        x += <Py_ssize_t>start * axes[axis].x
        y += <Py_ssize_t>start * axes[axis].y
        first += start * axes[axis].element
        axes[axis].n = stop - start
    if whole.bits is not NULL:
        kernels.select_array(whole.bits, first, whole.elements, whole.count, axes, x, y)
    else:
        kernels.apply_array(whole.rule, first, whole.elements, whole.count, axes, x, y)


cdef apply_drawn(x, out, Draw draw, bint scaled, double factor):
    """x multiplied by a factor where the draw's rule keeps an element, else +0: in `out`, or in a new array."""
    cdef int element_type = kernel_type(x, draw.shape, scaled)
    cdef const void *source
    cdef void *target
    if element_type < 0 or (out is not None and not takes_out(x, out)):
        given = x
        x, y = operands(given, out, draw.shape, scaled)
        apply_strided(x, y, draw, scaled, factor)
        return delivered(given, x, y, out)
    if out is not None:
        pass
    elif cnp.PyArray_IS_C_CONTIGUOUS(x) or cnp.PyArray_IS_F_CONTIGUOUS(x):
        out = cnp.PyArray_EMPTY(
            cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), not cnp.PyArray_IS_C_CONTIGUOUS(x)
        )
    else:
        out = _arrays.new_like(x)
    source, target = cnp.PyArray_DATA(x), cnp.PyArray_DATA(out)
    if not (draw.in_order and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(out)):
        apply_strided(x, out, draw, scaled, factor)
    elif <size_t>cnp.PyArray_NBYTES(x) > LEAST:
        apply_large(x, out, draw, element_type, factor)
    elif draw.size < RELEASE_GIL_FROM:
        kernels.apply[element_type](&draw.rule, draw.first, draw.size, source, target, factor)
    else:
        with nogil:
            kernels.apply[element_type](&draw.rule, draw.first, draw.size, source, target, factor)
    return out


cdef class Flat(Task):
    """A rule that is applied to contiguous arrays in their order; the units are elements."""

    cdef Draw draw
    cdef int type
    cdef size_t bytes  # of an element
    cdef const char *x
    cdef char *y
    cdef double factor

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        cdef size_t at = start * self.bytes
        kernels.apply[self.type](
            &self.draw.rule, self.draw.first + start, stop - start, self.x + at, self.y + at, self.factor
        )
        return 0


cdef int apply_large(x, y, Draw draw, int element_type, double factor) except -1:
    """Contiguous arrays that threads may share."""
    cdef Flat task = Flat.__new__(Flat)
    task.draw, task.type, task.bytes, task.factor = draw, element_type, cnp.PyArray_ITEMSIZE(x), factor
    task.x, task.y = <const char *>cnp.PyArray_DATA(x), <char *>cnp.PyArray_DATA(y)
    task.arrays = (x, y)
    return share(task, draw.size, GRAIN, cnp.PyArray_NBYTES(x))


cdef int kernel_type(x, tuple shape, bint scaled) noexcept:
    """The type of x if kernels take it as it is: of this shape, aligned, native, NumPy's own; else -1."""
    cdef int axis, number
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISBEHAVED_RO(x) or cnp.PyArray_NDIM(x) != len(shape):
        return -1
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_DIM(x, axis) != <Py_ssize_t>shape[axis]:
            return -1
    number = cnp.PyArray_TYPE(x)
    if scaled:
        return scaled_type(number)
    return plain_type(cnp.PyArray_ITEMSIZE(x)) if number <= cnp.NPY_COMPLEX128 or number == cnp.NPY_FLOAT16 else -1


cdef bint takes_out(x, out) noexcept:
    """Whether kernels can write to `out`: it is such an array like x, and x itself or apart from it."""
    return is_ready_out(out, x) and are_same_or_apart(x, out)


cdef int apply_strided(cnp.ndarray x, cnp.ndarray y, Draw draw, bint scaled, double factor) except -1:
    """The same for base arrays of the draw's shape, of any type and layout, by threads where that saves time."""
    cdef Operation operation
    set_arrays(&operation, x, y, scaled, factor)
    operation.rule, operation.bits = &draw.rule, NULL
    operation.first = draw.number_axes(operation.axes)
    if draw.in_order and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(y):
        # One axis, along which threads' parts may begin anywhere.
        operation.count = 1
        operation.axes[0].n = cnp.PyArray_SIZE(x)
        operation.axes[0].x = operation.axes[0].y = cnp.PyArray_ITEMSIZE(x)
        operation.axes[0].element = 1
    return do(&operation, x, y, draw)


cdef int apply_stored(
    cnp.ndarray x, cnp.ndarray y, bits, tuple shape, tuple shared_axes, bint scaled, double factor
) except -1:
    """The same with stored decisions: bits in the C order of the arrays' shape with the shared axes 1."""
    cdef Operation operation
    set_arrays(&operation, x, y, scaled, factor)
    operation.rule, operation.bits = NULL, <const uint8_t *>cnp.PyArray_DATA(bits)
    operation.first = 0
    number_c_order(shape, shared_axes, operation.axes)
    return do(&operation, x, y, bits)


cdef int set_arrays(Operation *operation, cnp.ndarray x, cnp.ndarray y, bint scaled, double factor) except -1:
    cdef int axis
    operation.x, operation.y = <const char *>cnp.PyArray_DATA(x), <char *>cnp.PyArray_DATA(y)
    operation.elements = elements_of(x.dtype, y.dtype, scaled)
    operation.elements.scale = factor
    operation.count, operation.split_axis = cnp.PyArray_NDIM(x), 0
    for axis in range(operation.count):
        operation.axes[axis].n = cnp.PyArray_DIM(x, axis)
        operation.axes[axis].x = cnp.PyArray_STRIDE(x, axis)
        operation.axes[axis].y = cnp.PyArray_STRIDE(y, axis)
    return 0


cdef int do(Operation *operation, cnp.ndarray x, cnp.ndarray y, decisions) except -1:
    """All of an operation, with other threads where that saves time."""
    cdef Apply task
    cdef size_t units = 1, grain = 1
    if <size_t>cnp.PyArray_NBYTES(x) <= LEAST:
        with nogil:
            apply_part(operation, 0, operation.axes[0].n if operation.count != 0 else 1)
        return 0
    if operation.count != 0:
        operation.split_axis = axis_to_split(operation.count, operation.axes, cnp.PyArray_ITEMSIZE(y), &grain)
        units = operation.axes[operation.split_axis].n
    task = Apply.__new__(Apply)
    task.operation = operation[0]
    task.arrays = (x, y, decisions)
    return share(task, units, max(grain, GRAIN) if operation.count == 1 else grain, cnp.PyArray_NBYTES(x))


cdef int axis_to_split(int count, const simdrop_axis *axes, size_t bytes, size_t *grain) noexcept nogil:
    """
    The axis that is cut into pieces for threads, and in `grain` the least of it that a piece should have.

    A kernel draws decisions in runs, and works on runs in memory: a piece that is short in either order makes them
    shorter, and most of what is drawn for it is in vain. The axis is the outermost in memory that gives enough pieces;
    else the one that gives most.
    """
    cdef int axis, found = 0
    cdef size_t n, least, parts, most = 0, stride, farthest = 0, repeats = 1
    for axis in range(count):
        if axes[axis].element == 0:
            repeats *= axes[axis].n
    grain[0] = 1
    for axis in range(count):
        n = axes[axis].n
        if n <= 1:
            continue
        stride = axes[axis].y if axes[axis].y > 0 else -axes[axis].y
        least = quotient(RUN * bytes, max(stride, 1))
        if axes[axis].element != 0:
            least = max(least, quotient(quotient(RUN, repeats), axes[axis].element))  # shared ones are few
        else:
            least = max(least, quotient(n * REPEATS, repeats))  # each piece draws all of them
        parts = min(quotient(n, least), ENOUGH)
        if parts > most or (parts == most and stride > farthest):
            found, most, farthest, grain[0] = axis, parts, stride, least
    return found


def split_axis(cnp.ndarray x, Draw draw):
    """Which axis of x is cut into pieces for threads, and the least of it that a piece has; for tests."""
    cdef Operation operation
    cdef size_t grain
    set_arrays(&operation, x, x, False, 1.0)
    draw.number_axes(operation.axes)
    return axis_to_split(operation.count, operation.axes, cnp.PyArray_ITEMSIZE(x), &grain), grain


cpdef tuple operands(given, out, tuple shape, bint scaled):
    """x and where its result goes, as base arrays of a mask's shape; where they overlap, x is a copy."""
    x = given if cnp.PyArray_CheckExact(given) else _args.base(given)
    if scaled_type(cnp.PyArray_TYPE(x)) < 0 or x.shape != shape:  # else it can be masked, scaled or not
        _args.check_maskable(x, shape, scaled)
    if out is None:
        return x, _arrays.new_like(x)
    y = _args.checked_out(out, x)
    return x if _arrays.apart(x, y) else x.copy(), y


cdef delivered(given, x, y, out):
    """`_args.delivered`, at no cost where an array of NumPy was given."""
    if out is not None:
        return out
    return y if cnp.PyArray_Check(given) else _args.delivered(given, x, y, out)


cdef simdrop_elements elements_of(cnp.dtype x, cnp.dtype y, bint scaled):
    """The elements of two arrays whose types differ in byte order at most."""
    cdef simdrop_elements elements
    cdef int number = x.type_num
    cdef int named = scaled_type(number) if scaled else plain_type(x.itemsize)
    elements.type = SIMDROP_BF16 if named < 0 else <simdrop_type>named  # the one type that is not NumPy's
    elements.bytes = x.itemsize
    elements.swap_x = elements.swap_y = 0
    if not (x.isnative and y.isnative) and _arrays.has_byte_order(x):
        part = x.itemsize // 2 if number == cnp.NPY_COMPLEX64 or number == cnp.NPY_COMPLEX128 else x.itemsize
        elements.swap_x = 0 if x.isnative else part
        elements.swap_y = 0 if y.isnative else part
    return elements


cdef indices_of(bits, Py_ssize_t size):
    """The numbers of the set bits among the first `size`, ascending; those after them are 0."""
    cdef size_t count = np.bitwise_count(bits).sum(dtype=np.int64)
    indices = np.empty(count, np.intp)
    cdef const uint8_t *source = <const uint8_t *>cnp.PyArray_DATA(bits)
    cdef intptr_t *target = <intptr_t *>cnp.PyArray_DATA(indices)
    with nogil:
        kernels.indices(source, size, target, count)
    return indices
