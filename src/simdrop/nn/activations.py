"""The activations, element by element; each keeps its y, of which the derivative is a function."""

from __future__ import annotations

import numpy as np

from .base import Array, Layer


class Identity(Layer):
    """y = x: a hidden layer that is a bottleneck and nothing else."""

    def __call__(self, x: Array) -> Array:
        self._saved = True
        return x

    def backward(self, dy: Array) -> Array:
        self._from_forward()
        return dy


class ReLU(Layer):
    """y = max(x, 0); dy/dx is 1 where y > 0, else 0."""

    def __call__(self, x: Array) -> Array:
        self._saved = y = np.maximum(x, 0)
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * (self._from_forward() > 0)
        return dx


class Tanh(Layer):
    """y = tanh x; dy/dx = 1 - y**2."""

    def __call__(self, x: Array) -> Array:
        self._saved = y = np.tanh(x)
        return y

    def backward(self, dy: Array) -> Array:
        y = self._from_forward()
        dx: Array = dy * (1 - y * y)
        return dx


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)) = (1 + tanh(x/2)) / 2, which cannot overflow; dy/dx = y (1 - y)."""

    def __call__(self, x: Array) -> Array:
        self._saved = y = 0.5 + 0.5 * np.tanh(0.5 * x)
        return y

    def backward(self, dy: Array) -> Array:
        y = self._from_forward()
        dx: Array = dy * (y * (1 - y))
        return dx
