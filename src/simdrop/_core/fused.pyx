# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Fused dropout: what `simdrop.fused` shows."""

from inspect import Signature

import numpy as np

from simdrop import _args, _arrays, _pickle
from simdrop._core.named import explained

cimport numpy as cnp
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from simdrop cimport (
    SIMDROP_GELU,
    SIMDROP_IDENTITY,
    SIMDROP_RELU,
    SIMDROP_SIGMOID,
    SIMDROP_SILU,
    SIMDROP_TANH,
)
from simdrop._core.apply cimport delivered
from simdrop._core.args cimport checked_p, is_plain, is_ready_out, is_ready_pair
from simdrop._core.elements cimport Elements, apply
from simdrop._core.kernels cimport kernels
from simdrop._core.mask cimport Mask
from simdrop._core.stream cimport next_mask_of

cnp.import_array()

ACTIVATIONS = {
    None: SIMDROP_IDENTITY,
    "relu": SIMDROP_RELU,
    "gelu": SIMDROP_GELU,
    "tanh": SIMDROP_TANH,
    "sigmoid": SIMDROP_SIGMOID,
    "silu": SIMDROP_SILU,
}

cdef enum:
    SHORT_ROW = 512  # columns: several shorter rows are computed as one, since a kernel starts anew at each row
    LINE = 64  # bytes
    # The column sums of large arrays are those of blocks of rows, the same ones at any number of threads.
    MOST_BLOCKS = 64
    BLOCK_BYTES = 1 << 20  # at least, and
    LEAST_ROWS = 8  # of a block, which has two doubles for each column


# --- Kernels ---


cdef class Fused(Elements):
    cdef int number  # of the activation
    cdef double scale
    cdef size_t columns  # of a row, which may be several rows of the arrays
    cdef const char *bias  # of a row
    cdef object kept  # what `bias` and `sums` are

    cdef int set_bias(self, bias, size_t columns) except -1:
        """Several rows as one where they are short; without bias where it is None. 16-bit floats as float32."""
        cdef size_t row, rows = repeats(columns), bytes
        cdef cnp.npy_intp wide = rows * columns
        cdef char *target
        self.columns = max(wide, 1)
        if bias is None:
            return 0
        if not is_plain(bias):
            bias = bias.astype(_arrays.real_type(bias.dtype), order="C")
        self.kept = bias
        if rows > 1:
            self.kept = cnp.PyArray_EMPTY(1, &wide, cnp.PyArray_TYPE(bias), 0)
            target, bytes = <char *>cnp.PyArray_DATA(self.kept), cnp.PyArray_NBYTES(bias)
            for row in range(rows):
                memcpy(target + row * bytes, cnp.PyArray_DATA(bias), bytes)
        self.bias = <const char *>cnp.PyArray_DATA(self.kept)
        return 0

    cdef size_t to_row_end(self, size_t place, size_t n) noexcept nogil:
        """How many of n elements a kernel can take: all at the beginning of a row, else those up to its end."""
        return n if place % self.columns == 0 else min(n, self.columns - place % self.columns)


cdef class BiasDropout(Fused):
    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        cdef size_t some, at = 0, place = number - self.draw.first  # in x, which may have a window of the draw
        while n != 0:
            some = self.to_row_end(place, n)
            kernels.bias_dropout[self.double][self.number](
                &self.draw.rule, number, some, self.columns, x + at,
                self.bias + place % self.columns * self.size, y + at, self.scale,
            )
            at += some * self.size
            number += some
            place += some
            n -= some
        return 0


cdef class DropoutAdd(Fused):
    """`other` is the residual."""

    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.dropout_add[self.double](&self.draw.rule, number, n, x, other, y, self.scale)
        return 0


cdef class ReluDropout(Fused):
    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.relu_dropout[self.double](&self.draw.rule, number, n, x, y, self.scale)
        return 0


cdef class ReluBackward(Fused):
    """Without sums; x is y of the forward pass, and `other` is dy."""

    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.relu_dropout_backward[self.double](n, n, x, other, y, NULL, self.scale)
        return 0


cdef class BiasBackward(Fused):
    """With the column sums of each block of rows, the grain of the task; x is dy, and `other` is x, or y of relu."""

    cdef double *sums

    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        cdef size_t some, column, at = 0, place = number - self.draw.first
        cdef double *sums
        while n != 0:
            some = min(self.to_row_end(place, n), self.grain - place % self.grain)
            column = place % self.columns
            sums = self.sums + place // self.grain * 2 * self.columns + column
            if self.number == SIMDROP_RELU:
                kernels.relu_dropout_backward[self.double](
                    some, self.columns, other + at, x + at, y + at, sums, self.scale
                )
            else:
                kernels.bias_dropout_backward[self.double][self.number](
                    &self.draw.rule, number, some, self.columns, other + at, self.bias + column * self.size,
                    x + at, y + at, sums, self.scale,
                )
            at += some * self.size
            number += some
            place += some
            n -= some
        return 0


cdef size_t repeats(size_t columns) noexcept:
    """How many rows are computed as one."""
    return 1 if columns == 0 or columns >= SHORT_ROW else (SHORT_ROW + columns - 1) // columns


cdef size_t block_rows(size_t rows, size_t bytes) noexcept:
    """How many of the rows of an array of so many bytes have sums of their own."""
    cdef size_t blocks = max(min(bytes // BLOCK_BYTES, MOST_BLOCKS), 1)
    return max((rows + blocks - 1) // blocks, LEAST_ROWS)


cdef double *aligned(void *memory) noexcept:
    """The next address where a line begins: sums are read and written at each element."""
    return <double *>(<char *>memory + (-<size_t>memory) % LINE)


cdef int sum_gradient(BiasDropoutContext ctx, dy, dx, dbias) except -1:
    """Write dx and dbias."""
    cdef BiasBackward kernel = BiasBackward.__new__(BiasBackward)
    cdef size_t n = cnp.PyArray_SIZE(dy), columns = cnp.PyArray_DIM(dy, cnp.PyArray_NDIM(dy) - 1)
    cdef size_t rows = repeats(columns), wide = rows * columns
    cdef size_t units = (n + wide - 1) // wide if n else 0
    cdef size_t size = max(cnp.PyArray_ITEMSIZE(dy), sizeof(float))  # of an element as it is computed
    cdef size_t unit = block_rows(units, n * size), blocks = max((units + unit - 1) // unit, 1)
    cdef cnp.npy_intp doubles = 2 * wide * blocks + LINE // sizeof(double)
    sums = cnp.PyArray_ZEROS(1, &doubles, cnp.NPY_FLOAT64, 0)
    kernel.number, kernel.scale, kernel.grain = ACTIVATIONS[ctx.activation], ctx.mask.factor, max(unit * wide, 1)
    kernel.set_bias(apart(ctx.bias, dx), columns)
    kernel.sums = aligned(cnp.PyArray_DATA(sums))
    apply(kernel, ctx.mask, dy, ctx.y if kernel.number == SIMDROP_RELU else ctx.x, dx)
    computed = dbias if is_plain(dbias) else np.empty(columns, np.float32)
    cdef double *sums_data = kernel.sums
    cdef void *target = cnp.PyArray_DATA(computed)
    cdef int double = kernel.double
    with nogil:
        kernels.finish_sums[double](columns, rows, blocks, sums_data, target)
    if computed is not dbias:
        with np.errstate(all="ignore"):  # as a kernel rounds
            np.copyto(dbias, computed, casting="unsafe")
    return 0


# --- Arrays ---


cdef floats(x):
    """x as a native, aligned base array."""
    if is_plain(x):
        return x
    x = _args.base(x)
    _args.check_floats(x.dtype, True)
    return np.require(x, _arrays.native(x.dtype), "A")


cdef like(x, str name, tuple shape, dtype):
    """x as such an array of one shape and dtype; what is not an array is converted."""
    cdef bint plain = is_plain(x)
    if not plain:
        x = _args.base(x) if isinstance(x, np.ndarray) or hasattr(x, "__dlpack__") else np.asarray(x, dtype)
    if x.dtype is not dtype or x.shape != shape:
        _args.check_like(name, x, shape, dtype)
    return x if plain else np.require(x, dtype, "A")


cdef target(out, x):
    """Where a result like x goes: `out` as a base array, or a new array in C order."""
    if out is None:
        return cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x), 0)
    return out if is_ready_out(out, x) else _args.checked_out(out, x)


cdef apart(array, out):
    """The array, or a copy if writing to `out` would change it; either may be None."""
    overlaps = array is not None and out is not None and np.may_share_memory(array, out)
    return array.copy() if overlaps else array


# --- Decisions ---


cdef Mask decisions(p, rng, x, bint training, bint scale, bint in_order):
    """The mask given as p, or the next one of the stream that `rng` means; `in_order`: as bias_dropout needs it."""
    if not isinstance(p, Mask):
        return next_mask_of(rng, checked_p(p), x.shape, (), training, scale)
    cdef Mask mask = p
    if rng is not None or not training or not scale:
        raise TypeError("p is a Mask, which decides all: rng, training and scale cannot be given with it")
    if mask.shape != x.shape:
        raise ValueError(f"x has shape {x.shape}, but the mask has shape {mask.shape}")
    if not mask.direct:
        raise ValueError("the mask has an array of p, but fused functions take masks with one p; mask.apply takes any")
    if in_order and not mask.in_order:
        raise ValueError(
            "the mask has shared axes or is a window of parts of rows, but bias_dropout takes masks whose decisions "
            "follow one another, such as windows of whole rows; mask.apply takes any"
        )
    return mask


# --- What users see ---


cdef class Context:
    """
    Base class of what the functions of `simdrop.fused` return for the backward pass; not to be created directly.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped.
    """

    __signature__ = Signature()

    cdef readonly Mask mask
    cdef object dtype  # of x

    def __init__(self, *args, **named):
        raise TypeError(f"a {type(self).__name__} is what a function of simdrop.fused returns; it is not made by hand")

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        _args.refuse_ufunc(self, ufunc)

    def __repr__(self):
        activation = getattr(self, "activation", None)
        shown = "" if activation is None else f", activation={activation!r}"
        return f"{type(self).__name__}({self.mask!r}, dtype={self.dtype}{shown})"

    cdef tuple kept(self):
        """What a subclass has besides."""
        return ()

    cdef int set_kept(self, tuple kept) except -1:
        return 0

    def __reduce__(self):
        return _pickle.restore_fused, (type(self).__name__, self.mask, self.dtype, self.kept())


def restored(cls, Mask mask, dtype, tuple kept):
    """A context from what it was pickled as."""
    cdef Context ctx = cls.__new__(cls)
    ctx.mask, ctx.dtype = mask, dtype
    ctx.set_kept(kept)
    return ctx


cdef class BiasDropoutContext(Context):
    """
    Returned by `bias_dropout` for its backward pass, ``dx, dbias = ctx.backward(dy)``.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped.
    activation : str or None
        As given.
    x, bias : ndarray or None
        The arguments, from which the derivatives of gelu, tanh, sigmoid and silu are computed; None for the others. Not
        copies, unless byte order, alignment or an overlapping `out` made them so: do not change them before `backward`.
    y : ndarray or None
        The result, from which the derivative of relu is computed: do not change it before `backward`; None for the
        others.
    """

    cdef readonly object activation
    cdef readonly object x
    cdef readonly object bias
    cdef readonly object y

    cdef tuple kept(self):
        return self.activation, self.x, self.bias, self.y

    cdef int set_kept(self, tuple kept) except -1:
        self.activation, self.x, self.bias, self.y = kept
        return 0

    def backward(self, dy, *, out=(None, None)):
        """
        The gradients with respect to x and bias of a loss whose gradient with respect to y is `dy`.

        Parameters
        ----------
        dy : array_like
            Of y's shape and dtype.
        out : pair of ndarray or None, optional
            Where to write dx and dbias; None makes a new array. They must not share memory with each other, but may be
            dy itself or an array that this context keeps.

        Returns
        -------
        dx : ndarray
            ``dy * activation'(x + bias) * mask.scale`` where kept, exactly +0 where dropped; of y's shape and dtype.
        dbias : ndarray
            (n,), of y's dtype: the sum of dx over all axes but the last, accumulated in twice the precision; of 16-bit
            floats the sum for float32, rounded.

        Raises
        ------
        TypeError
            If dy or an array of `out` has another dtype than y, or `out` is not a pair.
        ValueError
            If a shape does not fit, or an array of `out` cannot be written or overlaps the other; nothing is written
            then.
        """
        given = dy
        dy = like(given, "dy", self.mask.shape, self.dtype)
        cdef cnp.npy_intp columns = cnp.PyArray_DIM(dy, cnp.PyArray_NDIM(dy) - 1)
        dbias = cnp.PyArray_EMPTY(1, &columns, cnp.PyArray_TYPE(dy), 0)
        if not is_ready_pair(out, dy, dbias):
            _args.check_pair(out, {"x": dy, "bias": dbias})
        dx = target(out[0], dy)
        sum_gradient(self, dy, dx, dbias)
        if out[1] is not None:
            _args.checked_out(out[1], dbias)[...] = dbias
        return delivered(given, dy, dx, out[0]), delivered(given, dy, dbias, out[1])


cdef class DropoutAddContext(Context):
    """
    Returned by `dropout_add` for its backward pass, ``dx, dresidual = ctx.backward(dy)``.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped; no array is kept.
    """

    def backward(self, dy, *, out=(None, None)):
        """
        The gradients with respect to x and residual of a loss whose gradient with respect to y is `dy`.

        Parameters
        ----------
        dy : array_like
            Of y's shape and dtype.
        out : pair of ndarray or None, optional
            Where to write dx and dresidual; without an array for dresidual, it is dy itself, which dx must not overlap
            then. They must not share memory with each other.

        Returns
        -------
        dx : ndarray
            ``dy * mask.scale`` where kept, exactly +0 where dropped; of y's shape and dtype.
        dresidual : ndarray
            dy, or its copy.

        Raises
        ------
        TypeError, ValueError
            As `BiasDropoutContext.backward`; ValueError if dx would overwrite dy, which is dresidual.
        """
        given = dy
        if not cnp.PyArray_CheckExact(dy):
            dy = _args.base(dy)
        if dy.dtype is not self.dtype or dy.shape != self.mask.shape:
            _args.check_like("dy", dy, self.mask.shape, self.dtype)
        dx, dresidual = out if is_ready_pair(out, dy, dy) else _args.check_pair(out, {"x": dy, "residual": dy})
        if dresidual is not None:
            _arrays.copy_to(dy, dresidual)
            return delivered(given, dy, self.mask.apply(dresidual, out=out[0]), out[0]), out[1]
        if dx is not None and np.may_share_memory(dx, dy):
            raise ValueError("out overlaps dy, which is the gradient with respect to residual")
        return delivered(given, dy, self.mask.apply(dy, out=out[0]), out[0]), delivered(given, dy, dy, None)


cdef class ReluDropoutContext(Context):
    """
    Returned by `relu_dropout` for its backward pass, ``dx = ctx.backward(dy)``.

    Attributes
    ----------
    mask : Mask
        Which elements were dropped; the backward pass needs its scale alone.
    y : ndarray
        The result, which is positive where x was kept and positive: do not change it before `backward`.
    """

    cdef readonly object y

    cdef tuple kept(self):
        return (self.y,)

    cdef int set_kept(self, tuple kept) except -1:
        self.y, = kept
        return 0

    def backward(self, dy, *, out=None):
        """
        The gradient with respect to x of a loss whose gradient with respect to y is `dy`.

        Parameters
        ----------
        dy : array_like
            Of y's shape and dtype.
        out : ndarray, optional
            Where to write dx; of y's shape and dtype. May be dy or y itself.

        Returns
        -------
        dx : ndarray
            ``dy * mask.scale`` where ``y > 0``, else +0; of y's shape and dtype.

        Raises
        ------
        TypeError, ValueError
            If dy or `out` does not fit, or `out` cannot be written; nothing is written then.
        """
        given = dy
        dy = like(given, "dy", self.mask.shape, self.dtype)
        dx = target(out, dy)
        cdef ReluBackward kernel = ReluBackward.__new__(ReluBackward)
        kernel.scale = self.mask.factor
        apply(kernel, self.mask, self.y, dy, dx)
        return delivered(given, dy, dx, out)


cdef int checked_activation(activation) except -1:
    if activation is not None and not isinstance(activation, str):
        raise TypeError(f"activation must be None or a name, not {type(activation).__name__}")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation = {activation!r}, but those that there are: None, "
            + ", ".join([repr(name) for name in ACTIVATIONS if name])
        )
    return ACTIVATIONS[activation]


@explained
def bias_dropout(x, bias, p=0.5, *, activation=None, rng=None, training=True, scale=True, out=None):
    """
    Bias, activation and dropout: ``y = dropout(activation(x + bias))``, what follows a matrix product in a net.

    Parameters
    ----------
    x : array_like
        (..., n): float16, bfloat16, float32 or float64.
    bias : array_like
        (n,), of x's dtype.
    p : float or Mask, optional
        Probability of DROPPING an element, in [0, 1]; or the decisions to apply: a mask of x's shape with one p and no
        shared axes, which may be a window of whole rows of a larger one. Then no draw is taken, the scale is the mask's
        own, and rng, training and scale cannot be given.
    activation : None, "relu", "gelu", "tanh", "sigmoid" or "silu", optional
        None is the identity; gelu is the exact one, ``v * Phi(v)`` with Phi the standard normal distribution function
        (with erf, not the approximation with tanh); silu is ``v * sigmoid(v)``.
    rng, training, scale, out
        As in `simdrop.dropout`. ``out=x`` costs a copy of x where the backward pass needs it (gelu, tanh, sigmoid and
        silu).

    Returns
    -------
    y : ndarray
        (..., n), of x's dtype: ``activation(x + bias) / (1 - p)`` where kept, exactly +0 where dropped.
    ctx : BiasDropoutContext
        For ``dx, dbias = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x is of another dtype, bias or `out` not of x's dtype, or another argument has the wrong type; for
        rng, training or scale beside a mask.
    ValueError
        If p is not in [0, 1] or a mask that cannot be used here, the activation is unknown, shapes do not fit, or `out`
        cannot be written.

    Notes
    -----
    float16 and bfloat16 are computed in float32, and rounded once: the results and gradients of this and the other
    functions of `simdrop.fused` are those for the arguments as float32.

    The activations and their derivatives are within 4 units in the last place of the exact values at ``x + bias``,
    rounded to x's dtype (float32 for 16 bits); so are subnormal results, and the limits at infinity. The derivative of
    relu at 0 is 0, as in PyTorch.

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
    cdef BiasDropoutContext ctx = BiasDropoutContext.__new__(BiasDropoutContext)
    cdef BiasDropout kernel = BiasDropout.__new__(BiasDropout)
    kernel.number = checked_activation(activation)
    given = x
    x = floats(given)
    if x.ndim == 0:
        raise ValueError("x has no axes, but its last one is the one that bias is added along")
    bias = cnp.PyArray_GETCONTIGUOUS(like(bias, "bias", (x.shape[x.ndim - 1],), x.dtype))
    y = target(out, x)
    memory = None if out is None else y
    ctx.mask = decisions(p, rng, x, training, scale, True)
    ctx.activation = activation
    ctx.dtype = x.dtype
    if kernel.number == SIMDROP_RELU:
        ctx.y = y
    elif kernel.number != SIMDROP_IDENTITY:
        ctx.x, ctx.bias = apart(x, memory), apart(bias, memory)
    kernel.scale = ctx.mask.factor
    kernel.set_bias(apart(bias, memory), x.shape[x.ndim - 1])
    apply(kernel, ctx.mask, x, None, y)
    return delivered(given, x, y, out), ctx


@explained
def dropout_add(x, residual, p=0.5, *, rng=None, training=True, out=None):
    """
    Dropout and a residual connection: ``y = dropout(x) + residual``.

    Parameters
    ----------
    x : array_like
        Any shape; float16, bfloat16, float32 or float64.
    residual : array_like
        Of x's shape and dtype.
    p : float or Mask, optional
        Probability of DROPPING an element of x, in [0, 1]; or the decisions to apply: a mask of x's shape with one p,
        which may be a window of a larger one. Then no draw is taken, the scale is the mask's own, and rng and training
        cannot be given.
    rng, training, out
        As in `simdrop.dropout`; `out` may be residual, too.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype: ``x / (1 - p) + residual`` where kept, residual where dropped.
    ctx : DropoutAddContext
        For ``dx, dresidual = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x is of another dtype, residual or `out` not of x's dtype, or another argument has the wrong type;
        for rng or training beside a mask.
    ValueError
        If p is not in [0, 1] or a mask that cannot be used here, shapes do not fit, or `out` cannot be written.

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
    cdef DropoutAddContext ctx = DropoutAddContext.__new__(DropoutAddContext)
    cdef DropoutAdd kernel = DropoutAdd.__new__(DropoutAdd)
    given = x
    x = floats(given)
    residual = like(residual, "residual", x.shape, x.dtype)
    y = target(out, x)
    ctx.mask = decisions(p, rng, x, training, True, False)
    ctx.dtype = x.dtype
    kernel.scale = ctx.mask.factor
    apply(kernel, ctx.mask, x, residual, y)
    return delivered(given, x, y, out), ctx


@explained
def relu_dropout(x, p=0.5, *, rng=None, training=True, out=None):
    """
    Dropout of a rectifier: ``y = dropout(max(x, 0))``, in place with ``out=x``.

    Parameters
    ----------
    x : array_like
        Any shape; float16, bfloat16, float32 or float64.
    p : float or Mask, optional
        Probability of DROPPING an element, in [0, 1], or the decisions to apply, as in `dropout_add`.
    rng, training, out
        As in `simdrop.dropout`; ``out=x`` costs no copy, since the backward pass needs y alone.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype: ``max(x, 0) / (1 - p)`` where kept (NaN stays), exactly +0 where dropped or not positive.
    ctx : ReluDropoutContext
        For ``dx = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x is of another dtype, `out` not of x's dtype, or another argument has the wrong type; for rng or
        training beside a mask.
    ValueError
        If p is not in [0, 1] or a mask that cannot be used here, or `out` has another shape or cannot be written.

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
    cdef ReluDropoutContext ctx = ReluDropoutContext.__new__(ReluDropoutContext)
    cdef ReluDropout kernel = ReluDropout.__new__(ReluDropout)
    given = x
    x = floats(given)
    y = target(out, x)
    ctx.mask = decisions(p, rng, x, training, True, False)
    ctx.dtype = x.dtype
    ctx.y = y
    kernel.scale = ctx.mask.factor
    apply(kernel, ctx.mask, x, None, y)
    return delivered(given, x, y, out), ctx
