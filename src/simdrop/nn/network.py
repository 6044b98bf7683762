"""Layers one after the other: forward in order, backward in reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from simdrop._core.stream import Stream
from simdrop._html import GAP, table, without_middle

from . import training
from .checks import check_once, checked_rows, dense, shares
from .history import History
from .layer import Layer
from .linear import Weighted
from .losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from .montecarlo import MonteCarlo
from .optimizers import Optimizer
from .parameter import Array, Parameter
from .shard import Shard
from .training import Callback, Validation

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

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

    Attributes
    ----------
    history : History or None
        That of the latest `fit`, also if it was interrupted or raised an error. It keeps the
        optimizer's state in memory, until it is set to None.
    """

    history: History | None = None
    n_in: int
    n_out: int
    dtype: np.dtype[Any]

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

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int,
        batch_size: int = 64,
        optimizer: Optimizer | None = None,
        validation: Validation = None,
        callback: Callback | None = None,
        sample_weight: ArrayLike | None = None,
        rng: Rng = None,
        progress: bool = True,
    ) -> History:
        """Train for some epochs on x and y, and leave the net in evaluation mode.

        An epoch is a `train_step` for each batch of the rows, in a new random order. Called again,
        it trains the same weights further.

        Parameters
        ----------
        x : array_like
            (rows, n_in), also sparse.
        y : array_like
            Labels or targets, as the net's loss takes them.
        epochs : int
            At least 1.
        batch_size : int
            The most rows in a batch, at least 1. All batches of an epoch are of nearly equal size;
            with fewer rows there is one, of all of them.
        optimizer : Optimizer or None
            None is ``Adam(net.parameters())``, with lr=0.001 and a state that starts at 0 in each
            call. The one used is ``history.optimizer``; passed on, the next call continues with its
            state.
        validation : None, float or (x, y)
            What the net is measured on after each epoch. A float in (0, 1) holds out this fraction
            of the rows, at random, and at least one; with their weights.
        callback : callable or None
            Called with the `History` after each epoch, in evaluation mode; ``history[-1]`` is that
            epoch. Training ends if it returns True. It may change the optimizer's settings, such as
            ``history.optimizer.lr``.
        sample_weight : array_like or None
            (rows,), as in `loss`. Batches without any weight are left out.
        rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream
            Gives the order of the rows and which ones are held out. None is a seed from the
            operating system. The net's own stream decides what is dropped.
        progress : bool
            Show how far it is: in place in a notebook, and in a terminal if rich is installed; else
            about 20 lines in all.

        Returns
        -------
        History
            The losses, epoch by epoch. As `history` of the net it is also there after an error.

        Raises
        ------
        FloatingPointError
            If a loss is infinite or NaN. In training, the batch has changed nothing then.
        ValueError, TypeError
            For an argument that is not one of those above; nothing has changed then.

        Warns
        -----
        UserWarning
            If it was interrupted (Ctrl-C, or the stop button of a notebook). It returns then, with
            ``history.stopped == "interrupted"``; the net is as the latest update left it.

        Examples
        --------
        >>> net = nn.MLP((64, 100, 10), rng=0)
        >>> history = net.fit(x, y, epochs=20, validation=0.1, rng=0)
        >>> history = net.fit(x, y, epochs=5, optimizer=history.optimizer)  # five more
        """
        return training.fit(
            self,
            x,
            y,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            validation=validation,
            callback=callback,
            sample_weight=sample_weight,
            rng=rng,
            progress=progress,
        )

    def advance(self) -> None:
        """Count one update: schedules go on by a step. For loops that do not use `train_step`."""
        for layer in self.layers:
            layer.advance()

    def predict(self, x: ArrayLike) -> Array:
        """Labels (batch,), or with squared error outputs, in eval mode whatever the mode is."""
        rows = checked_rows(x, self.n_in)
        return self._evaluated(rows, self.criterion.predict)

    def _evaluated(self, rows: Any, function: Callable[[Array], Array]) -> Array:
        """A function of the outputs for some rows at a time, in eval mode whatever the mode is."""
        modes = [layer.training for layer in self.layers]
        self.eval()
        try:
            starts = range(0, max(rows.shape[0], 1), CHUNK)
            return np.concatenate([function(self(rows[i : i + CHUNK])) for i in starts])
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

    def __str__(self) -> str:
        """With a line for each layer: what ``print(net)`` shows. `repr` takes a single line."""
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"{type(self).__name__}(\n{layers})"

    def __repr__(self) -> str:
        sizes = [self.n_in, *(w.weight.value.shape[1] for w in self._weighted())]
        shown = ["-".join(map(str, without_middle(sizes, GAP))), *self._shown()]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown(self) -> list[str]:
        """What `repr` shows after the sizes."""
        parameters = sum(parameter.value.size for parameter in self.parameters())
        layers = f"{len(self.layers)} layer{'s' * (len(self.layers) != 1)}"
        return [layers, f"{parameters:,} parameters", self.criterion.__name__]

    def _weighted(self) -> list[Weighted]:
        return [layer for layer in self.layers if isinstance(layer, Weighted)]

    def _repr_html_(self) -> str:
        rows = []
        for i, layer in enumerate(self.layers):
            weights = [p.value for p in layer.parameters() if p.kind == "weight"]
            shapes = ", ".join(" × ".join(map(str, weight.shape)) for weight in weights)
            size = sum(parameter.value.size for parameter in layer.parameters())
            arguments = layer._shown()[2:] if isinstance(layer, Weighted) else layer._shown()
            rows.append((i, type(layer).__name__, ", ".join(arguments), shapes, f"{size:,}"))
        headings = ("", "layer", "arguments", "weights", "parameters")
        return table(headings, rows, repr(self), left=3)
