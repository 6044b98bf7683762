# cython: language_level=3
"""Checks of the arguments that every call has, inline; those that need Python's arrays are in simdrop/_args.py.

Modules that cimport them call numpy.import_array()."""

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint64_t

from simdrop._core.capi cimport SIMDROP_DRAWS, SIMDROP_KEY_BYTES, SIMDROP_MAX_AXES


# --- Numbers ---

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


cdef inline double checked_std(std) except -1:
    cdef double deviation
    try:
        deviation = PyFloat_AsDouble(std)
    except TypeError:
        raise TypeError(f"std, the standard deviation, must be a number, not {std!r}") from None
    except OverflowError:
        deviation = INFINITY
    if not (isfinite(deviation) and deviation >= 0):
        raise ValueError(f"std = {std}, but a standard deviation must be finite and not negative")
    return deviation


cdef inline bytes checked_key(key):
    if not isinstance(key, (bytes, bytearray)):
        raise TypeError(f"key must be 16 bytes, not {type(key).__name__}")
    if len(key) != SIMDROP_KEY_BYTES:
        raise ValueError(f"key has {len(key)} bytes, but must have 16")
    return bytes(key)


cdef inline uint64_t checked_draw(draw) except? 0:
    number = PyNumber_Index(draw)
    if not 0 <= number < SIMDROP_DRAWS:
        raise ValueError(f"draw = {draw}, but draws are numbered from 0 to 2**56 - 1")
    return number


# --- Shapes ---

cdef inline Py_ssize_t checked_size(tuple lengths, shape) except -1:
    """The number of elements of an array of these lengths, which are ints; `shape` is what was given."""
    cdef Py_ssize_t n, size = 1
    cdef bint empty = False
    if len(lengths) > SIMDROP_MAX_AXES:
        raise ValueError(f"shape has {len(lengths)} axes, but arrays have at most {SIMDROP_MAX_AXES}")
    for length in lengths:
        if length < 0:
            raise ValueError(f"shape = {shape}, but lengths must not be negative")
        try:
            n = length
        except OverflowError:
            raise ValueError(f"shape = {shape} has more than 2**63 - 1 elements") from None
        if n == 0:  # the product of the others must fit all the same, as NumPy has it, or their order would matter
            empty = True
        elif size > (<Py_ssize_t>((<size_t>-1) >> 1)) // n:
            raise ValueError(f"shape = {shape} has more than 2**63 - 1 elements")
        else:
            size *= n
    return 0 if empty else size


cdef inline bint are_ints(tuple lengths) noexcept:
    """Whether a shape is of Python's own ints, as that of an array is."""
    for length in lengths:
        if type(length) is not int:
            return False
    return True


cdef inline Py_ssize_t bytes_of_bits(Py_ssize_t size) noexcept:
    """How many bytes hold so many bits; size + 7 may overflow."""
    return size // 8 + (size % 8 != 0)


# --- Arrays that a kernel reads and writes as they are ---

cdef inline bint is_plain(x) noexcept:
    """Whether a kernel can read x: float32 or float64, C-contiguous, aligned and native."""
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(x):
        return False
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32 or cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64


cdef inline bint is_plain_out(out, x) noexcept:
    """Whether a kernel can write to `out`, and it is of x's shape and type."""
    return (
        cnp.PyArray_CheckExact(out) and cnp.PyArray_ISCARRAY(out)
        and cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(x) and cnp.PyArray_SAMESHAPE(out, x)
    )


cdef inline bint are_apart(x, y) noexcept:
    """Whether two contiguous arrays share no memory."""
    cdef const char *first = <const char *>cnp.PyArray_DATA(x)
    cdef const char *second = <const char *>cnp.PyArray_DATA(y)
    return first + cnp.PyArray_NBYTES(x) <= second or second + cnp.PyArray_NBYTES(y) <= first


cdef inline bint are_same_or_apart(x, y) noexcept:
    """Whether a kernel may write to y what it reads from x, of the same shape and type."""
    return cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y) or are_apart(x, y)
