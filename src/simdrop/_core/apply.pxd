# cython: language_level=3
"""What masks need to be applied to arrays."""

cimport numpy as cnp

from simdrop cimport (
    SIMDROP_C64,
    SIMDROP_C128,
    SIMDROP_F16,
    SIMDROP_F32,
    SIMDROP_F64,
    SIMDROP_U8,
    SIMDROP_U16,
    SIMDROP_U32,
    SIMDROP_U64,
    SIMDROP_U128,
)
from simdrop._core.draw cimport Draw


cdef apply_drawn(x, out, Draw draw, bint scaled, double factor)
cdef int apply_stored(
    cnp.ndarray x, cnp.ndarray y, bits, tuple shape, tuple shared_axes, bint scaled, double factor
) except -1
cdef delivered(given, x, y, out)
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
