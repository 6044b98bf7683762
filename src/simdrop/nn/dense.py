"""A hidden layer as the fused kernels compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop import fused

from .base import Array, Seed
from .dropout import Probability, at, check_p, checked_stream, scaled
from .layers import Linear


class Dense(Linear):
    """y = dropout(activation(x W + b)): Linear, an activation and Dropout, of which the last two
    and the bias are one pass over memory, forward and backward.

    Parameters
    ----------
    n_in, n_out, rng, dtype
        As in `Linear`.
    activation : "relu", "tanh", "sigmoid" or "identity"
        As in `Linear`.
    p, stream, inverted
        As in `Dropout`. A call in training takes one draw.
    """

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
        p = at(self.p, self.step)
        y, context = activate(
            x @ self.weight.value,
            self.bias.value,
            FUSED[self.activation],
            p,
            rng=self.stream,
            training=self.training,
            scale=self.inverted,
        )
        factor = 1.0 if self.training or self.inverted else 1.0 - p
        self._saved = x, context, factor
        return scaled(y, factor)

    def backward(self, dy: Array) -> Array:
        return self._gradients(dy) @ self.weight.value.T

    def write_gradients(self, dy: Array) -> None:  # one matrix product instead of two
        self._gradients(dy)

    def _gradients(self, dy: Array) -> Array:
        """The gradient with respect to x W; those of the parameters are written."""
        x, context, factor = self._from_forward()
        dy, self.bias.grad[:] = context.backward(scaled(dy, factor))
        np.matmul(x.T, dy, out=self.weight.grad)
        return dy

    def __repr__(self) -> str:
        shape = "{}, {}".format(*self.weight.value.shape)
        classic = "" if self.inverted else ", inverted=False"
        return f"Dense({shape}, p={self.p}, activation={self.activation!r}{classic})"


FUSED: dict[str, fused.Activation] = {
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "identity": None,
}


def activate(
    y: Array, bias: Array, activation: fused.Activation, p: float = 0.0, **options: Any
) -> tuple[Array, fused.BiasDropoutContext]:
    """dropout(activation(y + bias)), in the place of y where the derivative does not need y.

    Parameters
    ----------
    y, bias, activation, p, **options
        As in `simdrop.fused.bias_dropout`.
    """
    out = y if activation in (None, "relu") else None
    return fused.bias_dropout(y, bias, p, activation=activation, out=out, **options)
