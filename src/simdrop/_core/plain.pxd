# cython: language_level=3
"""Arrays that a kernel reads and writes as they are; inline, since they are on the way of every call.

Modules that cimport them call numpy.import_array()."""

cimport numpy as cnp


cdef inline bint is_plain(x) noexcept:
    """Whether a kernel can read x: float32 or float64, C-contiguous, aligned and native."""
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(x):
        return False
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32 or cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64


cdef inline bint are_apart(x, y) noexcept:
    """Whether two contiguous arrays share no memory."""
    cdef const char *first = <const char *>cnp.PyArray_DATA(x)
    cdef const char *second = <const char *>cnp.PyArray_DATA(y)
    return first + cnp.PyArray_NBYTES(x) <= second or second + cnp.PyArray_NBYTES(y) <= first


cdef inline bint are_same_or_apart(x, y) noexcept:
    """Whether a kernel may write to y what it reads from x, of the same shape and type."""
    return cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y) or are_apart(x, y)
