# cython: language_level=3, binding=True, nonecheck=True, freethreading_compatible=True
"""Alpha dropout, for self-normalizing nets."""

from inspect import signature

import numpy as np

from simdrop import _pickle
from simdrop._core import signatures
from simdrop._core.named import explained

cimport numpy as cnp
from libc.math cimport sqrt
from libc.stdint cimport uint64_t

from simdrop._core.apply cimport apply_drawn, delivered
from simdrop._core.args cimport checked_p
from simdrop._core.draw cimport Draw
from simdrop._core.elements cimport Elements, apply, checked_out, copied, floats, floats_of
from simdrop._core.kernels cimport kernels, set_p
from simdrop._core.mask cimport Mask
from simdrop._core.stream cimport next_draw

cnp.import_array()

# The limit of SELU to the left, -lambda alpha (Klambauer et al. 2017).
cdef double ALPHA = -1.7580993408473766

arguments = signatures.arguments("AlphaDropoutContext", "key, draw, p, shape, *, shared_axes=()")


cdef class Shift(Elements):
    cdef double scale, kept, dropped

    cdef int compute(self, uint64_t number, size_t n, const char *x, const char *other, char *y) except -1 nogil:
        kernels.dropout_shift[self.double](
            &self.draw.rule, number, n, x, y, self.scale, self.kept, self.dropped
        )
        return 0


cdef class AlphaDropoutContext(Draw):
    """
    What `alpha_dropout` drew: ``apply(x)`` is ``a * x + b`` where kept and ``a * alpha + b`` where dropped.

    Parameters
    ----------
    key, draw, shape, shared_axes
        As of a `Draw`.
    p : float
        Probability of dropping an element, in [0, 1].

    Attributes
    ----------
    key, draw, p, shape, shared_axes, size
        As given, and as of a `Draw`.
    a, b : float
        ``((1 - p) * (1 + p * alpha**2))**-0.5`` and ``-a * p * alpha``, with alpha = -1.7580993408473766; 0.0 at
        ``p=1``, where everything becomes 0.

    Raises
    ------
    TypeError, ValueError
        As `Draw`; ValueError if p is not in [0, 1].
    """

    cdef readonly double p
    cdef readonly double a
    cdef readonly double b

    __signature__ = signature(arguments)
    _kind = "AlphaDropoutContext"

    def __init__(self, *args, **named):
        key, draw, p, shape, shared_axes = arguments(*args, **named)
        probability = checked_p(p)
        Draw.__init__(self, key, draw, shape, shared_axes=shared_axes)
        self.set_probability(probability)

    cdef int set_probability(self, double p) except -1:
        set_p(&self.rule, p)
        self.p = p
        self.a = 1 / sqrt((1 - p) * (1 + p * ALPHA * ALPHA)) if p < 1 else 0
        self.b = -self.a * p * ALPHA
        return 0

    def keep(self):
        """True where an element is kept: as `Mask.keep`, and as `dropout` keeps with this draw."""
        return self.mask().keep()

    cdef Mask mask(self):
        """The mask with the same decisions."""
        cdef AlphaDropoutContext whole = self if self.source is None else self.source
        mask = Mask(whole.key, whole.draw, whole.p, whole.shape, shared_axes=whole.shared_axes)
        return mask if whole is self else mask.window(self.at, self.shape)

    def apply(self, x, *, out=None):
        """
        ``a * x + b`` where kept, ``a * alpha + b`` where dropped, rounded to x's dtype (of 16-bit floats, in float32).

        Parameters, returns and errors are those of `GaussianDropoutContext.apply`.
        """
        given = x
        x = floats_of(self, given)
        return delivered(given, x, self.applied(x, checked_out(out, x)), out)

    cdef applied(self, x, out):
        """The result for a base array that fits, in such an `out` or a new array."""
        cdef Shift kernel
        cdef double dropped = self.a * ALPHA + self.b
        if self.p == 0:
            return copied(x, out)
        if not self.shared_axes:
            kernel = Shift.__new__(Shift)
            kernel.scale, kernel.kept, kernel.dropped = self.a, self.b, dropped
            return apply(kernel, self, x, None, out)
        wide = x if x.dtype.itemsize > 2 else x.astype(np.float32)
        y = apply_drawn(wide, out if wide is x else None, self, True, self.a)
        y += np.where(self.mask()._each_once().keep(), y.dtype.type(self.b), y.dtype.type(dropped))
        if wide is x:
            return y
        with np.errstate(all="ignore"):  # as a kernel rounds
            return copied(y.astype(x.dtype), out)

    def backward(self, dy, *, out=None):
        """The gradient with respect to x: ``a * dy`` where kept, exactly +0 where dropped."""
        given = dy
        dy = floats_of(self, given)
        return delivered(given, dy, apply_drawn(dy, out, self, True, self.a), out)

    cdef Draw new_window(self, tuple start, tuple shape):
        cdef AlphaDropoutContext window = AlphaDropoutContext.__new__(AlphaDropoutContext)
        window.set_window(self, start, shape)
        window.p, window.a, window.b = self.p, self.a, self.b
        return window

    def _arguments(self):
        return {
            "key": self.key, "draw": self.draw, "p": self.p, "shape": self.shape, "shared_axes": self.shared_axes,
        }


_pickle.classes["AlphaDropoutContext"] = AlphaDropoutContext


@explained
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
    rng, training, out
        As in `dropout`, which drops the same elements with the same draw.
    shared_axes : int or tuple of ints, optional
        Axes along which one decision is shared: ``(2, 3)`` is feature alpha dropout of NCHW images.

    Returns
    -------
    y : ndarray
        Of x's shape and dtype; x itself if nothing changes (``p=0`` or ``training=False``) and no `out` is given.
    ctx : AlphaDropoutContext
        Which elements were dropped, for ``dx = ctx.backward(dy)``: a few numbers, no array.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If p is not in [0, 1], or shapes or axes do not fit.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks".

    Examples
    --------
    >>> y, ctx = simdrop.alpha_dropout(np.zeros(4), p=0.5, rng=0)
    >>> y.round(3)
    array([-0.779,  0.779,  0.779, -0.779])
    >>> ctx.backward(np.ones(4)).round(3)
    array([0.   , 0.886, 0.886, 0.   ])
    """
    cdef AlphaDropoutContext ctx = AlphaDropoutContext.__new__(AlphaDropoutContext)
    cdef double probability = checked_p(p)
    given = x
    x = floats(given)
    memory = checked_out(out, x)
    next_draw(ctx, rng, training, x.shape, shared_axes)
    ctx.set_probability(probability if training else 0)
    y = x if ctx.p == 0 and out is None else ctx.applied(x, memory)
    return delivered(given, x, y, out), ctx
