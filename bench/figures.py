"""From pytest-benchmark's rounds to figures: medians over rounds, then over passes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .cases import Group, groups


@dataclass(frozen=True)
class Pass:
    """
    What one pass found for one contender: ns a call, and ours / theirs, of adjacent rounds.

    `offset` is where the arrays began, in bytes after a 64-byte boundary.
    """

    number: int
    offset: int
    rounds: int
    our_ns: float
    their_ns: float
    ratio: float


@dataclass(frozen=True)
class Figure:
    """A contender beside simdrop on one group."""

    group: Group
    contender: str
    passes: tuple[Pass, ...]

    @property
    def ratio(self) -> float:
        """The time of simdrop divided by the contender's."""
        return median(one.ratio for one in self.passes)

    @property
    def their_ns(self) -> float:
        """The contender's ns an element."""
        return median(one.their_ns for one in self.passes) / self.group.n

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.group._asdict(),
            "contender": self.contender,
            "ratio": self.ratio,
            "their_ns_per_element": self.their_ns,
            "passes": [asdict(one) for one in self.passes],
        }


class Figures:
    """All figures of a run."""

    def __init__(self, benchmarks: list[dict[str, Any]]) -> None:
        """From the benchmarks in pytest-benchmark's JSON."""
        passes = defaultdict(list)
        for benchmark in benchmarks:
            info = benchmark["extra_info"]
            group = Group(*(info[field] for field in Group._fields))
            passes[group, info["contender"]].append(make_pass(benchmark))
        self.by_group: dict[Group, dict[str, Figure]] = {group: {} for group in groups()}
        for (group, contender), found in passes.items():
            self.by_group[group][contender] = Figure(group, contender, tuple(found))

    def our_ns(self, group: Group) -> float:
        """The ns an element of simdrop, beside whichever contender."""
        figures = self.by_group[group].values()
        return median(one.our_ns for figure in figures for one in figure.passes) / group.n

    def as_list(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [figure.as_dict() for found in self.by_group.values() for figure in found.values()]


def make_pass(benchmark: dict[str, Any]) -> Pass:
    """The medians of one benchmark."""
    info = benchmark["extra_info"]
    ours = [seconds / info["our_calls"] for seconds in info["our_seconds"]]
    theirs = [seconds / info["their_calls"] for seconds in benchmark["stats"]["data"]]
    return Pass(
        info["pass"],
        info["offset"],
        len(theirs),
        1e9 * median(ours),
        1e9 * median(theirs),
        median(one / other for one, other in zip(ours, theirs, strict=True)),
    )
