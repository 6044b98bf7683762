"""How the compiled classes are called, as Python functions, whose errors name what is missing.

Each returns its arguments, those with defaults too, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from typing import Any


def shown(function: Callable[..., Any]) -> Signature:
    """What `inspect.signature` tells of a class: one of these functions without annotations."""
    parameters = signature(function).parameters.values()
    return Signature([p.replace(annotation=p.empty) for p in parameters])


def Mask(
    key: Any, draw: Any, p: Any, shape: Any, *, shared_axes: Any = (), scale: Any = True
) -> tuple[Any, ...]:
    return key, draw, p, shape, shared_axes, scale


def PackedMask(bits: Any, p: Any, shape: Any, *, scale: Any = True) -> tuple[Any, ...]:
    return bits, p, shape, scale


def Stream(rng: Any = None) -> tuple[Any, ...]:
    return (rng,)


def GaussianDropout(
    key: Any, draw: Any, p: Any, shape: Any, *, shared_axes: Any = ()
) -> tuple[Any, ...]:
    return key, draw, p, shape, shared_axes


def GaussianNoise(
    key: Any, draw: Any, std: Any, shape: Any, *, shared_axes: Any = ()
) -> tuple[Any, ...]:
    return key, draw, std, shape, shared_axes


def AlphaDropout(
    key: Any, draw: Any, p: Any, shape: Any, *, shared_axes: Any = ()
) -> tuple[Any, ...]:
    return key, draw, p, shape, shared_axes


def Kept(mask: Any) -> tuple[Any, ...]:
    return (mask,)
