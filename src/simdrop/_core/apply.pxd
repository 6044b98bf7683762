# cython: language_level=3
"""What masks need to be applied to arrays."""

cimport numpy as cnp
from libc.stdint cimport uint8_t, uint64_t

from simdrop._core.capi cimport (
    SIMDROP_C64,
    SIMDROP_C128,
    SIMDROP_F16,
    SIMDROP_F32,
    SIMDROP_F64,
    SIMDROP_MAX_AXES,
    SIMDROP_U8,
    SIMDROP_U16,
    SIMDROP_U32,
    SIMDROP_U64,
    SIMDROP_U128,
    simdrop_axis,
    simdrop_elements,
    simdrop_rule,
)
from simdrop._core.draw cimport Draw
from simdrop._core.task cimport Task


cdef class Apply(Task):
    cdef const simdrop_rule *rule  # draws decisions, where
    cdef const uint8_t *bits  # is NULL
    cdef const char *x
    cdef char *y
    cdef uint64_t first
    cdef simdrop_elements elements
    cdef int count, split_axis
    cdef bint in_order  # elements are numbered one after the other
    cdef simdrop_axis axes[SIMDROP_MAX_AXES]

    cdef int set_arrays(self, cnp.ndarray x, cnp.ndarray y, bint scaled, double factor) except -1
    cdef int set_draw(self, Draw draw) except -1
    cdef int set_bits(self, bits, tuple shape, tuple shared_axes) except -1
    cdef int do(self) except -1


cpdef tuple operands(given, out, tuple shape, bint scaled)
cdef indices_of(bits, Py_ssize_t size)


cdef inline int scaled_type(int number) noexcept:
    """The C library's name of a NumPy type that is scaled; -1 if it has none."""
    if number == cnp.NPY_FLOAT32:
        return SIMDROP_F32
    if number == cnp.NPY_FLOAT64:
        return SIMDROP_F64
    if number == cnp.NPY_FLOAT16:
        return SIMDROP_F16
    if number == cnp.NPY_COMPLEX64:
        return SIMDROP_C64
    if number == cnp.NPY_COMPLEX128:
        return SIMDROP_C128
    return -1


cdef inline int plain_type(size_t size) noexcept:
    """The C library's name of any type of a size, which is not scaled; the largest for odd sizes."""
    if size == 1:
        return SIMDROP_U8
    if size == 2:
        return SIMDROP_U16
    if size == 4:
        return SIMDROP_U32
    if size == 8:
        return SIMDROP_U64
    return SIMDROP_U128
