"""Layers one after the other: forward in order, backward in reverse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from simdrop import _args
from simdrop._core.stream import Stream
from simdrop._core.submatrix import overlapping

from .layer import Layer
from .linear import Weighted
from .losses import BinaryCrossEntropy, Loss, SoftmaxCrossEntropy
from .montecarlo import predict_mc
from .optimizers import Optimizer
from .parameter import Array, Parameter
from .prediction import Prediction

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

CHUNK = 2048  # rows that `predict` takes at a time, so that its memory is bounded


class Network:
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
        _check_once(self._layers)
        weights = [layer.weight.value for layer in self.layers if isinstance(layer, Weighted)]
        if not weights:
            raise ValueError("layers must contain a Linear or another layer of weights, got none")
        self.n_in, self.n_out, self.dtype = len(weights[0]), weights[-1].shape[1], weights[0].dtype
        self._first = next(layer for layer in self.layers if layer.parameters())
        self._last: tuple[Array, Array, Array | None] | None = None
        self._passed: list[Any] = []  # what each layer saved in the pass that gave `_last`

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def __call__(self, x: ArrayLike) -> Array:
        """The output (batch, n_out), with cross entropy the logits, for x (batch, n_in).

        x is converted to the dtype of the weights; another shape is a ValueError. Here and in the
        other methods it may be a sparse array or matrix of SciPy, of which rows can be taken.
        """
        rows = self._checked(x)
        y: Array = rows.toarray() if hasattr(rows, "toarray") else rows
        y = y.astype(self.dtype, copy=False)
        self._last, self._passed = None, []
        for layer in self.layers:
            y = layer(y)
        return y

    def loss(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The mean loss of one forward pass over a batch; `backward` may follow.

        With `sample_weight` w (batch,) it is sum(w loss) / sum(w): a row of weight k counts as k
        equal rows, and a factor common to all weights changes nothing. Weights that are negative,
        not finite, or all 0 are a ValueError.
        """
        target = self._target(x, y)
        share = None if sample_weight is None else _shares(sample_weight, len(target))
        output = self(x)
        self._last = output, target, share
        self._passed = [layer._saved for layer in self.layers]
        return self.criterion.fn(output, target, share)

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
        rows = self._checked(x)
        modes = [layer.training for layer in self.layers]
        self.eval()
        try:
            chunks = [rows[i : i + CHUNK] for i in range(0, rows.shape[0], CHUNK)] or [rows]
            return np.concatenate([self.criterion.predict(self(chunk)) for chunk in chunks])
        finally:
            for layer, mode in zip(self.layers, modes, strict=True):
                layer.train(mode)

    def predict_mc(
        self,
        x: ArrayLike,
        n: int = 100,
        *,
        rng: Rng = None,
        shared_masks: bool = False,
        samples: bool = False,
    ) -> Prediction:
        """Mean and spread of n forward passes that drop as in training: Monte-Carlo dropout.

        Gal and Ghahramani 2016, "Dropout as a Bayesian approximation". The mode does not matter,
        and the net stays as it is: its stream, its mode, and what `backward` needs.

        Parameters
        ----------
        x : array_like
            (batch, n_in).
        n : int
            Samples, at least 1.
        rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream
            Gives the masks; the same int gives the same ones, and None those of a seed from the
            operating system. Each sample takes a draw for each layer that drops, as a forward pass
            in training does.
        shared_masks : bool
            True: sample k drops the same units for every row, so it is one thinned net, and only
            its kept weights are multiplied. False: each row has masks of its own, by its number in
            x. Layers that share their masks in training (`BatchwiseDense`, ``shared_axes``) do so
            in both cases.
        samples : bool
            Whether to return all outputs, (n, batch, n_out), too.

        Returns
        -------
        Prediction
            ``mean``, ``std``; for cross entropies of the probabilities, with ``label``,
            ``entropy`` and ``mutual_information``.

        Raises
        ------
        ValueError
            If n < 1, x has another shape, no layer drops, or with ``shared_masks=True`` if a layer
            has no masks that rows can share.
        TypeError
            If n is not an int, or rng none of the above.

        Notes
        -----
        The masks of a row depend neither on how many rows are computed at a time nor on the rows
        after it; with ``shared_masks=True``, on no other row. The rounding of outputs depends on
        how many rows BLAS multiplies at a time. Several threads may call this on one net while none
        changes it, if its layers are those of this package.
        """
        return predict_mc(
            self.layers,
            self.criterion,
            self._checked(x),
            n,
            n_out=self.n_out,
            dtype=self.dtype,
            rng=rng,
            shared_masks=shared_masks,
            samples=samples,
        )

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

    def _checked(self, x: ArrayLike) -> Any:
        """An array or sparse array, (batch, n_in)."""
        rows: Any = x if hasattr(x, "toarray") else _args.base(x)
        if rows.ndim != 2 or rows.shape[1] != self.n_in:
            raise ValueError(f"x must have shape (batch, {self.n_in}), got {rows.shape}")
        return rows

    def _target(self, x: ArrayLike, y: ArrayLike) -> Array:
        batch = self._checked(x).shape[0]
        if batch == 0:
            raise ValueError("x has no rows, so there is nothing to take the mean over")
        return self.criterion.check(y, batch, self.n_out)

    def __getstate__(self) -> dict[str, Any]:
        """Without the last batch, as the layers."""
        return self.__dict__ | {"_last": None, "_passed": []}

    def __repr__(self) -> str:
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"{type(self).__name__}(\n{layers})"


def _check_once(layers: Sequence[Layer]) -> None:
    """Raise ValueError for a layer or a parameter's memory that occurs twice in a net."""
    places: dict[int, int] = {}
    for i, layer in enumerate(layers):
        first = places.setdefault(id(layer), i)
        if first != i:
            raise ValueError(
                f"layers[{i}] is layers[{first}], {layer!r}: a layer keeps what backward needs of "
                "its latest call alone, so each place needs a layer of its own"
            )
    owned = [(i, p) for i, layer in enumerate(layers) for p in layer.parameters()]
    pair = overlapping([p.value for _, p in owned])
    if pair:
        (i, one), (j, other) = (owned[k] for k in pair)
        raise ValueError(
            f"{one!r} of layers[{i}] and {other!r} of layers[{j}] share memory: each needs a "
            "gradient and steps of its own"
        )


def _shares(sample_weight: ArrayLike, batch: int) -> Array:
    """Weights of the rows, scaled to sum to 1."""
    weights = np.asarray(_args.base(sample_weight), np.float64)
    if weights.shape != (batch,):
        raise ValueError(f"sample_weight must be ({batch},), got {weights.shape}")
    outside = weights[~((weights >= 0) & (weights < np.inf))]
    if outside.size:
        raise ValueError(f"sample_weight must be finite and not negative, got {outside[0]}")
    largest = weights.max()
    if largest == 0:
        raise ValueError("sample_weight is zero for all rows: nothing to take the mean over")
    weights = weights / largest  # so that the sum cannot overflow
    share: Array = weights / weights.sum()
    return share
