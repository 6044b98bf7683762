"""The layer that learns, Linear, and what it shares with faster and more special ones."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import DTypeLike

from simdrop._names import explained

from .activations import ACTIVATIONS, check_choice
from .arguments import Seed, generator
from .layer import Layer
from .parameter import Array, Parameter


@explained
class Weighted(Layer):
    """Base class of layers that compute x W + b: `weight` (n_in, n_out), `bias` (n_out,).

    The first and the last of a net set its n_in and n_out. The arguments are those of `Linear`.
    """

    weight: Parameter
    bias: Parameter

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        rng: Seed,
        dtype: DTypeLike = np.float32,
        activation: str = "relu",
    ) -> None:
        weight = _initial_weight(n_in, n_out, rng, activation)
        self.weight = Parameter(weight.astype(dtype), "weight")
        self.bias = Parameter(np.zeros(n_out, dtype), "bias")

    @abstractmethod
    def _gradients(self, dy: Array) -> Array:
        """Write the gradients of the parameters; return what `backward` needs: d loss / d (x W)."""

    def backward(self, dy: Array) -> Array:
        return self._gradients(dy) @ self.weight.value.T

    def write_gradients(self, dy: Array) -> None:  # one matrix product instead of two
        self._gradients(dy)

    def parameters(self) -> list[Parameter]:
        return [self.weight, self.bias]

    def _shown(self) -> list[str]:
        return [str(n) for n in self.weight.value.shape]


class Linear(Weighted):
    """y = x W + b, for x (batch, n_in) and y (batch, n_out).

    Parameters
    ----------
    n_in, n_out : int
        Features of x and of y; W is (n_in, n_out), b (n_out,).
    rng : None, int, sequence of ints, SeedSequence or Generator
        Gives the weights, by `numpy.random.default_rng`; None is a seed of the process-wide stream
        (`simdrop.seed`). The biases start at 0.
    dtype : float32 or float64
        Of W and b; x should have the same.
    activation : "relu", "tanh", "sigmoid", "gelu", "silu" or "identity"
        What follows, which sets the spread of the weights. ValueError for another one.
    """

    @staticmethod
    def of(weight: Parameter, bias: Parameter) -> Linear:
        """A Linear of parameters that exist, (n_in, n_out) and (n_out,)."""
        linear = Linear.__new__(Linear)
        linear.weight, linear.bias = weight, bias
        return linear

    def __call__(self, x: Array) -> Array:
        self._saved = x
        y: Array = x @ self.weight.value
        y += self.bias.value
        return y

    def _gradients(self, dy: Array) -> Array:
        np.matmul(self._from_forward().T, dy, out=self.weight.grad)
        np.sum(dy, axis=0, out=self.bias.grad)
        return dy


def _initial_weight(n_in: int, n_out: int, rng: Seed, activation: str) -> Array:
    """Random weights that keep the spread of activations from layer to layer, float64."""
    check_choice("activation", activation, ACTIVATIONS)
    draws = generator(rng)
    # He et al. 2015, "Delving deep into rectifiers", equation 10
    if activation in ("relu", "gelu", "silu"):
        return draws.normal(0, np.sqrt(2 / n_in), (n_in, n_out))
    # Glorot and Bengio 2010, "Understanding the difficulty of training", equation 16
    limit = np.sqrt(6 / (n_in + n_out))
    return draws.uniform(-limit, limit, (n_in, n_out))
