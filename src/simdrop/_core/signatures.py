"""How compiled classes are called: as Python functions, whose errors name what is missing."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from typing import Any


def arguments(name: str, parameters: str) -> Callable[..., tuple[Any, ...]]:
    """A function with these parameters that returns the arguments, those with defaults too."""
    made: dict[str, Callable[..., tuple[Any, ...]]] = {}
    exec(f"def {name}({parameters}): pass", made)
    names = ", ".join(signature(made[name]).parameters)
    exec(f"def {name}({parameters}): return {names},", made)
    return made[name]


def shown(function: Callable[..., Any]) -> Signature:
    """What `inspect.signature` tells of a class."""
    return signature(function)


GaussianDropout = arguments("GaussianDropout", "key, draw, p, shape, *, shared_axes=()")
GaussianNoise = arguments("GaussianNoise", "key, draw, std, shape, *, shared_axes=()")
AlphaDropout = arguments("AlphaDropout", "key, draw, p, shape, *, shared_axes=()")
Kept = arguments("Kept", "mask")
