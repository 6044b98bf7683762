"""The fused functions in autograd, and the steps that they do in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch.autograd import forward_ad
from torch.nn import functional as F

from simdrop import Draw, fused
from simdrop._core.stream import stream_at

from ._draws import Address
from ._eager import array, gradient, is_plain, is_plain_gradient

Tensors: TypeAlias = tuple[torch.Tensor, ...]
Step: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

ACTIVATIONS: dict[str | None, Step] = {
    None: lambda v: v,
    "relu": F.relu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
}


def check_activation(name: str | None) -> None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"activation must be None or a name, not {type(name).__name__}")
    if name not in ACTIVATIONS:
        names = ", ".join(repr(known) for known in ACTIVATIONS if known)
        raise ValueError(f"activation = {name!r}, but those that there are: None, {names}")


def can_be_fused(inputs: Tensors) -> bool:
    """Whether the kernels take these tensors, and autograd asks for no tangents."""
    return (
        not torch.compiler.is_compiling()
        and all(is_plain(x) and x.dtype in (torch.float32, torch.float64) for x in inputs)
        and forward_ad._current_level < 0
    )


def summed(dx: torch.Tensor) -> torch.Tensor:
    """Over all axes but the last."""
    return dx.sum(tuple(range(dx.dim() - 1))) if dx.dim() > 1 else dx


class BiasDropout(torch.autograd.Function):
    """`fused.bias_dropout`. Saved: the result of relu; x and bias for other activations."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        bias: torch.Tensor,
        p: float,
        activation: Any,
        address: Address,
    ) -> torch.Tensor:
        y = torch.empty_like(x)
        stream = stream_of(address)
        _, ctx.fused = fused.bias_dropout(
            array(x), array(bias), p, activation=activation, rng=stream, out=array(y)
        )
        if activation == "relu":
            ctx.save_for_backward(y)
        elif activation is not None:
            ctx.save_for_backward(x, bias)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        saved, context = ctx.saved_tensors, ctx.fused
        if torch.is_grad_enabled() or not is_plain_gradient(dy):  # it is differentiated itself
            dx = gradient(context.mask, dy)
            if context.activation == "relu":
                dx = dx * (saved[0] > 0)
            elif context.activation is not None:
                dx = chained(ACTIVATIONS[context.activation], saved[0] + saved[1], dx)
            return dx, summed(dx), None, None, None
        dx = torch.empty_like(dy)
        _, dbias = context.backward(array(dy), out=(array(dx), None))
        return dx, torch.from_numpy(dbias), None, None, None


class ReluDropout(torch.autograd.Function):
    """`fused.relu_dropout`. Saved: the result."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float, address: Address) -> torch.Tensor:
        y = torch.empty_like(x)
        _, ctx.fused = fused.relu_dropout(array(x), p, rng=stream_of(address), out=array(y))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        if torch.is_grad_enabled() or not is_plain_gradient(dy):
            return gradient(ctx.fused.mask, dy) * (y > 0), None, None
        dx = torch.empty_like(dy)
        ctx.fused.backward(array(dy), out=array(dx))
        return dx, None, None


class DropoutAdd(torch.autograd.Function):
    """`fused.dropout_add`. Nothing is saved."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, residual: torch.Tensor, p: float, address: Address
    ) -> torch.Tensor:
        y = torch.empty_like(x)
        _, context = fused.dropout_add(
            array(x), array(residual), p, rng=stream_of(address), out=array(y)
        )
        ctx.mask = context.mask
        return y

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return gradient(ctx.mask, dy), dy, None, None


def stream_of(address: Address) -> Any:
    """A stream whose next draw is the one at an address."""
    return stream_at(Draw(*address, ()))


def chained(step: Step, v: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """The gradient with respect to v of a step's result with gradient dy, differentiable itself."""
    with torch.enable_grad():
        v = v if v.requires_grad else v.detach().requires_grad_()
        (dv,) = torch.autograd.grad(step(v), v, dy, create_graph=True)
    return dv
