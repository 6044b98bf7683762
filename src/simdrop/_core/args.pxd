# cython: language_level=3
"""Checks of the arguments that every call has, inline; those that need Python's arrays are in simdrop/_args.py.

Modules that cimport them call numpy.import_array()."""

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint64_t

from simdrop cimport SIMDROP_DRAWS, SIMDROP_KEY_BYTES, SIMDROP_MAX_AXES


cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow)


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

cdef inline Py_ssize_t plain_size(tuple shape) noexcept:
    """The number of elements of the usual shape, of positive ints; -1 if `_args.checked_shape` must look at it."""
    cdef Py_ssize_t size = 1
    cdef long long n
    cdef int overflow = 0
    if len(shape) > SIMDROP_MAX_AXES:
        return -1
    for length in shape:
        if type(length) is not int:
            return -1
        n = PyLong_AsLongLongAndOverflow(length, &overflow)
        if overflow != 0 or n <= 0 or size > PY_SSIZE_T_MAX // n:
            return -1
        size *= n
    return size


cdef inline Py_ssize_t bytes_of_bits(Py_ssize_t size) noexcept:
    """How many bytes hold so many bits; size + 7 may overflow."""
    return size // 8 + (size % 8 != 0)


# --- Arrays that a kernel reads and writes as they are ---

cdef inline bint is_plain(x) noexcept:
    """Whether a kernel can read x: float32 or float64, C-contiguous, aligned and native."""
    if not cnp.PyArray_CheckExact(x) or not cnp.PyArray_ISCARRAY_RO(x):
        return False
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32 or cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT64


cdef inline bint may_overlap_itself(array) noexcept:
    """False only if no two elements share a byte: each axis steps over all that shorter steps span."""
    cdef Py_ssize_t[SIMDROP_MAX_AXES] step, span
    cdef Py_ssize_t reach = cnp.PyArray_ITEMSIZE(array), n, stride
    cdef int axis, i, count = 0
    if cnp.PyArray_IS_C_CONTIGUOUS(array) or cnp.PyArray_IS_F_CONTIGUOUS(array):
        return False
    for axis in range(cnp.PyArray_NDIM(array)):
        n, stride = cnp.PyArray_DIM(array, axis), abs(cnp.PyArray_STRIDE(array, axis))
        if n > 1:
            i = count
            while i > 0 and stride < step[i - 1]:
                step[i], span[i] = step[i - 1], span[i - 1]
                i -= 1
            step[i], span[i] = stride, (n - 1) * stride
            count += 1
    for i in range(count):
        if step[i] < reach:
            return True
        reach += span[i]
    return False


cdef inline bint is_ready_out(out, x) noexcept:
    """Whether a result like x can be written to `out` without further checks."""
    return (
        cnp.PyArray_CheckExact(out) and cnp.PyArray_ISBEHAVED(out) and cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(x)
        and cnp.PyArray_SAMESHAPE(out, x) and not may_overlap_itself(out)
    )


cdef inline void find_span(array, size_t *ends) noexcept:
    """Where the memory of an array's elements begins and ends; both 0 if it has none."""
    cdef Py_ssize_t reach
    cdef int axis
    ends[0] = ends[1] = 0
    if cnp.PyArray_SIZE(array) == 0:
        return
    ends[0] = <size_t>cnp.PyArray_DATA(array)
    ends[1] = ends[0] + cnp.PyArray_ITEMSIZE(array)
    for axis in range(cnp.PyArray_NDIM(array)):
        reach = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if reach < 0:
            ends[0] += reach
        else:
            ends[1] += reach


cdef inline bint are_apart(x, y) noexcept:
    """Whether two arrays lie in separate parts of memory."""
    cdef size_t[4] ends
    find_span(x, ends)
    find_span(y, ends + 2)
    return ends[1] <= ends[2] or ends[3] <= ends[0]


cdef inline bint are_same(x, y) noexcept:
    """Whether two arrays of the same shape and type have each element at the same place."""
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_STRIDE(x, axis) != cnp.PyArray_STRIDE(y, axis) and cnp.PyArray_DIM(x, axis) > 1:
            return False
    return cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y)


cdef inline bint are_same_or_apart(x, y) noexcept:
    """Whether a kernel may write to y what it reads from x, of the same shape and type."""
    return are_same(x, y) or are_apart(x, y)


cdef inline bint is_ready_pair(out, x, other) noexcept:
    """Whether two results like x and `other` can be written to a pair `out`, in which either may be None."""
    if type(out) is not tuple or len(<tuple>out) != 2:
        return False
    first, second = (<tuple>out)[0], (<tuple>out)[1]
    if first is not None and not is_ready_out(first, x) or second is not None and not is_ready_out(second, other):
        return False
    return first is None or second is None or are_apart(first, second)
