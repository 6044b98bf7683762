"""Dropout of Dask arrays, chunk by chunk: the mask is that of the whole array, however cut."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

try:
    import dask.array as da
except ImportError as error:
    raise ImportError("simdrop.dask needs Dask: pip install 'simdrop[dask]'") from error
from dask.base import normalize_token, tokenize

from simdrop import _args
from simdrop._contexts import Axes, Context, next_context, next_mask_of
from simdrop._core.alpha import AlphaDropoutContext
from simdrop._core.draw import Draw
from simdrop._core.gaussian import GaussianDropoutContext, GaussianNoiseContext
from simdrop._core.mask import Mask
from simdrop._names import explained

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

__all__ = [
    "alpha_dropout",
    "apply",
    "backward",
    "drop_path",
    "dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "locked_dropout",
]


@explained
def dropout(
    x: da.Array,
    p: Any = 0.5,
    *,
    rng: Rng = None,
    shared_axes: Axes = (),
    training: bool = True,
    scale: bool = True,
) -> tuple[da.Array, Mask]:
    """
    `simdrop.dropout` of a Dask array, computed lazily, chunk by chunk.

    Parameters
    ----------
    x : dask.array.Array
        Of any chunks whose sizes are known, of the dtypes that `simdrop.dropout` takes.
    p, rng, shared_axes, training, scale
        As of `simdrop.dropout`. The draw is taken at once, not when the result is computed.

    Returns
    -------
    y : dask.array.Array
        Of x's shape, dtype and chunks: the same as `simdrop.dropout` of the whole array.
    mask : Mask
        Of the whole array; for ``backward(dy, mask)``.

    Raises
    ------
    TypeError, ValueError
        As `simdrop.dropout`; TypeError if x is no Dask array, ValueError if chunks have unknown
        sizes.

    Examples
    --------
    >>> import dask.array as da, simdrop.dask
    >>> y, mask = simdrop.dask.dropout(da.ones((4, 4), chunks=3), rng=0)
    >>> y.compute()
    array([[0., 2., 2., 0.],
           [0., 0., 2., 2.],
           [2., 2., 2., 2.],
           [0., 2., 2., 2.]])
    """
    check(x)
    mask = next_mask_of(x, p, rng, shared_axes, training, scale)
    return apply(x, mask), mask


@explained
def alpha_dropout(
    x: da.Array,
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: Axes = (),
    training: bool = True,
) -> tuple[da.Array, AlphaDropoutContext]:
    """`simdrop.alpha_dropout` of a Dask array; otherwise as `dropout`."""
    check(x)
    context = next_context(AlphaDropoutContext, x, p, rng, shared_axes, training)
    return apply(x, context), context


@explained
def gaussian_dropout(
    x: da.Array,
    p: float = 0.5,
    *,
    rng: Rng = None,
    shared_axes: Axes = (),
    training: bool = True,
) -> tuple[da.Array, GaussianDropoutContext]:
    """`simdrop.gaussian_dropout` of a Dask array; otherwise as `dropout`."""
    check(x)
    context = next_context(GaussianDropoutContext, x, p, rng, shared_axes, training)
    return apply(x, context), context


@explained
def gaussian_noise(
    x: da.Array,
    std: float,
    *,
    rng: Rng = None,
    shared_axes: Axes = (),
    training: bool = True,
) -> tuple[da.Array, GaussianNoiseContext]:
    """`simdrop.gaussian_noise` of a Dask array; otherwise as `dropout`."""
    check(x)
    context = next_context(GaussianNoiseContext, x, std, rng, shared_axes, training)
    return apply(x, context), context


@explained
def drop_path(
    x: da.Array,
    p: Any,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
) -> tuple[da.Array, Mask]:
    """`simdrop.drop_path` of a Dask array; otherwise as `dropout`."""
    check(x)
    axes = _args.axes_of_a_sample(x.ndim)
    return dropout(x, p, rng=rng, shared_axes=axes, training=training, scale=scale)


@explained
def locked_dropout(
    x: da.Array,
    p: float,
    *,
    time_axis: Axes = 0,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
) -> tuple[da.Array, Mask]:
    """`simdrop.locked_dropout` of a Dask array; otherwise as `dropout`."""
    return dropout(x, p, rng=rng, shared_axes=time_axis, training=training, scale=scale)


def apply(x: da.Array, context: Context) -> da.Array:
    """
    Apply a mask, or another context, to a Dask array of its shape.

    Parameters
    ----------
    x : dask.array.Array
        Of the context's shape, whatever its chunks.
    context : Mask or another context with `window`

    Returns
    -------
    dask.array.Array
        Of x's shape, dtype and chunks. Its name depends on x and the context alone.

    Raises
    ------
    TypeError
        If x is no Dask array.
    ValueError
        If x has another shape, or chunks of unknown sizes.
    """
    return mapped(x, context, "apply")


def backward(dy: da.Array, context: Context) -> da.Array:
    """The gradient with respect to x of `dropout` and the others; arguments as of `apply`."""
    return mapped(dy, context, "backward")


def mapped(x: da.Array, context: Context, method: str) -> da.Array:
    """A method of the context's windows on the chunks of an array."""
    check(x)
    if x.shape != context.shape:
        raise ValueError(f"the array has shape {x.shape}, but must have {context.shape}")
    map_blocks: Any = x.map_blocks
    result: da.Array = map_blocks(
        in_window,
        context=context,
        method=method,
        dtype=x.dtype,
        meta=x._meta,
        name=f"simdrop-{method}-{tokenize(x.name, context, method)}",
    )
    return result


def in_window(chunk: Any, context: Context, method: str, block_info: Any = None) -> Any:
    """The part of the result that belongs to a chunk."""
    start = tuple(first for first, _ in block_info[0]["array-location"])
    return getattr(context.window(start, chunk.shape), method)(chunk)


def check(x: Any) -> None:
    """An error for what is no Dask array whose chunks have known sizes."""
    if not isinstance(x, da.Array):
        raise TypeError(f"x must be a dask.array.Array, not {type(x).__name__}")
    if any(isnan(n) for n in x.shape):
        raise ValueError(
            f"x has shape {x.shape}, but the places of its chunks must be known; "
            "see its method compute_chunk_sizes"
        )


@normalize_token.register(Draw)
def token_of(draw: Draw) -> tuple[Any, ...]:
    """The same for equal draws, in every process."""
    reduced: Any = draw.__reduce__()
    restore, arguments = reduced[:2]
    return type(draw).__name__, restore.__name__, normalize_token(arguments)
