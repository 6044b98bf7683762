"""Flax's Linen module for dropout, in its place."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

try:
    from flax import linen
except ImportError as error:
    raise ImportError("simdrop.jax.linen needs Flax: pip install flax") from error

from ._functions import dropout

__all__ = ["Dropout"]


class Dropout(linen.Dropout):
    """
    `simdrop.jax.dropout` as a module, in place of `flax.linen.Dropout`.

    Parameters
    ----------
    rate, broadcast_dims, deterministic, rng_collection
        As of `flax.linen.Dropout`.
    """

    @linen.compact
    def __call__(self, inputs: Any, deterministic: bool | None = None, rng: Any = None) -> Any:
        """The same as of `flax.linen.Dropout`, which has the same arguments."""
        deterministic = linen.merge_param("deterministic", self.deterministic, deterministic)
        if self.rate == 0 or deterministic:
            return inputs
        if self.rate == 1:  # as in Flax, without a key
            return jnp.zeros_like(inputs)
        if rng is None:
            rng = self.make_rng(self.rng_collection)
        return dropout(rng, inputs, self.rate, shared_axes=tuple(self.broadcast_dims))
