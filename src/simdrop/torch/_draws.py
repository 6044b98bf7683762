"""Where a call draws from: PyTorch's generator, or a Stream."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, TypeAlias

import torch
from torch import distributed

from simdrop._core.stream import Stream, next_draws

# Draws of one key that a rank has before those of the next rank begin.
RANK = 2**32

HAS_RANKS = distributed.is_available()

# How many draws of streams are remembered, for backward passes that compute a part again.
REMEMBERED = 2**16


# The key and the number of a draw.
Address: TypeAlias = tuple[bytes, int]

# Of a key, and of half of it, which an int64 has.
KEY_BYTES = 16
HALF = 8

remembered: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()


def address_of(call: bytes, stream: Stream | None) -> Address:
    """
    The address of a call's draw, from 128 random bits of PyTorch's generator.

    Without a stream they are the key. `torch.manual_seed` seeds them, each worker of a DataLoader
    has others, and `torch.utils.checkpoint` restores the generator before it computes a part of the
    forward pass again. Ranks of torch.distributed draw differently even if their seeds are equal.

    A stream moves on with each call, and the bits only say which call it was: a backward pass that
    computes a checkpointed part again, with the same bits, finds the draw that the call took.
    """
    if stream is None:
        return call, first_draw()
    key = stream.key
    if is_backward() and (key, call) in remembered:
        return key, remembered[key, call]
    (draw,) = next_draws(stream, 1)
    remembered[draw.key, call] = draw.draw
    if len(remembered) > REMEMBERED:
        remembered.popitem(last=False)
    return draw.key, draw.draw


def numbers_of(key: bytes) -> list[int]:
    """A key as two numbers, as tensors of int64 have them."""
    return [int.from_bytes(part, "little", signed=True) for part in (key[:HALF], key[HALF:])]


def checked_stream(stream: Any) -> Stream | None:
    if stream is not None and not isinstance(stream, Stream):
        raise TypeError(
            "stream must be a simdrop.Stream, a torch.Generator or None, "
            f"not {type(stream).__name__}"
        )
    return stream


def first_draw() -> int:
    """Of this process, whose rank torch.distributed may know."""
    if not (HAS_RANKS and distributed.is_initialized()):
        return 0
    return RANK * distributed.get_rank()


def is_backward() -> bool:
    """Whether autograd is computing a backward pass in this thread."""
    return bool(torch._C._current_graph_task_id() != -1)
