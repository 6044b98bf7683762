"""Gradients that are differentiated themselves, and the function transforms of torch.func."""

from __future__ import annotations

from typing import Any

import torch
from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_all_functorch_interpreters

from ._draws import Address
from ._eager import array, gradient, is_plain_gradient, next_address, tensor
from ._transforms import Context, Transform


def recorded(context: Context, dy: torch.Tensor) -> torch.Tensor:
    """`context.backward` where autograd records it, or a tensor stands for a batch of them."""
    if is_plain_gradient(dy):
        return Gradient.apply(dy, context)
    like = torch.empty(dy.shape, dtype=dy.dtype, device="cpu")
    return multiplied(dy, constants(context, like)[0])


class Gradient(torch.autograd.Function):
    """`context.backward`, which is linear and its own adjoint."""

    @staticmethod
    def forward(ctx: Any, dy: torch.Tensor, context: Context) -> torch.Tensor:
        ctx.context = context
        return tensor(context.backward(array(dy)))

    @staticmethod
    def backward(ctx: Any, dx: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient(ctx.context, dx), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return gradient(ctx.context, tangent)


# --- torch.func: the transform as two tensors, which its function transforms can follow ---


def constants(context: Context, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a transform multiplies by, and what it adds."""
    factor, term = torch.empty_like(like), torch.zeros_like(like)
    context.backward(array(torch.ones_like(like)), out=array(factor))
    context.apply(array(term), out=array(term))
    return factor, term


def multiplied(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """The product, but 0 where NaN or infinity is dropped."""
    return torch.where(factor == 0, 0, x * factor)


class Constants(torch.autograd.Function):
    """`constants` of a transform, one for each example of a batch or the same for all."""

    @staticmethod
    def forward(
        like: torch.Tensor, transform: Transform, address: Address
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return constants(transform.context(address, like.shape), like)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *dy: torch.Tensor) -> tuple[None, None, None]:
        return None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int, None, None],
        like: torch.Tensor,
        transform: Transform,
        address: Address,
    ) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[int, int]]:
        batch = like.movedim(in_dims[0], 0)
        transform = transform.with_batch_axis(is_shared=info.randomness == "same")
        return Constants.apply(batch, transform, address), (0, 0)


def under_transforms(x: torch.Tensor, transform: Transform, stream: Any) -> torch.Tensor:
    """The result where torch.func's transforms are active."""
    like = x.detach()
    interpreters = retrieve_all_functorch_interpreters()
    for interpreter in interpreters:
        if isinstance(interpreter, VmapInterpreter):
            if interpreter.randomness() == "error":
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either "
                    "use the 'same' or 'different' randomness flags on vmap or perform the "
                    "randomness operation out of vmap"
                )
            if interpreter.randomness() == "different" and interpreter.level() not in levels(x):
                if interpreter is not interpreters[-1]:
                    raise RuntimeError(
                        "vmap: randomness is 'different', but the input of dropout is the same for "
                        "all examples; expand it to one for each"
                    )
                zeros = torch.zeros(interpreter.batch_size(), dtype=x.dtype, device="cpu")
                like = like + torch._C._functorch._add_batch_dim(zeros, 0, interpreter.level())
    # The bits are for all examples, whose masks follow from them.
    with torch._C._DisableFuncTorch():
        address = next_address(stream)
    factor, term = Constants.apply(like, transform, address)
    return multiplied(x, factor) + term


def levels(x: torch.Tensor) -> set[int]:
    """Of the vmaps whose batch axis a tensor has."""
    found = set()
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        if functorch.is_batchedtensor(x):
            found.add(functorch.maybe_get_level(x))
        x = functorch.get_unwrapped(x)
    return found
