"""How two lines are timed beside each other: in turns, a fifth of a millisecond each."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from itertools import repeat
from math import ceil
from time import perf_counter
from typing import Any, NamedTuple

from pytest_benchmark.fixture import BenchmarkFixture

Loop = Callable[[Iterable[None]], None]

# Seconds of a round, which repeats one line. Long enough for its caches to settle again: rounds of
# one to eight calls change np.multiply at 65,536 elements by up to a tenth, longer ones do not.
ROUND = 200e-6

# Seconds of all rounds of two lines in one pass; up to LONG for the first FEW of them.
PASS = 40e-3
LONG = 250e-3
FEW = 5


class Line(NamedTuple):
    """A loop over a line, and what to call before each of its rounds."""

    run: Loop
    setting: Callable[[], None] | None = None


class Plan(NamedTuple):
    """How many calls fill a round of a line, and the seconds that they take."""

    calls: int
    duration: float


def loop(line: str, names: dict[str, Any]) -> Loop:
    """A function that runs a line once for each item, without a call around it that would count."""
    names = dict(names)
    exec(f"def loop(times):\n    for _ in times: {line}", names)
    return names["loop"]


def seconds(run: Loop, calls: int) -> float:
    """The time of so many calls, together."""
    times = (repeat(None, calls),)
    start = perf_counter()
    # pytest-benchmark calls so, and thus from as deep in C's stack. Elsewhere in it, a call on 100
    # elements can take a fifth longer: its stores there and to an array may be 4096 bytes apart.
    run(*times, **{})
    return perf_counter() - start


def undisturbed(run: Loop, calls: int) -> float:
    """The time of so many calls, taken twice where another process could have doubled it."""
    first = seconds(run, calls)
    return first if first > PASS else min(first, seconds(run, calls))


def plan_round(line: Line, least: int) -> Plan:
    """
    How to fill a round of a line with `least` calls or more.

    What only a first call does, such as compiling, is left out.
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
    """How many rounds of two lines, `pair` seconds together, make a pass."""
    return max(1, int(PASS / pair), min(FEW, int(LONG / pair)))


def make_ready(line: Line, plan: Plan) -> None:
    """
    Set what a round needs, and run once if that could count in it.

    Threads wake up then, and short calls take the caches back from the other line.
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
    Have pytest-benchmark time rounds of `theirs`, with a round of `ours` timed before each.

    The calls in a round and the times of ours, in seconds a round, go to `extra_info`.
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
