"""The dropout modules of a model exchanged for simdrop's."""

from __future__ import annotations

from typing import TypeVar, cast

from torch import nn

from . import modules
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
    Replace all dropout modules of a model by simdrop's, in place.

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
