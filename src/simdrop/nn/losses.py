"""Losses as pairs: `fn` is the mean loss over the batch, and `delta` is d loss / d output.

The form is that of network2.py in Nielsen, "Neural Networks and Deep Learning", chapter 3.
A loss is a class that is never instantiated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from simdrop import _args

from .activations import log_softmax, sigmoid
from .parameter import Array


class Loss(ABC):
    """Base class of losses: each defines `each`, and what differs from the squared error.

    `share` is None for the plain mean over the rows, or (batch,), the share of each row in a
    weighted mean; shares sum to 1. Of a batch in shards, each has its part of the mean, and `rows`
    is how many rows all of them have; None: as many as are here.
    """

    @staticmethod
    @abstractmethod
    def each(output: Array, target: Array) -> Array:
        """The loss of each row, (batch,), for outputs (batch, n_out)."""

    @classmethod
    def check(cls, target: ArrayLike, batch: int, n_out: int) -> Array:
        """The target as an array; ValueError if not (batch, n_out): (batch,) would broadcast."""
        targets = _args.base(target)
        if targets.shape != (batch, n_out):
            hint = "; y[:, np.newaxis] is" if targets.shape == (batch,) and n_out == 1 else ""
            raise ValueError(f"targets must be ({batch}, {n_out}), got {targets.shape}{hint}")
        return targets

    @staticmethod
    def expected(output: Array) -> Array:
        """What outputs (batch, n_out) stand for: the mean of the target."""
        return output

    @classmethod
    def fn(
        cls, output: Array, target: Array, share: Array | None = None, rows: int | None = None
    ) -> float:
        """The mean loss over the batch."""
        losses = cls.each(output, target)
        if share is not None:
            return float(np.dot(losses, share))
        return float(losses.mean() if rows is None else losses.sum() / rows)

    @classmethod
    def delta(
        cls, output: Array, target: Array, share: Array | None = None, rows: int | None = None
    ) -> Array:
        """The gradient of the mean loss with respect to the outputs, (batch, n_out)."""
        delta = cls.residual(output, target)
        if share is None:
            delta /= len(delta) if rows is None else rows
        else:
            delta *= share[:, np.newaxis]
        return delta

    @classmethod
    def residual(cls, output: Array, target: Array) -> Array:
        """d each / d output, (batch, n_out), which has this form for each loss with its link."""
        return (cls.expected(output) - target).astype(output.dtype, copy=False)

    @classmethod
    def predict(cls, output: Array) -> Array:
        """What a user wants to know: labels of classes, else what is expected."""
        return cls.expected(output)


class SoftmaxCrossEntropy(Loss):
    """-log softmax(output)[label], for integer labels (batch,) from 0 to n_out - 1."""

    @classmethod
    def check(cls, target: ArrayLike, batch: int, n_out: int) -> Array:
        """TypeError for labels that are not integers, ValueError for a wrong shape or range."""
        labels = _args.base(target)
        if labels.dtype.kind not in "iu":
            raise TypeError(f"labels must be integers, got dtype {labels.dtype}")
        if labels.shape != (batch,):
            raise ValueError(f"labels must be ({batch},), one per row of x, got {labels.shape}")
        outside = labels[(labels < 0) | (labels >= n_out)]
        if outside.size:
            raise ValueError(f"labels must be from 0 to {n_out - 1}, got {outside[0]}")
        return labels

    @staticmethod
    def each(output: Array, target: Array) -> Array:
        return -log_softmax(output)[np.arange(len(target)), target]

    @classmethod
    def residual(cls, output: Array, target: Array) -> Array:
        residual = cls.expected(output)
        residual[np.arange(len(target)), target] -= 1
        return residual

    @staticmethod
    def expected(output: Array) -> Array:
        """The probability of each class, (batch, n_out)."""
        return np.exp(log_softmax(output))

    @classmethod
    def predict(cls, output: Array) -> Array:
        """The most probable label of each row, (batch,)."""
        return output.argmax(axis=1)


class SquaredError(Loss):
    """1/2 the sum over the outputs of (output - target)**2, for targets (batch, n_out)."""

    @staticmethod
    def each(output: Array, target: Array) -> Array:
        return 0.5 * np.sum((output - target) ** 2, axis=1)


class BinaryCrossEntropy(Loss):
    """The sum over the outputs of -t log s - (1 - t) log(1 - s), where s = sigmoid(output).

    Each output is a question of its own: one decides between two classes, several are labels of
    which any number may be true. Targets t are (batch, n_out), probabilities in [0, 1].
    """

    @classmethod
    def check(cls, target: ArrayLike, batch: int, n_out: int) -> Array:
        """ValueError for a wrong shape or range."""
        targets = super().check(target, batch, n_out)
        outside = targets[~((targets >= 0) & (targets <= 1))]
        if outside.size:
            raise ValueError(f"targets must be in [0, 1], got {outside[0]}")
        return targets

    @staticmethod
    def each(output: Array, target: Array) -> Array:
        # log(1 + exp(o)) - o t, in a form in which nothing overflows or cancels.
        losses = np.maximum(output, 0) - output * target + np.log1p(np.exp(-np.abs(output)))
        return losses.sum(axis=1)

    @staticmethod
    def expected(output: Array) -> Array:
        """The probability that each output's label is 1, (batch, n_out)."""
        return sigmoid(output)

    @classmethod
    def predict(cls, output: Array) -> Array:
        """The more probable of 0 and 1 for each output, (batch, n_out)."""
        return (output > 0).astype(np.intp)


class Poisson(Loss):
    """Half the Poisson deviance, sum of exp(output) - t output + t log t - t, for counts t >= 0.

    The outputs are logarithms of the predicted means; targets t are (batch, n_out).
    Source: McCullagh and Nelder 1989, "Generalized linear models", section 2.3, table 2.1.
    """

    @classmethod
    def check(cls, target: ArrayLike, batch: int, n_out: int) -> Array:
        """ValueError for a wrong shape or a negative target."""
        targets = super().check(target, batch, n_out)
        outside = targets[~(targets >= 0)]
        if outside.size:
            raise ValueError(f"targets must not be negative, got {outside[0]}")
        return targets

    @staticmethod
    def each(output: Array, target: Array) -> Array:
        t_log_t = target * np.log(np.where(target > 0, target, 1))  # 0 log 0 = 0
        return np.sum(np.exp(output) - target * output + t_log_t - target, axis=1)

    @staticmethod
    def expected(output: Array) -> Array:
        """The predicted means, (batch, n_out)."""
        return np.exp(output)


LOSSES: dict[str, type[Loss]] = {  # by the names that `MLP` takes
    "cross_entropy": SoftmaxCrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "squared_error": SquaredError,
    "poisson": Poisson,
}
