"""What a layer learns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simdrop import _arrays
from simdrop.submatrix import Kept

from . import memory

Array = NDArray[Any]


class Parameter:
    """An array to learn, and the gradient of the loss with respect to it.

    Parameters
    ----------
    value : ndarray
        float32 or float64, of any layout; it is changed in place, and no other parameter may share
        its memory. Setting another array allocates a new gradient. Those of an `MLP` lie in one
        block of memory, which is freed with the last of them.
    kind : "weight" or "bias"
        Penalties and max-norm are for weights alone.

    Attributes
    ----------
    grad : ndarray
        Of value's dtype and, unless `take_part` chose a part, its shape; each backward pass
        overwrites it. Another array may be set that shares no memory with value.
    rows, columns : simdrop.submatrix.Kept or None
        The rows and columns of a weight matrix (of a bias: the columns) that dropout kept for the
        whole batch; None means all. `grad` is that of this part, and optimizers change it alone.

    Raises
    ------
    TypeError
        If value or grad is not a `numpy.ndarray`, or a subclass, or has another dtype.
    ValueError
        If one of them is read-only or has several elements at one address, if they do not fit each
        other, or for another kind.
    """

    rows: Kept | None = None
    columns: Kept | None = None
    _value: Array
    _grad: Array
    _room: Array  # memory for the whole gradient; that of a part uses its beginning

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
        (self._room,) = memory.zeros([_kind(value)])
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
        """Make `grad` that of these rows and columns, and return it to be written.

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

    def move_to(self, value: Array, room: Array) -> None:
        """Let value and gradient lie in these arrays of value's shape."""
        value[...] = self._value
        self._value = value
        self._set_room(room)

    def __getstate__(self) -> dict[str, Any]:
        """Without memory that `grad` is a part of."""
        return {name: value for name, value in self.__dict__.items() if name != "_room"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_room(memory.zeros([_kind(self._value)])[0])

    def _set_room(self, room: Array) -> None:
        """Let the gradient lie there, unless one of another layout was set."""
        self._room = room
        grad = self._grad
        if grad.flags.c_contiguous:
            self.take_part(self.rows, self.columns)[...] = grad

    def _axes(self, rows: Kept | None, columns: Kept | None) -> list[tuple[int, Kept | None]]:
        """The length of each axis, and what is kept of it."""
        shape = self._value.shape
        axes: list[tuple[int, Kept | None]] = [(n, None) for n in shape]
        last = len(shape) - 1
        for name, kept, axis in (("rows", rows, last - 1), ("columns", columns, last)):
            if kept is None:
                continue
            if not isinstance(kept, Kept):
                raise TypeError(f"{name} must be a Kept or None, not {type(kept).__name__}")
            if axis < 0 or last > 1:
                raise ValueError(f"{name} must be None, since the value has shape {shape}")
            if kept.size != shape[axis]:
                raise ValueError(f"{name} is of {kept.size}, but the value has {shape[axis]}")
            axes[axis] = shape[axis], kept
        return axes

    def __repr__(self) -> str:
        return f"Parameter({self.kind}, shape={self.value.shape}, dtype={self.value.dtype})"


def move_together(parameters: Iterable[Parameter]) -> None:
    """Move all values into one block of memory, and all gradients into another.

    Values stay where they are if they have another layout than C's, since products of them may be
    rounded otherwise, or are read-only or of a subclass, as in a pickle that is mapped from a file.
    """
    moved = [p for p in parameters if type(p.value) is np.ndarray and p.value.flags.carray]
    values = memory.zeros([(p.value.shape, p.value.dtype) for p in moved])
    rooms = memory.zeros([_kind(p.value) for p in moved])
    for parameter, value, room in zip(moved, values, rooms, strict=True):
        parameter.move_to(value, room)


def _kind(value: Array) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the gradient of a value."""
    return value.shape, _arrays.native(value.dtype)


def check_learnable(name: str, array: Array) -> None:
    """Raise TypeError or ValueError for what no optimizer can change in place."""
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
