"""Time every case: pytest-benchmark times a contender, and simdrop between its rounds."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from .cases import Case, Group
from .contenders import prepare, reset
from .timing import Line, Plan, measure, plan_round

# Made in the first pass and kept for the others.
plans: dict[tuple[Group, str], Plan] = {}


def plan(group: Group, contender: str, line: Line) -> Plan:
    """The plan of a contender on a group."""
    if (group, contender) not in plans:
        plans[group, contender] = plan_round(line, group.calls)
    return plans[group, contender]


def test_ratio(benchmark: BenchmarkFixture, case: Case) -> None:
    number, group, contender = case
    ours, theirs = (prepare(number, group, name) for name in (group.ours, contender))
    benchmark.group = str(group)
    benchmark.extra_info = {"group": str(group), "contender": contender, "pass": number}
    reset()
    our_plan, their_plan = plan(group, group.ours, ours), plan(group, contender, theirs)
    measure(benchmark, ours, our_plan, theirs, their_plan, group.rounds)
