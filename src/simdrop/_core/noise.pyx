# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Relatives of dropout: Gaussian dropout, Gaussian noise, and alpha dropout for self-normalizing nets."""

import numpy as np

from simdrop import _arrays
from simdrop._core import signatures

cimport numpy as cnp
from cpython.float cimport PyFloat_AsDouble
from libc.math cimport INFINITY, isfinite, sqrt
from libc.stdint cimport uint8_t

from simdrop._core.blocks cimport ADD, MULTIPLY, NORMALS, SHIFT, run
from simdrop._core.mask cimport (
    SIMDROP_SCHEDULE_BYTES,
    Mask,
    checked_p,
    new_mask,
)
from simdrop._core.stream cimport stream_of

cnp.import_array()

# The limit of SELU to the left, -lambda alpha (Klambauer et al. 2017).
cdef double ALPHA = -1.7580993408473766

# What drops nothing needs no key.
cdef uint8_t[SIMDROP_SCHEDULE_BYTES] no_key


cdef copied(x, out):
    """x in `out`, or in a new array of its type and order."""
    result = _arrays.new_like(x) if out is None else out
    _arrays.copy_to(x, result)
    return result


cdef floats(x):
    """x as a base array of floats."""
    if not cnp.PyArray_CheckExact(x):
        x = _arrays.base(x)
    if cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT32 and cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT64:
        if x.dtype.char not in "fd" and not _arrays.is_small_float(x.dtype):
            raise TypeError(f"x is of {x.dtype}, but must be of float16, bfloat16, float32 or float64")
    return x


cdef checked_out(out, x):
    """`out` as a base array, or None."""
    return None if out is None else _arrays.checked_out(out, x)


cdef double checked_std(std) except -1:
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


cdef int check_std_of(double std, x) except -1:
    """Refuse what the numbers that x is computed in cannot hold."""
    if std > 3e38 and x.dtype.itemsize < 8:
        raise ValueError(f"std = {std}, but for {x.dtype} it must be a float32")
    return 0


cdef double dropout_std(p) except -1:
    cdef double probability = checked_p(p)
    if probability == 1:
        raise ValueError("p = 1, but the variance of Gaussian dropout, p / (1 - p), must be finite")
    return sqrt(probability / (1 - probability))


cdef Mask drawn(x, rng, bint training, double p, shared_axes):
    """The next draw of a stream; the last thing that can fail before a kernel runs."""
    if training:
        return stream_of(rng).take(p, x.shape, shared_axes, True)
    return new_mask(no_key, 0, 0, x.shape, shared_axes, True)


cdef class Drawn:
    """
    What a transform drew, as a few numbers instead of an array: immutable, hashable, comparable, and it pickles.

    Attributes
    ----------
    key : bytes
        16 bytes.
    draw : int
        Number of the draw.
    shape : tuple of ints
        Of the arrays that it is applied to.
    size : int
        Number of their elements.
    """

    cdef Mask mask  # which has key, draw and shape

    @property
    def key(self):
        return self.mask.key

    @property
    def draw(self):
        return self.mask.draw

    @property
    def shape(self):
        return self.mask.shape

    @property
    def size(self):
        return self.mask.size

    def _numbers(self):
        raise NotImplementedError

    cdef checked(self, x):
        """x as a base array, if it is what can be computed."""
        x = floats(x)
        if x.shape != self.mask.shape:
            raise ValueError(f"the array has shape {x.shape}, but the draw has shape {self.mask.shape}")
        return x

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        _arrays.refuse_ufunc(self, ufunc)

    def _unset(self):
        if self.mask is not None:
            raise TypeError(f"a {type(self).__name__} cannot be changed")

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return self._numbers() == other._numbers()

    def __hash__(self):
        return hash((type(self), self._numbers()))

    def __reduce__(self):
        return type(self), self._numbers()


cdef class Gaussian(Drawn):
    """The draw of Gaussian noise."""

    cdef readonly double std

    def normals(self):
        """
        The standard normal numbers z of the draw, one an element, by the rule in the documentation of the stream.

        Returns
        -------
        ndarray of float32
            Of the draw's shape; the same for every type of x and every standard deviation.
        """
        z = self.decided_normals()
        return z if z.shape == self.mask.shape else np.broadcast_to(z, self.mask.shape).copy()

    def window(self, start, shape):
        """
        A block of this draw: its numbers are ``self.normals()[block]``, computed alone, for shards of an array.

        Parameters
        ----------
        start : int or tuple of ints
            Index of the block's first element.
        shape : int or tuple of ints
            Shape of the block.

        Returns
        -------
        GaussianDropout or GaussianNoise
            Of the same kind as this.

        Raises
        ------
        ValueError
            If start or shape has another number of axes, or a length is negative.
        IndexError
            If the block is not inside this draw.
        TypeError
            If they are not of ints.

        Examples
        --------
        >>> m = simdrop.GaussianNoise(bytes(16), draw=0, std=1, shape=(2**30, 2**20))
        >>> m.window((2**29, 7), (2, 4)).normals().shape
        (2, 4)
        """
        cdef Gaussian part = type(self).__new__(type(self))
        part.take_numbers(self)
        part.mask = self.mask.window(start, shape)
        return part

    @property
    def shared_axes(self):
        return self.mask.shared_axes

    cdef int take_numbers(self, Gaussian whole) except -1:
        """What a window has of the draw that it is part of."""
        self.std = whole.std
        return 0

    cdef Gaussian whole(self):
        """The draw that this is a window of."""
        cdef Gaussian whole = type(self).__new__(type(self))
        whole.take_numbers(self)
        whole.mask = self.mask.source
        return whole

    def __reduce__(self):
        if self.mask.source is None:
            return restore_gaussian, (type(self), *self._numbers()[:5])
        return restore_window, (self.whole(), self.mask.at, self.mask.shape)

    def __repr__(self):
        if self.mask.source is not None:
            return f"{self.whole()!r}.window({self.mask.at}, {self.mask.shape})"
        key, draw, number, shape, axes, *_ = self._numbers()
        options = f", shared_axes={axes}" if axes else ""
        name = "p" if type(self) is GaussianDropout else "std"
        return f"{type(self).__name__}(bytes.fromhex('{key.hex()}'), draw={draw}, {name}={number}, shape={shape}{options})"

    cdef tuple numbers_with(self, double number):
        source = None if self.mask.source is None else self.mask.source.shape
        return self.key, self.draw, number, self.shape, self.mask.shared_axes, self.mask.at, source

    cdef noised(self, int kernel, x, given_out):
        x = self.checked(x)
        out = checked_out(given_out, x)
        y = self.noised_array(kernel, x, out)
        return y if given_out is None else given_out

    cdef noised_array(self, int kernel, x, out):
        """Of base arrays that fit."""
        if self.std == 0:  # whatever x is
            return copied(x, out)
        check_std_of(self.std, x)
        if not self.mask.shared_axes:
            return run(kernel, self.mask, x, out, self.std, 0, 0)
        y = _arrays.new_like(x) if out is None else out
        # As many numbers as decisions, broadcast.
        real = np.float64 if x.dtype.char == "d" else np.float32
        noise = real(self.std) * self.decided_normals().astype(real)
        if kernel == MULTIPLY:
            _arrays.multiply(x, 1 + noise, y)
        else:
            with np.errstate(all="ignore"):
                np.add(x, noise, out=y, dtype=real, casting="unsafe")
        return y

    cdef decided_normals(self):
        """One number for each decision, with the shared axes 1."""
        z = np.empty(self.mask.decided(), np.float32)
        return run(NORMALS, self.mask, z, z, 0, 0, 0)


cdef class GaussianDropout(Gaussian):
    """
    The noise of `gaussian_dropout`: ``apply(x)`` is ``x * (1 + std * z)`` with standard normal numbers z.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        Number of the draw, in [0, 2**56).
    p : float
        In [0, 1).
    shape : int or tuple of ints
        Shape of the arrays that it is applied to.
    shared_axes : int or tuple of ints, optional
        Axes along which one number is shared.

    Attributes
    ----------
    key, draw, p, shape, shared_axes
        As given; the axes ascending and not negative.
    std : float
        ``sqrt(p / (1 - p))``.
    size : int
        Number of elements.

    Raises
    ------
    ValueError
        If p, draw, the key's length, the shape or an axis is out of range.
    TypeError
        If one of them has the wrong type.
    """

    cdef readonly double p

    __signature__ = signatures.shown(signatures.GaussianDropout)

    def __init__(self, *args, **named):
        key, draw, p, shape, shared_axes = signatures.GaussianDropout(*args, **named)
        self._unset()
        self.std = dropout_std(p)
        self.p = PyFloat_AsDouble(p)
        self.mask = Mask(key, draw, 0, shape, shared_axes=shared_axes)

    cdef int take_numbers(self, Gaussian whole) except -1:
        self.std = whole.std
        self.p = (<GaussianDropout>whole).p
        return 0

    def apply(self, x, *, out=None):
        """
        ``x * (1 + std * z)``, each operation rounded to x's type, of 16-bit floats to float32.

        Parameters
        ----------
        x : array_like
            Of the draw's shape: float16, bfloat16, float32 or float64.
        out : ndarray, optional
            Where to write the result; of x's shape and type. May be x itself or overlap it.

        Returns
        -------
        ndarray
            `out`, or a new array of x's shape, type and order.

        Raises
        ------
        TypeError
            If the type of x is another one, or `out` has another type than x.
        ValueError
            If a shape does not fit, or `out` cannot be written.
        """
        return self.noised(MULTIPLY, x, out)

    def backward(self, dy, *, out=None):
        """The gradient with respect to x: each element is multiplied as in the forward pass, ``apply(dy, out=out)``."""
        return self.noised(MULTIPLY, dy, out)

    def _numbers(self):
        return self.numbers_with(self.p)


cdef class GaussianNoise(Gaussian):
    """
    The noise of `gaussian_noise`: ``apply(x)`` is ``x + std * z`` with standard normal numbers z.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        Number of the draw, in [0, 2**56).
    std : float
        Finite and not negative.
    shape : int or tuple of ints
        Shape of the arrays that it is applied to.
    shared_axes : int or tuple of ints, optional
        Axes along which one number is shared.

    Attributes
    ----------
    key, draw, std, shape, shared_axes
        As given; the axes ascending and not negative.
    size : int
        Number of elements.

    Raises
    ------
    ValueError
        If std, draw, the key's length, the shape or an axis is out of range.
    TypeError
        If one of them has the wrong type.
    """

    __signature__ = signatures.shown(signatures.GaussianNoise)

    def __init__(self, *args, **named):
        key, draw, std, shape, shared_axes = signatures.GaussianNoise(*args, **named)
        self._unset()
        self.std = checked_std(std)
        self.mask = Mask(key, draw, 0, shape, shared_axes=shared_axes)

    def apply(self, x, *, out=None):
        """
        ``x + std * z``, each operation rounded to x's type, of 16-bit floats to float32.

        Parameters, returns and errors are those of `GaussianDropout.apply`.
        """
        return self.noised(ADD, x, out)

    def backward(self, dy, *, out=None):
        """The gradient with respect to x: dy itself, or its copy in `out`."""
        dy = self.checked(dy)
        if out is None:
            return dy
        _arrays.copy_to(dy, _arrays.checked_out(out, dy))
        return out

    def _numbers(self):
        return self.numbers_with(self.std)


cdef class AlphaDropout(Drawn):
    """
    The mask of `alpha_dropout`: ``apply(x)`` is ``a * x + b`` where kept and ``a * alpha + b`` where dropped.

    Parameters
    ----------
    key : bytes
        16 bytes.
    draw : int
        Number of the draw, in [0, 2**56).
    p : float
        Probability of dropping an element, in [0, 1].
    shape : int or tuple of ints
        Shape of the arrays that it is applied to.
    shared_axes : int or tuple of ints, optional
        Axes along which one decision is shared.

    Attributes
    ----------
    key, draw, p, shape, shared_axes
        As given; the axes ascending and not negative.
    a, b : float
        ``((1 - p) * (1 + p * alpha**2))**-0.5`` and ``-a * p * alpha``, with alpha = -1.7580993408473766; 0.0 at
        ``p=1``, where everything becomes 0.
    size : int
        Number of elements.

    Raises
    ------
    ValueError
        If p, draw, the key's length, the shape or an axis is out of range.
    TypeError
        If one of them has the wrong type.
    """

    cdef readonly double a
    cdef readonly double b

    __signature__ = signatures.shown(signatures.AlphaDropout)

    def __init__(self, *args, **named):
        key, draw, p, shape, shared_axes = signatures.AlphaDropout(*args, **named)
        self._unset()
        checked_p(p)
        self.set_mask(Mask(key, draw, p, shape, shared_axes=shared_axes))

    cdef int set_mask(self, Mask mask) except -1:
        """Its own mask, whose scale becomes a: the gradient is the mask applied."""
        cdef double p = mask.probability
        self.a = 1 / sqrt((1 - p) * (1 + p * ALPHA * ALPHA)) if p < 1 else 0
        self.b = -self.a * p * ALPHA
        mask.factor = self.a
        self.mask = mask
        return 0

    @property
    def p(self):
        return self.mask.p

    @property
    def shared_axes(self):
        return self.mask.shared_axes

    def keep(self):
        """True where an element is kept: as `Mask.keep`, and of the elements that `dropout` keeps with this draw."""
        return self.mask.keep()

    def apply(self, x, *, out=None):
        """
        ``a * x + b`` where kept, ``a * alpha + b`` where dropped, rounded to x's type (of 16-bit floats, in float32).

        Parameters, returns and errors are those of `GaussianDropout.apply`.
        """
        x = self.checked(x)
        y = self.apply_array(x, checked_out(out, x))
        return y if out is None else out

    cdef apply_array(self, x, out):
        """Apply to base arrays that fit."""
        if self.mask.probability == 0:
            return copied(x, out)
        dropped = self.a * ALPHA + self.b
        if not self.mask.shared_axes:
            return run(SHIFT, self.mask, x, out, self.a, self.b, dropped)
        # As many numbers as decisions, broadcast.
        wide = x if x.dtype.itemsize > 2 else x.astype(np.float32)
        y = self.mask.apply(wide, out=out if wide is x else None)
        keep = self.mask._keep_flat(0, self.mask.decisions).reshape(self.mask.decided())
        y += np.where(keep, y.dtype.type(self.b), y.dtype.type(dropped))
        if wide is x:
            return y
        with np.errstate(all="ignore"):  # as a kernel rounds
            return copied(y.astype(x.dtype), out)

    def backward(self, dy, *, out=None):
        """The gradient with respect to x: ``a * dy`` where kept, exactly +0 where dropped."""
        return self.mask.apply(self.checked(dy), out=out)

    def _numbers(self):
        return self.key, self.draw, self.p, self.shape, self.shared_axes

    def __reduce__(self):
        return restore_alpha_dropout, self._numbers()

    def __repr__(self):
        options = f", shared_axes={self.shared_axes}" if self.shared_axes else ""
        return (
            f"AlphaDropout(bytes.fromhex('{self.key.hex()}'), draw={self.draw}, p={self.p}, "
            f"shape={self.shape}{options})"
        )


def restore_alpha_dropout(key, draw, p, shape, shared_axes):
    """An AlphaDropout from the numbers that it was pickled as."""
    return AlphaDropout(key, draw, p, shape, shared_axes=shared_axes)


def restore_gaussian(kind, key, draw, number, shape, shared_axes):
    """A GaussianDropout or GaussianNoise from the numbers that it was pickled as."""
    return kind(key, draw, number, shape, shared_axes=shared_axes)


def restore_window(whole, start, shape):
    """A window from what it was pickled as."""
    return whole.window(start, shape)


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
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As in `simdrop.dropout`.
    shared_axes : int or tuple of ints, optional
        Axes along which one number is shared: ``(2, 3)`` gives each channel of NCHW images one.
    training : bool, optional
        False is evaluation: nothing changes, and no draw is taken.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself if nothing changes (``p=0`` or ``training=False``) and no `out` is given.
    m : GaussianDropout
        The draw, for ``dx = m.backward(dy)``: a few numbers, no array.

    Raises
    ------
    TypeError
        If the type of an argument is wrong.
    ValueError
        If p is not in [0, 1), an axis is out of range, or `out` has another shape or cannot be written.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", section 10.

    Examples
    --------
    >>> y, m = simdrop.gaussian_dropout(np.ones(4, np.float32), p=0.5, rng=0)
    >>> np.array_equal(y, 1 + m.normals())
    True
    """
    cdef GaussianDropout m = GaussianDropout.__new__(GaussianDropout)
    x = floats(x)
    cdef double std = dropout_std(p)
    checked_out(out, x)
    m.mask = drawn(x, rng, training, 0, shared_axes)
    if training:
        m.std, m.p = std, PyFloat_AsDouble(p)
    if m.std == 0 and out is None:
        return x, m
    return m.noised(MULTIPLY, x, out), m


def gaussian_noise(x, std, *, rng=None, shared_axes=(), training=True, out=None):
    """
    Additive Gaussian noise: ``y = x + std * z``.

    Parameters
    ----------
    x : array_like
        Any shape; float16, bfloat16, float32 or float64.
    std : float
        Standard deviation of the noise, finite and not negative.
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As in `simdrop.dropout`.
    shared_axes : int or tuple of ints, optional
        Axes along which one number is shared: ``(2, 3)`` gives each channel of NCHW images one.
    training : bool, optional
        False is evaluation: nothing changes, and no draw is taken.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself if nothing changes (``std=0`` or ``training=False``) and no `out` is given.
    m : GaussianNoise
        The draw; ``m.backward(dy)`` is dy itself.

    Raises
    ------
    TypeError
        If the type of an argument is wrong.
    ValueError
        If std is negative, infinite, NaN or too large for x's type, an axis is out of range, or `out` has another shape or cannot be written.

    References
    ----------
    Bishop (1995), "Training with noise is equivalent to Tikhonov regularization".

    Examples
    --------
    >>> y, m = simdrop.gaussian_noise(np.zeros(4, np.float32), 1, rng=0)
    >>> np.array_equal(y, m.normals())
    True
    """
    cdef GaussianNoise m = GaussianNoise.__new__(GaussianNoise)
    x = floats(x)
    cdef double deviation = checked_std(std)
    check_std_of(deviation, x)
    checked_out(out, x)
    m.mask = drawn(x, rng, training, 0, shared_axes)
    if training:
        m.std = deviation
    if m.std == 0 and out is None:
        return x, m
    return m.noised(ADD, x, out), m


def alpha_dropout(x, p=0.5, *, rng=None, shared_axes=(), training=True, out=None):
    """
    Alpha dropout, for self-normalizing nets: dropped elements become SELU's lower limit, and mean 0 and variance 1 stay.

    ``y = a * x + b`` where kept, ``a * alpha + b`` where dropped, with alpha = -1.7580993408473766,
    ``a = ((1 - p) * (1 + p * alpha**2))**-0.5`` and ``b = -a * p * alpha``.

    Parameters
    ----------
    x : array_like
        Any shape; float16, bfloat16, float32 or float64.
    p : float, optional
        Probability of DROPPING an element, in [0, 1]. At 1 no variance is left to restore: everything becomes 0, as in
        PyTorch.
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As in `simdrop.dropout`, which drops the same elements with the same draw.
    shared_axes : int or tuple of ints, optional
        Axes along which one decision is shared: ``(2, 3)`` is feature alpha dropout of NCHW images.
    training : bool, optional
        False is evaluation: nothing changes, and no draw is taken.
    out : ndarray, optional
        Where to write the result; of x's shape and type. May be x itself.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself if nothing changes (``p=0`` or ``training=False``) and no `out` is given.
    m : AlphaDropout
        Which elements were dropped, for ``dx = m.backward(dy)``: a few numbers, no array.

    Raises
    ------
    TypeError
        If the type of an argument is wrong.
    ValueError
        If p is not in [0, 1], or shapes or axes do not fit.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks".

    Examples
    --------
    >>> y, m = simdrop.alpha_dropout(np.zeros(4), p=0.5, rng=0)
    >>> y.round(3)
    array([-0.779,  0.779,  0.779, -0.779])
    >>> m.backward(np.ones(4)).round(3)
    array([0.   , 0.886, 0.886, 0.   ])
    """
    cdef AlphaDropout m = AlphaDropout.__new__(AlphaDropout)
    x = floats(x)
    cdef double probability = checked_p(p)
    checked_out(out, x)
    m.set_mask(drawn(x, rng, training, probability, shared_axes))
    if m.mask.probability == 0 and out is None:
        return x, m
    return m.apply(x, out=out), m
