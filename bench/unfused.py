"""The steps of simdrop.fused one by one, as fast as NumPy and simdrop.Mask can do them."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

import simdrop as sd

from .arrays import Arrays

# Abramowitz and Stegun (1964), "Handbook of mathematical functions", 26.2.17, highest power first:
# the tail of the normal distribution to 7.5e-8, the precision of float32. NumPy has no erf, and
# SciPy's took four times as long.
SLOPE = 0.2316419
TAIL = (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530)
DENSITY = 1 / sqrt(2 * pi)


class Unfused:
    """
    One fused function, forward and backward, with buffers made once.

    Tried, in ns per float32 of (128, 1024): the gradient of the bias by np.matmul with ones 0.07,
    by np.add.reduce 0.15; multiplying by the derivative of relu, which is y > 0, as bools 0.47, as
    float32 0.66, by np.sign 0.71, by np.copyto(where=) 5.7; sigmoid by tanh 0.63, by exp 1.0.
    """

    def __init__(self, work: str, activation: str, arrays: Arrays, p: float) -> None:
        self.work, self.activation = work, activation
        self.stream, self.p = sd.Stream(0), p
        self.values, self.saved, self.other, self.buffer = (arrays.empty() for _ in range(4))
        self.residual = arrays.random()
        self.bias = self.residual[0].copy()
        self.ones = np.ones(arrays.shape[0], arrays.dtype)
        self.positive = np.zeros(arrays.shape, np.bool_)
        self.dbias = np.zeros_like(self.bias)

    def forward(self, x: np.ndarray, y: np.ndarray) -> None:
        """Write the result for x to y."""
        self.y, self.mask = y, self.stream.mask(x.shape, self.p)
        if self.work == "dropout_add":
            self.mask.apply(x, out=y)
            np.add(y, self.residual, out=y)
            return
        if self.work == "relu_dropout":
            activated = np.maximum(x, 0, out=y)
        elif self.activation in ("", "relu"):
            activated = np.add(x, self.bias, out=y)
            if self.activation == "relu":
                np.maximum(y, 0, out=y)
        else:
            activated = self.activated(np.add(x, self.bias, out=self.values))
        self.mask.apply(activated, out=y)

    def backward(self, dy: np.ndarray, dx: np.ndarray) -> None:
        """Write the gradient of x to dx, and that of the bias to `dbias`."""
        self.mask.backward(dy, out=dx)
        if self.work == "relu_dropout" or self.activation == "relu":
            np.greater(self.y, 0, out=self.positive)
            np.multiply(dx, self.positive, out=dx)
        elif self.activation:
            np.multiply(dx, self.derivative(), out=dx)
        if self.work == "bias_dropout":
            np.matmul(self.ones, dx, out=self.dbias)

    def activated(self, v: np.ndarray) -> np.ndarray:
        """The activation of v, which may be written over it."""
        match self.activation:
            case "tanh":
                return np.tanh(v, out=v)
            case "sigmoid":
                return sigmoid(v, v)
            case "silu":
                return np.multiply(v, sigmoid(v, self.saved), out=v)
        return np.multiply(v, self.distribution(v), out=self.buffer)  # gelu

    def derivative(self) -> np.ndarray:
        """The derivative of the activation, from what `activated` has kept."""
        v, saved, d = self.values, self.saved, self.buffer
        match self.activation:
            case "tanh":
                np.multiply(v, v, out=d)
                np.subtract(1, d, out=d)
            case "sigmoid":
                np.multiply(v, v, out=d)
                np.subtract(v, d, out=d)
            case "silu":  # y + sigmoid (1 - y)
                np.subtract(1, v, out=d)
                np.multiply(d, saved, out=d)
                np.add(d, v, out=d)
            case "gelu":  # distribution + v density
                np.multiply(v, self.other, out=d)
                np.multiply(d, DENSITY, out=d)
                np.add(d, saved, out=d)
        return d

    def distribution(self, v: np.ndarray) -> np.ndarray:
        """The normal distribution function of v; `other` keeps its density times sqrt(2 pi)."""
        t, e, tail = self.buffer, self.other, self.saved
        np.multiply(v, v, out=e)
        np.multiply(e, -0.5, out=e)
        np.exp(e, out=e)
        np.abs(v, out=t)
        np.multiply(t, SLOPE, out=t)
        np.add(t, 1, out=t)
        np.reciprocal(t, out=t)
        np.multiply(t, DENSITY * TAIL[0], out=tail)
        for coefficient in TAIL[1:]:
            np.add(tail, DENSITY * coefficient, out=tail)
            np.multiply(tail, t, out=tail)
        np.multiply(tail, e, out=tail)
        np.subtract(0.5, tail, out=tail)
        np.copysign(tail, v, out=tail)
        return np.add(tail, 0.5, out=tail)


def sigmoid(v: np.ndarray, out: np.ndarray) -> np.ndarray:
    """(1 + tanh(v/2)) / 2."""
    np.multiply(v, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)
