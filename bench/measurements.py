"""From pytest-benchmark's rounds to measurements: medians over rounds, then over passes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from .arrays import offset_of
from .cases import GROUPS, Group


class Pass(NamedTuple):
    """One contender in one pass: nanoseconds per call, and the median ratio of adjacent rounds."""

    number: int
    our_ns: float
    their_ns: float
    ratio: float

    @property
    def aligned(self) -> bool:
        """Whether the arrays of this pass began at a 64-byte boundary."""
        return offset_of(self.number) == 0


@dataclass(frozen=True)
class Measurement:
    """One contender beside simdrop on one group."""

    group: Group
    contender: str
    passes: tuple[Pass, ...]

    @property
    def ratio(self) -> float:
        """The time of simdrop divided by the contender's."""
        return median(one.ratio for one in self.passes)

    @property
    def their_ns(self) -> float:
        """Nanoseconds per element of the contender."""
        return median(one.their_ns for one in self.passes) / self.group.n


class Measurements:
    """All measurements of a run, by group and contender."""

    def __init__(self, passes: Iterable[tuple[Group, str, Pass]]) -> None:
        found: dict[Group, dict[str, list[Pass]]] = defaultdict(lambda: defaultdict(list))
        for group, contender, one in passes:
            found[group][contender].append(one)
        self.by_group = {
            group: {
                contender: Measurement(group, contender, tuple(several))
                for contender, several in contenders.items()
            }
            for group, contenders in found.items()
        }

    def __iter__(self) -> Iterator[Measurement]:
        return (one for contenders in self.by_group.values() for one in contenders.values())

    def select(self, **fields: Any) -> list[Group]:
        """The groups that were measured and whose fields have these values."""
        return [
            group
            for group in self.by_group
            if all(getattr(group, name) == value for name, value in fields.items())
        ]

    def our_ns(self, group: Group) -> float:
        """Nanoseconds per element of simdrop, over the rounds beside all contenders."""
        measured = self.by_group[group].values()
        return median(one.our_ns for each in measured for one in each.passes) / group.n

    def ratios(self, group: Group, contenders: Iterable[str]) -> list[float | None]:
        """The ratio to each contender; None for those that were not measured."""
        found = self.by_group[group]
        return [found[name].ratio if name in found else None for name in contenders]


def from_benchmarks(benchmarks: list[dict[str, Any]]) -> Measurements:
    """The measurements in the "benchmarks" of pytest-benchmark's JSON."""
    return Measurements(
        (GROUPS[one["extra_info"]["group"]], one["extra_info"]["contender"], medians(one))
        for one in benchmarks
    )


def medians(benchmark: dict[str, Any]) -> Pass:
    """The medians over the rounds of one benchmark."""
    info = benchmark["extra_info"]
    ours = [seconds / info["our_calls"] for seconds in info["our_seconds"]]
    theirs = [seconds / info["their_calls"] for seconds in benchmark["stats"]["data"]]
    return Pass(
        info["pass"],
        round(1e9 * median(ours), 2),
        round(1e9 * median(theirs), 2),
        round(median(one / other for one, other in zip(ours, theirs, strict=True)), 5),
    )
