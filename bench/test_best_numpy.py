"""The best NumPy contender is dropout: otherwise its times would mean nothing."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from .best_numpy import STEP, BestNumpy


@pytest.mark.parametrize("p", [0.5, 0.1])
@pytest.mark.parametrize("n", [1, 100, STEP, 3 * STEP + 77])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_is_dropout(n: int, dtype: str, p: float) -> None:
    x = np.ones(n, dtype)
    y, dx = np.full(n, np.nan, dtype), np.full(n, np.nan, dtype)
    best = BestNumpy(n, dtype, p)
    masks = []
    for _ in range(2):
        best.forward(x, y)
        best.backward(2 * x, dx)
        assert set(y.tolist()) <= {0, float(np.dtype(dtype).type(1 / (1 - p)))}
        np.testing.assert_array_equal(dx, 2 * y)
        masks.append(y == 0)
    dropped = np.mean(masks)
    assert abs(dropped - p) <= 2**-16 + 5 * sqrt(p * (1 - p) / (2 * n))
    assert n < 100 or not np.array_equal(*masks)
