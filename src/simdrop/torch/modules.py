"""Modules: those of `torch.nn` that drop, and others of simdrop, with `stream=`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from simdrop._core.stream import Stream

from . import functional
from ._draws import HALF, checked_stream, numbers_of
from .functional import Draws, Function

__all__ = [
    "AlphaDropout",
    "DropBlock",
    "DropPath",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "GaussianDropout",
    "LockedDropout",
    "WeightDrop",
]

STREAM_VERSION = 1


class Streamed(nn.Module):
    """
    A module that may draw from a stream of its own, which `state_dict` has as a tensor ``stream``:
    version, key (two integers), next draw and children so far. Without a stream there is no such
    tensor, and checkpoints of PyTorch's own modules fit.
    """

    stream: Draws = None

    def set_stream(self, stream: Draws) -> None:
        if not isinstance(stream, torch.Generator):
            checked_stream(stream)
        self.stream = stream

    def extra_repr(self) -> str:
        own = super().extra_repr()
        return own if self.stream is None else f"{own}, stream={self.stream!r}"

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if isinstance(self.stream, Stream):
            state = self.stream.state
            key = numbers_of(bytes.fromhex(state["key"]))
            numbers = [STREAM_VERSION, *key, state["draw"], state["spawned"]]
            destination[prefix + "stream"] = torch.tensor(numbers, device="cpu")

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        name = prefix + "stream"
        if not isinstance(self.stream, Stream):
            return
        if name not in state_dict:
            missing_keys.append(name)
            return
        if name in unexpected_keys:
            unexpected_keys.remove(name)
        try:
            set_state(self.stream, state_dict[name])
        except (TypeError, ValueError) as error:
            error_msgs.append(f"{name}: {error}")


def set_state(stream: Stream, state: Any) -> None:
    """Set a stream to what a state dict has of one."""
    if not isinstance(state, torch.Tensor) or state.dtype != torch.int64 or state.shape != (5,):
        raise ValueError("a stream is a tensor of five int64: version, key, draw, spawned")
    version, low, high, draw, spawned = state.tolist()
    key = b"".join(part.to_bytes(HALF, "little", signed=True) for part in (low, high))
    stream.state = {"stream": version, "key": key.hex(), "draw": draw, "spawned": spawned}


class Elementwise(Streamed):
    """A module with the arguments of PyTorch's."""

    p: float
    inplace: bool
    function: Function  # of `functional`

    def __init__(self, p: float = 0.5, inplace: bool = False, *, stream: Draws = None) -> None:
        super().__init__(p, inplace)
        self.set_stream(stream)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self.function(input, self.p, self.training, self.inplace, stream=self.stream)


class Dropout(Elementwise, nn.Dropout):
    """
    `functional.dropout` as a module, in place of `torch.nn.Dropout`.

    Parameters
    ----------
    p : float, optional
        Probability of DROPPING an element, in [0, 1].
    inplace : bool, optional
        Write results over inputs.
    stream : simdrop.Stream or torch.Generator, optional
        Where to draw from; the default is PyTorch's generator.
    """

    function: Function = staticmethod(functional.dropout)


class Dropout1d(Elementwise, nn.Dropout1d):
    """`functional.dropout1d` in place of `torch.nn.Dropout1d`; parameters as for `Dropout`."""

    function: Function = staticmethod(functional.dropout1d)


class Dropout2d(Elementwise, nn.Dropout2d):
    """`functional.dropout2d` in place of `torch.nn.Dropout2d`; parameters as for `Dropout`."""

    function: Function = staticmethod(functional.dropout2d)


class Dropout3d(Elementwise, nn.Dropout3d):
    """`functional.dropout3d` in place of `torch.nn.Dropout3d`; parameters as for `Dropout`."""

    function: Function = staticmethod(functional.dropout3d)


class AlphaDropout(Elementwise, nn.AlphaDropout):
    """`functional.alpha_dropout` for `torch.nn.AlphaDropout`; parameters as for `Dropout`."""

    function: Function = staticmethod(functional.alpha_dropout)


class FeatureAlphaDropout(Elementwise, nn.FeatureAlphaDropout):
    """
    `functional.feature_alpha_dropout` in place of `torch.nn.FeatureAlphaDropout`; parameters as for
    `Dropout`.
    """

    function: Function = staticmethod(functional.feature_alpha_dropout)


class GaussianDropout(Elementwise, nn.modules.dropout._DropoutNd):
    """`functional.gaussian_dropout` as a module; parameters as for `Dropout`, but p < 1."""

    function: Function = staticmethod(functional.gaussian_dropout)


class DropPath(Elementwise, nn.modules.dropout._DropoutNd):
    """
    `functional.drop_path` as a module: stochastic depth.

    Parameters
    ----------
    p, inplace, stream
        As of `Dropout`.
    scale : bool, optional
        Whether what is kept is divided by 1 - p.
    """

    def __init__(
        self, p: float = 0.5, inplace: bool = False, *, scale: bool = True, stream: Draws = None
    ) -> None:
        super().__init__(p, inplace, stream=stream)
        self.scale = scale

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.drop_path(
            input, self.p, self.training, self.inplace, scale=self.scale, stream=self.stream
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.scale else ", scale=False")


class DropBlock(Elementwise, nn.modules.dropout._DropoutNd):
    """
    `functional.drop_block` as a module.

    Parameters
    ----------
    p, inplace, stream
        As of `Dropout`.
    block_size : int
        Length of a side of the blocks.
    scale : bool, optional
        Whether what is kept is multiplied by the number of elements over that of kept ones.
    """

    block_size: int
    scale: bool

    def __init__(
        self,
        p: float,
        block_size: int,
        inplace: bool = False,
        *,
        scale: bool = True,
        stream: Draws = None,
    ) -> None:
        super().__init__(p, inplace, stream=stream)
        self.block_size, self.scale = block_size, scale

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.drop_block(
            input,
            self.p,
            self.block_size,
            self.training,
            self.inplace,
            scale=self.scale,
            stream=self.stream,
        )

    def extra_repr(self) -> str:
        own = f"{super().extra_repr()}, block_size={self.block_size}"
        return own + ("" if self.scale else ", scale=False")


class LockedDropout(Elementwise, nn.modules.dropout._DropoutNd):
    """
    `functional.locked_dropout` as a module: one mask for all time steps.

    Parameters
    ----------
    p, inplace, stream
        As of `Dropout`.
    batch_first : bool, optional
        Whether inputs are (batch, time steps, features), as `torch.nn.LSTM` has it, not
        (time steps, batch, features).
    """

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        batch_first: bool = False,
        stream: Draws = None,
    ) -> None:
        super().__init__(p, inplace, stream=stream)
        self.batch_first = batch_first

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.locked_dropout(
            input,
            self.p,
            self.training,
            self.inplace,
            time_axis=1 if self.batch_first else 0,
            stream=self.stream,
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + (", batch_first=True" if self.batch_first else "")


class WeightDrop(Streamed):
    """
    DropConnect on the weights of a module, such as those from state to state of an LSTM: one mask
    for all time steps of a call.

    The weights stay parameters of the module, with its names; each call in training computes with
    dropped ones in their place.

    Parameters
    ----------
    module : torch.nn.Module
        Such as `torch.nn.LSTM`.
    weights : str or sequence of str
        The names of its parameters to drop, such as ``"weight_hh_l0"``.
    p : float, optional
        Probability of DROPPING a weight, in [0, 1].
    stream : simdrop.Stream or torch.Generator, optional
        As of `Dropout`.

    Raises
    ------
    AttributeError
        If the module has no such parameter.
    ValueError
        If p is not in [0, 1].

    References
    ----------
    Merity, Keskar and Socher (2018), "Regularizing and optimizing LSTM language models".
    """

    module: nn.Module
    p: float
    weights: tuple[str, ...]

    def __init__(
        self,
        module: nn.Module,
        weights: str | Sequence[str],
        p: float = 0.5,
        *,
        stream: Draws = None,
    ) -> None:
        super().__init__()
        functional.check_p(p)
        self.module, self.p = module, p
        self.weights = (weights,) if isinstance(weights, str) else tuple(weights)
        for name in self.weights:
            module.get_parameter(name)
        self.set_stream(stream)

    def forward(self, *args: Any, **named: Any) -> Any:
        if not self.training or self.p == 0:
            return self.module(*args, **named)
        dropped = {
            name: functional.dropout(self.module.get_parameter(name), self.p, stream=self.stream)
            for name in self.weights
        }
        return torch.func.functional_call(self.module, dropped, args, named)

    def extra_repr(self) -> str:
        return f"weights={self.weights}, p={self.p}{super().extra_repr()}"
