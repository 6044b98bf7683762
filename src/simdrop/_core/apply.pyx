# cython: language_level=3, binding=True, freethreading_compatible=True
"""Decisions applied to arrays of any type and layout: those that kernels draw, and those stored as bits."""

import numpy as np

from simdrop import _args, _arrays, _threads

cimport numpy as cnp
from libc.stdint cimport intptr_t, uint8_t, uint64_t

from simdrop._core.capi cimport SIMDROP_BF16, SIMDROP_MAX_AXES, simdrop_axis, simdrop_elements, simdrop_type
from simdrop._core.draw cimport Draw, number_c_order
from simdrop._core.kernels cimport kernels
from simdrop._core.task cimport Task, share

cnp.import_array()

cdef enum:
    GRAIN = 4096  # elements: threads' parts of a flat array begin at lines of memory and of keystream

cdef Py_ssize_t SPLIT_FROM = _threads.SPLIT_FROM


cdef class Apply(Task):
    """Decisions and two arrays, x to be read and y to be written; its units are those of the axis that is split."""

    cdef int set_arrays(self, cnp.ndarray x, cnp.ndarray y, bint scaled, double factor) except -1:
        """x and y, of one shape, and what kept elements are multiplied by."""
        cdef int axis
        self.arrays = (x, y)
        self.x, self.y = <const char *>cnp.PyArray_DATA(x), <char *>cnp.PyArray_DATA(y)
        self.elements = elements_of(x.dtype, y.dtype, scaled)
        self.elements.scale = factor
        self.count = cnp.PyArray_NDIM(x)
        self.split_axis = outermost(y)
        for axis in range(self.count):
            self.axes[axis].n = cnp.PyArray_DIM(x, axis)
            self.axes[axis].x = cnp.PyArray_STRIDE(x, axis)
            self.axes[axis].y = cnp.PyArray_STRIDE(y, axis)
        return 0

    cdef int set_draw(self, Draw draw) except -1:
        """Kernels draw the decisions."""
        self.arrays += (draw,)
        self.rule = &draw.rule
        self.first = draw.number_axes(self.axes)
        self.in_order = draw.in_order
        return 0

    cdef int set_bits(self, bits, tuple shape, tuple shared_axes) except -1:
        """The decisions are bits, in the C order of a shape with the shared axes 1."""
        self.arrays += (bits,)
        self.bits = <const uint8_t *>cnp.PyArray_DATA(bits)
        return number_c_order(shape, shared_axes, self.axes)

    cdef int do(self) except -1:
        """All of it, with all threads where the arrays are large."""
        x, y = self.arrays[:2]
        if self.in_order and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_C_CONTIGUOUS(y):
            # One axis, along which threads' parts may begin anywhere.
            self.count, self.split_axis = 1, 0
            self.axes[0].n = cnp.PyArray_SIZE(x)
            self.axes[0].x = self.axes[0].y = cnp.PyArray_ITEMSIZE(x)
            self.axes[0].element = 1
        cdef size_t units = self.axes[self.split_axis].n if self.count != 0 else 1
        return share(self, units, GRAIN if self.count == 1 else 1, cnp.PyArray_NBYTES(x), SPLIT_FROM)

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        cdef simdrop_axis[SIMDROP_MAX_AXES] axes
        cdef const char *x = self.x
        cdef char *y = self.y
        cdef uint64_t first = self.first
        cdef int axis
        for axis in range(self.count):
            axes[axis] = self.axes[axis]
        if self.count != 0:
            axis = self.split_axis
            x += <Py_ssize_t>start * axes[axis].x
            y += <Py_ssize_t>start * axes[axis].y
            first += start * axes[axis].element
            axes[axis].n = stop - start
        if self.bits is not NULL:
            kernels().select_array(self.bits, first, self.elements, self.count, axes, x, y)
        else:
            kernels().apply_array(self.rule, first, self.elements, self.count, axes, x, y)
        return 0


cdef int outermost(cnp.ndarray array) noexcept:
    """The axis that is outermost in memory."""
    cdef int axis, found = 0
    cdef Py_ssize_t stride, largest = -1
    for axis in range(cnp.PyArray_NDIM(array)):
        stride = abs(cnp.PyArray_STRIDE(array, axis)) if cnp.PyArray_DIM(array, axis) > 1 else -1
        if stride > largest:
            found, largest = axis, stride
    return found


cpdef tuple operands(given, out, tuple shape, bint scaled):
    """x and where its result goes, as base arrays of a mask's shape; where they overlap, x is a copy."""
    x = _args.base(given)
    _args.check_maskable(x, shape, scaled)
    if out is None:
        return x, _arrays.new_like(x)
    y = _args.checked_out(out, x)
    return x if _arrays.apart(x, y) else x.copy(), y


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
        kernels().indices(source, size, target, count)
    return indices
