"""The ratios that this project wants to reach, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .cases import CALL_SIZE, Group
from .figures import Figures


class Target(NamedTuple):
    """At most this ratio to a contender; `speed_up` says it as its inverse, at least."""

    text: str
    group: Group
    contender: str
    limit: float
    speed_up: bool = False


TARGETS = (
    Target("ready mask, 65,536, p = 0.5", Group("forward", 65_536, "float32", 0.5), "mask", 0.9),
    Target("ready mask, 65,536, p = 0.1", Group("forward", 65_536, "float32", 0.1), "mask", 1.3),
    Target("ready mask, 1.6e7, p = 0.5", Group("forward", 16_000_000, "float32", 0.5), "mask", 0.8),
    Target("ready mask, 1.6e7, p = 0.1", Group("forward", 16_000_000, "float32", 0.1), "mask", 0.8),
    Target(
        "faster than naive, 65,536, p = 0.5",
        Group("forward", 65_536, "float32", 0.5),
        "naive",
        30,
        speed_up=True,
    ),
    Target(
        "faster than naive, 65,536, p = 0.1",
        Group("forward", 65_536, "float32", 0.1),
        "naive",
        30,
        speed_up=True,
    ),
    Target(
        "sd.dropout / ready mask, 64, p = 0.5",
        Group("dropout", CALL_SIZE, "float32", 0.5),
        "mask",
        4,
    ),
    Target(
        "sd.dropout / ready mask, 64, p = 0.1",
        Group("dropout", CALL_SIZE, "float32", 0.1),
        "mask",
        4,
    ),
)


@dataclass(frozen=True)
class Result:
    """A target and what was measured: median and range over passes, and the aligned pass alone."""

    target: Target
    value: float
    lowest: float
    highest: float
    aligned: float | None

    @property
    def reached(self) -> bool:
        limit = self.target.limit
        return self.value >= limit if self.target.speed_up else self.value <= limit


def check(figures: Figures) -> list[Result]:
    """Every target's result."""
    results = []
    for target in TARGETS:
        figure = figures.by_group[target.group][target.contender]
        power = -1 if target.speed_up else 1
        values = [one.ratio**power for one in figure.passes]
        aligned = [one.ratio**power for one in figure.passes if one.offset == 0]
        results.append(
            Result(
                target,
                figure.ratio**power,
                min(values),
                max(values),
                aligned[0] if aligned else None,
            )
        )
    return results
