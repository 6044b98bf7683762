"""Dropout for recurrent nets: one mask for all time steps, and zoneout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _args, _arrays
from simdrop._core.dropout import dropout
from simdrop._core.mask import Mask
from simdrop._core.stream import next_mask
from simdrop._names import explained
from simdrop._values import Values

if TYPE_CHECKING:
    from simdrop._core.stream import Rng
    from simdrop._typing import Scalar

Array = NDArray[Any]


@overload
def locked_dropout(
    x: NDArray[Scalar],
    p: float,
    *,
    time_axis: int | Sequence[int] = 0,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], Mask]: ...


@overload
def locked_dropout(
    x: ArrayLike,
    p: float,
    *,
    time_axis: int | Sequence[int] = 0,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]: ...


@explained
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
    Variational (locked) dropout: drop the same elements at all time steps.

    ``y[t, e] = x[t, e] * d[e] / (1 - p)``, where ``d[e]`` is 0 with probability p, else 1. It is
    `dropout` with the time axis shared.

    Parameters
    ----------
    x : array_like
        (time steps, batch, features) or in another order, of the dtypes that `dropout` takes.
    p : float
        Probability of DROPPING an element, in [0, 1].
    time_axis : int, optional
        The axis along which decisions are shared: 1 for (batch, time steps, features).
    rng, training, scale, out
        As in `dropout`.

    Returns
    -------
    y : ndarray
        As from `dropout`.
    mask : Mask
        Its `shared_axes` are the time axis.

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


class ZoneoutContext(Values):
    """
    Returned by `zoneout` for its backward pass, ``dh_prev, dh = ctx.backward(dy)``; a few numbers.

    Attributes
    ----------
    mask : Mask
        Where it drops, the previous value is kept. It does not scale.
    p : float
        As given.
    training : bool
        As given; if False, y is the weighted mean of the two states.
    """

    __slots__ = ("mask", "p", "training")
    mask: Mask
    p: float
    training: bool

    @overload
    def backward(
        self,
        dy: NDArray[Scalar],
        *,
        out: tuple[NDArray[Scalar] | None, NDArray[Scalar] | None] = (None, None),
    ) -> tuple[NDArray[Scalar], NDArray[Scalar]]: ...

    @overload
    def backward(
        self, dy: ArrayLike, *, out: tuple[Array | None, Array | None] = (None, None)
    ) -> tuple[Array, Array]: ...

    def backward(
        self, dy: ArrayLike, *, out: tuple[Array | None, Array | None] = (None, None)
    ) -> tuple[Array, Array]:
        """
        The gradients with respect to `h_prev` and `h`.

        Parameters
        ----------
        dy : array_like
            Of y's shape, of a dtype that `zoneout` takes.
        out : pair of ndarray or None, optional
            Where to write them; None makes a new array. They must not share memory with each other,
            but may be dy itself or overlap it.

        Returns
        -------
        dh_prev, dh : ndarray
            Of dy's shape and dtype.

        Raises
        ------
        TypeError, ValueError
            If dy or `out` does not fit; nothing is written then.
        """
        given = dy
        dy = array = _args.base(given)
        _args.check_maskable(dy, self.mask.shape, True)
        dh_prev, dh = _args.checked_pair(out, {"h_prev": dy, "h": dy})
        if np.may_share_memory(dh_prev, dy) or np.may_share_memory(dh, dy):
            dy = dy.copy()
        if self.training:
            self.mask.apply(dy, out=dh)
            # dy ^ dy is +0 where kept, and dy ^ +0 is dy where dropped.
            exclusive_or(dy, dh, dh_prev)
        else:
            weighted(dy, None, self.p, dh_prev)
            weighted(None, dy, self.p, dh)
        return _args.delivered_pair(given, array, (dh_prev, dh), out)


@overload
def zoneout(
    h_prev: NDArray[Scalar],
    h: NDArray[Scalar],
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], ZoneoutContext]: ...


@overload
def zoneout(
    h_prev: ArrayLike,
    h: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    out: Array | None = None,
) -> tuple[Array, ZoneoutContext]: ...


@explained
def zoneout(
    h_prev: ArrayLike,
    h: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    out: Array | None = None,
) -> tuple[Array, ZoneoutContext]:
    """
    Zoneout: each element of a recurrent state keeps its previous value with probability p.

    ``y = d * h + (1 - d) * h_prev``, where d is 0 with probability p, else 1: an exact copy of one
    or the other. In evaluation y is their mean, ``p * h_prev + (1 - p) * h``.

    Parameters
    ----------
    h_prev, h : array_like
        The states before and after the step, of one shape and dtype: float16, bfloat16, float32,
        float64, complex64 or complex128.
    p : float
        Probability of KEEPING the previous value, that is, of dropping the update; in [0, 1].
    rng, training, out
        As in `dropout`; `out` may be `h_prev`, too.

    Returns
    -------
    y : ndarray
        A new array unless `out` is given.
    ctx : ZoneoutContext
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
    given, h_prev, h = h, _args.base(h_prev), _args.base(h)
    _args.check_dtype(h.dtype, True)
    _args.check_like("h_prev", h_prev, h.shape, h.dtype)
    y = _arrays.new_like(h) if out is None else _args.checked_out(out, h)
    mask = next_mask(rng, p, h.shape, training=training, scale=False)
    ctx = ZoneoutContext(mask, float(p), bool(training))
    if np.may_share_memory(y, h_prev):  # which is read after y is written
        h_prev = h_prev.copy()
    if not _arrays.apart(h, y):
        h = h.copy()
    if training:
        # h_prev ^ (h ^ h_prev) is h, and h_prev ^ 0 is h_prev: the mask selects.
        exclusive_or(h, h_prev, y)
        mask.apply(y, out=y)
        exclusive_or(y, h_prev, y)
    else:
        weighted(h_prev, h, ctx.p, y)
    return _args.delivered(given, h, y, out), ctx


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
    """Write p h_prev + (1 - p) h to y; None and a state of weight 0 count as zero, also its NaN."""
    small = _arrays.is_small_float(y.dtype)  # computed in float32 and rounded once
    with np.errstate(all="ignore"):
        terms = [
            product(weight, array, small)
            for weight, array in ((p, h_prev), (1 - p, h))
            if weight and array is not None
        ]
        y[...] = sum(terms[1:], terms[0]) if terms else 0


def product(weight: float, array: Array, small: bool) -> Array:
    """The array times a weight rounded to its precision; 16-bit floats as float32."""
    if small:
        array = array.astype(np.float32)
    if weight == 1:
        return array
    real = array.real.dtype.newbyteorder("=")
    result: Array = array * real.type(weight)
    return result
