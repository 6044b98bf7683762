"""Some rows of a batch, computed by themselves, with their window of the whole batch's masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import simdrop as sd
from simdrop import _args
from simdrop._contexts import Axes, Context, Kind, next_context, next_mask_of

from .parameter import Array

Windowed = Callable[..., Context]


class Shard(NamedTuple):
    """The rows of a batch that x contains, for `Network.loss` and `Layer.on_shard`.

    Parameters
    ----------
    start : int
        Number of the first row of x in the batch.
    rows : int
        How many rows the whole batch has.
    """

    start: int
    rows: int

    def shape(self, x: Array) -> tuple[int, ...]:
        """That of the whole batch."""
        return self.rows, *x.shape[1:]

    def window(self, context: Any, n: int) -> Any:
        """The n rows at hand of a mask, or of another context of the whole batch."""
        first = self.start, *[0] * (len(context.shape) - 1)
        return context.window(first, (n, *context.shape[1:]))

    def check(self, n: int) -> None:
        """Raise ValueError if x cannot have n rows."""
        if not 0 <= self.start <= self.start + n <= self.rows:
            raise ValueError(f"x has {n} rows, which are not rows of a batch as {self} says")
        if self.rows == 0:
            raise ValueError("the batch has no rows, so there is nothing to take the mean over")


def windowed(transform: Callable[..., Any], layer: object) -> Windowed:
    """What draws the context of a transform without computing it; ValueError for one whose result
    is more than that of windows, such as `simdrop.drop_block`."""
    if transform not in WINDOWED:
        raise unsharded(layer)
    return WINDOWED[transform]


def unsharded(layer: object) -> ValueError:
    """What a layer raises that would drop something else in a shard than in the whole batch."""
    return ValueError(
        f"{layer!r} cannot compute some rows of a batch by themselves: what it drops there is not "
        "a window of what it drops in the whole batch"
    )


def like(x: Array, shape: tuple[int, ...]) -> Array:
    """An array of x's dtype with no memory of its own, of which only the shape matters."""
    return np.broadcast_to(np.empty((), x.dtype), shape)


# Each takes what the transform of its name takes, and a draw, and computes nothing.


def _dropout(
    x: Array,
    p: Any = 0.5,
    *,
    rng: Any = None,
    shared_axes: Axes = (),
    training: bool = True,
    scale: bool = True,
) -> Context:
    return next_mask_of(x, p, rng, shared_axes, training, scale)


def _drop_path(x: Array, p: Any, **options: Any) -> Context:
    return _dropout(x, p, shared_axes=_args.axes_of_a_sample(x.ndim), **options)


def _locked_dropout(x: Array, p: float, *, time_axis: Axes = 0, **options: Any) -> Context:
    return _dropout(x, p, shared_axes=time_axis, **options)


def _of(kind: type[Kind]) -> Windowed:
    def context(
        x: Array,
        value: float = 0.5,
        *,
        rng: Any = None,
        shared_axes: Axes = (),
        training: bool = True,
    ) -> Context:
        return next_context(kind, x, value, rng, shared_axes, training)

    return context


WINDOWED: dict[Callable[..., Any], Windowed] = {
    sd.dropout: _dropout,
    sd.drop_path: _drop_path,
    sd.locked_dropout: _locked_dropout,
    sd.alpha_dropout: _of(sd.AlphaDropoutContext),
    sd.gaussian_dropout: _of(sd.GaussianDropoutContext),
    sd.gaussian_noise: _of(sd.GaussianNoiseContext),
}
