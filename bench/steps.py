"""A training step of a 784-1024-1024-10 net on a batch of 128, as in the papers on MNIST."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

import simdrop as sd
from simdrop import nn

SIZES = (784, 1024, 1024, 10)
BATCH = 128
P, P_INPUT = 0.5, 0.2
LR, MOMENTUM = 0.01, 0.9


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Random pixels and labels."""
    rng = np.random.default_rng(0)
    return rng.random((BATCH, SIZES[0]), dtype=np.float32), rng.integers(0, SIZES[-1], BATCH)


class Trainer:
    """Steps of simdrop: a net and its optimizer."""

    def __init__(self, kind: str) -> None:
        p, p_input = (P, P_INPUT) if kind != "without" else (0, 0)
        dropout = "batchwise" if kind == "batchwise" else "elementwise"
        self.net = nn.MLP(SIZES, p=p, p_input=p_input, dropout=dropout, rng=0)
        self.optimizer = nn.SGD(self.net.parameters(), LR, momentum=MOMENTUM)
        self.batch = batch()

    def step(self) -> None:
        self.net.train_step(*self.batch, self.optimizer)


class Products:
    """The matrix products of a step alone: those of the units and of both kinds of gradients."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        pairs = list(zip(SIZES[:-1], SIZES[1:], strict=True))

        def random(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, dtype=np.float32)

        self.weights = [random(*pair) for pair in pairs]
        self.gradients = [random(*pair) for pair in pairs]
        self.units = [random(BATCH, n) for n in SIZES]
        self.unit_gradients = [random(BATCH, n) for n in SIZES]

    def step(self) -> None:
        for i, weight in enumerate(self.weights):
            np.matmul(self.units[i], weight, out=self.units[i + 1])
        for i in (2, 1, 0):
            np.matmul(self.units[i].T, self.unit_gradients[i + 1], out=self.gradients[i])
            if i:
                np.matmul(self.unit_gradients[i + 1], self.weights[i].T, out=self.unit_gradients[i])


def on_threads(n: int) -> Callable[[], None]:
    """What lets simdrop and the matrix products use n threads when it is called."""

    def setting() -> None:
        sd.set_num_threads(n)
        threadpool_limits(n)
        if "torch" in sys.modules:  # threadpoolctl does not see its library of matrix products
            sys.modules["torch"].set_num_threads(n)

    return setting
