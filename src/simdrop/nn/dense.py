"""A hidden layer as the fused kernels compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop import fused
from simdrop._core.stream import next_mask
from simdrop._names import explained

from .activations import ACTIVATIONS
from .arguments import Probability, Seed, at, check_p, checked_stream, form
from .dropout import Dropout, scaled
from .layer import Layer
from .linear import Linear, Weighted
from .parameter import Array
from .shard import Shard


@explained
class Dense(Weighted):
    """y = dropout(activation(x W + b)): Linear, an activation and Dropout, of which the last two
    and the bias are one pass over memory, forward and backward.

    Parameters
    ----------
    n_in, n_out, rng, dtype
        As in `Linear`.
    activation : "relu", "tanh", "sigmoid", "gelu", "silu" or "identity"
        As in `Linear`.
    p, stream, inverted
        As in `Dropout`. A call in training takes one draw.
    """

    p: Probability
    stream: sd.Stream | None
    inverted: bool

    def __init__(
        self,
        n_in: int,
        n_out: int,
        p: Probability = 0.0,
        stream: sd.Stream | None = None,
        *,
        activation: str = "relu",
        inverted: bool = True,
        rng: Seed,
        dtype: DTypeLike = np.float32,
    ) -> None:
        check_p(p)
        super().__init__(n_in, n_out, rng=rng, dtype=dtype, activation=activation)
        self.p, self.stream, self.inverted = p, checked_stream(stream), inverted
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        p = at(self.p, self.steps)
        factor = 1.0 if self.training or self.inverted else 1.0 - p
        options = {"rng": self.stream, "training": self.training, "scale": self.inverted}
        return self._activated(x, p, factor, **options)

    def on_shard(self, x: Array, shard: Shard) -> Array:
        if not self.training:
            return self(x)
        shape = shard.rows, self.weight.value.shape[1]
        mask = next_mask(self.stream, at(self.p, self.steps), shape, scale=self.inverted)
        return self._activated(x, shard.window(mask, len(x)), 1.0)

    def _activated(self, x: Array, p: float | sd.Mask, factor: float, **options: Any) -> Array:
        y, context = activate(x @ self.weight.value, self.bias.value, self.activation, p, **options)
        self._saved = x, context, factor
        return scaled(y, factor)

    def _gradients(self, dy: Array) -> Array:
        x, context, factor = self._from_forward()
        dy, self.bias.grad[:] = context.backward(scaled(dy, factor))
        np.matmul(x.T, dy, out=self.weight.grad)
        return dy

    def parts(self, shared_masks: bool) -> list[Layer]:
        activation = ACTIVATIONS[self.activation]()
        dropout = Dropout(at(self.p, self.steps), inverted=self.inverted)
        layers = Linear.of(self.weight, self.bias), activation, dropout
        return [part for layer in layers for part in layer.parts(shared_masks)]

    def _shown(self) -> list[str]:
        own = [f"p={self.p}", f"activation={self.activation!r}", *form(self.inverted)]
        return super()._shown() + own


def activate(
    y: Array, bias: Array, activation: str, p: float | sd.Mask = 0.0, **options: Any
) -> tuple[Array, fused.BiasDropoutContext]:
    """dropout(activation(y + bias)), in the place of y where the derivative does not need y.

    Parameters
    ----------
    y, bias, p, **options
        As in `simdrop.fused.bias_dropout`.
    activation : "relu", "tanh", "sigmoid", "gelu", "silu" or "identity"
    """
    name: Any = None if activation == "identity" else activation
    out = y if name in (None, "relu") else None
    return fused.bias_dropout(y, bias, p, activation=name, out=out, **options)
