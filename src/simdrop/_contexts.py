"""Contexts of arrays that adapters hold: drawn here, applied there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from simdrop import _args
from simdrop._core.alpha import AlphaDropoutContext
from simdrop._core.gaussian import GaussianDropoutContext, GaussianNoiseContext
from simdrop._core.mask import Mask
from simdrop._core.stream import next_draws, next_mask

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Axes = int | Sequence[int]
Context = Mask | AlphaDropoutContext | GaussianDropoutContext | GaussianNoiseContext
Kind = TypeVar("Kind", AlphaDropoutContext, GaussianDropoutContext, GaussianNoiseContext)

NOWHERE = bytes(16), 0


def next_mask_of(x: Any, p: Any, rng: Rng, shared_axes: Axes, training: bool, scale: bool) -> Mask:
    """The next mask for an array with shape and dtype."""
    _args.check_dtype(x.dtype, scale)
    return next_mask(
        rng, p, x.shape, shared_axes=shared_axes, training=training, scale=scale, array_p=True
    )


def next_context(
    kind: type[Kind], x: Any, value: float, rng: Rng, shared_axes: Axes, training: bool
) -> Kind:
    """
    A context of the next draw for an array with shape and dtype; `value` is p or a deviation.

    In evaluation it changes nothing. No draw is taken then, nor if an argument is wrong.
    """
    _args.check_floats(x.dtype, True)
    kind(*NOWHERE, value, x.shape, shared_axes=shared_axes)
    if not training:
        return kind(*NOWHERE, 0.0, x.shape, shared_axes=shared_axes)
    (draw,) = next_draws(rng, 1)
    return kind(draw.key, draw.draw, value, x.shape, shared_axes=shared_axes)
