# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Weight matrices of which dropout keeps some rows and columns: gathering those, and updating them in one pass.

With a mask that a whole batch shares, the products of a net need the kept weights alone (Graham, Reizenstein and
Robinson 2015, "Efficient batchwise dropout training using submatrices"). `simdrop.nn` is made of these functions.
Matrices are float32 or float64, C-contiguous; vectors are matrices of one row. Results do not depend on the number of
threads, nor on the instruction set.
"""

import numpy as np

from simdrop import signatures, threads

cimport numpy as cnp
from libc.stdint cimport uint8_t

from simdrop.mask cimport Mask, simdrop_descent, simdrop_part, weights_kernels
from simdrop.task cimport Task, share

cnp.import_array()

SPLIT_FROM = threads.SPLIT_FROM

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
    job.part.columns = matrix.shape[cnp.PyArray_NDIM(matrix) - 1]
    job.part.rows = matrix.shape[0] if cnp.PyArray_NDIM(matrix) == 2 else 1
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


cdef tuple packed_shape(matrix, rows, columns):
    cdef tuple shape = matrix.shape
    width = shape[len(shape) - 1] if columns is None else columns.count
    if len(shape) == 1:
        return (width,)
    return (shape[0] if rows is None else rows.count, width)


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
        out = np.empty(shape, matrix.dtype)
    else:
        check_like(out, "out", shape, matrix.dtype, True)
        if np.may_share_memory(out, matrix):
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
    lr, momentum, l2, l1 : float
        Rounded to the type.
    nesterov : bool
    squares : ndarray, optional
        (m,), float64: set to the sums of squares of the columns of the new value, kept or not, for max-norm.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above; then nothing has changed.
    """
    cdef Job job = job_of(SGD, value, rows, columns)
    begin_descent(job, value, grad, rows, columns, squares)
    check_like(velocity, "velocity", value.shape, value.dtype, True)
    job.first_state = cnp.PyArray_DATA(velocity)
    job.how.lr, job.how.momentum, job.how.nesterov, job.how.l2, job.how.l1 = lr, momentum, nesterov, l2, l1
    do(job, (value, grad, velocity), rows, columns, squares)


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
    grad, rows, columns, squares
        As in `sgd`.
    lr, beta1, beta2, eps, l2, l1 : float
        Rounded to the type.
    step : int
        The number of this step, from 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above; then nothing has changed.
    """
    cdef Job job = job_of(ADAM, value, rows, columns)
    begin_descent(job, value, grad, rows, columns, squares)
    check_like(mean, "mean", value.shape, value.dtype, True)
    check_like(square, "square", value.shape, value.dtype, True)
    if step < 1:
        raise ValueError(f"step is {step}, but steps are counted from 1")
    job.first_state, job.second_state = cnp.PyArray_DATA(mean), cnp.PyArray_DATA(square)
    job.how.lr, job.how.root_scale = lr / (1 - beta1**step), (1 - beta2**step) ** -0.5
    job.how.beta1, job.how.beta2, job.how.eps, job.how.l2, job.how.l1 = beta1, beta2, eps, l2, l1
    do(job, (value, grad, mean, square), rows, columns, squares)


cdef int begin_descent(Job job, value, grad, rows, columns, squares) except -1:
    if not cnp.PyArray_ISWRITEABLE(value):
        raise ValueError("value is read-only, but it is to be changed")
    check_like(grad, "grad", packed_shape(value, rows, columns), value.dtype, False)
    job.packed = cnp.PyArray_DATA(grad)
    if squares is not None:
        check_like(squares, "squares", (job.part.columns,), np.dtype(np.float64), True)
    return 0


cdef int check_matrix(matrix, str name) except -1:
    if not isinstance(matrix, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, not {type(matrix).__name__}")
    if matrix.dtype.char not in "fd":
        raise TypeError(f"{name} is of {matrix.dtype}, but must be of float32 or float64")
    if matrix.ndim not in (1, 2):
        raise ValueError(f"{name} has {matrix.ndim} axes, but must have 1 or 2")
    if not cnp.PyArray_ISCARRAY_RO(matrix):
        raise ValueError(f"{name} must be C-contiguous, aligned and of this machine's byte order")
    return 0


cdef int check_like(array, str name, tuple shape, dtype, bint written) except -1:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, not {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{name} is of {array.dtype}, but must be of {dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but must have shape {shape}")
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
