"""The layer that learns, Linear."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .base import Array, Layer, Parameter, Seed


class Linear(Layer):
    """y = x W + b, for x (batch, n_in) and y (batch, n_out).

    Parameters
    ----------
    n_in, n_out : int
        Features of x and of y; W is (n_in, n_out), b (n_out,).
    rng : None, int, sequence of ints, SeedSequence or Generator
        Gives the weights, by `numpy.random.default_rng`; the biases start at 0.
    dtype : float32 or float64
        Of W and b; x should have the same.
    activation : "relu", "tanh", "sigmoid" or "identity"
        What follows, which sets the spread of the weights. ValueError for another one.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        rng: Seed,
        dtype: DTypeLike = np.float32,
        activation: str = "relu",
    ) -> None:
        generator = np.random.default_rng(rng)
        if activation == "relu":  # He et al. 2015, "Delving deep into rectifiers", equation 10
            weight = generator.normal(0, np.sqrt(2 / n_in), (n_in, n_out))
        elif activation in ("tanh", "sigmoid", "identity"):
            # Glorot and Bengio 2010, "Understanding the difficulty of training", equation 16
            limit = np.sqrt(6 / (n_in + n_out))
            weight = generator.uniform(-limit, limit, (n_in, n_out))
        else:
            raise ValueError(
                f"activation must be relu, tanh, sigmoid or identity, got {activation!r}"
            )
        self.weight = Parameter(weight.astype(dtype), "weight")
        self.bias = Parameter(np.zeros(n_out, dtype), "bias")

    def __call__(self, x: Array) -> Array:
        self._saved = x
        y: Array = x @ self.weight.value
        y += self.bias.value
        return y

    def backward(self, dy: Array) -> Array:
        self.write_gradients(dy)
        return dy @ self.weight.value.T

    def write_gradients(self, dy: Array) -> None:  # one matrix product instead of two
        np.matmul(self._from_forward().T, dy, out=self.weight.grad)
        np.sum(dy, axis=0, out=self.bias.grad)

    def parameters(self) -> list[Parameter]:
        return [self.weight, self.bias]

    def __repr__(self) -> str:
        return "Linear({}, {})".format(*self.weight.value.shape)
