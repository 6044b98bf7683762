"""What is measured: every contender beside simdrop, on every size, type, p and direction."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

SIZES = (100, 1_000, 10_000, 65_536, 1_000_000, 16_000_000)
DTYPES = ("float32", "float64")
PROBABILITIES = (0.5, 0.1)
DIRECTIONS = ("forward", "backward", "both")

# On so few elements the time is that of the call.
CALL_SIZE = 64
CALL_DIRECTIONS = ("forward", "dropout")

# Their columns' names. simdrop beside itself is the control: every ratio of it should be 1.
CONTENDERS = {
    "naive": "naive NumPy",
    "numpy": "best NumPy",
    "mask": "ready mask",
    "constant": "constant",
    "copy": "copy",
    "torch": "PyTorch",
    "jax": "JAX",
    "simdrop": "simdrop",
}
OPTIONAL = ("torch", "jax")


class Group(NamedTuple):
    """The work that contenders are compared on."""

    direction: str
    n: int
    dtype: str
    p: float


class Case(NamedTuple):
    """One contender beside simdrop, in one of the passes over everything."""

    number: int
    group: Group
    contender: str

    def __str__(self) -> str:
        direction, n, dtype, p = self.group
        return f"pass{self.number}-{n}-{dtype}-{p}-{direction}-{self.contender}"


def groups() -> list[Group]:
    """All groups, those on the same arrays next to each other."""
    calls = [
        Group(direction, CALL_SIZE, "float32", p)
        for p in PROBABILITIES
        for direction in CALL_DIRECTIONS
    ]
    return calls + [
        Group(direction, n, dtype, p)
        for n in SIZES
        for dtype in DTYPES
        for p in PROBABILITIES
        for direction in DIRECTIONS
    ]


def cases(passes: int) -> list[Case]:
    """All cases in the order of measurement: pass by pass, each with its contenders rotated."""
    order = []
    for number in range(passes):
        for group in groups():
            names = ["mask", "simdrop"] if group.n == CALL_SIZE else list(CONTENDERS)
            first = number % len(names)
            order += [Case(number, group, name) for name in names[first:] + names[:first]]
    return order


def missing() -> list[str]:
    """The contenders that are not installed."""
    return [name for name in OPTIONAL if find_spec(name) is None]
