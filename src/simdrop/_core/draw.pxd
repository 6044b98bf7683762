# cython: language_level=3
"""What the other extensions need of Draw."""

from libc.stdint cimport uint64_t

from simdrop cimport simdrop_axis, simdrop_rule


cdef class Draw:
    cdef simdrop_rule rule  # with the key and the number; p is a mask's
    cdef readonly tuple shape
    cdef readonly tuple shared_axes
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t decisions  # size, divided by the lengths of the shared axes
    cdef Draw source  # the draw that this is a window of, or None
    cdef tuple at  # where in it, or None
    cdef uint64_t first  # number of the first element
    cdef bint in_order  # elements are numbered one after the other

    cdef int set_address(self, key, draw) except -1
    cdef int set_shape(self, tuple shape, tuple shared_axes, Py_ssize_t size) except -1
    cdef int set_window(self, Draw whole, tuple start, tuple shape) except -1
    cdef Draw new_window(self, tuple start, tuple shape)
    cdef tuple decided(self)
    cdef uint64_t number_axes(self, simdrop_axis *axes) except? 0


cdef tuple checked_shape(shape, Py_ssize_t *size)
cdef tuple checked_axes(shared_axes, tuple shape)
cdef tuple decided_shape(tuple shape, tuple shared_axes)
cdef int number_c_order(tuple shape, tuple shared_axes, simdrop_axis *axes) except -1
