"""Every case: one contender timed by pytest-benchmark, and simdrop between its rounds."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from .arrays import offset_of
from .cases import Case, Group
from .contenders import prepare
from .timing import Loop, Plan, loop, measure, plan_round

# Made in the first pass, kept for the others.
plans: dict[tuple[Group, str], Plan] = {}


def plan(group: Group, contender: str, run: Loop) -> Plan:
    """The plan of a contender on a group."""
    if (group, contender) not in plans:
        plans[group, contender] = plan_round(run)
    return plans[group, contender]


def test_ratio(benchmark: BenchmarkFixture, case: Case) -> None:
    number, group, contender = case
    ours = loop(*prepare(number, group, "simdrop"))
    theirs = loop(*prepare(number, group, contender))
    benchmark.group = "-".join(map(str, group))
    benchmark.extra_info = {
        **group._asdict(),
        "contender": contender,
        "pass": number,
        "offset": offset_of(number),
    }
    measure(benchmark, ours, plan(group, "simdrop", ours), theirs, plan(group, contender, theirs))
