"""Who trains: one process, or the ranks of an MPI job, which train as one; the first one speaks."""

from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, RanksError, UnsavedError

if TYPE_CHECKING:
    from .. import nn
    from .loop import Run

Result = TypeVar("Result")

OPTION = "--distributed"

# In these, the mpiexec of Open MPI, or of MPICH and its relatives, says how many ranks it starts.
STARTED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


class Alone:
    """One process, whose methods do what those of `Ranks` do where there is nobody else."""

    rank, size = 0, 1
    first = True  # whether this process prints, and reads and writes what all have once
    agreed = False  # whether all ranks have raised the same

    @contextmanager
    def together(self) -> Iterator[None]:
        """A part of the work that calls no other method; if it fails on one rank, then on all."""
        yield

    def from_first(self, function: Callable[[], Result]) -> Result:
        """What a function returns, or raises, that the first rank alone calls."""
        return function()

    def rows(self, n: int) -> slice:
        """Which of n rows this rank computes."""
        return slice(0, n)

    def train_step(
        self,
        net: nn.MLP,
        x: NDArray[Any],
        y: NDArray[Any],
        optimizer: nn.Optimizer,
        batch: int,
    ) -> float:
        """`nn.MLP.train_step` of `batch` rows, of which this rank has x and y."""
        return net.train_step(x, y, optimizer)

    def sums(self, *numbers: float) -> Sequence[float]:
        """Each number summed over the ranks."""
        return numbers

    def largest(self, number: int) -> int:
        """The largest that a rank has."""
        return number

    def share(self, runs: Sequence[Run]) -> None:
        """Make nets and positions on all ranks those of the first."""

    def check_equal(self, what: str, value: object) -> None:
        """Raise RanksError unless all ranks have the same value."""

    def check_weights(self, net: nn.MLP) -> None:
        """Raise RanksError unless all ranks have the same weights."""

    def fail(self, code: int, message: str) -> int:
        """Print one line; the exit code."""
        print(message, file=sys.stderr)
        return code

    def end(self, code: int, message: str = "") -> int:
        """The same, or no line, of what this rank alone has come to: the others end, too."""
        return self.fail(code, message) if message else code


ALONE = Alone()


class Forwarded(io.TextIOWrapper):
    """Standard output that mpiexec forwards, perhaps through a pseudo-terminal, to anywhere."""

    def isatty(self) -> bool:
        return False


EXPECTED = (InputError, UnsavedError, ModuleNotFoundError, MemoryError, OSError)


class Ranks(Alone):
    """The ranks of the job that mpiexec started; InputError without mpi4py.

    Ranks wait for each other in each method but `rows`, `fail` and `end`. What one rank alone
    raises, `together` and `from_first` let all of them raise; after anything else that one alone
    raises, it calls `end`.
    """

    def __init__(self) -> None:
        try:
            from simdrop import mpi
        except ImportError as error:
            raise InputError(f"{OPTION} mpi: {error}") from None
        from mpi4py import MPI

        self.mpi, self.comm = mpi, MPI.COMM_WORLD
        self.in_place, self.most = MPI.IN_PLACE, MPI.MAX
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        started = max(int(os.environ.get(name, 1)) for name in STARTED)
        if started != self.size == 1:
            library = MPI.Get_library_version().partition(",")[0]
            raise InputError(
                f"{OPTION} mpi: mpiexec started {started} processes, but each finds itself alone: "
                f"it is of another MPI than that of mpi4py, {library}"
            )
        self.first = self.rank == 0
        if not self.first:
            sys.stdout = open(os.devnull, "w")
        elif isinstance(sys.stdout, io.TextIOWrapper):
            encoding = sys.stdout.encoding
            sys.stdout = Forwarded(sys.stdout.detach(), encoding, "backslashreplace")

    @contextmanager
    def together(self) -> Iterator[None]:
        error: BaseException | None = None
        try:
            yield
        except EXPECTED as caught:
            error = caught
        errors = self.comm.allgather(error)
        failed = [rank for rank, one in enumerate(errors) if one]
        if failed:
            self._raise(errors[failed[0]], failed[0])

    def from_first(self, function: Callable[[], Result]) -> Result:
        result: Result | None = None
        error: BaseException | None = None
        if self.first:
            try:
                result = function()
            except EXPECTED as caught:
                error = caught
        result, error = self.comm.bcast((result, error))
        if error:
            self._raise(error, 0)
        return cast(Result, result)

    def _raise(self, error: BaseException, rank: int) -> NoReturn:
        self.agreed = True
        for kind in (InputError, UnsavedError, MemoryError):
            if rank and isinstance(error, kind):
                error = kind(f"rank {rank} of {self.size}: {error}")
        raise error from None

    def rows(self, n: int) -> slice:
        return self.mpi.rows(n)

    def train_step(
        self,
        net: nn.MLP,
        x: NDArray[Any],
        y: NDArray[Any],
        optimizer: nn.Optimizer,
        batch: int,
    ) -> float:
        return self.mpi.train_step(net, x, y, optimizer, batch=batch)

    def sums(self, *numbers: float) -> Sequence[float]:
        total = np.array(numbers, np.float64)
        self.comm.Allreduce(self.in_place, total)
        return [float(number) for number in total]

    def largest(self, number: int) -> int:
        most = np.array([number])
        self.comm.Allreduce(self.in_place, most, self.most)
        return int(most[0])

    def share(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self.mpi.broadcast(run.net, run.optimizer)
            position = self.comm.bcast((run.batches, run.seconds, run.history))
            run.batches, run.seconds, run.history = position

    def check_equal(self, what: str, value: object) -> None:
        values = self.comm.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise RanksError(f"rank {rank} of {self.size} has other {what} than rank 0")

    def check_weights(self, net: nn.MLP) -> None:
        try:
            self.mpi.check_same(net)
        except ValueError as error:
            raise RanksError(str(error)) from None

    def fail(self, code: int, message: str) -> int:
        return super().fail(code, message) if self.first else code

    def end(self, code: int, message: str = "") -> int:
        if self.size == 1 or self.agreed:
            return super().end(code, message)
        where = f"rank {self.rank} of {self.size} on {socket.gethostname()}"
        print(message or "simdrop:", f"({where} ends the job)", file=sys.stderr, flush=True)
        self.comm.Abort(code)
        return code


def chosen(words: Sequence[str]) -> Alone:
    """Who trains, by the words of the command line, before they are parsed: whoever of the ranks
    prints what is wrong with them must be known by then."""
    if f"{OPTION}=mpi" in words or (OPTION, "mpi") in pairwise(words):
        return Ranks()
    return ALONE
