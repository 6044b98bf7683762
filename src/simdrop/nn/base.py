"""What all layers share. x and y are (batch, features); dy is d loss / d y, dx is d loss / d x."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from simdrop import _arrays
from simdrop._core.stream import Stream
from simdrop._values import Values
from simdrop.submatrix import Kept

Array = NDArray[Any]
Seed = int | Sequence[int] | np.random.SeedSequence | np.random.Generator | None


class Parameter:
    """An array to learn, and the gradient of the loss with respect to it.

    Parameters
    ----------
    value : ndarray
        float32 or float64, of any layout; it is changed in place, and no other parameter may share
        its memory. Setting another one makes a gradient for it.
    kind : "weight" or "bias"
        Penalties and max-norm are for weights alone.

    Attributes
    ----------
    grad : ndarray
        Of value's dtype and, unless `take_part` says otherwise, its shape; each backward pass
        overwrites it. An array of one's own may be set, apart from value.
    rows, columns : simdrop.submatrix.Kept or None
        What dropout kept of a weight matrix, or of a bias (columns), where it left out others for
        the whole batch: `grad` is that of this part, and optimizers change it alone.

    Raises
    ------
    TypeError
        If value or grad is no `numpy.ndarray` (subclasses have rules of their own) or of another
        dtype.
    ValueError
        If it cannot be written or has several elements at one address, a grad does not fit, or kind
        is another.
    """

    rows: Kept | None = None
    columns: Kept | None = None
    _value: Array
    _grad: Array
    _room: Array  # for the gradient of all of value; that of a part begins where it does

    def __init__(self, value: Array, kind: Literal["weight", "bias"]) -> None:
        if kind not in ("weight", "bias"):
            raise ValueError(f'kind must be "weight" or "bias", got {kind!r}')
        self.kind = kind
        self.value = value

    @property
    def value(self) -> Array:
        return self._value

    @value.setter
    def value(self, value: Array) -> None:
        check_learnable("value", value)
        self._value = value
        self._room = np.zeros(value.shape, _arrays.native(value.dtype))
        self.take_part(None, None)

    @property
    def grad(self) -> Array:
        return self._grad

    @grad.setter
    def grad(self, grad: Array) -> None:
        check_learnable("grad", grad)
        dtype = self._room.dtype
        if _arrays.native(grad.dtype) != dtype:
            raise TypeError(f"grad is of {grad.dtype}, but must be of {dtype}, as value")
        if grad.shape != self._grad.shape:
            raise ValueError(f"grad has shape {grad.shape}, but must have {self._grad.shape}")
        if np.shares_memory(grad, self._value):
            raise ValueError("grad shares memory with value")
        self._grad = grad

    def take_part(self, rows: Kept | None, columns: Kept | None) -> Array:
        """Let `grad`, which is returned to be written, be that of these rows and columns.

        ValueError if they are not of value's size, or value has no rows or no columns.
        """
        axes = self._axes(rows, columns)
        shape = [n if kept is None else kept.count for n, kept in axes]
        self.rows, self.columns = rows, columns
        self._grad = self._room.reshape(-1)[: math.prod(shape)].reshape(shape)
        return self._grad

    def whole_grad(self) -> Array:
        """The gradient of all of value: zero where `grad` has none."""
        axes = self._axes(self.rows, self.columns)
        whole = np.zeros_like(self._room)
        where = [np.arange(n) if kept is None else kept.indices for n, kept in axes]
        whole[np.ix_(*where)] = self.grad
        return whole

    def _axes(self, rows: Kept | None, columns: Kept | None) -> list[tuple[int, Kept | None]]:
        """Each axis's length and what is kept of it."""
        shape = self._value.shape
        named = {"rows": rows, "columns": columns}
        axes = {1: ["columns"], 2: ["rows", "columns"]}.get(len(shape), [])
        for name, kept in named.items():
            if kept is None:
                continue
            if not isinstance(kept, Kept):
                raise TypeError(f"{name} must be a Kept or None, not {type(kept).__name__}")
            if name not in axes:
                number = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
                raise ValueError(f"{name} must be None, since the value has {number}")
            if kept.size != shape[axes.index(name)]:
                n = shape[axes.index(name)]
                raise ValueError(f"{name} is of {kept.size}, but the value has {n}")
        parts = [named[name] for name in axes] or [None] * len(shape)
        return list(zip(shape, parts, strict=True))

    def __repr__(self) -> str:
        return f"Parameter({self.kind}, shape={self.value.shape}, dtype={self.value.dtype})"


def check_learnable(name: str, array: Array) -> None:
    """Refuse what no optimizer can change in place."""
    if type(array) is not np.ndarray:
        hint = "; numpy.asarray(array) is one" if isinstance(array, np.ndarray) else ""
        raise TypeError(f"{name} must be a numpy.ndarray, not a {type(array).__name__}{hint}")
    if _arrays.native(array.dtype) not in (np.float32, np.float64):
        raise TypeError(f"{name} is of {array.dtype}, but must be of float32 or float64")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only, but it is to be changed")
    if _arrays.overlaps_itself(array):
        raise ValueError(
            f"{name} has several elements at one address: strides {array.strides} for shape "
            f"{array.shape}"
        )


class Layer(ABC):
    """A function of an array and its derivative; a new layer defines `__call__` and `backward`.

    `__call__` keeps in `_saved` what `backward` needs. Neither changes its argument.
    `backward` belongs to the most recent call; before any it is a RuntimeError. So a layer has one
    place in a net, and each place a layer of its own.
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
