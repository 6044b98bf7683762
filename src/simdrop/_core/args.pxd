# cython: language_level=3
"""What p, a draw and a shape must be; inline, since they are on the way of every call.

Modules that cimport them call numpy.import_array()."""

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint64_t

from simdrop._core.capi cimport SIMDROP_DRAWS


cdef inline bint is_array_p(p) noexcept:
    """Whether p is an array of probabilities; one without axes is a number."""
    return cnp.PyArray_Check(p) and cnp.PyArray_NDIM(p) != 0


cdef inline double checked_p(p) except -1:
    """p where it must be one number."""
    cdef double probability
    if type(p) is not float and is_array_p(p):
        raise TypeError(f"p, the probability of dropping, must be one number here, not an array of shape {p.shape}")
    try:
        probability = PyFloat_AsDouble(p)
    except TypeError:
        raise TypeError(
            f"p, the probability of dropping, must be a number in [0, 1], or a NumPy array of them, not {p!r}"
        ) from None
    except OverflowError:
        probability = 2
    if not 0 <= probability <= 1:
        raise ValueError(f"p = {p}, but the probability of dropping must be in [0, 1]")
    return probability


cdef inline uint64_t checked_draw(draw) except? 0:
    number = PyNumber_Index(draw)
    if not 0 <= number < SIMDROP_DRAWS:
        raise ValueError(f"draw = {draw}, but draws are numbered from 0 to 2**56 - 1")
    return number


cdef inline Py_ssize_t checked_length(length, shape) except -1:
    if length < 0:
        raise ValueError(f"shape = {shape}, but lengths must not be negative")
    try:
        return length
    except OverflowError:
        raise ValueError(f"shape = {shape} has more than 2**63 - 1 elements") from None


cdef inline Py_ssize_t multiplied(Py_ssize_t size, Py_ssize_t n, shape) except -1:
    """The product of lengths; those that are 0 are left out, as NumPy does it, or the order of axes would matter."""
    if n == 0:
        return size
    if size > (<Py_ssize_t>((<size_t>-1) >> 1)) // n:
        raise ValueError(f"shape = {shape} has more than 2**63 - 1 elements")
    return size * n


cdef inline Py_ssize_t bytes_of_bits(Py_ssize_t size) noexcept:
    """How many bytes hold so many bits; size + 7 may overflow."""
    return size // 8 + (size % 8 != 0)
