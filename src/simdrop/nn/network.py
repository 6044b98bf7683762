"""Layers one after the other: forward in order, backward in reverse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from simdrop._core.stream import Stream

from .checks import check_once, checked_rows, dense, shares
from .layer import Layer
from .linear import Weighted
from .losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from .montecarlo import MonteCarlo
from .optimizers import Optimizer
from .parameter import Array, Parameter
from .shard import Shard

CHUNK = 2048  # rows that `predict` takes at a time, so that its memory is bounded


class Network(MonteCarlo):
    """A net of given layers; its first and last `Weighted` layer set n_in and n_out.

    Parameters
    ----------
    layers : iterable of Layer
        From input to output; as attribute a tuple, which cannot be changed.
    criterion : SoftmaxCrossEntropy, BinaryCrossEntropy, SquaredError or Poisson
        The class itself; its `check` says which y the methods take, and what they raise for others.

    Raises
    ------
    ValueError
        Without a `Weighted` layer, or if a layer occurs twice or two parameters share memory: a
        layer remembers only its latest call, and a parameter has one gradient.
    """

    def __init__(self, layers: Iterable[Layer], criterion: type[Loss]) -> None:
        self._layers = tuple(layers)
        self.criterion = criterion
        check_once(self._layers)
        weights = [layer.weight.value for layer in self.layers if isinstance(layer, Weighted)]
        if not weights:
            raise ValueError("layers must contain a Linear or another layer of weights, got none")
        self.n_in, self.n_out, self.dtype = len(weights[0]), weights[-1].shape[1], weights[0].dtype
        self._first = next(layer for layer in self.layers if layer.parameters())
        self._last: tuple[Array, Array, Array | None, int | None] | None = None
        self._passed: list[Any] = []  # what each layer saved in the pass that gave `_last`

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def __call__(self, x: ArrayLike) -> Array:
        """The output (batch, n_out), with cross entropy the logits, for x (batch, n_in).

        x is converted to the dtype of the weights; another shape is a ValueError. Here and in the
        other methods it may be a sparse array or matrix of SciPy, of which rows can be taken.
        """
        return self._forward(x, None)

    def _forward(self, x: ArrayLike, shard: Shard | None) -> Array:
        y = dense(checked_rows(x, self.n_in), self.dtype)
        self._last, self._passed = None, []
        for layer in self.layers:
            y = layer(y) if shard is None else layer.on_shard(y, shard)
        return y

    def loss(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        shard: Shard | None = None,
    ) -> float:
        """The mean loss of one forward pass over a batch; `backward` may follow.

        With `sample_weight` w (batch,) it is sum(w loss) / sum(w): a row of weight k counts as k
        equal rows, and a factor common to all weights changes nothing. Weights that are negative,
        not finite, or all 0 are a ValueError.

        With `shard`, x and y are these rows of a batch (or none), and `sample_weight` is that of
        all its rows. Each layer takes the same draws and drops what it would drop in the whole
        batch; ValueError if one cannot. The loss and the gradients are parts of those of the batch:
        their sums over its shards are what this method and `backward` give for all of it.
        """
        target = self._target(x, y, shard)
        batch, rows = (len(target), None) if shard is None else (shard.rows, shard.rows)
        share = None if sample_weight is None else shares(sample_weight, batch)
        if share is not None and shard is not None:
            share = share[shard.start :][: len(target)]
        output = self._forward(x, shard)
        self._last = output, target, share, rows
        self._passed = [layer._saved for layer in self.layers]
        return self.criterion.fn(*self._last)

    def backward(self, *, input_gradient: bool = False) -> Array | None:
        """Write the gradients of the last `loss`; return d loss / d x only if asked for.

        RuntimeError if there was none, or a layer was called since, by itself or in another net.
        """
        if self._last is None:
            raise RuntimeError("backward() needs loss(x, y) as the last forward pass")
        for layer, saved in zip(self.layers, self._passed, strict=True):
            if layer._saved is not saved:
                raise RuntimeError(
                    f"backward() needs loss(x, y) as the last forward pass, but {layer!r} has been "
                    "called since"
                )
        dy = self.criterion.delta(*self._last)
        for layer in reversed(self.layers):
            if layer is self._first and not input_gradient:
                layer.write_gradients(dy)
                return None
            dy = layer.backward(dy)
        return dy

    def train_step(
        self,
        x: ArrayLike,
        y: ArrayLike,
        optimizer: Optimizer,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Forward, backward, update, advance; returns the loss before the update."""
        loss = self.loss(x, y, sample_weight)
        self.backward()
        optimizer.step()
        self.advance()
        return loss

    def advance(self) -> None:
        """Count one update: schedules go on by a step. For loops that do not use `train_step`."""
        for layer in self.layers:
            layer.advance()

    def predict(self, x: ArrayLike) -> Array:
        """Labels (batch,), or with squared error outputs, in eval mode whatever the mode is."""
        rows = checked_rows(x, self.n_in)
        modes = [layer.training for layer in self.layers]
        self.eval()
        try:
            chunks = [rows[i : i + CHUNK] for i in range(0, rows.shape[0], CHUNK)] or [rows]
            return np.concatenate([self.criterion.predict(self(chunk)) for chunk in chunks])
        finally:
            for layer, mode in zip(self.layers, modes, strict=True):
                layer.train(mode)

    def error(self, x: ArrayLike, y: ArrayLike) -> float:
        """The fraction, 0 to 1, of predicted labels that are not those of y; for cross entropies.

        With binary cross entropy each output of each row is a label, 0 or 1.
        """
        if self.criterion not in (SoftmaxCrossEntropy, BinaryCrossEntropy):
            name = self.criterion.__name__
            raise ValueError(f"{name} has no labels that could be wrong; use loss")
        labels = self._target(x, y)
        return float(np.mean(self.predict(x) != labels))

    def parameters(self) -> list[Parameter]:
        """The parameters of all layers, in their order."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def streams(self) -> list[Stream]:
        """The streams from which its layers draw, each once."""
        return list({id(s): s for layer in self.layers for s in layer.streams()}.values())

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, or with ``mode=False`` to evaluation; returns the net."""
        for layer in self.layers:
            layer.train(mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation mode; returns the net."""
        return self.train(False)

    def _target(self, x: ArrayLike, y: ArrayLike, shard: Shard | None = None) -> Array:
        batch = checked_rows(x, self.n_in).shape[0]
        if shard is not None:
            shard.check(batch)
        elif batch == 0:
            raise ValueError("x has no rows, so there is nothing to take the mean over")
        return self.criterion.check(y, batch, self.n_out)

    def __getstate__(self) -> dict[str, Any]:
        """Without the last batch, as the layers."""
        return self.__dict__ | {"_last": None, "_passed": []}

    def __repr__(self) -> str:
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"{type(self).__name__}(\n{layers})"
