"""Which tensors simdrop takes."""

from __future__ import annotations

from typing import Any

import torch

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


def check_in_place(x: torch.Tensor) -> None:
    """An error, before anything is written, where autograd forbids to change a tensor."""
    if x.is_leaf and x.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation."
        )
