"""Whether the limits in `cases.py` are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from .cases import CONTENDERS, Group, Limit
from .figures import Figures, Pass


class Measure(NamedTuple):
    """A number of one pass over n elements, which a limit is for; `text` names what it compares."""

    of: Callable[[Pass, int], float]
    text: str
    at_least: bool = False


SPEED = Measure(lambda one, n: 1 / one.ratio, "times as fast as {}", at_least=True)
MEASURES = {
    "time": Measure(lambda one, n: one.ratio, "time / {}"),
    "speed": SPEED,
    "rate": Measure(lambda one, n: n / one.our_ns, "1e9 elements a second", at_least=True),
    "µs": Measure(lambda one, n: one.our_ns / 1e3, "µs"),
    "ms more": Measure(lambda one, n: (one.our_ns - one.their_ns) / 1e6, "ms more than {}"),
    "threads": SPEED,
    "threads where memory allows": SPEED,
}

# Ratios repeat no better than this, even where every pass has found a control of 1.
RESOLUTION = 0.01


@dataclass(frozen=True)
class Result:
    """A limit and what was measured: median and range over passes, and the aligned pass alone."""

    group: Group
    limit: Limit
    value: float
    lowest: float
    highest: float
    aligned: float | None
    verdict: str

    @property
    def measure(self) -> Measure:
        return MEASURES[self.limit.measure]

    @property
    def compared(self) -> str:
        return self.measure.text.format(CONTENDERS[self.limit.contender])


def check(figures: Figures) -> list[Result]:
    """The result of every limit that was measured."""
    return [
        result(figures, group, limit)
        for group, found in figures.by_group.items()
        for limit in group.limits
        if limit.contender in found
    ]


def result(figures: Figures, group: Group, limit: Limit) -> Result:
    figure = figures.by_group[group][limit.contender]
    measure = MEASURES[limit.measure]
    values = [measure.of(one, group.n) for one in figure.passes]
    aligned = [v for v, one in zip(values, figure.passes, strict=True) if one.offset == 0]
    value = median(values)
    return Result(
        group,
        limit,
        value,
        min(values),
        max(values),
        median(aligned) if aligned else None,
        verdict(figures, group, limit, value),
    )


def verdict(figures: Figures, group: Group, limit: Limit, value: float) -> str:
    """
    Whether a value keeps its limit.

    Two threads are as fast as one if they are within what two threads differ from themselves; and
    they cannot be faster than memory, which a copy by two threads shows.
    """
    bound = limit.value
    if limit.measure == "threads":
        control = figures.by_group[group]["simdrop"]
        bound -= max(RESOLUTION, median(abs(1 - one.ratio) for one in control.passes))
    if value >= bound if MEASURES[limit.measure].at_least else value <= bound:
        return "reached"
    if limit.measure == "threads where memory allows":
        (copy,) = figures.select(family="threads", ours="copies", shape=group.shape)
        speed = 1 / figures.by_group[copy]["copy"].ratio
        if speed < limit.value:
            return f"not reached, nor by np.copyto: {speed:.3g}"
    return "not reached"
