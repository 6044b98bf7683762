"""Activations as layers, and as functions for the losses."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from simdrop import fused

from .layer import Layer
from .parameter import Array
from .shard import Shard


class Identity(Layer):
    """y = x: a hidden layer that is a bottleneck and nothing else."""

    def __call__(self, x: Array) -> Array:
        self._saved = True
        return x

    def backward(self, dy: Array) -> Array:
        self._from_forward()
        return dy

    def parts(self, shared_masks: bool) -> list[Layer]:
        return []  # there is nothing to compute


class ReLU(Layer):
    """y = max(x, 0); dy/dx is 1 where y > 0, else 0."""

    def __call__(self, x: Array) -> Array:
        self._saved = y = np.maximum(x, 0)
        return y

    def backward(self, dy: Array) -> Array:
        return dy * (self._from_forward() > 0)


class Tanh(Layer):
    """y = tanh x; dy/dx = 1 - y**2."""

    def __call__(self, x: Array) -> Array:
        self._saved = y = np.tanh(x)
        return y

    def backward(self, dy: Array) -> Array:
        y = self._from_forward()
        return dy * (1 - y * y)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)) = (1 + tanh(x/2)) / 2, which cannot overflow; dy/dx = y (1 - y)."""

    def __call__(self, x: Array) -> Array:
        self._saved = y = 0.5 + 0.5 * np.tanh(0.5 * x)
        return y

    def backward(self, dy: Array) -> Array:
        y = self._from_forward()
        return dy * (y * (1 - y))


class Smooth(Layer):
    """What `GELU` and `SiLU` share: the kernels of `simdrop.fused`, which keep x for dy/dx."""

    name: fused.Activation = None

    def __call__(self, x: Array) -> Array:
        bias = np.zeros(x.shape[-1], x.dtype)
        y, self._saved = fused.bias_dropout(x, bias, activation=self.name, training=False)
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._from_forward().backward(dy)[0]
        return dx


class GELU(Smooth):
    """y = x Phi(x), with Phi the standard normal distribution function.

    Source: Hendrycks and Gimpel 2016, "Gaussian error linear units (GELUs)".
    """

    name: fused.Activation = "gelu"


class SiLU(Smooth):
    """y = x / (1 + exp(-x)).

    Source: Elfwing et al. 2018, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning".
    """

    name: fused.Activation = "silu"


# By the names that `Linear`, `Dense`, `MLP` and the fused kernels take; nobody else has a list.
ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "gelu": GELU,
    "silu": SiLU,
    "identity": Identity,
}


class ActivityL1(Layer):
    """
    The identity, with a penalty on large activations: `strength` times the sum of ``|y|``.

    The penalty is the mean over the batch; it is part of the gradient in training, and never of the
    loss that is reported.

    Parameters
    ----------
    strength : float
        >= 0 and finite, else ValueError.
    """

    strength: float

    def __init__(self, strength: float) -> None:
        if not 0 <= strength < math.inf:
            raise ValueError(f"strength must be at least 0 and finite, got {strength!r}")
        self.strength = float(strength)

    def __call__(self, x: Array) -> Array:
        self._saved = x, self.training, len(x)
        return x

    def on_shard(self, x: Array, shard: Shard) -> Array:
        self._saved = x, self.training, shard.rows
        return x

    def backward(self, dy: Array) -> Array:
        y, training, rows = self._from_forward()
        if not training:
            return dy
        return dy + np.sign(y) * y.dtype.type(self.strength / rows)

    def _shown(self) -> list[str]:
        return [str(self.strength)]


def log_softmax(output: Array) -> Array:
    """log(exp(o) / sum(exp(o))) in each row, less the row's maximum first: no exp overflows."""
    shifted: Array = output - output.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def sigmoid(output: Array) -> Array:
    """1 / (1 + exp(-o)), exact near 0, too; no exp overflows."""
    small = np.exp(-np.abs(output))
    return np.where(output >= 0, 1, small) / (1 + small)


def log_sigmoid(output: Array) -> Array:
    """log sigmoid(o) = -log(1 + exp(-o)); log(1 - sigmoid(o)) is log_sigmoid(-o)."""
    return np.minimum(output, 0) - np.log1p(np.exp(-np.abs(output)))


def check_choice(what: str, name: str, choices: Iterable[str]) -> None:
    """Raise ValueError for a name that is none of the choices."""
    if name not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, got {name!r}")
