"""Tensors as NumPy arrays on the same memory, and what simdrop cannot take."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

try:
    from ml_dtypes import bfloat16
except ModuleNotFoundError:  # simdrop[torch] has it; other types work without
    bfloat16 = None

PLAIN = (torch.Tensor, torch.nn.Parameter)
DTYPES = frozenset(
    (
        torch.float32,
        torch.float64,
        torch.bfloat16,
        torch.float16,
        torch.complex64,
        torch.complex128,
    )
)


def check(x: Any, name: str = "input") -> None:
    """An error for what is no tensor of floats or complex numbers in the CPU's memory."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, not {type(x).__name__}")
    if not x.is_cpu and not x.is_meta:
        raise ValueError(
            f"{name} is on {x.device}, but simdrop computes on the CPU; "
            "torch.nn.functional has dropout for other devices"
        )
    if x.layout is not torch.strided:
        raise ValueError(f"{name} is {x.layout}, but must be dense (torch.strided)")
    if x.dtype not in DTYPES:
        raise TypeError(f"{name} is of {x.dtype}, but must be of floats or complex numbers")


def array(x: torch.Tensor) -> NDArray[Any]:
    """
    The elements of a tensor as NumPy sees them, where autograd does not record.

    It is a copy only if they are lazily conjugated or negated.
    """
    if x.dtype is torch.bfloat16:
        if bfloat16 is None:
            raise ModuleNotFoundError(
                "tensors of bfloat16 need ml_dtypes: pip install 'simdrop[torch]'"
            )
        return x.view(torch.uint16).numpy().view(bfloat16)
    try:
        return x.numpy()
    except RuntimeError:
        return x.resolve_conj().resolve_neg().numpy()


def tensor(x: NDArray[Any]) -> torch.Tensor:
    """The inverse: a tensor on the memory of an array."""
    if bfloat16 is not None and x.dtype == bfloat16:
        return torch.from_numpy(x.view("u2")).view(torch.bfloat16)
    return torch.from_numpy(x)


def check_in_place(x: torch.Tensor) -> None:
    """An error, before anything is written, where autograd forbids to change a tensor."""
    if x.is_leaf and x.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )


def is_plain(x: Any) -> bool:
    """
    Whether `check` accepts a tensor, and NumPy can see its memory: not if it is only traced, or
    stands for a batch.
    """
    return (
        type(x) in PLAIN
        and x.is_cpu
        and x.dtype in DTYPES
        and x.layout is torch.strided
        and not torch._C._are_functorch_transforms_active()
        and not torch.compiler.is_compiling()
    )


def is_plain_gradient(dy: torch.Tensor) -> bool:
    """The same of a gradient, which `torch.autograd.grad(is_grads_batched=True)` batches itself."""
    return is_plain(dy) and torch._C._has_storage(dy)
