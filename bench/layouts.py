"""Layouts as views of contiguous memory, and sets of them that are generated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from math import prod
from random import Random

import numpy as np

# In memory, along each axis: start, stop, step.
Slices = tuple[tuple[int, int, int], ...]

# The elements of a random shape, at least and at most.
LEAST, MOST = 65_536, 2_000_000


@dataclass(frozen=True)
class Layout:
    """An array seen in contiguous memory: a part of each axis, the axes in another order."""

    memory: tuple[int, ...]
    axes: tuple[int, ...]
    slices: Slices

    @property
    def part(self) -> tuple[int, ...]:
        """Lengths in the order of memory."""
        return tuple(len(range(*one)) for one in self.slices)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths in the order of the array."""
        return tuple(self.part[axis] for axis in self.axes)

    @property
    def is_dense(self) -> bool:
        """Whether all of the memory is seen."""
        return self.part == self.memory

    def view(self, memory: np.ndarray) -> np.ndarray:
        """The array in this memory, which is given as one row."""
        parts = tuple(slice(*one) for one in self.slices)
        return memory.reshape(self.memory)[parts].transpose(self.axes)

    def __str__(self) -> str:
        text = f"memory {self.memory}"
        if not self.is_dense:
            ends = zip(self.slices, self.memory, strict=True)
            text += f"[{', '.join(slice_text(*one, length) for one, length in ends)}]"
        if self.axes != tuple(range(len(self.axes))):
            text += f" seen as {self.axes}"
        return text


def slice_text(start: int, stop: int, step: int, length: int) -> str:
    """A slice of an axis as it is written in Python."""
    first, last = start or "", stop if stop != length else ""
    return f"{first}:{last}" + (f":{step}" if step != 1 else "")


def seen_as(memory: tuple[int, ...], *axes: int) -> Layout:
    """All of the memory, with its axes in this order."""
    return Layout(memory, axes, tuple((0, length, 1) for length in memory))


def part_of(memory: tuple[int, ...], *parts: slice) -> Layout:
    """A part of the memory, with its axes in their order."""
    cut = [part.indices(length) for part, length in zip(parts, memory, strict=True)]
    return Layout(memory, tuple(range(len(memory))), tuple(cut))


def all_orders(memory: tuple[int, ...]) -> list[Layout]:
    """The memory with its axes in every order."""
    return [seen_as(memory, *axes) for axes in permutations(range(len(memory)))]


def random_layouts(count: int, seed: int = 0) -> list[Layout]:
    """Random lengths of 2 to 6 axes, short and long ones, in random orders."""
    number = Random(seed).random  # the one method whose values Python guarantees
    found: list[Layout] = []
    while len(found) < count:
        weights = [number() for _ in range(2 + int(5 * number()))]
        n = LEAST * (MOST / LEAST) ** number()
        memory = tuple(max(2, round(n ** (weight / sum(weights)))) for weight in weights)
        keys = [number() for _ in memory]
        axes = sorted(range(len(memory)), key=keys.__getitem__)
        if LEAST <= prod(memory) <= MOST:
            found.append(seen_as(memory, *axes))
    return found
