"""The JAX contender: dropout as in Flax, compiled."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .arrays import Arrays

jax.config.update("jax_enable_x64", True)


def select(keep: jax.Array, x: jax.Array, p: float) -> jax.Array:
    return jnp.where(keep, x / (1 - p), 0)


@partial(jax.jit, static_argnames="p")
def draw(key: jax.Array, x: jax.Array, p: float) -> jax.Array:
    # A float64 probability would make bernoulli draw 64 bits an element.
    return jax.random.bernoulli(key, np.float32(1 - p), x.shape)


@partial(jax.jit, static_argnames="p")
def forward(key: jax.Array, x: jax.Array, p: float) -> jax.Array:
    return select(draw(key, x, p), x, p)


@partial(jax.jit, static_argnames="p")
def backward(keep: jax.Array, dy: jax.Array, p: float) -> jax.Array:
    return select(keep, dy, p)


@partial(jax.jit, static_argnames="p")
def both(key: jax.Array, x: jax.Array, dy: jax.Array, p: float) -> tuple[jax.Array, jax.Array]:
    keep = draw(key, x, p)
    return select(keep, x, p), select(keep, dy, p)


def jax_names(arrays: Arrays, p: float) -> dict[str, Any]:
    """JAX arrays with the same values, copied: JAX shares memory only at 64-byte boundaries."""
    x, key = jnp.asarray(arrays.x), jax.random.key(0)
    return {
        "forward": forward,
        "backward": backward,
        "both": both,
        "ready": jax.block_until_ready,
        "key": key,
        "x": x,
        "dy": jnp.asarray(arrays.dy),
        "keep": draw(key, x, p),
    }
