# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Fused dropout: what `simdrop.fused` shows."""

from inspect import Signature

import numpy as np

from simdrop import _arrays, _threads

cimport numpy as cnp
from libc.stdint cimport uint8_t

from simdrop._core.mask cimport (
    SIMDROP_GELU,
    SIMDROP_IDENTITY,
    SIMDROP_RELU,
    SIMDROP_SCHEDULE_BYTES,
    SIMDROP_SIGMOID,
    SIMDROP_SILU,
    SIMDROP_TANH,
    Mask,
    checked_p,
    fused_kernels,
    new_mask,
    simdrop_finish_sums,
    simdrop_fused,
    simdrop_rule,
)
from simdrop._core.plain cimport are_apart, is_plain
from simdrop._core.stream cimport stream_of
from simdrop._core.task cimport Task, share

cnp.import_array()

ACTIVATIONS = {
    None: SIMDROP_IDENTITY,
    "relu": SIMDROP_RELU,
    "gelu": SIMDROP_GELU,
    "tanh": SIMDROP_TANH,
    "sigmoid": SIMDROP_SIGMOID,
    "silu": SIMDROP_SILU,
}

# A row of fewer columns would leave the kernels with little to do at a time: several make one.
cdef enum:
    SHORT_ROW = 512

# A column's sum is that of blocks of rows, the same ones at any number of threads.
cdef enum:
    MOST_BLOCKS = 64
    LEAST_ROWS = 8  # of a block: its sums are double, and two for each column
    GRAIN = 4096  # elements: threads' parts begin at lines of memory and of keystream
    LINE = 64  # bytes

cdef Py_ssize_t SPLIT_FROM = _threads.SPLIT_FROM

# A mask that keeps everything needs no key.
cdef uint8_t[SIMDROP_SCHEDULE_BYTES] no_key


cdef enum:
    BIAS
    BIAS_BACKWARD
    ADD
    RELU
    RELU_BACKWARD


cdef class Work(Task):
    """A kernel and what it is given, for units of elements."""

    cdef Mask mask
    cdef int kernel, activation, double
    cdef size_t n, columns, unit, size  # elements, of them a row and a unit; bytes of one
    cdef const char *x  # or relu's y
    cdef const char *other  # bias or residual
    cdef const char *dy
    cdef char *result
    cdef double *sums  # of each unit, or NULL

    cdef int run(self, size_t first, size_t stop) except -1 nogil:
        """Units `first` to `stop`, in one call of a kernel or, with sums, a call each."""
        cdef size_t unit
        if self.sums is NULL:
            self.run_elements(first * self.unit, min(stop * self.unit, self.n), NULL)
            return 0
        for unit in range(first, stop):
            self.run_elements(
                unit * self.unit, min((unit + 1) * self.unit, self.n), self.sums + 2 * self.columns * unit
            )
        return 0

    cdef void run_elements(self, size_t start, size_t stop, double *sums) noexcept nogil:
        cdef size_t n = stop - start, at = start * self.size
        cdef const simdrop_rule *rule = &self.mask.rule
        cdef const simdrop_fused *kernels = fused_kernels()
        cdef double scale = self.mask.factor
        cdef const char *x = self.x + at if self.x is not NULL else NULL
        cdef char *result = self.result + at
        if self.kernel == BIAS:
            kernels.bias_dropout[self.double][self.activation](
                rule, start, n, self.columns, x, self.other, result, scale
            )
        elif self.kernel == BIAS_BACKWARD:
            kernels.bias_dropout_backward[self.double][self.activation](
                rule, start, n, self.columns, x, self.other, self.dy + at, result, sums, scale
            )
        elif self.kernel == ADD:
            kernels.dropout_add[self.double](rule, start, n, x, self.other + at, result, scale)
        elif self.kernel == RELU:
            kernels.relu_dropout[self.double](rule, start, n, x, result, scale)
        else:
            kernels.relu_dropout_backward[self.double](
                n, n if sums is NULL else self.columns, x, self.dy + at, result, sums, scale
            )


cdef Work work_of(int kernel, Mask mask, result, x, other, dy):
    """Whose units are lines of memory and of keystream."""
    cdef Work work = Work.__new__(Work)
    work.arrays = (result, x, other, dy)
    work.kernel = kernel
    work.mask = mask
    work.n = mask.size
    work.unit = GRAIN
    work.size = cnp.PyArray_ITEMSIZE(result)
    work.double = work.size == sizeof(double)
    work.x = <const char *>data(x)
    work.other = <const char *>data(other)
    work.dy = <const char *>data(dy)
    work.result = <char *>data(result)
    return work


cdef int do(Work work) except -1:
    """All units of it, in all threads if they are many."""
    cdef size_t units = (work.n + work.unit - 1) // work.unit if work.n else 0
    return share(work, units, 1, work.n * work.size, SPLIT_FROM)


cdef size_t block_rows(size_t rows, size_t size) noexcept:
    """How many rows of arrays of `size` bytes have sums of their own."""
    if size < <size_t>SPLIT_FROM:
        return max(rows, 1)
    return max((rows + MOST_BLOCKS - 1) // MOST_BLOCKS, LEAST_ROWS)


cdef class Context:
    """
    What a fused function leaves for its backward pass.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped.
    """

    __signature__ = Signature()

    cdef readonly Mask mask
    cdef object dtype

    def __init__(self, *args, **named):
        raise TypeError(f"a {type(self).__name__} is what a function of simdrop.fused returns; it is not made by hand")

    def backward(self, dy, *, out=None):
        """
        The gradients with respect to the arguments of a loss whose gradient with respect to y is `dy`.

        Parameters
        ----------
        dy : array_like
            Of y's shape and type.
        out : ndarray, optional
            Where to write the gradient with respect to x; of y's shape and type. May be dy itself, or an array that
            this context keeps; of `dropout_add`, must not overlap dy, which is the other gradient.

        Returns
        -------
        dx : ndarray
            What the class says; exactly +0 where an element was dropped.
        dbias or dresidual : ndarray
            Where there is a second argument: its gradient.

        Raises
        ------
        TypeError
            If the type of dy or `out` is not y's.
        ValueError
            If the shape of dy or `out` is not y's, or `out` cannot be written (or overlaps dy, as above).
        """
        dy = like(dy, "dy", self.mask.shape, self.dtype)
        dx = target(out, dy, (dy, *self.read()), self.apart())
        others = self.gradients(dy, dx)
        dx = delivered(dx, out)
        return dx if others is None else (dx, others)

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        _arrays.refuse_ufunc(self, ufunc)

    cdef tuple read(self):
        """The arrays of y's shape that are read where the gradient is written."""
        return ()

    cdef apart(self):
        """One that must not be overlapped, or None."""
        return None

    cdef gradients(self, dy, dx):
        """Computes dx; returns the other argument's gradient, or None."""
        raise NotImplementedError


cdef class BiasDropout(Context):
    """
    What `bias_dropout` leaves for its backward pass, ``dx, dbias = ctx.backward(dy)``.

    dx is ``dy * activation'(x + bias) * mask.scale`` where kept; dbias, (n,), its sum over all axes but the last, added
    up in twice the precision.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped.
    activation : str or None
        As given.
    x, bias : ndarray or None
        The arguments, which the derivatives of gelu, tanh, sigmoid and silu are computed from; None for the others.
        Not copies, unless another layout or an overlapping `out` made them so: leave them as they are until `backward`.
    y : ndarray or None
        The result, for relu alone, whose derivative it says: leave it as it is until `backward`.
    """

    cdef readonly object activation
    cdef readonly object x
    cdef readonly object bias
    cdef readonly object y

    cdef tuple read(self):
        return tuple([array for array in (self.x, self.y) if array is not None])

    cdef apart(self):
        return self.bias

    cdef gradients(self, dy, dx):
        cdef size_t columns = self.mask.shape[len(self.mask.shape) - 1], n = self.mask.size
        cdef size_t rows = repeats(columns), size = cnp.PyArray_ITEMSIZE(dy)
        cdef size_t wide = rows * columns, units = (n + wide - 1) // wide if n else 0
        cdef size_t unit = block_rows(units, n * size), blocks = (units + unit - 1) // unit
        cdef cnp.npy_intp length = columns, doubles = 2 * wide * max(blocks, 1) + LINE // sizeof(double)
        dbias = cnp.PyArray_EMPTY(1, &length, cnp.PyArray_TYPE(dx), 0)
        sums = cnp.PyArray_ZEROS(1, &doubles, cnp.NPY_FLOAT64, 0)
        bias = self.bias if self.bias is None or rows == 1 else np.tile(self.bias, rows)
        cdef int number = ACTIVATIONS[self.activation]
        cdef int kernel = RELU_BACKWARD if number == SIMDROP_RELU else BIAS_BACKWARD
        cdef Work work = work_of(kernel, self.mask, dx, self.y if number == SIMDROP_RELU else self.x, bias, dy)
        work.activation = number
        work.columns = wide
        work.unit = unit * wide
        work.arrays += (sums,)
        work.sums = aligned(data(sums))
        do(work)
        cdef double *sums_data = work.sums
        cdef void *dbias_data = data(dbias)
        cdef simdrop_finish_sums *finish = fused_kernels().finish_sums[size == sizeof(double)]
        with nogil:
            finish(columns, rows, max(blocks, 1), sums_data, dbias_data)
        return dbias


def bias_dropout(x, bias, p=0.5, *, activation=None, rng=None, training=True, scale=True, out=None):
    """
    Dropout of an activation of a sum: ``y = dropout(activation(x + bias))``, what follows a matrix product in a net.

    Parameters
    ----------
    x : array_like
        (..., n), float32 or float64.
    bias : array_like
        (n,), of x's type.
    p : float, optional
        Probability of DROPPING an element, in [0, 1].
    activation : None, "relu", "gelu", "tanh", "sigmoid" or "silu", optional
        None is the identity; gelu is the exact one, ``v * Phi(v)`` with Phi the standard normal distribution function
        (by erf, not by tanh); silu is ``v * sigmoid(v)``.
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As in `simdrop.dropout`.
    training : bool, optional
        False is evaluation: nothing is dropped, and no draw is taken.
    scale : bool, optional
        False leaves kept elements as they are, as in `simdrop.dropout`.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself, which costs a copy of x where the backward
        pass needs it (gelu, tanh, sigmoid and silu).

    Returns
    -------
    y : ndarray
        (..., n), of x's type: ``activation(x + bias) / (1 - p)`` where kept, exactly +0 where dropped.
    ctx : BiasDropout
        For ``dx, dbias = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x is not of float32 or float64, bias or `out` not of x's type, or another argument has the wrong type.
    ValueError
        If p is not in [0, 1], the activation is unknown, shapes do not fit, or `out` cannot be written.

    Notes
    -----
    The activations and their derivatives are within 4 units in the last place of the exact ones of ``x + bias`` as
    rounded to x's type; subnormal results and infinite arguments (as limits) too. relu's derivative is 0 at 0, as
    PyTorch's.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting"; Hendrycks and Gimpel
    (2016), "Gaussian error linear units (GELUs)"; Elfwing et al. (2018), "Sigmoid-weighted linear units for neural
    network function approximation in reinforcement learning" (silu).

    Examples
    --------
    >>> from simdrop import fused
    >>> x = np.array([[1, -2, 3], [-4, 5, 6]], np.float32)
    >>> y, ctx = fused.bias_dropout(x, np.ones(3, np.float32), p=0.5, activation="relu", rng=0)
    >>> y
    array([[0., 0., 8.],
           [0., 0., 0.]], dtype=float32)
    >>> dx, dbias = ctx.backward(np.ones((2, 3), np.float32))
    >>> dbias
    array([0., 0., 2.], dtype=float32)
    """
    cdef BiasDropout ctx = BiasDropout.__new__(BiasDropout)
    cdef int number = checked_activation(activation)
    x = floats(x, "x")
    if x.ndim == 0:
        raise ValueError("x has no axes, but its last one is the one that bias is added along")
    bias = like(bias, "bias", (x.shape[x.ndim - 1],), x.dtype)
    y = target(out, x, (x,), bias)
    ctx.mask = mask_of(x, p, rng, training, scale)
    ctx.activation = activation
    ctx.dtype = x.dtype
    if number == SIMDROP_RELU:
        ctx.y = y
    elif number != SIMDROP_IDENTITY:
        ctx.x = x.copy() if out is not None and np.may_share_memory(x, out) else x
        ctx.bias = bias.copy() if out is not None and np.may_share_memory(bias, out) else bias
    cdef size_t columns = x.shape[x.ndim - 1]
    cdef size_t rows = repeats(columns)
    if rows != 1:
        bias = np.tile(bias, rows)
    cdef Work work = work_of(BIAS, ctx.mask, y, x, bias, None)
    work.activation = number
    work.columns = rows * columns
    work.unit = max(work.columns, 1)
    do(work)
    return delivered(y, out), ctx


cdef class DropoutAdd(Context):
    """
    What `dropout_add` leaves for its backward pass, ``dx, dresidual = ctx.backward(dy)``.

    dx is ``dy * mask.scale`` where kept; dresidual is dy itself.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped; no array is kept.
    """

    def backward(self, dy, *, out=None):
        """``dx, dresidual``, of the parameters and with the errors of `Context.backward`."""
        if not cnp.PyArray_CheckExact(dy):
            dy = _arrays.base(dy)
        check_like(dy, "dy", self.mask.shape, self.dtype)
        if out is not None:
            plain = is_plain_out(out, dy)
            memory = out if plain else _arrays.checked_out(out, dy)
            if not are_apart(out, dy) if plain and is_plain(dy) else np.may_share_memory(dy, memory):
                raise ValueError("out overlaps dy, which is the gradient with respect to residual")
        return self.mask.apply(dy, out=out), dy


def dropout_add(x, residual, p=0.5, *, rng=None, training=True, out=None):
    """
    Dropout and a residual connection: ``y = dropout(x) + residual``.

    Parameters
    ----------
    x : array_like
        Any shape, float32 or float64.
    residual : array_like
        Of x's shape and type.
    p : float, optional
        Probability of DROPPING an element of x, in [0, 1].
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As in `simdrop.dropout`.
    training : bool, optional
        False is evaluation: nothing is dropped, and no draw is taken.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x or residual itself.

    Returns
    -------
    y : ndarray
        Of x's shape and type: ``x / (1 - p) + residual`` where kept, residual where dropped.
    ctx : DropoutAdd
        For ``dx, dresidual = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x is not of float32 or float64, residual or `out` not of x's type, or another argument has the wrong type.
    ValueError
        If p is not in [0, 1], shapes do not fit, or `out` cannot be written.

    References
    ----------
    He et al. (2016), "Deep residual learning for image recognition"; Vaswani et al. (2017), "Attention is all you
    need", section 5.4 (dropout of each sub-layer's output before it is added).

    Examples
    --------
    >>> from simdrop import fused
    >>> y, ctx = fused.dropout_add(np.ones(8), np.full(8, 0.5), p=0.5, rng=0)
    >>> y
    array([0.5, 2.5, 2.5, 0.5, 0.5, 0.5, 2.5, 2.5])
    """
    cdef DropoutAdd ctx = DropoutAdd.__new__(DropoutAdd)
    x = floats(x, "x")
    residual = like(residual, "residual", x.shape, x.dtype)
    y = target(out, x, (x, residual), None)
    ctx.mask = mask_of(x, p, rng, training)
    ctx.dtype = x.dtype
    do(work_of(ADD, ctx.mask, y, x, residual, None))
    return delivered(y, out), ctx


cdef class ReluDropout(Context):
    """
    What `relu_dropout` leaves for its backward pass, ``dx = ctx.backward(dy)``.

    dx is ``dy * mask.scale`` where ``y > 0``.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped; the backward pass takes the scale from it and no more.
    y : ndarray
        The result, which says where x was kept and positive: leave it as it is until `backward`.
    """

    cdef readonly object y

    cdef tuple read(self):
        return (self.y,)

    cdef gradients(self, dy, dx):
        do(work_of(RELU_BACKWARD, self.mask, dx, self.y, None, dy))


def relu_dropout(x, p=0.5, *, rng=None, training=True, out=None):
    """
    Dropout of a rectifier: ``y = dropout(max(x, 0))``, in place with ``out=x``.

    Parameters
    ----------
    x : array_like
        Any shape, float32 or float64.
    p : float, optional
        Probability of DROPPING an element, in [0, 1].
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As in `simdrop.dropout`.
    training : bool, optional
        False is evaluation: nothing is dropped, and no draw is taken.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself: the backward pass needs y alone.

    Returns
    -------
    y : ndarray
        Of x's shape and type: ``max(x, 0) / (1 - p)`` where kept (NaN stays), exactly +0 where dropped or not positive.
    ctx : ReluDropout
        For ``dx = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x is not of float32 or float64, `out` not of x's type, or another argument has the wrong type.
    ValueError
        If p is not in [0, 1], or `out` has another shape or cannot be written.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting"; Nair and Hinton
    (2010), "Rectified linear units improve restricted Boltzmann machines".

    Examples
    --------
    >>> from simdrop import fused
    >>> x = np.array([1, -1, 2, 3, 4, 5, -6, 7], np.float32)
    >>> y, ctx = fused.relu_dropout(x, p=0.5, rng=0, out=x)
    >>> y
    array([ 0.,  0.,  4.,  0.,  0.,  0.,  0., 14.], dtype=float32)
    >>> ctx.backward(np.ones(8, np.float32))
    array([0., 0., 2., 0., 0., 0., 0., 2.], dtype=float32)
    """
    cdef ReluDropout ctx = ReluDropout.__new__(ReluDropout)
    x = floats(x, "x")
    y = target(out, x, (x,), None)
    ctx.mask = mask_of(x, p, rng, training)
    ctx.dtype = x.dtype
    ctx.y = y
    do(work_of(RELU, ctx.mask, y, x, None, None))
    return delivered(y, out), ctx


cdef int checked_activation(activation) except -1:
    if activation is not None and not isinstance(activation, str):
        raise TypeError(f"activation must be None or a name, not {type(activation).__name__}")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation = {activation!r}, but those that there are: None, "
            + ", ".join([repr(name) for name in ACTIVATIONS if name])
        )
    return ACTIVATIONS[activation]


cdef Mask mask_of(x, p, rng, training, bint scale=True):
    """The mask that simdrop.dropout takes; the last thing that can fail before a kernel runs."""
    checked_p(p)
    return stream_of(rng).take(p, x.shape, (), scale) if training else new_mask(no_key, 0, 0, x.shape, (), scale)


cdef floats(x, str name):
    """x as a kernel can read it."""
    if is_plain(x):
        return x
    x = _arrays.base(x)
    if x.dtype.char not in "fd":
        raise TypeError(f"{name} is of {x.dtype}, but must be of float32 or float64")
    return np.require(x, _arrays.native(x.dtype), "CA")


cdef int check_like(x, str name, tuple shape, dtype) except -1:
    if x.dtype is not dtype and _arrays.native(x.dtype) != dtype:
        raise TypeError(f"{name} is of {x.dtype}, but must be of {dtype}")
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, but must have shape {shape}")
    return 0


cdef like(x, str name, tuple shape, dtype):
    """x as a kernel can read it, of one shape and type; what is no array is converted to the type."""
    if not is_plain(x):
        x = _arrays.base(x) if isinstance(x, np.ndarray) else np.asarray(x, dtype)
    check_like(x, name, shape, dtype)
    return x if is_plain(x) else np.require(x, dtype, "CA")


cdef target(out, x, tuple same, apart):
    """
    Where a kernel may write a result like x: `out`, unless it has another layout, overlaps one of `same` without being
    it, or overlaps `apart`; then, and without `out`, a new array.
    """
    if out is not None:
        if not is_plain_out(out, x):
            out = _arrays.checked_out(out, x)
        if cnp.PyArray_ISCARRAY(out) and (apart is None or are_apart(out, apart)):
            for array in same:
                if cnp.PyArray_DATA(out) != cnp.PyArray_DATA(array) and not are_apart(out, array):
                    break
            else:
                return out
    return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)


cdef bint is_plain_out(out, x) noexcept:
    """Whether `out` is what _arrays.check_out need not look at."""
    return (
        cnp.PyArray_CheckExact(out) and cnp.PyArray_ISCARRAY(out)
        and cnp.PyArray_TYPE(out) == cnp.PyArray_TYPE(x) and cnp.PyArray_SAMESHAPE(out, x)
    )


cdef delivered(result, out):
    """The result, in `out` if there is one."""
    if out is None or result is out:
        return result
    memory = _arrays.base(out)
    if cnp.PyArray_DATA(memory) != cnp.PyArray_DATA(result):
        memory[...] = result
    return out


cdef double *aligned(void *memory) noexcept:
    """The next address where a line begins: sums are read and written at each element."""
    return <double *>(<char *>memory + (-<size_t>memory) % LINE)


cdef void *data(array) noexcept:
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef size_t repeats(size_t columns) noexcept:
    """How many rows are computed as one."""
    return 1 if columns == 0 or columns >= SHORT_ROW else (SHORT_ROW + columns - 1) // columns
