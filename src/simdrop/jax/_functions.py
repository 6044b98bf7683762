"""Functions that drop elements of JAX's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simdrop import _args
from simdrop._core.mask import probability
from simdrop._names import explained

from ._draws import address_of
from ._primitive import DECIDED, SHARED, bind

Axes = int | Sequence[int]


@explained
def dropout(
    key: Any,
    x: Any,
    p: float = 0.5,
    *,
    shared_axes: Axes = (),
    training: bool = True,
    scale: bool = True,
) -> Any:
    """
    `simdrop.dropout` of an array of JAX; only y is returned.

    Parameters
    ----------
    key : key of jax.random, Stream, Mask, Draw or address
        Where the mask comes from:

        - of a key (typed or raw, traced or not), 128 random bits are the key of draw 0;
        - a `simdrop.Stream` takes its next draw, outside of functions that JAX traces;
        - a `simdrop.Mask` or Draw is itself what is applied: it must have the shape of x, and what
          else it has in common with the arguments;
        - an address, uint32 of shape (6,), is what `address` returns, traced or not. (Raw keys of
          JAX have other shapes.)
    x : array_like
        Of the dtypes that `simdrop.dropout` takes.
    p : float, optional
        Probability of DROPPING an element, in [0, 1]; known when the function is traced.
    shared_axes, training, scale
        As of `simdrop.dropout`.

    Returns
    -------
    jax.Array
        The output of `simdrop.dropout` with the same key and draw; x itself if nothing can be
        dropped (``p=0`` or ``training=False``).

    Raises
    ------
    TypeError, ValueError
        As `simdrop.dropout`; TypeError if `key` is something else or p is traced, ValueError if
        `key` is a Stream in a function that JAX traces, where its draw would become a constant, or
        a Mask or Draw that does not fit.

    Examples
    --------
    >>> import jax, simdrop
    >>> x = jax.numpy.ones(8)
    >>> simdrop.jax.dropout(simdrop.Stream(0), x)
    Array([0., 2., 2., 0., 0., 0., 2., 2.], dtype=float32)
    >>> simdrop.jax.dropout(jax.random.key(0), x).shape
    (8,)
    """
    p = checked_p(p)
    array = jnp.asarray(x)
    check_dtype(array.dtype, scale)
    axes = _args.checked_axes(shared_axes, array.ndim)
    if not training:
        return x
    address = address_of(key, array.shape, p, axes, scale)
    if p == 0:
        return x
    kinds = "".join(SHARED if axis in axes else DECIDED for axis in range(array.ndim))
    return bind(array, address, p=p, scaled=bool(scale), axes=kinds)


@explained
def drop_path(key: Any, x: Any, p: float, *, training: bool = True, scale: bool = True) -> Any:
    """`simdrop.drop_path`: of whole samples, along the first axis; otherwise as `dropout`."""
    axes = _args.axes_of_a_sample(jnp.ndim(x))
    return dropout(key, x, p, shared_axes=axes, training=training, scale=scale)


@explained
def locked_dropout(
    key: Any,
    x: Any,
    p: float,
    *,
    time_axis: Axes = 0,
    training: bool = True,
    scale: bool = True,
) -> Any:
    """`simdrop.locked_dropout`: one mask for all time steps; otherwise as `dropout`."""
    return dropout(key, x, p, shared_axes=time_axis, training=training, scale=scale)


def checked_p(p: Any) -> float:
    """p as a number, or an error."""
    if isinstance(p, jax.core.Tracer):
        raise TypeError(
            "p, the probability of dropping, is traced, but must be known when the function is: "
            "pass it by jit's static_argnames, or leave it out of what is traced"
        )
    if isinstance(p, jax.Array):
        p = np.asarray(p)
    return probability(p)


def check_dtype(dtype: Any, scale: bool) -> None:
    """An error for what is not masked, or not scaled."""
    if not isinstance(dtype, np.dtype) or dtype == jax.dtypes.float0:
        raise TypeError(f"elements of {dtype} cannot be masked")
    _args.check_dtype(dtype, scale)
