"""Dropout in JAX, by simdrop and as Flax has it: compiled, forward or forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

import simdrop.jax as sj

from . import with_jax
from .arrays import Arrays


def as_in_flax(key: jax.Array, x: jax.Array, p: float) -> jax.Array:
    return with_jax.select(with_jax.draw(key, x, p), x, p)


FUNCTIONS: dict[str, Callable[..., jax.Array]] = {"simdrop": sj.dropout, "jax": as_in_flax}


class Compiled:
    """One contender's work on one array."""

    def __init__(self, work: str, arrays: Arrays, p: float, contender: str) -> None:
        function = FUNCTIONS[contender]

        def forward(key: jax.Array, x: jax.Array, dy: jax.Array) -> Any:
            return function(key, x, p)

        def both(key: jax.Array, x: jax.Array, dy: jax.Array) -> Any:
            y, gradient = jax.vjp(lambda x: function(key, x, p), x)
            return y, gradient(dy)

        self.compiled = jax.jit(forward if work == "forward" else both)
        self.operands = jax.random.key(0), jax.numpy.asarray(arrays.x), jax.numpy.asarray(arrays.dy)

    def run(self) -> None:
        jax.block_until_ready(self.compiled(*self.operands))
