# cython: language_level=3
"""What the other modules need of Mask, and of the C library that it is linked to."""

cimport numpy as cnp
from libc.stdint cimport uint8_t, uint64_t

# Both are passed on to what cimports from here.
from simdrop._core.args cimport *
from simdrop._core.capi cimport *


cdef struct Layout:  # of two arrays, as kernels take it
    const simdrop_rule *rule
    const uint8_t *bits  # or NULL
    const char *x
    char *y
    uint64_t first
    simdrop_elements elements
    int count, split_axis
    simdrop_axis axes[SIMDROP_MOST_AXES]


cdef class Mask:
    cdef simdrop_rule rule
    cdef double probability  # p, or the largest of an array
    cdef double factor  # what kept elements are multiplied by, where p is one number
    cdef object p_array  # float64, read-only, or None
    cdef object factor_array  # of the type that was last multiplied, or None
    cdef readonly tuple shape
    cdef readonly tuple shared_axes
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t decisions  # elements that are decided: size, divided by the lengths of the shared axes
    cdef readonly bint scaled
    cdef Mask source  # the mask that this is a window of, or None
    cdef tuple at  # where in it
    cdef uint64_t first  # number of the first element
    cdef bint direct  # kernels draw it: one p, one rule
    cdef bint in_order  # and its elements are numbered one after the other

    cdef int set_form(self, p, shape, shared_axes, bint scale) except -1
    cdef tuple decided(self)
    cdef pack(self, tuple shape)
    cdef factors_as(self, dtype)
    cdef stored_bits(self)
    cdef int kernel_type(self, x) noexcept
    cdef bint takes_out(self, x, out) noexcept
    cdef apply_array(self, given, out)
    cdef apply_parts(self, cnp.ndarray x, cnp.ndarray y)
    cdef apply_split(self, x, y, bits)
    cdef int lay_out(self, Layout *layout, cnp.ndarray x, cnp.ndarray y, bits, int split_axis) except -1
    cdef apply_part(self, cnp.ndarray x, cnp.ndarray y, bits, int split_axis, Py_ssize_t start, Py_ssize_t stop)


# The C library is linked once, to this module; others call it from here.
cdef void expand_key(const uint8_t *key, uint8_t *round_keys) noexcept
cdef const simdrop_fused *fused_kernels() noexcept nogil
cdef const simdrop_noise *noise_kernels() noexcept nogil
cdef const simdrop_weights *weights_kernels() noexcept nogil
cdef Mask new_mask(const uint8_t *round_keys, uint64_t draw, p, shape, shared_axes, bint scale)
