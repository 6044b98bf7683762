"""``mask[index]``: which elements of a part of a mask are kept, without drawing the rest."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def kept(mask: Any, index: Any) -> Any:
    """``mask.keep()[index]``, where the index has ints, slices, an Ellipsis and np.newaxis alone.

    Only the block around what is asked for is drawn; with steps, what lies between them, too.
    """
    start, shape, inside = block(index, mask.shape)
    return mask.window(start, shape).keep()[inside]


def block(
    index: Any, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...]]:
    """The smallest block with all that an index means: its start, its shape, the index inside it.

    Raises
    ------
    IndexError
        For an int outside its axis, more indices than axes, or two Ellipses.
    TypeError
        For anything that is not such an index.
    """
    items = index if isinstance(index, tuple) else (index,)
    given = sum(item is not None and item is not Ellipsis for item in items)
    if given > len(shape):
        raise IndexError(
            f"too many indices: the mask has {len(shape)} axes, but {given} were indexed"
        )
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    start, lengths = [0] * len(shape), list(shape)
    inside: list[Any] = []
    axis = 0
    for item in items:
        if item is None or item is Ellipsis:
            inside.append(item)
            axis += len(shape) - given if item is Ellipsis else 0
            continue
        if isinstance(item, slice):
            chosen = range(*item.indices(shape[axis]))
            start[axis] = min(chosen[0], chosen[-1]) if chosen else 0
            lengths[axis] = max(chosen[0], chosen[-1]) - start[axis] + 1 if chosen else 0
            inside.append(slice(None, None, chosen.step))
        else:
            start[axis], lengths[axis] = _place(item, axis, shape[axis]), 1
            inside.append(0)
        axis += 1
    return tuple(start), tuple(lengths), tuple(inside)


def _place(item: Any, axis: int, length: int) -> int:
    """An int, which may count from the end, as one from the start."""
    try:
        if isinstance(item, (bool, np.bool_)):
            raise TypeError
        place = operator.index(item)
    except TypeError:
        raise TypeError(
            "a mask is indexed with ints, slices, an Ellipsis and np.newaxis, not with "
            f"{type(item).__name__}: index its keep() instead"
        ) from None
    if not -length <= place < length:
        raise IndexError(f"index {place} is out of bounds for axis {axis} with size {length}")
    return place + length if place < 0 else place
