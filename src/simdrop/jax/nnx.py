"""Flax's NNX module for dropout, in its place."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

try:
    from flax import nnx
    from flax.nnx.module import first_from
except ImportError as error:
    raise ImportError("simdrop.jax.nnx needs Flax: pip install flax") from error

from ._functions import dropout

__all__ = ["Dropout"]


class Dropout(nnx.Dropout):
    """
    `simdrop.jax.dropout` as a module, in place of `flax.nnx.Dropout`.

    Parameters
    ----------
    rate, broadcast_dims, deterministic, rng_collection, rngs
        As of `flax.nnx.Dropout`.
    """

    def __call__(
        self, inputs: Any, *, deterministic: bool | None = None, rngs: Any = None
    ) -> jax.Array:
        """The same as of `flax.nnx.Dropout`, which has the same arguments."""
        deterministic = first_from(
            deterministic,
            self.deterministic,
            error_msg="No `deterministic` argument was provided to Dropout: pass it to the "
            "constructor or to the call.",
        )
        if self.rate == 0 or deterministic:
            return inputs
        if self.rate == 1:  # as in Flax, without a key
            return jnp.zeros_like(inputs)
        rngs = first_from(
            rngs,
            self.rngs,
            error_msg="`deterministic` is False, but no `rngs` argument was provided to Dropout: "
            "pass it to the constructor or to the call.",
        )
        key = next_key(rngs, self.rng_collection)
        return dropout(key, inputs, self.rate, shared_axes=tuple(self.broadcast_dims))


def next_key(rngs: Any, collection: str) -> jax.Array:
    """The next key of what may be given as `rngs`."""
    if isinstance(rngs, nnx.Rngs):
        return rngs[collection]()
    if isinstance(rngs, nnx.RngStream):
        return rngs()
    if isinstance(rngs, jax.Array):
        return rngs
    raise TypeError(f"rngs must be a Rngs, RngStream or jax.Array, but got {type(rngs)}.")
