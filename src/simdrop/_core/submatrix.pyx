# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Kept rows and columns of weight matrices: what `simdrop.submatrix` shows."""

from inspect import signature

import numpy as np

from simdrop import _args, _pickle
from simdrop._core import signatures

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble
from cpython.number cimport PyNumber_Index
from libc.float cimport DBL_MAX, FLT_MAX
from libc.stdint cimport uint8_t

from simdrop cimport simdrop_step, simdrop_submatrix
from simdrop._core.args cimport find_span
from simdrop._core.kernels cimport kernels
from simdrop._core.mask cimport is_mask
from simdrop._core.task cimport Task, share

cnp.import_array()

arguments = signatures.arguments("Kept", "mask")

cdef enum:
    BLOCKS = 8  # of rows: each has sums of squares of its own, at any number of threads
    GRAIN = 4096  # elements: threads' parts begin at lines of memory


cdef class Kept:
    """
    Which rows or columns of a matrix are kept.

    Parameters
    ----------
    mask : Mask or StoredMask
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

    __signature__ = signature(arguments)

    def __init__(self, *args, **named):
        mask, = arguments(*args, **named)
        if self.mask is not None:
            raise TypeError("a Kept cannot be changed")
        if not is_mask(mask):
            raise TypeError(f"mask must be a simdrop.Mask or StoredMask, not {type(mask).__name__}")
        cdef Py_ssize_t size = mask.size
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
        return _pickle.restore_kept, (self.mask,)

    def __repr__(self):
        return f"Kept({self.count} of {self.size})"


cdef class Rows(Task):
    """
    A kernel for rows of a matrix, called by a subclass, with its arguments.

    The units are rows; with sums of squares, blocks of them; elements where all are kept, which are one long row then,
    because a kernel starts anew at each row.
    """

    cdef int double  # 0: float32, 1: float64
    cdef simdrop_submatrix submatrix
    cdef size_t bytes  # of the matrix
    cdef bint flat  # the units are elements
    cdef size_t block  # rows of one
    cdef char *matrix
    cdef char *compact
    cdef double *squares  # of the columns of each block, or NULL

    cdef int take(self, str name, matrix, rows, columns) except -1:
        """Check the matrix and what is kept of it."""
        check_memory(matrix, name)
        if cnp.PyArray_TYPE(matrix) not in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
            raise TypeError(f"{name} is of {matrix.dtype}, but must be of float32 or float64")
        if cnp.PyArray_NDIM(matrix) not in (1, 2):
            raise ValueError(f"{name} has {matrix.ndim} axes, but must have 1 or 2")
        self.double = cnp.PyArray_TYPE(matrix) == cnp.NPY_FLOAT64
        self.bytes = cnp.PyArray_NBYTES(matrix)
        self.matrix = <char *>cnp.PyArray_DATA(matrix)
        self.submatrix.columns = cnp.PyArray_DIM(matrix, cnp.PyArray_NDIM(matrix) - 1)
        self.submatrix.rows = cnp.PyArray_DIM(matrix, 0) if cnp.PyArray_NDIM(matrix) == 2 else 1
        self.submatrix.keep_rows = bits_of(rows, self.submatrix.rows, "rows")
        self.submatrix.keep_columns = bits_of(columns, self.submatrix.columns, "columns")
        return 0

    cdef int own(self, tuple arrays, rows, columns) except -1:
        """Keep alive what it works on."""
        row_bits = None if rows is None else (<Kept>rows).bits
        column_bits = None if columns is None else (<Kept>columns).bits
        self.arrays = (arrays, row_bits, column_bits)
        return 0

    cdef int do(self, squares) except -1:
        """All of it, with other threads where that saves time."""
        cdef size_t blocks, rows = self.submatrix.rows
        if squares is not None:
            self.block = max((rows + BLOCKS - 1) // BLOCKS, 1)
            blocks = (rows + self.block - 1) // self.block
            sums = np.empty((blocks, self.submatrix.columns))
            self.squares = <double *>cnp.PyArray_DATA(sums)
            share(self, blocks, 1, self.bytes)
            np.sum(sums, axis=0, out=squares)
        elif self.submatrix.keep_rows is NULL and self.submatrix.keep_columns is NULL:
            self.flat = True
            share(self, rows * self.submatrix.columns, GRAIN, self.bytes)
        else:
            share(self, rows, 1, self.bytes)
        return 0

    cdef int run(self, size_t start, size_t stop) except -1 nogil:
        cdef simdrop_submatrix part = self.submatrix
        cdef size_t block
        if self.flat:
            part.rows, part.columns, part.first, part.stop = 1, stop - start, 0, 1
            self.compute(&part, start * (sizeof(double) if self.double else sizeof(float)), NULL)
        elif self.squares is NULL:
            part.first, part.stop = start, stop
            self.compute(&part, 0, NULL)
        else:
            for block in range(start, stop):
                part.first, part.stop = block * self.block, min((block + 1) * self.block, part.rows)
                self.compute(&part, 0, self.squares + block * part.columns)
        return 0

    cdef int compute(self, const simdrop_submatrix *part, size_t at, double *squares) except -1 nogil:
        """Work on some rows, from `first` to `stop`, of arrays that begin at so many bytes."""
        with gil:
            raise NotImplementedError


cdef class Gather(Rows):
    cdef int compute(self, const simdrop_submatrix *part, size_t at, double *squares) except -1 nogil:
        kernels.gather[self.double](part, self.matrix + at, self.compact + at)
        return 0


cdef class Step(Rows):
    """A step of an optimizer that has been checked: a call makes it."""

    cdef simdrop_step settings
    cdef char *first_state
    cdef char *second_state
    cdef object squares_out

    cdef int prepare(self, dict arrays, rows, columns, lr, l2, l1, squares) except -1:
        """Check and set what all optimizers have; the first of the arrays is the value, the last its gradient."""
        value = arrays["value"]
        self.take("value", value, rows, columns)
        cdef int number = cnp.PyArray_TYPE(value)
        cdef tuple shape = shape_of(value)
        for name, array in arrays.items():
            if name == "grad":
                check_like(array, name, compact_shape(value, rows, columns), number, False)
            else:
                check_like(array, name, shape, number, True)
        cdef list given = list(arrays.values())
        if squares is not None:
            check_like(squares, "squares", (self.submatrix.columns,), cnp.NPY_FLOAT64, True)
            given.append(squares)
        pair = overlapping(given)
        if pair:
            first, second = ([*arrays, "squares"][i] for i in pair)
            raise ValueError(f"{first} and {second} share memory, but a step needs them apart")
        self.own(tuple(given), rows, columns)
        self.squares_out = squares
        self.compact = <char *>cnp.PyArray_DATA(arrays["grad"])
        self.settings.lr, self.settings.l2, self.settings.l1 = checked("lr", lr), checked("l2", l2), checked("l1", l1)
        return 0

    def __call__(self):
        self.do(self.squares_out)


cdef class Sgd(Step):
    cdef int compute(self, const simdrop_submatrix *part, size_t at, double *squares) except -1 nogil:
        kernels.sgd[self.double](
            part, &self.settings, self.matrix + at, self.first_state + at, self.compact + at, squares
        )
        return 0


cdef class Adam(Step):
    cdef int compute(self, const simdrop_submatrix *part, size_t at, double *squares) except -1 nogil:
        kernels.adam[self.double](
            part, &self.settings, self.matrix + at, self.first_state + at, self.second_state + at, self.compact + at,
            squares,
        )
        return 0


cdef tuple shape_of(array):
    """The shape of an array's memory, whatever a subclass says."""
    return tuple([cnp.PyArray_DIM(array, axis) for axis in range(cnp.PyArray_NDIM(array))])


cdef tuple compact_shape(matrix, rows, columns):
    """The shape of what is kept; rows and columns were checked."""
    cdef tuple shape = shape_of(matrix)
    width = shape[len(shape) - 1] if columns is None else (<Kept>columns).count
    if len(shape) == 1:
        return (width,)
    return (shape[0] if rows is None else (<Kept>rows).count, width)


def gather(matrix, rows=None, columns=None, *, out=None):
    """
    The kept part of a matrix: ``matrix[rows][:, columns]``.

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
    compact : ndarray
        (rows.count, columns.count).

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    cdef Gather kernel = Gather.__new__(Gather)
    kernel.take("matrix", matrix, rows, columns)
    shape = compact_shape(matrix, rows, columns)
    if out is None:
        out = np.empty(shape, cnp.PyArray_DescrFromType(cnp.PyArray_TYPE(matrix)))
    else:
        check_like(out, "out", shape, cnp.PyArray_TYPE(matrix), True)
        if overlapping([out, matrix]):
            raise ValueError("out overlaps the matrix that it is gathered from")
    kernel.compact = <char *>cnp.PyArray_DATA(out)
    kernel.own((matrix, out), rows, columns)
    kernel.do(None)
    return out


def sgd(
    value, grad, velocity, rows=None, columns=None, *, lr, momentum=0.0, nesterov=False, l2=0.0, l1=0.0, squares=None
):
    """
    A step of gradient descent with momentum, in place, on the kept part of a matrix.

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
    """The step of `sgd`, checked, to be called: so that of several steps all are checked before the first is made."""
    cdef Sgd step = Sgd.__new__(Sgd)
    step.prepare({"value": value, "velocity": velocity, "grad": grad}, rows, columns, lr, l2, l1, squares)
    step.settings.momentum, step.settings.nesterov = checked("momentum", momentum, 1), nesterov
    step.first_state = <char *>cnp.PyArray_DATA(velocity)
    return step


def adam(
    value, grad, mean, square, rows=None, columns=None, *, lr, step, beta1=0.9, beta2=0.999, eps=1e-8, l2=0.0, l1=0.0,
    squares=None
):
    """
    A step of Adam (Kingma and Ba 2015, algorithm 1), in place, on the kept part of a matrix.

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
    """The step of `adam`, checked, to be called."""
    cdef Adam prepared = Adam.__new__(Adam)
    prepared.prepare(
        {"value": value, "mean": mean, "square": square, "grad": grad}, rows, columns, lr, l2, l1, squares
    )
    step = PyNumber_Index(step)
    if step < 1:
        raise ValueError(f"step is {step}, but steps are counted from 1")
    step = min(step, 2**62)  # the powers of beta1 and beta2 are 0 there
    cdef simdrop_step *settings = &prepared.settings
    settings.beta1, settings.beta2 = checked("beta1", beta1, 1), checked("beta2", beta2, 1)
    settings.eps = checked("eps", eps, positive=True)
    if not prepared.double and (settings.eps > FLT_MAX or <float>settings.eps == 0):
        limit = "infinite, so that nothing would change" if settings.eps > 1 else "0: a step could be 0 / 0"
        raise ValueError(f"eps must be positive and finite in float32, but {eps} is {limit}")
    settings.lr /= 1 - settings.beta1**step
    settings.root_scale = (1 - settings.beta2**step) ** -0.5
    prepared.first_state = <char *>cnp.PyArray_DATA(mean)
    prepared.second_state = <char *>cnp.PyArray_DATA(square)
    return prepared


def checked(str name, number, below=None, *, positive=False):
    """
    A number of an optimizer as a float: in [0, below), or finite and at least 0, or positive; or an error that names it.
    """
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
    """The indices of two arrays that share memory, ascending; None if no two do."""
    cdef Py_ssize_t i, j
    spans = np.empty((len(arrays), 2), np.uintp)
    cdef size_t *ends = <size_t *>cnp.PyArray_DATA(spans)
    for i in range(len(arrays)):
        find_span(arrays[i], ends + 2 * i)
        for j in range(i):
            if ends[2 * j] < ends[2 * i + 1] and ends[2 * i] < ends[2 * j + 1]:
                if np.shares_memory(arrays[j], arrays[i]):  # the spans of strided arrays may overlap without that
                    return j, i
    return None


cdef int check_memory(array, str name) except -1:
    """Refuse what a kernel cannot read."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, not {type(array).__name__}")
    if not cnp.PyArray_ISCARRAY_RO(array):
        raise ValueError(f"{name} must be C-contiguous, aligned and of this machine's byte order")
    return 0


cdef int check_like(array, str name, tuple shape, int number, bint written) except -1:
    check_memory(array, name)
    if cnp.PyArray_TYPE(array) != number or shape_of(array) != shape:
        _args.check_like(name, _args.base(array), shape, cnp.PyArray_DescrFromType(number))
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
