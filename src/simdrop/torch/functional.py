"""Dropout of tensors: the functions of `torch.nn.functional` and more, with `stream=`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from simdrop._core.stream import Stream
from simdrop._names import explanation_of

from . import _autograd, _eager, _fused, _ops
from ._eager import next_address
from ._tensors import check
from ._transforms import Transform

__all__ = [
    "alpha_dropout",
    "bias_dropout",
    "drop_block",
    "drop_path",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "dropout_add",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "locked_dropout",
    "relu_dropout",
]

Draws: TypeAlias = Stream | torch.Generator | None
Function: TypeAlias = Callable[..., torch.Tensor]


def overridable(function: Function) -> Function:
    """Let tensors that have `__torch_function__` decide, as PyTorch's functions do."""

    @wraps(function)
    def call(input: torch.Tensor, *args: Any, **named: Any) -> torch.Tensor:
        if has_torch_function_unary(input):
            result: torch.Tensor = handle_torch_function(call, (input,), input, *args, **named)
            return result
        try:
            return function(input, *args, **named)
        except TypeError:
            message = explanation_of(function, function.__name__, named)
            if message is None:
                raise
        raise TypeError(message)

    return call


@overridable
def dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Set elements to zero with probability p, and divide the others by 1 - p.

    Parameters
    ----------
    input : torch.Tensor
        On the CPU, of any shape, strides and memory format; float16, bfloat16, float32, float64,
        complex64 or complex128.
    p : float, optional
        Probability of DROPPING an element, in [0, 1].
    training : bool, optional
        If False, the result is the input.
    inplace : bool, optional
        Write the result over the input.
    stream : simdrop.Stream or torch.Generator, optional
        Where to draw from. The default is PyTorch's generator, which `torch.manual_seed` seeds.

    Returns
    -------
    torch.Tensor
        Of the input's shape, dtype and memory format; exactly 0 where dropped, NaN and infinity
        too. Nothing is saved for the backward pass but the address of the draw.

    Raises
    ------
    TypeError
        If the input is no tensor of floats or complex numbers, or `stream` has another type.
    ValueError
        If p is not in [0, 1], or the input is not in the CPU's memory.
    RuntimeError
        If `inplace` is asked of a leaf that requires its gradient.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".

    Examples
    --------
    >>> import torch, simdrop
    >>> from simdrop.torch import functional
    >>> functional.dropout(torch.ones(8), 0.5, stream=simdrop.Stream(0))
    tensor([0., 2., 2., 0., 0., 0., 2., 2.])
    """
    return transformed(Transform("dropout", p), input, training, inplace, stream)


@overridable
def dropout1d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Drop whole channels, with one decision for each.

    Parameters
    ----------
    input : torch.Tensor
        (N, C, L) or (C, L); else as of `dropout`.
    p, training, inplace, stream
        As of `dropout`.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; RuntimeError if the input has another number of axes.

    References
    ----------
    Tompson et al. (2015), "Efficient object localization using convolutional networks".
    """
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. "
            "Note that dropout1d exists to provide channel-wise dropout on inputs with 1 "
            "spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return channels("dropout", input, p, training, inplace, stream, batch_axes=input.dim() - 2)


@overridable
def dropout2d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Drop whole channels, with one decision for each.

    Parameters
    ----------
    input : torch.Tensor
        (N, C, H, W); (N, C, L) with PyTorch's warning that this will change; else as of `dropout`.
    p, training, inplace, stream
        As of `dropout`.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; RuntimeError if the input has fewer than two axes.

    References
    ----------
    Tompson et al. (2015), "Efficient object localization using convolutional networks".
    """
    axes = input.dim()
    if axes == 3:
        warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead."
        )
    elif axes != 4:
        warn(
            f"dropout2d: Received a {axes}-D input to dropout2d, which is deprecated and will "
            "result in an error in a future release. To retain the behavior and silence this "
            "warning, please use dropout instead. Note that dropout2d exists to provide "
            "channel-wise dropout on inputs with 2 spatial dimensions, a channel dimension, and an "
            "optional batch dimension (i.e. 3D or 4D inputs)."
        )
    return channels("dropout", input, p, training, inplace, stream)


@overridable
def dropout3d(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Drop whole channels, with one decision for each.

    Parameters
    ----------
    input : torch.Tensor
        (N, C, D, H, W) or (C, D, H, W); else as of `dropout`.
    p, training, inplace, stream
        As of `dropout`.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; RuntimeError if the input has no axes.

    References
    ----------
    Tompson et al. (2015), "Efficient object localization using convolutional networks".
    """
    axes = input.dim()
    if axes not in (4, 5):
        warn(
            f"dropout3d: Received a {axes}-D input to dropout3d, which is deprecated and will "
            "result in an error in a future release. To retain the behavior and silence this "
            "warning, please use dropout instead. Note that dropout3d exists to provide "
            "channel-wise dropout on inputs with 3 spatial dimensions, a channel dimension, and an "
            "optional batch dimension (i.e. 4D or 5D inputs)."
        )
    return channels("dropout", input, p, training, inplace, stream, batch_axes=int(axes == 5))


@overridable
def alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Dropout for self-normalizing nets: drop to SELU's limit, keeping mean and variance.

    Parameters
    ----------
    input
        As of `dropout`, but not complex.
    p, training, inplace, stream
        As of `dropout`; `training` is False by default, as in PyTorch.

    Returns
    -------
    torch.Tensor
        ``a * input + b`` where kept, ``a * alpha + b`` where dropped (`simdrop.alpha_dropout`).

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks".
    """
    return transformed(Transform("alpha", p), input, training, inplace, stream)


@overridable
def feature_alpha_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Alpha dropout of whole channels, with one decision for each.

    Parameters
    ----------
    input : torch.Tensor
        (N, C, ...), not complex.
    p, training, inplace, stream
        As of `alpha_dropout`.

    Returns
    -------
    torch.Tensor
        As of `alpha_dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; RuntimeError if the input has fewer than two axes.

    References
    ----------
    Klambauer et al. (2017), "Self-normalizing neural networks".
    """
    return channels("alpha", input, p, training, inplace, stream)


@overridable
def gaussian_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Multiply by normal noise of mean 1 and the variance of dropout, p / (1 - p).

    Parameters
    ----------
    input
        As of `dropout`, but not complex.
    p : float, optional
        In [0, 1).
    training, inplace, stream
        As of `dropout`.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; ValueError if p is 1.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting",
    section 10.
    """
    return transformed(Transform("gaussian", p), input, training, inplace, stream)


@overridable
def drop_path(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    scale: bool = True,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Stochastic depth: drop whole examples, the first axis, with one decision for each.

    Parameters
    ----------
    input : torch.Tensor
        (N, ...); else as of `dropout`.
    p, training, inplace, stream
        As of `dropout`.
    scale : bool, optional
        Whether what is kept is divided by 1 - p.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; ValueError if the input has no axes.

    References
    ----------
    Huang et al. (2016), "Deep networks with stochastic depth".
    """
    if input.dim() == 0:
        raise ValueError("input has no axes, but its first one is that of the examples")
    axes = tuple(range(1, input.dim()))
    transform = Transform("dropout", p, axes, scale)
    return transformed(transform, input, training, inplace, stream)


@overridable
def locked_dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    time_axis: int = 0,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Variational dropout for recurrent nets: drop the same elements at all time steps.

    Parameters
    ----------
    input : torch.Tensor
        (T, N, F) or in another order; else as of `dropout`.
    p, training, inplace, stream
        As of `dropout`.
    time_axis : int, optional
        The axis along which decisions are shared: 1 for (N, T, F).

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`.
    IndexError
        If there is no such axis.

    References
    ----------
    Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural
    networks".
    """
    if not -input.dim() <= time_axis < input.dim():
        raise IndexError(f"time_axis = {time_axis}, but the input has {input.dim()} axes")
    transform = Transform("dropout", p, (time_axis % input.dim(),))
    return transformed(transform, input, training, inplace, stream)


@overridable
def drop_block(
    input: torch.Tensor,
    p: float,
    block_size: int,
    training: bool = True,
    inplace: bool = False,
    *,
    scale: bool = True,
    stream: Draws = None,
) -> torch.Tensor:
    """
    DropBlock: drop square blocks of images.

    Parameters
    ----------
    input : torch.Tensor
        (..., H, W); else as of `dropout`.
    p : float
        Probability of DROPPING an element, in [0, 1]; approximate.
    block_size : int
        Length of a side, from 1 to the smaller of H and W.
    training, inplace, stream
        As of `dropout`.
    scale : bool, optional
        Whether what is kept is multiplied by the number of elements over that of kept ones.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `dropout`; ValueError if the input has fewer than two axes, or a block does not fit.

    References
    ----------
    Ghiasi, Lin and Le (2018), "DropBlock: a regularization method for convolutional networks".
    """
    transform = Transform("block", p, (), scale, block_size)
    return transformed(transform, input, training, inplace, stream)


# --- Fused with what stands beside dropout ---


@overridable
def bias_dropout(
    input: torch.Tensor,
    bias: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    activation: str | None = None,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Bias, activation and dropout, what follows a matrix product: ``dropout(activation(x + bias))``.

    Parameters
    ----------
    input : torch.Tensor
        (..., n); float32 or float64.
    bias : torch.Tensor
        (n,), of the input's dtype.
    p, training, stream
        As of `dropout`.
    activation : None, "relu", "gelu", "tanh", "sigmoid" or "silu", optional
        gelu is the exact one.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError
        As `dropout`; ValueError if the activation is unknown or the shapes do not fit.
    """
    _fused.check_activation(activation)
    check_all(p, input, bias=bias)
    if input.dim() == 0 or bias.shape != input.shape[-1:]:
        raise ValueError(
            f"bias has shape {tuple(bias.shape)}, but must have that of the last axis of the "
            f"input, whose shape is {tuple(input.shape)}"
        )
    if training and p and _fused.can_be_fused((input, bias)):
        address = next_address(stream)
        return applied(_fused.BiasDropout, input, bias, p, activation, address)
    activated = _fused.ACTIVATIONS[activation](input + bias)
    return dropout(activated, p, training, stream=stream)


@overridable
def dropout_add(
    input: torch.Tensor,
    residual: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    stream: Draws = None,
) -> torch.Tensor:
    """
    Dropout and a residual connection: ``dropout(input) + residual``.

    Parameters
    ----------
    input : torch.Tensor
        Of any shape; float32 or float64.
    residual : torch.Tensor
        Of the input's shape and dtype.
    p, training, stream
        As of `dropout`.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError
        As `dropout`; ValueError if the shapes do not fit.
    """
    check_all(p, input, residual=residual)
    if residual.shape != input.shape:
        raise ValueError(
            f"residual has shape {tuple(residual.shape)}, but must have the input's, "
            f"{tuple(input.shape)}"
        )
    if training and p and _fused.can_be_fused((input, residual)):
        return applied(_fused.DropoutAdd, input, residual, p, next_address(stream))
    return dropout(input, p, training, stream=stream) + residual


@overridable
def relu_dropout(
    input: torch.Tensor, p: float = 0.5, training: bool = True, *, stream: Draws = None
) -> torch.Tensor:
    """
    Dropout of a rectifier: ``dropout(relu(input))``.

    Parameters
    ----------
    input : torch.Tensor
        Of any shape; float32 or float64.
    p, training, stream
        As of `dropout`.

    Returns
    -------
    torch.Tensor
        As of `dropout`.

    Raises
    ------
    TypeError, ValueError
        As `dropout`.
    """
    check_all(p, input)
    if training and p and _fused.can_be_fused((input,)):
        return applied(_fused.ReluDropout, input, p, next_address(stream))
    return dropout(torch.relu(input), p, training, stream=stream)


# --- What they have in common ---


def warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)  # where the caller called the overridable function


def channels(
    kind: str,
    input: torch.Tensor,
    p: float,
    training: bool,
    inplace: bool,
    stream: Draws,
    *,
    batch_axes: int = 1,
) -> torch.Tensor:
    """One decision for each channel, the axis after that of the batch, if there is one."""
    if input.dim() < 1 + batch_axes:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    axes = tuple(range(1 + batch_axes, input.dim()))
    return transformed(Transform(kind, p, axes), input, training, inplace, stream)


def check_p(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def check_all(p: float, input: torch.Tensor, **others: torch.Tensor) -> None:
    """An error for a wrong p, and for tensors that simdrop cannot take or of two dtypes."""
    check_p(p)
    check(input)
    for name, x in others.items():
        check(x, name)
        if x.dtype is not input.dtype:
            raise TypeError(f"{name} is of {x.dtype}, but must be of the input's, {input.dtype}")


def transformed(
    transform: Transform, x: torch.Tensor, training: bool, in_place: bool, stream: Draws
) -> torch.Tensor:
    """A transform's result, in autograd."""
    check_p(transform.p)
    if not torch.compiler.is_compiling():
        result: torch.Tensor | None = _eager.forward(transform, x, training, in_place, stream)
        if result is not None:
            return result
    check(x)
    transform.check(x)
    if not training or transform.p == 0 or x.numel() == 0:
        return x
    if torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active():
        y = _ops.traced(x, transform, stream)
    else:
        y = _autograd.under_transforms(x, transform, stream)
    return x.copy_(y) if in_place else y


def applied(function: type[torch.autograd.Function], *args: Any) -> torch.Tensor:
    y: torch.Tensor = function.apply(*args)
    return y
