"""The layer that learns, Linear, and the one that forgets, Dropout."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd

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


class Dropout(Layer):
    """Training: each element is dropped with probability p, else scaled by 1/(1-p). Eval: y is x.

    A call in training takes one draw from the stream and keeps its Mask, a few numbers, which is
    the derivative too. Source: Srivastava et al. 2014, "Dropout", JMLR 15:1929-1958.

    Parameters
    ----------
    p : float
        Probability of dropping, in [0, 1], else ValueError.
    stream : simdrop.Stream
        Gives the draws; layers may share one.
    shared_axes : iterable of ints
        The axes along which one decision is shared, as in `simdrop.dropout`.
    """

    def __init__(self, p: float, stream: sd.Stream, *, shared_axes: Iterable[int] = ()) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p, the probability of dropping, must be in [0, 1], got {p!r}")
        self.p, self.stream, self.shared_axes = p, stream, tuple(shared_axes)

    def __call__(self, x: Array) -> Array:
        y, self._saved = sd.dropout(
            x, self.p, rng=self.stream, shared_axes=self.shared_axes, training=self.training
        )
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._from_forward().backward(dy)
        return dx

    def __repr__(self) -> str:
        shared = f", shared_axes={self.shared_axes}" if self.shared_axes else ""
        return f"Dropout(p={self.p}{shared})"
