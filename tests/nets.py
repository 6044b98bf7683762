"""Small nets for tests: batches, layers, numerical derivatives, and a net that has been trained."""

import numpy as np
import pytest

from simdrop import nn
from simdrop.nn.activations import ACTIVATIONS

SIZES = (7, 6, 5, 4)
BATCH = 9
STEP = 1e-5  # of the central differences
every_loss = pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
every_activation = pytest.mark.parametrize("activation", sorted({*ACTIVATIONS} - {"identity"}))


def batch_for(loss, seed=0, batch=BATCH, n_in=SIZES[0], n_out=SIZES[-1]):
    """Inputs away from zero, and labels or targets."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 1.5, (batch, n_in)) * rng.choice([-1, 1], (batch, n_in))
    if loss == "cross_entropy":
        return x, rng.integers(0, n_out, batch)
    return x, rng.normal(size=(batch, n_out))


def differences(f, array):
    """d f() / d array, an element at a time."""
    gradient = np.empty_like(array)
    for i in np.ndindex(array.shape):
        before = array[i]
        array[i] = before + STEP
        above = f()
        array[i] = before - STEP
        below = f()
        array[i] = before
        gradient[i] = (above - below) / (2 * STEP)
    return gradient


def relative_error(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b), 1e-300)


class Scale(nn.Layer):
    """y = s x: a layer of the tests' own, with a parameter."""

    def __init__(self, n):
        self.s = nn.Parameter(np.linspace(0.5, 1.5, n), "weight")

    def __call__(self, x):
        self._saved = x
        return self.s.value * x

    def backward(self, dy):
        self.s.grad[:] = (self._from_forward() * dy).sum(axis=0)
        return self.s.value * dy

    def parameters(self):
        return [self.s]


def other_layers():
    """Around a layer of 7 inputs and outputs."""
    return [nn.Linear(7, 7, rng=i, dtype=np.float64, activation="tanh") for i in range(2)]


def trained(rng, steps=20):
    net = nn.MLP(SIZES, rng=rng)
    optimizer = nn.SGD(net.parameters(), 0.05, momentum=0.9, l2=1e-3, max_norm=0.5)
    for step in range(steps):
        net.train_step(*batch_for("cross_entropy", seed=step), optimizer)
    return net, optimizer


def weights(net):
    return b"".join(p.value.tobytes() for p in net.parameters())
