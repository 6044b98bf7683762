"""Dropout for JAX: NumPy's masks, in functions that are compiled, differentiated and mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import jax as _jax  # noqa: F401
except ImportError as error:
    raise ImportError("simdrop.jax needs JAX: pip install 'simdrop[jax]'") from error

from ._draws import address
from ._extension import is_registered
from ._functions import drop_path, dropout, locked_dropout

if TYPE_CHECKING:
    from . import linen as linen
    from . import nnx as nnx

is_registered()  # for programs, too, that were compiled elsewhere and are loaded here

__all__ = ["address", "drop_path", "dropout", "locked_dropout"]

_LAZY = ("linen", "nnx")  # they need Flax


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"simdrop.jax.{name}")
    raise AttributeError(f"module 'simdrop.jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
