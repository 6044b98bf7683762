"""Arrays are laid out as their layouts say."""

from __future__ import annotations

from itertools import permutations
from math import prod

import numpy as np
import pytest

from .arrays import OFFSETS, Arrays
from .cases import GROUPS, SETS
from .layouts import LEAST, MOST, Layout, part_of, random_layouts, seen_as

LAYOUTS = {
    str(group.layout): group for group in GROUPS.values() if isinstance(group.layout, Layout)
}


def test_names() -> None:
    assert str(seen_as((20, 30), 1, 0)) == "memory (20, 30) seen as (1, 0)"
    assert str(seen_as((20, 30), 0, 1)) == "memory (20, 30)"
    part = part_of((20, 30, 40), slice(None, None, 3), slice(2, 30), slice(7))
    assert str(part) == "memory (20, 30, 40)[::3, 2:, :7]"
    assert part.shape == (7, 28, 7)
    axes = part.slices
    assert str(Layout(part.memory, (2, 0, 1), axes)) == f"{part} seen as (2, 0, 1)"


@pytest.mark.parametrize("name", LAYOUTS)
def test_arrays(name: str) -> None:
    group = LAYOUTS[name]
    layout = group.layout
    assert isinstance(layout, Layout) and group.shape == layout.shape
    for number, offset in enumerate(OFFSETS[:1] if group.in_set else OFFSETS):
        array = Arrays(number, group.shape, group.dtype, layout).empty()
        assert array.shape == group.shape
        steps = np.cumprod([1, *layout.memory[:0:-1]])[::-1]
        strides = tuple(array.itemsize * steps[a] * layout.slices[a][2] for a in layout.axes)
        assert array.strides == strides
        first = array.ctypes.data - array.itemsize * sum(
            one[0] * step for one, step in zip(layout.slices, steps, strict=True)
        )
        assert first % 64 == offset


def test_sets_are_complete() -> None:
    for name, axes in (("all orders of 4 axes", 4), ("all orders of 5 axes", 5)):
        assert {one.axes for one in SETS[name]} == set(permutations(range(axes)))
    for one in SETS["random shapes and orders"]:
        assert LEAST <= prod(one.memory) <= MOST and 2 <= len(one.memory) <= 6
    assert len({group.layout for group in GROUPS.values() if group.in_set}) == 24 + 120 + 20


def test_random_layouts_are_the_same_on_every_machine() -> None:
    """Results name them."""
    first, second = random_layouts(2)
    assert str(first) == "memory (19, 5, 3, 7, 5, 21) seen as (4, 0, 3, 1, 5, 2)"
    assert str(second) == "memory (2, 18, 22, 13, 17) seen as (4, 3, 2, 0, 1)"
