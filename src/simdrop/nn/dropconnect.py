"""Linear, of which weights are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd

from .dropout import Probability, at, check_p, checked_stream, scaled
from .layer import Layer, Seed
from .linear import Linear
from .parameter import Array


class DropConnect(Linear):
    """Linear, of which each weight is dropped with probability p in training, else scaled.

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
        if factor != 1:
            y *= y.dtype.type(factor)
        self._saved = x, m, factor
        y += self.bias.value
        return y

    def backward(self, dy: Array) -> Array:
        _, m, factor = self._from_forward()
        if not self.per_sample:
            self.write_gradients(dy)
            dx: Array = scaled(dy, factor) @ m.apply(self.weight.value).T
            return dx
        dx, _ = m.backward(scaled(dy, factor), out=(None, self.weight.grad))
        np.sum(dy, axis=0, out=self.bias.grad)
        return dx

    def write_gradients(self, dy: Array) -> None:
        if self.per_sample:
            self.backward(dy)
            return
        x, m, factor = self._from_forward()
        grad = np.matmul(x.T, scaled(dy, factor), out=self.weight.grad)
        m.backward(grad, out=grad)
        np.sum(dy, axis=0, out=self.bias.grad)

    def parts(self, shared_masks: bool) -> list[Layer]:
        return super().parts(shared_masks and self.per_sample)

    def __repr__(self) -> str:
        per_sample = ", per_sample=True" if self.per_sample else ""
        classic = "" if self.inverted else ", inverted=False"
        shape = "{}, {}".format(*self.weight.value.shape)
        return f"DropConnect({shape}, p={self.p}{per_sample}{classic})"
