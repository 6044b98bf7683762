"""DropConnect: weights are dropped instead of units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop._names import explained

from .arguments import Probability, Seed, at, check_p, checked_stream, form
from .dropout import scaled
from .layer import Layer
from .linear import Weighted
from .parameter import Array
from .shard import Shard, unsharded


@explained
class DropConnect(Weighted):
    """y = x W + b; in training each weight is dropped with probability p, else scaled.

    Wan et al. 2013, "Regularization of neural networks using DropConnect". Eval: y = x W + b, or
    (1 - p) x W + b with ``inverted=False``.

    Parameters
    ----------
    n_in, n_out, rng, dtype, activation
        As `Linear`.
    p, stream, inverted
        As `Dropout`.
    per_sample : bool
        Whether each row of x has a mask of its own, as in the paper (`drop_connect_matmul`), which
        takes about as long as a product with each; False: one for the batch (`drop_connect`).
    """

    p: Probability
    stream: sd.Stream | None
    per_sample: bool

    def __init__(
        self,
        n_in: int,
        n_out: int,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        per_sample: bool = False,
        inverted: bool = True,
        rng: Seed,
        dtype: DTypeLike = np.float32,
        activation: str = "relu",
    ) -> None:
        check_p(p)
        super().__init__(n_in, n_out, rng=rng, dtype=dtype, activation=activation)
        self.p, self.stream, self.per_sample = p, checked_stream(stream), per_sample
        self.inverted = inverted

    def __call__(self, x: Array) -> Array:
        p = at(self.p, self.steps)
        options: dict[str, Any] = {
            "rng": self.stream,
            "training": self.training,
            "scale": self.inverted,
        }
        factor = 1.0 if self.training or self.inverted else 1.0 - p
        m: Any
        if self.per_sample:
            y, m = sd.drop_connect_matmul(x, self.weight.value, p, **options)
        else:
            weight, m = sd.drop_connect(self.weight.value, p, **options)
            y = x @ weight
        self._saved = x, m, factor
        y = scaled(y, factor)
        y += self.bias.value
        return y

    def on_shard(self, x: Array, shard: Shard) -> Array:
        """As of any layer: one mask of the weights is that of each shard; ValueError for masks of
        each row in training."""
        if self.training and self.per_sample:
            raise unsharded(self)
        return self(x)

    def backward(self, dy: Array) -> Array:
        dx = self._gradients(dy)
        if not self.per_sample:
            _, m, _ = self._saved
            dx = dx @ m.apply(self.weight.value).T
        return dx

    def _gradients(self, dy: Array) -> Array:
        """As of `Weighted`; with `per_sample` it returns dx itself, computed along the way."""
        x, m, factor = self._from_forward()
        np.sum(dy, axis=0, out=self.bias.grad)
        dy, grad = scaled(dy, factor), self.weight.grad
        if self.per_sample:
            return m.backward(dy, out=(None, grad))[0]
        m.backward(np.matmul(x.T, dy, out=grad), out=grad)
        return dy

    def parts(self, shared_masks: bool) -> list[Layer]:
        return super().parts(shared_masks and self.per_sample)

    def _shown(self) -> list[str]:
        per_sample = ["per_sample=True"] if self.per_sample else []
        return [*super()._shown(), f"p={self.p}", *per_sample, *form(self.inverted)]
