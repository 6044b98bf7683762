"""Whether simdrop reaches the limits in `cases.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from .cases import CONTENDERS, Group, Limit
from .measurements import Measurements, Pass


class Measure(NamedTuple):
    """What a limit applies to: a value of one pass over n elements, and its name in tables."""

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
    "threads beside copies": Measure(SPEED.of, "of what a copy gains", at_least=True),
}

# How well ratios repeat at best, even where the control is 1 in every pass.
RESOLUTION = 0.01


@dataclass(frozen=True)
class Result:
    """A limit and what was measured: median and range over passes, and that of aligned arrays."""

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


def check(measurements: Measurements) -> list[Result]:
    """The result of every limit that was measured."""
    return [
        result(measurements, group, limit)
        for group, found in measurements.by_group.items()
        for limit in group.limits
        if limit.contender in found
    ]


def result(measurements: Measurements, group: Group, limit: Limit) -> Result:
    """The result of one limit."""
    passes = measurements.by_group[group][limit.contender].passes
    measure = MEASURES[limit.measure]
    values = [measure.of(one, group.n) for one in passes]
    aligned = [value for value, one in zip(values, passes, strict=True) if one.aligned]
    value = median(values)
    return Result(
        group,
        limit,
        value,
        min(values),
        max(values),
        median(aligned) if aligned else None,
        verdict(measurements, group, limit, value),
    )


def verdict(measurements: Measurements, group: Group, limit: Limit, value: float) -> str:
    """
    Whether a value reaches its limit.

    Two threads count as no slower than one if the difference is within the noise, which is how much
    two threads differ from themselves. The limit "threads beside copies" is a part of what a copy
    gains by two threads; where it loses, memory or a busy machine allows no gain.
    """
    bound, measure = limit.value, MEASURES[limit.measure]
    if limit.measure == "threads":
        control = measurements.by_group[group]["simdrop"]
        bound -= max(RESOLUTION, median(abs(1 - one.ratio) for one in control.passes))
    if limit.measure == "threads beside copies":
        (copies,) = measurements.select(family="threads", ours="copies", shape=group.shape)
        speed = 1 / measurements.by_group[copies]["copy"].ratio
        if speed < 1:
            return f"a copy loses: {speed:.3g}"
        reached = value >= bound * speed
        return f"{'' if reached else 'not '}reached, a copy: {speed:.3g}"
    reached = value >= bound if measure.at_least else value <= bound
    return "reached" if reached else "not reached"
