"""Monte-Carlo dropout, mean and standard deviation of passes that drop: simdrop and NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simdrop import nn

from .steps import SIZES, P


class Work(NamedTuple):
    """Whether all rows share a sample's masks, and the probability of dropping an input."""

    shared_masks: bool
    p_input: float


WORKS = {
    "a mask for each row": Work(False, 0.0),
    "a mask for each row, of inputs too": Work(False, 0.2),
    "a mask for all rows": Work(True, 0.0),
    "a mask for all rows, of inputs too": Work(True, 0.2),
}


def net(work: str) -> nn.MLP:
    """The net, the same one for all contenders."""
    return nn.MLP(SIZES, p=P, p_input=WORKS[work].p_input, rng=0)


def rows(shape: tuple[int, ...]) -> np.ndarray:
    """The input for a shape of (samples, rows)."""
    return np.random.default_rng(1).random((shape[1], SIZES[0]), dtype=np.float32)


class Ours:
    """The passes of simdrop."""

    def __init__(self, work: str, shape: tuple[int, ...]) -> None:
        self.net, self.n, self.x = net(work), shape[0], rows(shape)
        self.shared_masks = WORKS[work].shared_masks

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean and standard deviation over the passes."""
        found = self.net.predict_mc(self.x, self.n, rng=0, shared_masks=self.shared_masks)
        return found.mean, found.std


class Plain:
    """The passes as usually written in NumPy."""

    def __init__(self, work: str, shape: tuple[int, ...]) -> None:
        self.work, self.n, self.x = WORKS[work], shape[0], rows(shape)
        values = [parameter.value for parameter in net(work).parameters()]
        self.layers = list(zip(values[::2], values[1::2], strict=True))
        self.rng = np.random.default_rng(0)

    def keep(self, shape: tuple[int, ...], p: float) -> np.ndarray:
        """Whether each element is kept; tests replace this."""
        return self.rng.random(shape, dtype=np.float32) >= p

    def dropped(self, y: np.ndarray, p: float) -> np.ndarray:
        """Dropout of y."""
        keep = self.keep((1, y.shape[1]) if self.work.shared_masks else y.shape, p)
        return y * (keep * y.dtype.type(1 / (1 - p)))

    def once(self) -> np.ndarray:
        """The probabilities of one pass."""
        y = self.dropped(self.x, self.work.p_input) if self.work.p_input else self.x
        for weight, bias in self.layers[:-1]:
            y = self.dropped(np.maximum(y @ weight + bias, 0), P)
        weight, bias = self.layers[-1]
        y = y @ weight + bias
        y = np.exp(y - y.max(axis=1, keepdims=True))
        return y / y.sum(axis=1, keepdims=True)

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean and standard deviation over the passes."""
        samples = np.stack([self.once() for _ in range(self.n)])
        return samples.mean(axis=0), samples.std(axis=0)
