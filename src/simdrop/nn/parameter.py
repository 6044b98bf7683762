"""What a layer learns."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simdrop import _arrays
from simdrop.submatrix import Kept

Array = NDArray[Any]


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
