# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Gaussian dropout and Gaussian noise."""

from inspect import signature

import numpy as np

from simdrop import _args, _arrays, _pickle
from simdrop._core import signatures
from simdrop._core.named import explained

cimport numpy as cnp
from libc.math cimport sqrt
from libc.stdint cimport uint64_t

from simdrop._core.apply cimport delivered
from simdrop._core.args cimport checked_p, checked_std
from simdrop._core.draw cimport Draw
from simdrop._core.elements cimport Elements, apply, checked_out, copied, floats, floats_of
from simdrop._core.kernels cimport kernels
from simdrop._core.stream cimport next_draw

cnp.import_array()

dropout_arguments = signatures.arguments("GaussianDropoutContext", "key, draw, p, shape, *, shared_axes=()")
noise_arguments = signatures.arguments("GaussianNoiseContext", "key, draw, std, shape, *, shared_axes=()")


cdef class Normals(Elements):
    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.normals(&self.draw.rule, number, n, <float *>y)
        return 0


cdef class Noise(Elements):
    cdef double std


cdef class MultiplyNoise(Noise):
    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.multiply_noise[self.double](&self.draw.rule, number, n, x, y, self.std)
        return 0


cdef class AddNoise(Noise):
    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.add_noise[self.double](&self.draw.rule, number, n, x, y, self.std)
        return 0


cdef class GaussianContext(Draw):
    """A draw of standard normal numbers z, and their standard deviation."""

    cdef readonly double std

    def normals(self):
        """
        The standard normal numbers z of the draw, one for each element; docs/reference/stream.md has their definition.

        Returns
        -------
        ndarray of float32
            Of the draw's shape; the same for every dtype of x and every standard deviation.
        """
        z = self.decided_normals()
        return z if z.shape == self.shape else np.broadcast_to(z, self.shape).copy()

    cdef decided_normals(self):
        """One number for each decision, with the shared axes 1."""
        cdef Draw draw = self._each_once()
        cdef Normals kernel = Normals.__new__(Normals)
        kernel.generates = True
        z = np.empty(draw.shape, np.float32)
        return apply(kernel, draw, z, None, z)

    def apply(self, x, *, out=None):
        """
        The formula of the class, each operation rounded to x's dtype; of 16-bit floats to float32, and once at the end.

        Parameters
        ----------
        x : array_like
            Of the draw's shape: float16, bfloat16, float32 or float64.
        out : ndarray, optional
            Where to write the result; of x's shape and dtype. May be x itself or overlap it.

        Returns
        -------
        ndarray
            `out`, or a new array of x's shape, dtype and order.

        Raises
        ------
        TypeError
            If x has another dtype, or `out` another one than x.
        ValueError
            If a shape does not fit, `out` cannot be written, or std exceeds the range of x's dtype.
        """
        given = x
        x = floats_of(self, given)
        return delivered(given, x, self.applied(x, checked_out(out, x)), out)

    cdef applied(self, x, out):
        """The result for a base array that fits, in such an `out` or a new array."""
        cdef Noise kernel
        if self.std == 0:  # whatever x is, infinite or NaN
            return copied(x, out)
        check_std_for(self.std, x)
        if not self.shared_axes:
            kernel = self.kernel()
            kernel.std = self.std
            return apply(kernel, self, x, None, out)
        real = _arrays.real_type(x.dtype).type
        y = _arrays.new_like(x) if out is None else out
        self.combine(x, real(self.std) * self.decided_normals().astype(real), y)
        return y

    cdef Noise kernel(self):
        raise NotImplementedError

    cdef combine(self, x, noise, y):
        """Write to y what the kernel would, for numbers that are broadcast to x."""
        raise NotImplementedError

    cdef Draw new_window(self, tuple start, tuple shape):
        cdef GaussianContext window = type(self).__new__(type(self))
        window.set_window(self, start, shape)
        window.std = self.std
        return window


cdef class GaussianDropoutContext(GaussianContext):
    """
    What `gaussian_dropout` drew: ``apply(x)`` is ``x * (1 + std * z)`` with standard normal numbers z.

    Parameters
    ----------
    key, draw, shape, shared_axes
        As of a `Draw`.
    p : float
        In [0, 1).

    Attributes
    ----------
    key, draw, p, shape, shared_axes, size
        As given, and as of a `Draw`.
    std : float
        ``sqrt(p / (1 - p))``.

    Raises
    ------
    TypeError, ValueError
        As `Draw`; ValueError if p is not in [0, 1).
    """

    cdef readonly double p

    __signature__ = signature(dropout_arguments)
    _kind = "GaussianDropoutContext"

    def __init__(self, *args, **named):
        key, draw, p, shape, shared_axes = dropout_arguments(*args, **named)
        std = dropout_std(p)
        Draw.__init__(self, key, draw, shape, shared_axes=shared_axes)
        self.std, self.p = std, p

    def backward(self, dy, *, out=None):
        """The gradient with respect to x: ``apply(dy, out=out)``."""
        return self.apply(dy, out=out)

    cdef Draw new_window(self, tuple start, tuple shape):
        cdef GaussianDropoutContext window = GaussianContext.new_window(self, start, shape)
        window.p = self.p
        return window

    cdef Noise kernel(self):
        return MultiplyNoise.__new__(MultiplyNoise)

    cdef combine(self, x, noise, y):
        _arrays.multiply(x, 1 + noise, y)

    def _arguments(self):
        return {
            "key": self.key, "draw": self.draw, "p": self.p, "shape": self.shape, "shared_axes": self.shared_axes,
        }


cdef class GaussianNoiseContext(GaussianContext):
    """
    What `gaussian_noise` drew: ``apply(x)`` is ``x + std * z`` with standard normal numbers z.

    Parameters
    ----------
    key, draw, shape, shared_axes
        As of a `Draw`.
    std : float
        Finite and not negative.

    Attributes
    ----------
    key, draw, std, shape, shared_axes, size
        As given, and as of a `Draw`.

    Raises
    ------
    TypeError, ValueError
        As `Draw`; ValueError if std is out of range.
    """

    __signature__ = signature(noise_arguments)
    _kind = "GaussianNoiseContext"

    def __init__(self, *args, **named):
        key, draw, std, shape, shared_axes = noise_arguments(*args, **named)
        deviation = checked_std(std)
        Draw.__init__(self, key, draw, shape, shared_axes=shared_axes)
        self.std = deviation

    def backward(self, dy, *, out=None):
        """The gradient with respect to x: dy itself, or its copy in `out`."""
        given = dy
        dy = floats_of(self, given)
        if out is not None:
            _arrays.copy_to(dy, _args.checked_out(out, dy))
        return delivered(given, dy, dy, out)

    cdef Noise kernel(self):
        return AddNoise.__new__(AddNoise)

    cdef combine(self, x, noise, y):
        with np.errstate(all="ignore"):  # as a kernel rounds
            np.add(x, noise, out=y, dtype=noise.dtype, casting="unsafe")

    def _arguments(self):
        return {
            "key": self.key, "draw": self.draw, "std": self.std, "shape": self.shape, "shared_axes": self.shared_axes,
        }


cdef int check_std_for(double std, x) except -1:
    """Refuse a deviation that the numbers that x is computed in cannot hold."""
    if std > 3e38 and x.dtype.itemsize < 8:
        raise ValueError(f"std = {std}, but for {x.dtype} it must be a float32")
    return 0


cdef double dropout_std(p) except -1:
    cdef double probability = checked_p(p)
    if probability == 1:
        raise ValueError("p = 1, but the variance of Gaussian dropout, p / (1 - p), must be finite")
    return sqrt(probability / (1 - probability))


cdef transformed(GaussianContext ctx, double std, given, x, rng, bint training, shared_axes, out):
    """The result for checked arguments, x as given and as an array; the context gets its draw and, in training, std."""
    memory = checked_out(out, x)
    next_draw(ctx, rng, training, x.shape, shared_axes)
    if training:
        ctx.std = std
    y = x if ctx.std == 0 and out is None else ctx.applied(x, memory)
    return delivered(given, x, y, out)


_pickle.classes["GaussianDropoutContext"] = GaussianDropoutContext
_pickle.classes["GaussianNoiseContext"] = GaussianNoiseContext


@explained
def gaussian_dropout(x, p=0.5, *, rng=None, shared_axes=(), training=True, out=None):
    """
    Gaussian dropout: every element is multiplied by a normal number of mean 1 and variance p / (1 - p).

    ``y = x * (1 + sqrt(p / (1 - p)) * z)``, which has the mean and the variance of dropout's result.

    Parameters
    ----------
    x : array_like
        Any shape; float16, bfloat16, float32 or float64.
    p : float, optional
        In [0, 1): the probability of dropping of the dropout that has the same variance.
    rng, training, out
        As in `dropout`.
    shared_axes : int or tuple of ints, optional
        Axes along which one number is shared: ``(2, 3)`` gives each channel of NCHW images one.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; x itself if nothing changes (``p=0`` or ``training=False``) and no `out` is given.
    ctx : GaussianDropoutContext
        For ``dx = ctx.backward(dy)``: a few numbers, no array.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If p is not in [0, 1), an axis is out of range, or `out` has another shape or cannot be written.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", section 10.

    Examples
    --------
    >>> y, ctx = simdrop.gaussian_dropout(np.ones(4, np.float32), p=0.5, rng=0)
    >>> np.array_equal(y, 1 + ctx.normals())
    True
    """
    cdef GaussianDropoutContext ctx = GaussianDropoutContext.__new__(GaussianDropoutContext)
    cdef double std = dropout_std(p)
    y = transformed(ctx, std, x, floats(x), rng, training, shared_axes, out)
    if training:
        ctx.p = p
    return y, ctx


@explained
def gaussian_noise(x, std, *, rng=None, shared_axes=(), training=True, out=None):
    """
    Additive Gaussian noise: ``y = x + std * z``.

    Parameters
    ----------
    x : array_like
        Any shape; float16, bfloat16, float32 or float64.
    std : float
        Standard deviation of the noise, finite and not negative.
    rng, training, out
        As in `dropout`.
    shared_axes : int or tuple of ints, optional
        Axes along which one number is shared: ``(2, 3)`` gives each channel of NCHW images one.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; x itself if nothing changes (``std=0`` or ``training=False``) and no `out` is given.
    ctx : GaussianNoiseContext
        The draw; ``ctx.backward(dy)`` is dy itself.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If std is negative, infinite, NaN or exceeds the range of x's dtype, an axis is out of range, or `out` has
        another shape or cannot be written.

    References
    ----------
    Bishop (1995), "Training with noise is equivalent to Tikhonov regularization".

    Examples
    --------
    >>> y, ctx = simdrop.gaussian_noise(np.zeros(4, np.float32), 1, rng=0)
    >>> np.array_equal(y, ctx.normals())
    True
    """
    cdef GaussianNoiseContext ctx = GaussianNoiseContext.__new__(GaussianNoiseContext)
    cdef double deviation = checked_std(std)
    array = floats(x)
    check_std_for(deviation, array)
    return transformed(ctx, deviation, x, array, rng, training, shared_axes, out), ctx
