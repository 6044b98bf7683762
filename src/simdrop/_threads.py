"""Threads for large arrays: how many there may be, and what is assumed of them."""

from __future__ import annotations

import math
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import SupportsIndex

from simdrop._args import checked_threads

# Bytes of an array up to which no other thread is even thought of, and for each thread above that.
LEAST = 256 << 10

# Nanoseconds that another thread is expected to take before it helps, until this was seen; rather
# more than it takes on most machines.
FIRST_DELAY = 100_000

_count: int | None = None  # set by the user


def get_num_threads() -> int:
    """
    How many threads may work on one large array, the caller's among them.

    Returns
    -------
    int
        As `set_num_threads` set it, else the environment variable ``SIMDROP_NUM_THREADS``, else
        ``OMP_NUM_THREADS``, with which joblib and torchrun, among others, share the CPUs among
        their workers, else the number of CPUs that this process may use: by its affinity, and by
        the CPU quota of its cgroup (of a container, say), rounded up. Variables that are empty
        count as not set.

    Raises
    ------
    ValueError
        If ``SIMDROP_NUM_THREADS`` is no positive integer. An invalid ``OMP_NUM_THREADS`` is
        ignored: OpenMP reports it.

    Notes
    -----
    Others than the caller's are called where they save time: not up to 256 KB, and above that if
    the rest of the work would take the caller at least three times as long as they took to begin
    in earlier calls. Calls on large arrays look the default up ten times a second at most.

    threadpoolctl has no effect here: it limits libraries that it knows, through their own
    functions. Use `set_num_threads`.
    """
    if _count is not None:
        return _count
    given = os.environ.get("SIMDROP_NUM_THREADS", "").strip()
    if given:
        count = positive(given)
        if count is None:
            raise ValueError(f"SIMDROP_NUM_THREADS must be a positive integer, not {given!r}")
        return count
    # A list is of the levels of nested parallel regions, of which there is one here.
    shared = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return positive(shared) or available_cpus()


def positive(text: str) -> int | None:
    """The text as a positive integer; None if it is not one, or has thousands of digits."""
    try:
        return int(text) or None if text.isdecimal() else None
    except ValueError:
        return None


def available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or 1
    return min(cpus, cpu_quota())


@lru_cache(maxsize=1)  # it reads files
def cpu_quota(process: str = "/proc/self/cgroup", cgroups: str = "/sys/fs/cgroup") -> int:
    """
    CPUs that Linux lets this process use at a time, rounded up; sys.maxsize if there is no limit.

    A cgroup has at most the quota of each cgroup that contains it. A container's may be mounted at
    the root, though the process knows it by a longer path: a missing file is no limit.
    """
    try:
        lines = Path(process).read_text().splitlines()
    except OSError:  # another system
        return sys.maxsize
    least = math.inf
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers == "":  # version 2, in which all controllers are together
            folder = Path(cgroups)
        elif "cpu" in controllers.split(","):
            folder = Path(cgroups, "cpu")
        else:
            continue
        for part in ("", *path.split("/")):
            folder /= part
            least = min(least, quota_of(folder))
    return math.ceil(least) if least < math.inf else sys.maxsize


def quota_of(cgroup: Path) -> float:
    """CPUs of one cgroup, of version 2 or 1."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            return int(quota) / int(period) if int(quota) > 0 else math.inf
        except (OSError, ValueError):  # no such file; "max"
            pass
    return math.inf


def set_num_threads(n: SupportsIndex | None) -> None:
    """
    Set how many threads may work on one large array; results do not depend on it.

    Fewer do where more would save no time: see `get_num_threads`.

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
    _count = None if n is None else checked_threads(n)
