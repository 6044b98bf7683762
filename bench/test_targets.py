"""The verdicts on made-up rounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .cases import GROUPS, Group
from .measurements import from_benchmarks
from .targets import check


def rounds(group: Group, contender: str, ours: float, theirs: float) -> Iterator[dict[str, Any]]:
    """Two passes of one round of a contender, in seconds, and the same in half the time."""
    for number, factor in enumerate((1, 0.5)):
        info = {"group": str(group), "contender": contender, "pass": number}
        info |= {"our_calls": 2, "their_calls": 4, "our_seconds": [2 * factor * ours]}
        yield {"extra_info": info, "stats": {"data": [4 * factor * theirs]}}


def verdicts(*measured: tuple[Group, str, float, float]) -> list[tuple[float, str]]:
    """What `check` says about contenders of groups: value and verdict of each limit."""
    measurements = from_benchmarks([one for case in measured for one in rounds(*case)])
    return [(pytest.approx(one.value, rel=1e-4), one.verdict) for one in check(measurements)]


def find(**fields: Any) -> Group:
    matching = (g for g in GROUPS.values() if all(getattr(g, f) == v for f, v in fields.items()))
    return next(matching)


def test_every_limit_has_its_contender() -> None:
    for group in GROUPS.values():
        assert {limit.contender for limit in group.limits} <= set(group.contenders)


@pytest.mark.parametrize(
    ("fields", "contender", "ours", "theirs", "expected"),
    [
        ({"family": "types", "dtype": "int8"}, "mask", 1e-3, 1e-3, (1, "reached")),
        ({"family": "types", "dtype": "int8"}, "mask", 1.1e-3, 1e-3, (1.1, "not reached")),
        ({"family": "fused"}, "unfused", 1e-3, 1.51e-3, (1.51, "reached")),
        ({"family": "fused"}, "unfused", 1e-3, 1.4e-3, (1.4, "not reached")),
        ({"family": "masks", "work": "indices"}, "simdrop", 40e-6, 1, (2.4576, "reached")),
        ({"family": "masks", "work": "indices"}, "simdrop", 100e-6, 1, (0.98304, "not reached")),
        ({"family": "calls", "work": "seeded"}, "simdrop", 4e-6, 1, (3, "reached")),
        ({"family": "calls", "work": "seeded"}, "simdrop", 6e-6, 1, (4.5, "not reached")),
        ({"family": "import"}, "bare", 0.12, 0.1, (15, "reached")),
        ({"family": "import"}, "bare", 0.13, 0.1, (22.5, "not reached")),
    ],
)
def test_verdict(
    fields: dict[str, Any], contender: str, ours: float, theirs: float, expected: Any
) -> None:
    (found,) = verdicts((find(**fields), contender, ours, theirs))
    assert found == expected


@pytest.mark.parametrize(
    ("time", "control", "verdict"),
    [(0.965, 1, "reached"), (0.95, 1, "not reached"), (0.95, 1.03, "reached")],
)
def test_two_threads_are_no_slower(time: float, control: float, verdict: str) -> None:
    group = find(family="threads", ours="simdrop", shape=(4_000_000,))
    copies = find(family="threads", ours="copies", shape=(4_000_000,))
    found = verdicts(
        (group, "single", 1e-3, time * 1e-3),
        (group, "simdrop", control, 1),
        (copies, "copy", 1, 0.9),
    )
    assert found == [(time, verdict), (time, "a copy loses: 0.9")]


@pytest.mark.parametrize(
    ("speed", "copy", "verdict"),
    [
        (1.71, 1.8, "reached, a copy: 1.8"),
        (1.7, 1.8, "not reached, a copy: 1.8"),
        (1.0, 0.99, "a copy loses: 0.99"),
    ],
)
def test_two_threads_beside_copies(speed: float, copy: float, verdict: str) -> None:
    group, copies = (
        find(family="threads", ours=ours, shape=(16_000_000,)) for ours in ("simdrop", "copies")
    )
    found = verdicts(
        (group, "single", 1, speed), (group, "simdrop", 1, 1), (copies, "copy", 1, copy)
    )
    assert found == [(speed, "reached"), (speed, verdict)]
