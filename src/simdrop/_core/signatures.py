"""How compiled classes are called: as Python functions, whose errors name what is missing."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from simdrop import _names


def arguments(name: str, parameters: str) -> Callable[..., tuple[Any, ...]]:
    """A function with these parameters that returns the arguments, those with defaults too."""
    made: dict[str, Callable[..., tuple[Any, ...]]] = {}
    exec(f"def {name}({parameters}): pass", made)
    names = ", ".join(signature(made[name]).parameters)
    exec(f"def {name}({parameters}): return {names},", made)
    return _names.explained(made[name])
