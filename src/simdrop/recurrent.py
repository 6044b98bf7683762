"""Dropout for recurrent nets: the same units at all time steps, states that stay as they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _arrays
from simdrop._core.dropout import draw_mask, dropout
from simdrop._core.mask import Mask
from simdrop._values import Values

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Array = NDArray[Any]


def locked_dropout(
    x: ArrayLike,
    p: float,
    *,
    time_axis: int | Sequence[int] = 0,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]:
    """
    Variational dropout: drop the same elements at all time steps.

    ``y[t, e] = x[t, e] * d[e] / (1 - p)``, with ``d[e] = 0`` with probability p, else 1. It is
    `dropout` with the time axis shared.

    Parameters
    ----------
    x : array_like
        (time steps, batch, features) or in another order, of the types that `dropout` takes.
    p : float
        Probability of DROPPING an element, in [0, 1].
    time_axis : int, optional
        The axis along which decisions are shared: 1 for (batch, time steps, features).
    rng, training, scale, out
        As `dropout`.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself as from `dropout`.
    mask : Mask
        With `backward`; its `shared_axes` are the time axis.

    Raises
    ------
    TypeError, ValueError
        As `dropout`.

    References
    ----------
    Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural
    networks", section 4.

    Examples
    --------
    >>> y, mask = simdrop.locked_dropout(np.ones((3, 4)), 0.5, rng=0)
    >>> y
    array([[0., 2., 2., 0.],
           [0., 2., 2., 0.],
           [0., 2., 2., 0.]])
    """
    return dropout(x, p, rng=rng, shared_axes=time_axis, training=training, scale=scale, out=out)


class Zoneout(Values):
    """
    Which elements of a state stay as they were, as a few numbers; what `zoneout` returns.

    Attributes
    ----------
    mask : Mask
        Where it drops, the previous value stays. It is not scaled.
    p : float
        As given.
    training : bool
        Whether elements were chosen; if not, both states were weighted.
    """

    __slots__ = ("mask", "p", "training")
    mask: Mask
    p: float
    training: bool

    def backward(
        self, dy: ArrayLike, *, out: tuple[Array | None, Array | None] = (None, None)
    ) -> tuple[Array, Array]:
        """
        The gradients with respect to `h_prev` and `h`, each of dy's shape and type.

        `out` is a pair of arrays to write them to, or None, as NumPy's functions of two results
        have it; the pair must not share memory.
        """
        dy = _arrays.base(dy)
        check_state(dy, "dy", self.mask.shape)
        dh_prev, dh = _arrays.checked_pair(out, {"h_prev": dy, "h": dy})
        if np.may_share_memory(dh_prev, dy) or np.may_share_memory(dh, dy):
            dy = dy.copy()
        if self.training:
            self.mask.apply(dy, out=dh)
            # Where kept dy ^ dy is +0, and where dropped dy ^ +0 is dy.
            exclusive_or(dy, dh, dh_prev)
        else:
            weighted(dy, None, self.p, dh_prev)
            weighted(None, dy, self.p, dh)
        return _arrays.delivered_pair((dh_prev, dh), out)


def zoneout(
    h_prev: ArrayLike,
    h: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    out: Array | None = None,
) -> tuple[Array, Zoneout]:
    """
    Zoneout: each element of a recurrent state keeps its previous value with probability p.

    ``y = d * h + (1 - d) * h_prev``, with ``d = 0`` with probability p, else 1: bit for bit the one
    or the other. In evaluation their mean, ``y = p * h_prev + (1 - p) * h``.

    Parameters
    ----------
    h_prev, h : array_like
        The state before the step and the one after it, of one shape and type: float16, bfloat16,
        float32, float64, complex64 or complex128.
    p : float
        Probability of KEEPING the previous value, as dropping the update; in [0, 1].
    rng, training
        As `dropout`.
    out : ndarray, optional
        Where to write the result; of h's shape and type. May be `h_prev` or `h`.

    Returns
    -------
    y : ndarray
        A new array unless `out` is given.
    ctx : Zoneout
        ``ctx.backward(dy)`` is the pair of gradients with respect to `h_prev` and `h`.

    Raises
    ------
    TypeError
        If the types differ or are none of those above, or `out` has another one.
    ValueError
        If p is not in [0, 1], shapes differ, or `out` cannot be written.

    References
    ----------
    Krueger et al. (2017), "Zoneout: regularizing RNNs by randomly preserving hidden activations".

    Examples
    --------
    >>> y, ctx = simdrop.zoneout(np.zeros(8), np.ones(8), 0.5, rng=0)
    >>> y
    array([0., 1., 1., 0., 0., 0., 1., 1.])
    >>> ctx.backward(np.ones(8))[0]
    array([1., 0., 0., 1., 1., 1., 0., 0.])
    """
    h_prev, h = _arrays.base(h_prev), _arrays.base(h)
    check_state(h, "h", h.shape)
    check_state(h_prev, "h_prev", h.shape)
    if _arrays.native(h.dtype) != _arrays.native(h_prev.dtype):
        raise TypeError(f"h_prev is of {h_prev.dtype}, but h is of {h.dtype}")
    y = _arrays.new_like(h) if out is None else _arrays.checked_out(out, h)
    mask = draw_mask(rng, p, h.shape, training=training, scale=False)
    ctx = Zoneout(mask, float(p), bool(training))
    if np.may_share_memory(y, h_prev):  # which is read again after y is written
        h_prev = h_prev.copy()
    if not _arrays.apart(h, y):
        h = h.copy()
    if training:
        # h_prev ^ (h ^ h_prev) is h: the mask chooses where.
        exclusive_or(h, h_prev, y)
        mask.apply(y, out=y)
        exclusive_or(y, h_prev, y)
    else:
        weighted(h_prev, h, ctx.p, y)
    return y if out is None else out, ctx


def check_state(array: Array, name: str, shape: tuple[int, ...]) -> None:
    """Refuse other types than floats and complex numbers, and another shape."""
    _arrays.check_dtype(array.dtype, True)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but must have shape {shape}")


def exclusive_or(a: Array, b: Array, y: Array) -> None:
    """Write the bits of a ^ b to y, in y's byte order."""
    order = y.dtype
    a, b = (array.astype(order, copy=False) for array in (a, b))
    if order.itemsize == 16:  # NumPy has no integers of that size
        for part in ("real", "imag"):
            exclusive_or(getattr(a, part), getattr(b, part), getattr(y, part))
        return
    bits = np.dtype(f"u{order.itemsize}")
    np.bitwise_xor(a.view(bits), b.view(bits), out=y.view(bits))


def weighted(h_prev: Array | None, h: Array | None, p: float, y: Array) -> None:
    """Write p h_prev + (1 - p) h to y; None, and what has no weight, counts as zero, NaN too."""
    small = _arrays.is_small_float(y.dtype)  # computed in float32 and rounded once
    with np.errstate(all="ignore"):
        terms = [
            product(weight, array, small)
            for weight, array in ((p, h_prev), (1 - p, h))
            if weight and array is not None
        ]
        y[...] = sum(terms[1:], terms[0]) if terms else 0


def product(weight: float, array: Array, small: bool) -> Array:
    """The array times a number of its own precision; small floats as float32."""
    if small:
        array = array.astype(np.float32)
    if weight == 1:
        return array
    real = array.real.dtype.newbyteorder("=")
    result: Array = array * real.type(weight)
    return result
