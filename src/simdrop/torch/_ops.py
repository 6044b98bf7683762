"""
The operators `simdrop::address`, `simdrop::apply` and `simdrop::gradient` in torch.ops.

`torch.compile` and `torch.export` see them instead of Python. Random bits are an input, drawn by
PyTorch's own operator: compilers know that each call of that gives others, and how to give the same
ones to a checkpoint that is computed again.
"""

from __future__ import annotations

from typing import Any

import torch

from simdrop._core.stream import Stream

from ._draws import KEY_BYTES, address_of, checked_stream, numbers_of
from ._eager import array, tensor
from ._transforms import Context, Transform

# Streams that compiled code draws from, by number; it cannot hold Python's objects.
streams: list[Stream] = []


@torch.compiler.assume_constant_result  # else what is appended would not be there when code runs
def number_of(stream: Any) -> int:
    """The number of a stream in `streams`; -1 without one."""
    if checked_stream(stream) is None:
        return -1
    for i, known in enumerate(streams):
        if known is stream:
            return i
    streams.append(stream)
    return len(streams) - 1


@torch.library.custom_op("simdrop::address", mutates_args=())
def address(bits: torch.Tensor, stream: int) -> torch.Tensor:
    if stream >= len(streams):
        raise RuntimeError(
            f"stream {stream} of this program is not in this process; export without stream="
        )
    key, number = address_of(bits.numpy().tobytes(), streams[stream] if stream >= 0 else None)
    return torch.tensor([*numbers_of(key), number], dtype=torch.int64, device="cpu")


@address.register_fake
def _(bits: torch.Tensor, stream: int) -> torch.Tensor:
    return bits.new_empty(3, dtype=torch.int64)


def context_at(
    address: torch.Tensor,
    shape: tuple[int, ...],
    kind: str,
    p: float,
    shared_axes: list[int],
    scale: bool,
    block_size: int,
) -> Context:
    transform = Transform(kind, p, tuple(shared_axes), scale, block_size)
    key, number = address[:2].numpy().tobytes(), int(address[2])
    return transform.context((key, number), shape)


@torch.library.custom_op("simdrop::apply", mutates_args=())
def apply(
    x: torch.Tensor,
    address: torch.Tensor,
    kind: str,
    p: float,
    shared_axes: list[int],
    scale: bool,
    block_size: int,
) -> torch.Tensor:
    context = context_at(address, x.shape, kind, p, shared_axes, scale, block_size)
    return tensor(context.apply(array(x)))


@torch.library.custom_op("simdrop::gradient", mutates_args=())
def gradient(
    dy: torch.Tensor,
    address: torch.Tensor,
    kind: str,
    p: float,
    shared_axes: list[int],
    scale: bool,
    block_size: int,
) -> torch.Tensor:
    context = context_at(address, dy.shape, kind, p, shared_axes, scale, block_size)
    return tensor(context.backward(array(dy)))


def keep_address(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.rest = inputs[2:]


def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    (address,) = ctx.saved_tensors
    return gradient(dy, address, *ctx.rest), None, *(None for _ in ctx.rest)


for op in (apply, gradient):
    op.register_fake(lambda x, *rest: torch.empty_like(x))
    op.register_autograd(backward, setup_context=keep_address)


def traced(x: torch.Tensor, transform: Transform, stream: Any) -> torch.Tensor:
    """The operators' result for a tensor that is traced, not computed."""
    bits = torch.randint(0, 256, (KEY_BYTES,), dtype=torch.uint8, device="cpu")
    where = address(bits, number_of(stream))
    return apply(
        x,
        where,
        transform.kind,
        transform.p,
        list(transform.shared_axes),
        transform.scale,
        transform.block_size,
    )
