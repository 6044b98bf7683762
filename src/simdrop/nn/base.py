"""What all layers share. x and y are (batch, features); dy is d loss / d y, dx is d loss / d x."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from simdrop.stream import Stream
from simdrop.values import Values
from simdrop.weights import Kept

Array = NDArray[Any]
Seed = int | Sequence[int] | np.random.SeedSequence | np.random.Generator | None


class Parameter:
    """An array to learn, and the gradient of the loss with respect to it.

    Parameters
    ----------
    value : ndarray
        Attribute `grad` has its dtype and, unless `take_part` says otherwise, its shape; each
        backward pass overwrites it.
    kind : "weight" or "bias"
        Penalties and max-norm are for weights alone.

    Attributes
    ----------
    rows, columns : simdrop.weights.Kept or None
        What dropout kept of a weight matrix, or of a bias (columns), where it left out others for
        the whole batch: `grad` is that of this part, and optimizers change it alone.
    """

    rows: Kept | None = None
    columns: Kept | None = None

    def __init__(self, value: Array, kind: Literal["weight", "bias"]) -> None:
        self.value = value
        self._room = np.zeros_like(value)
        self.grad = self._room
        self.kind = kind

    def take_part(self, rows: Kept | None, columns: Kept | None) -> Array:
        """Let `grad`, which is returned to be written, be that of these rows and columns."""
        self.rows, self.columns = rows, columns
        shape = [n if kept is None else kept.count for n, kept in self._axes()]
        self.grad = self._room.reshape(-1)[: math.prod(shape)].reshape(shape)
        return self.grad

    def whole_grad(self) -> Array:
        """The gradient of all of value: zero where `grad` has none."""
        axes = [np.arange(n) if kept is None else kept.indices for n, kept in self._axes()]
        whole = np.zeros_like(self.value)
        whole[np.ix_(*axes)] = self.grad
        return whole

    def _axes(self) -> list[tuple[int, Kept | None]]:
        kept = {1: [self.columns], 2: [self.rows, self.columns]}.get(self.value.ndim)
        return list(zip(self.value.shape, kept or [None] * self.value.ndim, strict=True))

    def __repr__(self) -> str:
        return f"Parameter({self.kind}, shape={self.value.shape}, dtype={self.value.dtype})"


class Layer(ABC):
    """A function of an array and its derivative; a new layer defines `__call__` and `backward`.

    `__call__` keeps in `_saved` what `backward` needs. Neither changes its argument.
    `backward` belongs to the most recent call; before any it is a RuntimeError.
    `step` counts the updates of the net's parameters, for what follows a schedule.
    """

    training = True
    step = 0
    _saved: Any = None

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """y = f(x)."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """dx; on the way, the gradients of the layer's own parameters are written."""

    def write_gradients(self, dy: Array) -> None:
        """`backward` without dx: all that the first layer of a net needs."""
        self.backward(dy)

    def parameters(self) -> list[Parameter]:
        return []

    def streams(self) -> list[Stream]:
        """Those of its own from which the layer draws."""
        stream = getattr(self, "stream", None)
        return [] if stream is None else [stream]

    def advance(self) -> None:
        """Count one update of the net's parameters; `Network.train_step` does."""
        self.step += 1

    def describe(self) -> dict[str, Any]:
        """What it computes in evaluation, but for the values of parameters, as JSON has it.

        A checkpoint is for nets with layers of the same description: their class, activation and
        form of dropout, but not a p that is for training alone. A layer with other arguments that
        change what it computes adds them.
        """
        return {"layer": type(self).__name__} | in_evaluation(self)

    def train(self, mode: bool = True) -> Self:
        self.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)

    def __getstate__(self) -> dict[str, Any]:
        """Without what `backward` needs: a copy or pickle holds the layer, not its last batch."""
        return {name: value for name, value in self.__dict__.items() if name != "_saved"}

    def _from_forward(self) -> Any:
        if self._saved is None:
            raise RuntimeError(f"{self!r}: backward(dy) needs the layer called on an x before")
        return self._saved

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def in_evaluation(layer: object) -> dict[str, Any]:
    """The attributes that decide what a layer computes in evaluation, as JSON has them.

    With ``inverted=False`` these are p and what follows it, too: evaluation multiplies by the
    probability of being kept.
    """
    names = ["activation", "transform", "inverted"]
    if not getattr(layer, "inverted", True):
        names += ["p", "arguments"]
    return {name: plain(getattr(layer, name)) for name in names if hasattr(layer, name)}


def plain(value: Any) -> Any:
    """A value as JSON has it, the same in every process: callables by their names."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | np.number):
        return float(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Values):  # a schedule
        return repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
