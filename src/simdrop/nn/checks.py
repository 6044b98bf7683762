"""What a net checks: its layers, the rows of x, and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from simdrop import _args
from simdrop._core.submatrix import overlapping

from .layer import Layer
from .parameter import Array


def check_once(layers: Sequence[Layer]) -> None:
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


def checked_rows(x: ArrayLike, n_in: int) -> Any:
    """x as an array or sparse array, (batch, n_in)."""
    rows: Any = x if hasattr(x, "toarray") else _args.base(x)
    if rows.ndim != 2 or rows.shape[1] != n_in:
        raise ValueError(f"x must have shape (batch, {n_in}), got {rows.shape}")
    return rows


def dense(rows: Any, dtype: np.dtype[Any]) -> Array:
    """Some of these rows as an array of a dtype."""
    array: Array = rows.toarray() if hasattr(rows, "toarray") else rows
    return array.astype(dtype, copy=False)


def shares(sample_weight: ArrayLike, batch: int) -> Array:
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
    return weights / weights.sum()
