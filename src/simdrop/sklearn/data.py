"""Samples: batches, splits and chunks of them, in which a sparse X is made dense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches

Array = NDArray[Any]

CHUNK_ROWS = 2048  # at most in a chunk
CHUNK_ELEMENTS = 2**22  # at most in a chunk of a sparse X, unless a single row has more


@dataclass
class Samples:
    """Rows of X, with their targets and weights, to train on or to score."""

    X: Any  # ndarray or CSR
    y: Array
    weight: Array | None = None
    strata: Array | None = None  # labels whose proportions a split keeps

    def __len__(self) -> int:
        return int(self.X.shape[0])

    @property
    def total_weight(self) -> float:
        """The sum of the weights; without weights, the number of samples."""
        return len(self) if self.weight is None else float(self.weight.sum())

    def batch(self, rows: Any) -> Samples:
        """Some of the samples, dense."""
        weight = None if self.weight is None else self.weight[rows]
        return Samples(dense(self.X[rows]), self.y[rows], weight)

    def split(
        self, fraction: float, random_state: np.random.RandomState
    ) -> tuple[Samples, Samples]:
        """Samples to train on, and this fraction to validate with.

        ValueError if either part has no weight, or fewer than 2 samples are left for validation.
        """
        arrays = [self.X, self.y] + ([] if self.weight is None else [self.weight])
        parts = train_test_split(
            *arrays, random_state=random_state, test_size=fraction, stratify=self.strata
        )
        training, validation = Samples(*parts[::2]), Samples(*parts[1::2])
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small: raise validation_fraction or give more samples"
            )
        if training.total_weight == 0 or validation.total_weight == 0:
            raise ValueError(
                "sample_weight is zero for all samples of the training or the validation set"
            )
        return training, validation


def dense(X: Any) -> Array:
    array: Array = X.toarray() if scipy.sparse.issparse(X) else X
    return array


def dense_chunks(X: Any) -> Iterator[Array]:
    """All rows of X in order, in chunks that bound the memory needed."""
    rows = CHUNK_ROWS
    if scipy.sparse.issparse(X):
        rows = max(1, min(rows, CHUNK_ELEMENTS // int(X.shape[1])))
    for chunk in gen_batches(X.shape[0], rows):
        yield dense(X[chunk])
