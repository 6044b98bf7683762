"""Dropout for NumPy arrays that costs no more than a multiplication, the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simdrop import schedule, theory
from simdrop._core.alpha import AlphaDropoutContext, alpha_dropout
from simdrop._core.draw import Draw
from simdrop._core.dropout import dropout, dropout_backward
from simdrop._core.gaussian import (
    GaussianDropoutContext,
    GaussianNoiseContext,
    gaussian_dropout,
    gaussian_noise,
)
from simdrop._core.mask import Mask
from simdrop._core.stored import StoredMask, apply_packed
from simdrop._core.stream import Stream, seed
from simdrop._threads import get_num_threads, set_num_threads
from simdrop._version import __version__ as __version__
from simdrop.config import get_include, get_library, show_config
from simdrop.connect import DropConnectMatmulContext, drop_connect, drop_connect_matmul
from simdrop.recurrent import ZoneoutContext, locked_dropout, zoneout
from simdrop.structured import (
    DropBlockContext,
    EmbeddingDropoutContext,
    drop_block,
    drop_path,
    embedding_dropout,
)

if TYPE_CHECKING:
    from simdrop import autograd as autograd
    from simdrop import dask as dask
    from simdrop import fused as fused
    from simdrop import jax as jax
    from simdrop import mpi as mpi
    from simdrop import nn as nn
    from simdrop import sklearn as sklearn
    from simdrop import submatrix as submatrix
    from simdrop import torch as torch
    from simdrop._core.bitgenerator import BitGenerator as BitGenerator

# Submodules that are imported when first used. Not in __all__: `from simdrop import *` must not
# need an extra, nor hide the names of frameworks.
_LAZY = ("autograd", "dask", "fused", "jax", "mpi", "nn", "sklearn", "submatrix", "torch")

__all__ = [
    "AlphaDropoutContext",
    "BitGenerator",
    "Draw",
    "DropBlockContext",
    "DropConnectMatmulContext",
    "EmbeddingDropoutContext",
    "GaussianDropoutContext",
    "GaussianNoiseContext",
    "Mask",
    "StoredMask",
    "Stream",
    "ZoneoutContext",
    "alpha_dropout",
    "apply_packed",
    "drop_block",
    "drop_connect",
    "drop_connect_matmul",
    "drop_path",
    "dropout",
    "dropout_backward",
    "embedding_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "get_include",
    "get_library",
    "get_num_threads",
    "locked_dropout",
    "schedule",
    "seed",
    "set_num_threads",
    "show_config",
    "theory",
    "zoneout",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"simdrop.{name}")
    if name == "BitGenerator":  # imported when it is used, since numpy.random takes milliseconds
        from simdrop._core.bitgenerator import BitGenerator

        return BitGenerator
    raise AttributeError(f"module 'simdrop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LAZY})
