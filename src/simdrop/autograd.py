"""Dropout for HIPS autograd: functions whose gradients it knows, of every order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from autograd.extend import defjvp, defvjp, primitive
except ImportError as error:
    raise ImportError("simdrop.autograd needs autograd: pip install 'simdrop[autograd]'") from error

from simdrop import _args
from simdrop._contexts import Axes, next_context, next_mask_of
from simdrop._core.alpha import AlphaDropoutContext
from simdrop._core.gaussian import GaussianDropoutContext, GaussianNoiseContext
from simdrop._names import explained

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

__all__ = [
    "alpha_dropout",
    "apply",
    "drop_path",
    "dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "locked_dropout",
]


@primitive
def apply(x: Any, context: Any) -> Any:
    """
    ``context.apply(x)``, which autograd differentiates by ``context.backward``.

    Parameters
    ----------
    x : array
        NumPy's, or autograd's in a function that it traces.
    context : Mask or another context of simdrop with `apply` and `backward`

    Returns
    -------
    array
    """
    return context.apply(x)


@primitive
def backward(dy: Any, context: Any) -> Any:
    """``context.backward(dy)``, which is linear, and its own adjoint."""
    return context.backward(dy)


defvjp(apply, lambda y, x, context: lambda dy: backward(dy, context), argnums=(0,))
defvjp(backward, lambda dx, dy, context: lambda v: backward(v, context), argnums=(0,))
defjvp(apply, lambda dx, y, x, context: backward(dx, context), argnums=(0,))
defjvp(backward, lambda v, dx, dy, context: backward(v, context), argnums=(0,))


@explained
def dropout(
    x: Any,
    p: Any = 0.5,
    *,
    rng: Rng = None,
    shared_axes: Axes = (),
    training: bool = True,
    scale: bool = True,
) -> Any:
    """
    `simdrop.dropout` in a function that autograd differentiates; only y is returned.

    Parameters
    ----------
    x : array
        NumPy's, or autograd's, of the dtypes that `simdrop.dropout` takes.
    p, rng, shared_axes, training, scale
        As of `simdrop.dropout`.

    Returns
    -------
    array
        The output of `simdrop.dropout`.

    Raises
    ------
    TypeError, ValueError
        As `simdrop.dropout`.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> from autograd import grad
    >>> from simdrop import autograd
    >>> grad(lambda x: anp.sum(autograd.dropout(x, rng=0) ** 2))(anp.ones(4))
    array([0., 8., 8., 0.])
    """
    mask = next_mask_of(x, p, rng, shared_axes, training, scale)
    return apply(x, mask)


@explained
def alpha_dropout(
    x: Any, p: float = 0.5, *, rng: Rng = None, shared_axes: Axes = (), training: bool = True
) -> Any:
    """`simdrop.alpha_dropout`; otherwise as `dropout`."""
    return apply(x, next_context(AlphaDropoutContext, x, p, rng, shared_axes, training))


@explained
def gaussian_dropout(
    x: Any, p: float = 0.5, *, rng: Rng = None, shared_axes: Axes = (), training: bool = True
) -> Any:
    """`simdrop.gaussian_dropout`; otherwise as `dropout`."""
    return apply(x, next_context(GaussianDropoutContext, x, p, rng, shared_axes, training))


@explained
def gaussian_noise(
    x: Any, std: float, *, rng: Rng = None, shared_axes: Axes = (), training: bool = True
) -> Any:
    """`simdrop.gaussian_noise`; otherwise as `dropout`."""
    return apply(x, next_context(GaussianNoiseContext, x, std, rng, shared_axes, training))


@explained
def drop_path(x: Any, p: Any, *, rng: Rng = None, training: bool = True, scale: bool = True) -> Any:
    """`simdrop.drop_path`; otherwise as `dropout`."""
    axes = _args.axes_of_a_sample(x.ndim)
    return dropout(x, p, rng=rng, shared_axes=axes, training=training, scale=scale)


@explained
def locked_dropout(
    x: Any,
    p: float,
    *,
    time_axis: Axes = 0,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
) -> Any:
    """`simdrop.locked_dropout`; otherwise as `dropout`."""
    return dropout(x, p, rng=rng, shared_axes=time_axis, training=training, scale=scale)
