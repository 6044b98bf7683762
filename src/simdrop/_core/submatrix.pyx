# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Kept rows and columns of weight matrices: what `simdrop.submatrix` shows."""

from functools import partial

import numpy as np

from simdrop import _threads
from simdrop._core import signatures

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble
from cpython.number cimport PyNumber_Index
from libc.float cimport DBL_MAX, FLT_MAX
from libc.stdint cimport uint8_t

from simdrop._core.mask cimport Mask, simdrop_descent, simdrop_part, weights_kernels
from simdrop._core.task cimport Task, share

cnp.import_array()

SPLIT_FROM = _threads.SPLIT_FROM

cdef enum:
    BLOCKS = 8  # of rows: each has sums of squares of its own, at any number of threads
    NARROW = 512  # columns, of which a row leaves the kernels little to do at a time


cdef class Kept:
    """
    Which of a matrix's rows or columns are kept.

    Parameters
    ----------
    mask : Mask or PackedMask
        Its elements, in C order, are the rows or the columns.

    Attributes
    ----------
    size, count : int
        How many there are, and how many of them are kept.
    indices : ndarray
        Which, ascending, intp.
    """

    cdef readonly Py_ssize_t size, count
    cdef object mask
    cdef object bits  # in whole words

    __signature__ = signatures.shown(signatures.Kept)

    def __init__(self, *args, **named):
        mask, = signatures.Kept(*args, **named)
        if self.mask is not None:
            raise TypeError("a Kept cannot be changed")
        if not isinstance(mask, Mask):
            raise TypeError(f"mask must be a simdrop.Mask, not {type(mask).__name__}")
        cdef Py_ssize_t size = (<Mask>mask).size
        packed = np.zeros((size // 64 + (size % 64 != 0)) * 8, np.uint8)
        packed[: size // 8 + (size % 8 != 0)] = mask.packbits()  # of a subclass, it may be anything
        self.bits = packed.view(np.uint64)
        self.mask, self.size = mask, size
        self.count = np.bitwise_count(self.bits).sum(dtype=np.int64)

    @property
    def indices(self):
        if self.mask is None:
            raise TypeError("this Kept was made without its mask")
        return self.mask.indices()

    def __reduce__(self):
        return Kept, (self.mask,)

    def __repr__(self):
        return f"Kept({self.count} of {self.size})"


cdef enum:
    GATHER
    SGD
    ADAM


cdef class Job(Task):
    """A kernel and what it is given, for blocks of rows."""

    cdef int kernel, double
    cdef simdrop_part part
    cdef simdrop_descent how
    cdef size_t block  # rows of one
    cdef void *matrix
    cdef void *packed
    cdef void *first_state
    cdef void *second_state
    cdef double *squares

    cdef int run(self, size_t first, size_t stop) except -1 nogil:
        cdef size_t block
        for block in range(first, stop):
            self.run_block(block)
        return 0

    cdef void run_block(self, size_t block) noexcept nogil:
        cdef simdrop_part part = self.part
        cdef double *squares = self.squares + block * part.columns if self.squares is not NULL else NULL
        part.first = block * self.block
        part.stop = min(part.first + self.block, part.rows)
        if self.kernel == GATHER:
            weights_kernels().gather[self.double](&part, self.matrix, self.packed)
        elif self.kernel == SGD:
            weights_kernels().sgd[self.double](
                &part, &self.how, self.matrix, self.first_state, self.packed, squares
            )
        else:
            weights_kernels().adam[self.double](
                &part, &self.how, self.matrix, self.first_state, self.second_state, self.packed, squares
            )


cdef Job job_of(int kernel, matrix, rows, columns):
    cdef Job job = Job.__new__(Job)
    check_matrix(matrix, "matrix" if kernel == GATHER else "value")
    job.kernel = kernel
    job.double = cnp.PyArray_TYPE(matrix) == cnp.NPY_FLOAT64
    job.matrix = cnp.PyArray_DATA(matrix)
    job.part.columns = cnp.PyArray_DIM(matrix, cnp.PyArray_NDIM(matrix) - 1)
    job.part.rows = cnp.PyArray_DIM(matrix, 0) if cnp.PyArray_NDIM(matrix) == 2 else 1
    job.part.keep_rows = bits_of(rows, job.part.rows, "rows")
    job.part.keep_columns = bits_of(columns, job.part.columns, "columns")
    return job


cdef int do(Job job, tuple arrays, rows, columns, squares) except -1:
    """All of it on arrays, of which the first is the matrix, in all threads if it is large."""
    matrix = arrays[0]
    if job.part.keep_rows is NULL and job.part.keep_columns is NULL and squares is None:
        if job.part.columns < NARROW:
            job.part.rows, job.part.columns = 1, job.part.rows * job.part.columns
    job.block = max((job.part.rows + BLOCKS - 1) // BLOCKS, 1)
    cdef size_t blocks = (job.part.rows + job.block - 1) // job.block
    if squares is not None:
        sums = np.empty((blocks, job.part.columns))
        arrays += (sums,)
        job.squares = <double *>cnp.PyArray_DATA(sums)
    row_bits = None if rows is None else (<Kept>rows).bits
    column_bits = None if columns is None else (<Kept>columns).bits
    job.arrays = (arrays, row_bits, column_bits)
    share(job, blocks, 1, cnp.PyArray_NBYTES(matrix), SPLIT_FROM)
    if squares is not None:
        np.sum(sums, axis=0, out=squares)
    return 0


cdef tuple shape_of(array):
    """As memory has it, whatever a subclass says."""
    return tuple([cnp.PyArray_DIM(array, axis) for axis in range(cnp.PyArray_NDIM(array))])


cdef tuple packed_shape(matrix, rows, columns):
    """Of what is kept; rows and columns were checked by `job_of`."""
    cdef tuple shape = shape_of(matrix)
    width = shape[len(shape) - 1] if columns is None else (<Kept>columns).count
    if len(shape) == 1:
        return (width,)
    return (shape[0] if rows is None else (<Kept>rows).count, width)


def gather(matrix, rows=None, columns=None, *, out=None):
    """
    What is kept of a matrix: ``matrix[rows][:, columns]``.

    Parameters
    ----------
    matrix : ndarray
        (n, m) or (m,), float32 or float64, C-contiguous.
    rows, columns : Kept or None
        Of n and m; None keeps all.
    out : ndarray, optional
        Where to write the result; C-contiguous, of its shape and type, apart from the matrix.

    Returns
    -------
    packed : ndarray
        (rows.count, columns.count).

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    cdef Job job = job_of(GATHER, matrix, rows, columns)
    shape = packed_shape(matrix, rows, columns)
    if out is None:
        out = np.empty(shape, cnp.PyArray_DescrFromType(cnp.PyArray_TYPE(matrix)))
    else:
        check_like(out, "out", shape, cnp.PyArray_TYPE(matrix), True)
        if overlapping([out, matrix]):
            raise ValueError("out overlaps the matrix that it is gathered from")
    job.packed = cnp.PyArray_DATA(out)
    do(job, (matrix, out), rows, columns, None)
    return out


def sgd(
    value, grad, velocity, rows=None, columns=None, *, lr, momentum=0.0, nesterov=False, l2=0.0, l1=0.0, squares=None
):
    """
    A step of gradient descent with momentum, in place, of what is kept of a matrix.

    ``step = -lr * (grad + l2 * value + l1 * sign(value))``; ``velocity = momentum * velocity + step``;
    ``value += velocity``, or with `nesterov` ``value += momentum * velocity + step``. A velocity below the smallest
    normal number is set to zero. What is not kept stays as it is, its velocity too.

    Parameters
    ----------
    value, velocity : ndarray
        (n, m) or (m,), float32 or float64, C-contiguous; changed.
    grad : ndarray
        (rows.count, columns.count), of the same type, C-contiguous: of the kept alone.
    rows, columns : Kept or None
        Of n and m; None keeps all.
    lr, l2, l1 : float
        At least 0 and finite; rounded to the type, where they may overflow: then the value is NaN or infinite.
    momentum : float
        In [0, 1).
    nesterov : bool
    squares : ndarray, optional
        (m,), float64: set to the sums of squares of the columns of the new value, kept or not, for max-norm.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or two arrays share memory; then nothing has changed.
    """
    prepared_sgd(
        value, grad, velocity, rows, columns,
        lr=lr, momentum=momentum, nesterov=nesterov, l2=l2, l1=l1, squares=squares,
    )()


def prepared_sgd(value, grad, velocity, rows, columns, *, lr, momentum, nesterov, l2, l1, squares):
    """All of `sgd` but the step, which calling the result makes: so that of several, all are checked before one is made."""
    cdef dict arrays = {"value": value, "velocity": velocity, "grad": grad}
    cdef Job job = descent(SGD, arrays, rows, columns, lr, l2, l1, squares)
    job.how.momentum, job.how.nesterov = checked("momentum", momentum, 1), nesterov
    job.first_state = cnp.PyArray_DATA(velocity)
    return partial(run_descent, job, tuple(arrays.values()), rows, columns, squares)


def adam(
    value, grad, mean, square, rows=None, columns=None, *, lr, step, beta1=0.9, beta2=0.999, eps=1e-8, l2=0.0, l1=0.0,
    squares=None
):
    """
    A step of Adam (Kingma and Ba 2015, algorithm 1), in place, of what is kept of a matrix.

    With ``g = grad + l2 * value + l1 * sign(value)``: ``mean = beta1 * mean + (1 - beta1) * g``;
    ``square = beta2 * square + (1 - beta2) * g * g``;
    ``value -= lr * mean / (1 - beta1**step) / (sqrt(square / (1 - beta2**step)) + eps)``.

    Parameters
    ----------
    value, mean, square : ndarray
        (n, m) or (m,), float32 or float64, C-contiguous; changed.
    grad, rows, columns, lr, l2, l1, squares
        As in `sgd`.
    beta1, beta2 : float
        In [0, 1).
    eps : float
        Above 0 and finite, also when it is rounded to the type.
    step : int
        The number of this step, from 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or two arrays share memory; then nothing has changed.
    """
    prepared_adam(
        value, grad, mean, square, rows, columns,
        lr=lr, step=step, beta1=beta1, beta2=beta2, eps=eps, l2=l2, l1=l1, squares=squares,
    )()


def prepared_adam(value, grad, mean, square, rows, columns, *, lr, step, beta1, beta2, eps, l2, l1, squares):
    """All of `adam` but the step, as `prepared_sgd`."""
    cdef dict arrays = {"value": value, "mean": mean, "square": square, "grad": grad}
    cdef Job job = descent(ADAM, arrays, rows, columns, lr, l2, l1, squares)
    step = PyNumber_Index(step)
    if step < 1:
        raise ValueError(f"step is {step}, but steps are counted from 1")
    step = min(step, 2**62)  # no power of a number below 1 is above 0 there
    job.how.beta1, job.how.beta2 = checked("beta1", beta1, 1), checked("beta2", beta2, 1)
    job.how.eps = checked("eps", eps, positive=True)
    if not job.double and (job.how.eps > FLT_MAX or <float>job.how.eps == 0):
        limit = "infinite, so that nothing would change" if job.how.eps > 1 else "0: a step could be 0 / 0"
        raise ValueError(f"eps must be positive and finite in float32, but {eps} is {limit}")
    job.how.lr /= 1 - job.how.beta1**step
    job.how.root_scale = (1 - job.how.beta2**step) ** -0.5
    job.first_state, job.second_state = cnp.PyArray_DATA(mean), cnp.PyArray_DATA(square)
    return partial(run_descent, job, tuple(arrays.values()), rows, columns, squares)


cdef Job descent(int kernel, dict arrays, rows, columns, lr, l2, l1, squares):
    """A job with what all optimizers have; of the arrays the first is the value, the last the gradient."""
    value = arrays["value"]
    cdef Job job = job_of(kernel, value, rows, columns)
    cdef int number = cnp.PyArray_TYPE(value)
    cdef tuple shape = shape_of(value)
    if not cnp.PyArray_ISWRITEABLE(value):
        raise ValueError("value is read-only, but it is to be changed")
    for name, array in arrays.items():
        if name == "grad":
            check_like(array, name, packed_shape(value, rows, columns), number, False)
        else:
            check_like(array, name, shape, number, True)
    cdef list given = list(arrays.values())
    if squares is not None:
        check_like(squares, "squares", (job.part.columns,), cnp.NPY_FLOAT64, True)
        given.append(squares)
    pair = overlapping(given)
    if pair:
        first, second = ([*arrays, "squares"][i] for i in pair)
        raise ValueError(f"{first} and {second} share memory, but a step needs them apart")
    job.packed = cnp.PyArray_DATA(arrays["grad"])
    job.how.lr = checked("lr", lr)
    job.how.l2 = checked("l2", l2)
    job.how.l1 = checked("l1", l1)
    return job


def run_descent(Job job not None, tuple arrays not None, rows, columns, squares):
    """The step that was prepared."""
    do(job, arrays, rows, columns, squares)


def checked(str name, number, below=None, *, positive=False):
    """A number of an optimizer as a float: finite, not negative, and as the options say; or an error that names it."""
    cdef double value
    try:
        value = PyFloat_AsDouble(number)
    except TypeError:
        raise TypeError(f"{name} must be a number, not {type(number).__name__}") from None
    except OverflowError:
        value = 2 * DBL_MAX
    if below is not None:
        if not 0 <= value < below:
            raise ValueError(f"{name} must be in [0, {below}), got {number!r}")
    elif not (value > 0 if positive else value >= 0) or value > DBL_MAX:
        raise ValueError(f"{name} must be {'positive' if positive else 'at least 0'} and finite, got {number!r}")
    return value


def overlapping(list arrays):
    """Which two of some arrays share memory, as indices, ascending; None if none do."""
    cdef Py_ssize_t i, j
    spans = np.empty((len(arrays), 2), np.uintp)
    cdef size_t *ends = <size_t *>cnp.PyArray_DATA(spans)
    for i in range(len(arrays)):
        find_span(arrays[i], ends + 2 * i)
        for j in range(i):
            if ends[2 * j] < ends[2 * i + 1] and ends[2 * i] < ends[2 * j + 1]:
                if np.shares_memory(arrays[j], arrays[i]):  # and not only lies between
                    return j, i
    return None


cdef int find_span(array, size_t *ends) except -1:
    """Where an array's memory begins and ends; both 0 if it has no elements."""
    cdef Py_ssize_t reach
    cdef int axis
    if cnp.PyArray_SIZE(array) == 0:
        ends[0] = ends[1] = 0
        return 0
    ends[0] = <size_t>cnp.PyArray_DATA(array)
    ends[1] = ends[0] + cnp.PyArray_ITEMSIZE(array)
    for axis in range(cnp.PyArray_NDIM(array)):
        reach = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if reach < 0:
            ends[0] += reach
        else:
            ends[1] += reach
    return 0


cdef int check_matrix(matrix, str name) except -1:
    if not isinstance(matrix, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, not {type(matrix).__name__}")
    if cnp.PyArray_TYPE(matrix) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        raise TypeError(f"{name} is of {matrix.dtype}, but must be of float32 or float64")
    if cnp.PyArray_NDIM(matrix) not in (1, 2):
        raise ValueError(f"{name} has {matrix.ndim} axes, but must have 1 or 2")
    if not cnp.PyArray_ISCARRAY_RO(matrix):
        raise ValueError(f"{name} must be C-contiguous, aligned and of this machine's byte order")
    return 0


cdef int check_like(array, str name, tuple shape, int number, bint written) except -1:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, not {type(array).__name__}")
    if cnp.PyArray_TYPE(array) != number:
        raise TypeError(f"{name} is of {array.dtype}, but must be of {cnp.PyArray_DescrFromType(number)}")
    if shape_of(array) != shape:
        raise ValueError(f"{name} has shape {shape_of(array)}, but must have shape {shape}")
    if not cnp.PyArray_ISCARRAY_RO(array):
        raise ValueError(f"{name} must be C-contiguous, aligned and of this machine's byte order")
    if written and not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name} is read-only, but it is to be changed")
    return 0


cdef const uint8_t *bits_of(kept, size_t size, str name) except? NULL:
    if kept is None:
        return NULL
    if not isinstance(kept, Kept):
        raise TypeError(f"{name} must be a Kept or None, not {type(kept).__name__}")
    if <size_t>(<Kept>kept).size != size:
        raise ValueError(f"{name} is of {(<Kept>kept).size}, but the matrix has {size}")
    if (<Kept>kept).bits is None:
        raise TypeError(f"{name} is a Kept that was made without its mask")
    return <const uint8_t *>cnp.PyArray_DATA((<Kept>kept).bits)
