"""How two lines are timed: in one process, in turns of a fifth of a millisecond."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from itertools import repeat
from math import ceil
from time import perf_counter
from typing import Any, NamedTuple

from pytest_benchmark.fixture import BenchmarkFixture

Loop = Callable[[Iterable[None]], None]

# Seconds in a round, which repeats one line: long enough for the caches to settle. In rounds of one
# to eight calls np.multiply at 65,536 elements is up to a tenth faster or slower; in longer ones it
# is not.
ROUND = 200e-6

# Seconds for all rounds of two lines in one pass; slow lines get up to LONG, for FEW rounds.
PASS = 40e-3
LONG = 250e-3
FEW = 5


class Line(NamedTuple):
    """A line in a loop, and what to call before each of its rounds."""

    run: Loop
    setting: Callable[[], None] | None = None


class Plan(NamedTuple):
    """How many calls of a line fill a round, and how many seconds they take."""

    calls: int
    duration: float


def loop(line: str, names: dict[str, Any]) -> Loop:
    """A function that runs a line once for each item, without the cost of a function call."""
    names = dict(names)
    exec(f"def loop(times):\n    for _ in times: {line}", names)
    return names["loop"]


def seconds(run: Loop, calls: int) -> float:
    """The time of this many calls, all together."""
    times = (repeat(None, calls),)
    start = perf_counter()
    # pytest-benchmark calls it like this, which gives the same depth of the C stack. At another
    # depth a call on 100 elements can take a fifth longer: 4K aliasing, where stores to the stack
    # and to an array are a multiple of 4096 bytes apart.
    run(*times, **{})
    return perf_counter() - start


def undisturbed(run: Loop, calls: int) -> float:
    """The time of this many calls: of two attempts the faster one, unless one takes long."""
    first = seconds(run, calls)
    return first if first > PASS else min(first, seconds(run, calls))


def plan_round(line: Line, least: int) -> Plan:
    """
    How to fill a round of a line with at least `least` calls.

    The first call is not counted, since it may do more than the others, such as compiling.
    """
    run, setting = line
    if setting:
        setting()
    run(repeat(None, 1))
    calls = least
    while (duration := undisturbed(run, calls)) < ROUND:
        calls = ceil(calls * min(10, 1.1 * ROUND / duration))
    return Plan(calls, duration)


def number_of_rounds(pair: float) -> int:
    """How many rounds of two lines, which take `pair` seconds together, make a pass."""
    return max(1, int(PASS / pair), min(FEW, int(LONG / pair)))


def make_ready(line: Line, plan: Plan) -> None:
    """
    Apply the setting of a round, and run the line once if the warm-up would count otherwise.

    It wakes up threads, and brings back the data that the other line evicted from the caches.
    """
    if line.setting:
        line.setting()
    if line.setting or plan.calls > 1:
        line.run(repeat(None, 1))


def measure(
    benchmark: BenchmarkFixture,
    ours: Line,
    our_plan: Plan,
    theirs: Line,
    their_plan: Plan,
    least: int,
) -> None:
    """
    Let pytest-benchmark time rounds of `theirs`, and time a round of `ours` before each of them.

    The calls per round, and the seconds of each round of `ours`, go to `extra_info`.
    """
    our_seconds: list[float] = []

    def round_of_ours() -> tuple[tuple[Iterable[None]], dict[str, Any]]:
        make_ready(ours, our_plan)
        our_seconds.append(seconds(ours.run, our_plan.calls))
        make_ready(theirs, their_plan)
        return (repeat(None, their_plan.calls),), {}

    gc.disable()
    try:
        rounds = max(least, number_of_rounds(our_plan.duration + their_plan.duration))
        benchmark.pedantic(theirs.run, setup=round_of_ours, rounds=rounds)
    finally:
        gc.enable()
    benchmark.extra_info |= {
        "our_calls": our_plan.calls,
        "their_calls": their_plan.calls,
        "our_seconds": our_seconds,
    }
