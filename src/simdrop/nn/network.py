"""Layers one after the other: forward in order, backward in reverse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from simdrop.stream import Stream

from .base import Array, Layer, Parameter
from .layers import Linear
from .losses import SoftmaxCrossEntropy, SquaredError
from .optimizers import Optimizer

Criterion = type[SoftmaxCrossEntropy] | type[SquaredError]
CHUNK = 2048  # rows that `predict` takes at a time, so that its memory is bounded


class Network:
    """A net of given layers; its first and last Linear set n_in and n_out.

    Parameters
    ----------
    layers : iterable of Layer
        From input to output. ValueError without a Linear.
    criterion : SoftmaxCrossEntropy or SquaredError
        The class itself. Its `check` says which y are a ValueError or TypeError in the methods.
    """

    def __init__(self, layers: Iterable[Layer], criterion: Criterion) -> None:
        self.layers = list(layers)
        self.criterion = criterion
        weights = [layer.weight.value for layer in self.layers if isinstance(layer, Linear)]
        if not weights:
            raise ValueError("layers must contain a Linear, got none")
        self.n_in, self.n_out, self.dtype = len(weights[0]), weights[-1].shape[1], weights[0].dtype
        self._first = next(layer for layer in self.layers if layer.parameters())
        self._last: tuple[Array, Array] | None = None

    def __call__(self, x: ArrayLike) -> Array:
        """The output (batch, n_out), with cross entropy the logits, for x (batch, n_in).

        x is converted to the dtype of the weights; another shape is a ValueError.
        """
        y = self._checked(x).astype(self.dtype, copy=False)
        self._last = None
        for layer in self.layers:
            y = layer(y)
        return y

    def loss(self, x: ArrayLike, y: ArrayLike) -> float:
        """The mean loss of one forward pass over a batch; `backward` may follow."""
        target = self._target(x, y)
        output = self(x)
        self._last = output, target
        return self.criterion.fn(output, target)

    def backward(self, *, input_gradient: bool = False) -> Array | None:
        """Write the gradients of the last `loss`; return d loss / d x only where asked for."""
        if self._last is None:
            raise RuntimeError("backward() needs loss(x, y) as the last forward pass")
        dy = self.criterion.delta(*self._last)
        for layer in reversed(self.layers):
            if layer is self._first and not input_gradient:
                layer.write_gradients(dy)
                return None
            dy = layer.backward(dy)
        return dy

    def train_step(self, x: ArrayLike, y: ArrayLike, optimizer: Optimizer) -> float:
        """Forward, backward, update, advance; returns the loss before the update."""
        loss = self.loss(x, y)
        self.backward()
        optimizer.step()
        self.advance()
        return loss

    def advance(self) -> None:
        """Count one update: schedules go on by a step. For loops that do not use `train_step`."""
        for layer in self.layers:
            layer.advance()

    def predict(self, x: ArrayLike) -> Array:
        """Labels (batch,), or with squared error outputs; in eval mode, whatever the mode is."""
        x = self._checked(x)
        modes = [layer.training for layer in self.layers]
        self.eval()
        try:
            chunks = [x[i : i + CHUNK] for i in range(0, len(x), CHUNK)] or [x]
            return np.concatenate([self.criterion.predict(self(chunk)) for chunk in chunks])
        finally:
            for layer, mode in zip(self.layers, modes, strict=True):
                layer.train(mode)

    def error(self, x: ArrayLike, y: ArrayLike) -> float:
        """The fraction, 0 to 1, of rows whose predicted label is not y; for cross entropy only."""
        if self.criterion is SquaredError:
            raise ValueError("squared error has no labels that could be wrong; use loss")
        labels = self._target(x, y)
        return float(np.mean(self.predict(x) != labels))

    def parameters(self) -> list[Parameter]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def streams(self) -> list[Stream]:
        """The streams from which its layers draw, each once."""
        return list({id(s): s for layer in self.layers for s in layer.streams()}.values())

    def train(self, mode: bool = True) -> Self:
        for layer in self.layers:
            layer.train(mode)
        return self

    def eval(self) -> Self:
        return self.train(False)

    def _checked(self, x: ArrayLike) -> Array:
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.n_in:
            raise ValueError(f"x must have shape (batch, {self.n_in}), got {x.shape}")
        return x

    def _target(self, x: ArrayLike, y: ArrayLike) -> Array:
        batch = len(self._checked(x))
        if batch == 0:
            raise ValueError("x has no rows, so there is nothing to take the mean over")
        return self.criterion.check(y, batch, self.n_out)

    def __repr__(self) -> str:
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"{type(self).__name__}(\n{layers})"
