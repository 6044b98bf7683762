"""Threads for large arrays: how many, and the executor that they come from."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

# Bytes of an array from which a second thread was measured to win over what it costs to wake it.
SPLIT_FROM = 12 << 20

# Elements from which it was of normal numbers, which take longer than their memory does.
SPLIT_NORMALS_FROM = 3 << 19

_count: int | None = None  # set by the user
_executor: ThreadPoolExecutor | None = None


def get_num_threads() -> int:
    """
    How many threads work on one large array.

    Returns
    -------
    int
        As `set_num_threads` set it, else the environment variable ``SIMDROP_NUM_THREADS``, else the
        number of CPUs that this process may use.

    Raises
    ------
    ValueError
        If ``SIMDROP_NUM_THREADS`` is no positive integer.
    """
    if _count is not None:
        return _count
    given = os.environ.get("SIMDROP_NUM_THREADS")
    if given is None:
        return available_cpus()
    if not given.strip().isdecimal() or int(given) == 0:
        raise ValueError(f"SIMDROP_NUM_THREADS must be a positive integer, not {given!r}")
    return int(given)


def available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_num_threads(n: int | None) -> None:
    """
    Set how many threads work on one large array; results do not depend on it.

    Parameters
    ----------
    n : int or None
        At least 1; None goes back to the default.

    Raises
    ------
    TypeError, ValueError
        If n is no positive integer.
    """
    global _count
    if n is not None:
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"the number of threads must be an int, not {n!r}")
        if n < 1:
            raise ValueError(f"the number of threads must be at least 1, not {n}")
    _count = n
    forget_executor()


def forget_executor() -> None:
    """The next call makes a new one: of another size, or in a forked child without threads."""
    global _executor
    _executor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_executor)


def split(n: int, parts: int, grain: int) -> list[tuple[int, int]]:
    """0 to n in at most `parts` ranges of about the same length, cut at multiples of `grain`."""
    step = -(-n // (parts * grain)) * grain
    return [(start, min(start + step, n)) for start in range(0, n, step)]


def run(function: Callable[[int, int], object], ranges: list[tuple[int, int]]) -> None:
    """Call function(start, stop) for each range: the first here, the others in other threads."""
    global _executor
    if len(ranges) == 1:  # which needs no executor
        function(*ranges[0])
        return
    executor = _executor
    if executor is None:
        from concurrent.futures import ThreadPoolExecutor

        executor = _executor = ThreadPoolExecutor(get_num_threads(), thread_name_prefix="simdrop")
    futures = []
    for part in ranges[1:]:
        try:
            futures.append(executor.submit(function, *part))
        except RuntimeError:  # no new threads while the interpreter shuts down
            function(*part)
    function(*ranges[0])
    for future in futures:
        future.result()
