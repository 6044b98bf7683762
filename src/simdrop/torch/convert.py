"""simdrop in models as they are: their modules exchanged, or PyTorch's operators replaced."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any, TypeVar, cast

import torch
from torch import nn

from simdrop import Mask

from . import functional, modules
from ._draws import next_address
from ._tensors import array
from .functional import Draws

Model = TypeVar("Model", bound=nn.Module)

# PyTorch's modules, and those of simdrop, which have the same attributes and one more.
SAME: dict[type[nn.Module], type[modules.Streamed]] = {
    nn.Dropout: modules.Dropout,
    nn.Dropout1d: modules.Dropout1d,
    nn.Dropout2d: modules.Dropout2d,
    nn.Dropout3d: modules.Dropout3d,
    nn.AlphaDropout: modules.AlphaDropout,
    nn.FeatureAlphaDropout: modules.FeatureAlphaDropout,
}


def convert(model: Model, *, stream: Draws = None) -> Model:
    """
    Make all dropout modules of a model simdrop's, in place.

    They stay the objects that they are, with their names, hooks and modes. Subclasses of PyTorch's
    modules are left alone, since they may compute something else; what calls
    `torch.nn.functional.dropout` without a module is for `patch`.

    Parameters
    ----------
    model : torch.nn.Module
        Such as a model of `transformers`.
    stream : simdrop.Stream or torch.Generator, optional
        What all of them draw from, one after the other; the default is PyTorch's generator.

    Returns
    -------
    torch.nn.Module
        The model that was given.

    Examples
    --------
    >>> import simdrop.torch, torch
    >>> simdrop.torch.convert(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.1)))
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Dropout(p=0.1, inplace=False)
    )
    """
    for module in model.modules():
        if type(module) in SAME:
            module.__class__ = SAME[type(module)]
            cast(modules.Streamed, module).set_stream(stream)
    return model


# --- PyTorch's operators ---


def dropout(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.dropout(input, p, train)


def dropout_(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.dropout(input, p, train, inplace=True)


def feature_dropout(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.channels("dropout", input, p, train, False, None)


def feature_dropout_(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.channels("dropout", input, p, train, True, None)


def alpha_dropout(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.alpha_dropout(input, p, train)


def alpha_dropout_(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.alpha_dropout(input, p, train, inplace=True)


def feature_alpha_dropout(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.channels("alpha", input, p, train, False, None)


def feature_alpha_dropout_(input: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    return functional.channels("alpha", input, p, train, True, None)


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


DIFFERENTIABLE = (
    dropout,
    dropout_,
    feature_dropout,
    feature_dropout_,
    alpha_dropout,
    alpha_dropout_,
    feature_alpha_dropout,
    feature_alpha_dropout_,
)


class patch:
    """
    Make every dropout of PyTorch on CPU tensors simdrop's, until the end of a ``with`` block.

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
    active = 0

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
    """`patch` for good: until the process ends."""
    patch().__enter__()


def registered() -> Any:
    """A library in which PyTorch's operators are simdrop's, as long as it is there."""
    library = torch.library.Library("aten", "IMPL")
    for function in DIFFERENTIABLE:
        for key in ("AutogradCPU", "CPU"):
            library.impl(function.__name__, function, key)
    with warnings.catch_warnings():  # of an operator that has a kernel for CPUs, this is the other
        warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
        library.impl("native_dropout", native_dropout, "CPU", allow_override=True)
    return library
