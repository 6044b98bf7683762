"""Losses as pairs: `fn` is the mean loss over the batch and `delta` is d loss / d output.

The form is that of network2.py in Nielsen, "Neural Networks and Deep Learning", chapter 3.
A loss is a class that is never instantiated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from simdrop import _args

from .parameter import Array


class Loss(ABC):
    """What the losses share: `check` makes the target an array that `fn` and `delta` can take, and
    `expected` is what outputs (batch, n_out) stand for, the mean of the target.

    `share` is None for the plain mean over the rows, or (batch,), the share of each row in a
    weighted mean; shares sum to 1.
    """

    @staticmethod
    @abstractmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array: ...

    @staticmethod
    @abstractmethod
    def fn(output: Array, target: Array, share: Array | None = None) -> float: ...

    @staticmethod
    @abstractmethod
    def expected(output: Array) -> Array: ...

    @classmethod
    def delta(cls, output: Array, target: Array, share: Array | None = None) -> Array:
        """d fn / d output, (batch, n_out), which has this form for each loss with its link."""
        return _of_mean((cls.expected(output) - target).astype(output.dtype, copy=False), share)

    @classmethod
    def predict(cls, output: Array) -> Array:
        """What a user wants to know: labels of classes, else what is expected."""
        return cls.expected(output)


class SoftmaxCrossEntropy(Loss):
    """-log softmax(output)[label], for integer labels (batch,) from 0 to n_out - 1."""

    @staticmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array:
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
    def fn(output: Array, target: Array, share: Array | None = None) -> float:
        return _mean(-log_softmax(output)[np.arange(len(target)), target], share)

    @classmethod
    def delta(cls, output: Array, target: Array, share: Array | None = None) -> Array:
        delta = cls.expected(output)
        delta[np.arange(len(target)), target] -= 1
        return _of_mean(delta, share)

    @staticmethod
    def expected(output: Array) -> Array:
        """The probability of each class, (batch, n_out)."""
        p: Array = np.exp(log_softmax(output))
        return p

    @classmethod
    def predict(cls, output: Array) -> Array:
        """The most probable label of each row, (batch,)."""
        label: Array = output.argmax(axis=1)
        return label


class BinaryCrossEntropy(Loss):
    """The sum over the outputs of -t log s - (1 - t) log(1 - s), where s = sigmoid(output).

    Each output is a question of its own: one decides between two classes, several are labels of
    which any number may be true. Targets t are (batch, n_out), probabilities in [0, 1].
    """

    @staticmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array:
        """ValueError for a wrong shape or range."""
        targets = _checked_shape(target, batch, n_out)
        outside = targets[~((targets >= 0) & (targets <= 1))]
        if outside.size:
            raise ValueError(f"targets must be in [0, 1], got {outside[0]}")
        return targets

    @staticmethod
    def fn(output: Array, target: Array, share: Array | None = None) -> float:
        # log(1 + exp(o)) - o t, in a form in which nothing overflows or cancels.
        losses = np.maximum(output, 0) - output * target + np.log1p(np.exp(-np.abs(output)))
        return _mean(losses.sum(axis=1), share)

    @staticmethod
    def expected(output: Array) -> Array:
        """The probability that each output's label is 1, (batch, n_out)."""
        return sigmoid(output)

    @classmethod
    def predict(cls, output: Array) -> Array:
        """The more probable of 0 and 1 for each output, (batch, n_out)."""
        label: Array = (output > 0).astype(np.intp)
        return label


class SquaredError(Loss):
    """1/2 the sum over the outputs of (output - target)**2, for targets (batch, n_out)."""

    @staticmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array:
        """ValueError for a wrong shape: (batch,) would broadcast without a word."""
        return _checked_shape(target, batch, n_out)

    @staticmethod
    def fn(output: Array, target: Array, share: Array | None = None) -> float:
        return 0.5 * _mean(np.sum((output - target) ** 2, axis=1), share)

    @staticmethod
    def expected(output: Array) -> Array:
        return output


class Poisson(Loss):
    """Half the Poisson deviance, sum of exp(output) - t output + t log t - t, for counts t >= 0.

    The outputs are logarithms of the predicted means; targets t are (batch, n_out).
    Source: McCullagh and Nelder 1989, "Generalized linear models", section 2.3, table 2.1.
    """

    @staticmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array:
        """ValueError for a wrong shape or a negative target."""
        targets = _checked_shape(target, batch, n_out)
        outside = targets[~(targets >= 0)]
        if outside.size:
            raise ValueError(f"targets must not be negative, got {outside[0]}")
        return targets

    @staticmethod
    def fn(output: Array, target: Array, share: Array | None = None) -> float:
        t_log_t = target * np.log(np.where(target > 0, target, 1))  # 0 log 0 = 0
        return _mean(np.sum(np.exp(output) - target * output + t_log_t - target, axis=1), share)

    @staticmethod
    def expected(output: Array) -> Array:
        """The predicted means, (batch, n_out)."""
        means: Array = np.exp(output)
        return means


LOSSES: dict[str, type[Loss]] = {  # by the names that `MLP` takes
    "cross_entropy": SoftmaxCrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "squared_error": SquaredError,
    "poisson": Poisson,
}


def _mean(losses: Array, share: Array | None) -> float:
    """The mean of the rows' losses, (batch,)."""
    return float(losses.mean() if share is None else np.dot(losses, share))


def _of_mean(delta: Array, share: Array | None) -> Array:
    """From derivatives of the rows' losses, (batch, n_out), those of their mean, in place."""
    if share is None:
        delta /= len(delta)
    else:
        delta *= share[:, np.newaxis]
    return delta


def _checked_shape(target: ArrayLike, batch: int, n_out: int) -> Array:
    targets = _args.base(target)
    if targets.shape != (batch, n_out):
        raise ValueError(f"targets must be ({batch}, {n_out}), got {targets.shape}")
    return targets


def log_softmax(output: Array) -> Array:
    """log(exp(o) / sum(exp(o))) in each row, less the row's maximum first: no exp overflows."""
    shifted: Array = output - output.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def sigmoid(output: Array) -> Array:
    """1 / (1 + exp(-o)), exact near 0, too; no exp overflows."""
    small = np.exp(-np.abs(output))
    s: Array = np.where(output >= 0, 1, small) / (1 + small)
    return s


def log_sigmoid(output: Array) -> Array:
    """log sigmoid(o) = -log(1 + exp(-o)); log(1 - sigmoid(o)) is log_sigmoid(-o)."""
    log_s: Array = np.minimum(output, 0) - np.log1p(np.exp(-np.abs(output)))
    return log_s
