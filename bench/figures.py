"""From pytest-benchmark's rounds to figures: medians over rounds, then over passes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .cases import GROUPS, Group


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
            **self.group.as_dict(),
            "contender": self.contender,
            "ratio": self.ratio,
            "their_ns_per_element": round(self.their_ns, 5),
            "passes": [asdict(one) for one in self.passes],
        }


class Figures:
    """All figures of a run."""

    def __init__(self, benchmarks: list[dict[str, Any]]) -> None:
        """From the benchmarks in pytest-benchmark's JSON."""
        passes = defaultdict(lambda: defaultdict(list))
        for benchmark in benchmarks:
            info = benchmark["extra_info"]
            passes[info["group"]][info["contender"]].append(make_pass(benchmark))
        self.by_group: dict[Group, dict[str, Figure]] = {
            group: {
                contender: Figure(group, contender, tuple(found))
                for contender, found in passes[name].items()
            }
            for name, group in GROUPS.items()
            if name in passes
        }

    def select(self, **fields: Any) -> list[Group]:
        """The groups that were measured and have these values in their fields."""
        return [
            group
            for group in self.by_group
            if all(getattr(group, name) == value for name, value in fields.items())
        ]

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
        round(1e9 * median(ours), 2),
        round(1e9 * median(theirs), 2),
        round(median(one / other for one, other in zip(ours, theirs, strict=True)), 5),
    )
