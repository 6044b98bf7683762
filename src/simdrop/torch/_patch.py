"""PyTorch's dropout operators replaced by simdrop's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import torch

from simdrop import Mask

from . import functional
from ._eager import array, next_address


def feature_dropout(input: torch.Tensor, p: float, train: bool, in_place: bool) -> torch.Tensor:
    return functional.channels("dropout", input, p, train, in_place, None)


# By the name of the operator; that of the in-place variant ends with an underscore.
DIFFERENTIABLE: dict[str, Callable[[torch.Tensor, float, bool, bool], torch.Tensor]] = {
    "dropout": functional.dropout,
    "feature_dropout": feature_dropout,
    "alpha_dropout": functional.alpha_dropout,
    "feature_alpha_dropout": functional.feature_alpha_dropout,
}


def native_dropout(
    input: torch.Tensor, p: float, train: bool | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """With the mask, from which PyTorch's own operator computes the gradient."""
    functional.check_all(p, input)
    input = input.detach()  # PyTorch has recorded the call
    y, keep = torch.empty_like(input), torch.empty_like(input, dtype=torch.bool)
    address = next_address(None)
    mask = Mask(*address, p if train is None or train else 0.0, tuple(input.shape))
    mask.apply(array(input), out=array(y))
    array(keep)[...] = mask.keep()
    return y, keep


class patch:
    """
    Replace PyTorch's dropout of CPU tensors by simdrop's, inside a ``with`` block.

    It replaces the operators `aten::dropout`, `feature_dropout`, `alpha_dropout`,
    `feature_alpha_dropout`, their in-place variants and `native_dropout` in PyTorch's dispatcher.
    So it reaches whatever calls them: modules, `torch.nn.functional`, LSTMs between their layers,
    attention, in C++ as in Python. It holds for all threads.

    Examples
    --------
    >>> import simdrop.torch, torch
    >>> with simdrop.torch.patch():
    ...     y = torch.nn.functional.dropout(torch.ones(4), 0.5)
    """

    library: Any = None  # of all patches that are active
    active: int = 0

    def __enter__(self) -> patch:
        if patch.active == 0:
            patch.library = registered()
        patch.active += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        patch.active -= 1
        if patch.active == 0:
            patch.library._destroy()
            patch.library = None


def install() -> None:
    """The same as `patch`, until the process ends."""
    patch().__enter__()


def call(
    function: Callable[..., torch.Tensor], in_place: bool, x: torch.Tensor, p: float, train: bool
) -> torch.Tensor:
    """A function with the arguments of an operator."""
    return function(x, p, train, in_place)


def registered() -> Any:
    """A library in which PyTorch's operators are simdrop's, as long as it is there."""
    library = torch.library.Library("aten", "IMPL")
    for name, function in DIFFERENTIABLE.items():
        for key in ("AutogradCPU", "CPU"):
            library.impl(name, partial(call, function, False), key)
            library.impl(name + "_", partial(call, function, True), key)
    with warnings.catch_warnings():  # of an operator that has a kernel for CPUs, this is the other
        warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
        library.impl("native_dropout", native_dropout, "CPU", allow_override=True)
    return library
