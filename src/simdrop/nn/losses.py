"""Losses as pairs: `fn` is the mean loss over the batch and `delta` is d loss / d output.

The form is that of network2.py in Nielsen, "Neural Networks and Deep Learning", chapter 3.
The output is (batch, n_out); `check` makes the target an array that `fn` and `delta` can take.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .base import Array


class SoftmaxCrossEntropy:
    """-log softmax(output)[label], for integer labels (batch,) from 0 to n_out - 1."""

    @staticmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array:
        """TypeError for labels that are not integers, ValueError for a wrong shape or range."""
        labels = np.asarray(target)
        if labels.dtype.kind not in "iu":
            raise TypeError(f"labels must be integers, got dtype {labels.dtype}")
        if labels.shape != (batch,):
            raise ValueError(f"labels must be ({batch},), one per row of x, got {labels.shape}")
        outside = labels[(labels < 0) | (labels >= n_out)]
        if outside.size:
            raise ValueError(f"labels must be from 0 to {n_out - 1}, got {outside[0]}")
        return labels

    @staticmethod
    def fn(output: Array, target: Array) -> float:
        log_p = log_softmax(output)[np.arange(len(target)), target]
        return -float(log_p.mean())

    @staticmethod
    def delta(output: Array, target: Array) -> Array:
        delta: Array = np.exp(log_softmax(output))  # (batch, n_out)
        delta[np.arange(len(target)), target] -= 1
        delta /= len(target)
        return delta

    @staticmethod
    def predict(output: Array) -> Array:
        """The most probable label of each row, (batch,)."""
        label: Array = output.argmax(axis=1)
        return label


class SquaredError:
    """1/2 the sum over the outputs of (output - target)**2, for targets (batch, n_out)."""

    @staticmethod
    def check(target: ArrayLike, batch: int, n_out: int) -> Array:
        """ValueError for a wrong shape: (batch,) would broadcast without a word."""
        targets = np.asarray(target)
        if targets.shape != (batch, n_out):
            raise ValueError(f"targets must be ({batch}, {n_out}), got {targets.shape}")
        return targets

    @staticmethod
    def fn(output: Array, target: Array) -> float:
        return 0.5 * float(np.sum((output - target) ** 2)) / len(target)

    @staticmethod
    def delta(output: Array, target: Array) -> Array:
        delta: Array = np.divide(output - target, len(target), dtype=output.dtype)
        return delta

    @staticmethod
    def predict(output: Array) -> Array:
        """The outputs themselves, (batch, n_out)."""
        return output


def log_softmax(output: Array) -> Array:
    """log(exp(o) / sum(exp(o))) in each row, less the row's maximum first: no exp overflows."""
    shifted: Array = output - output.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
