"""Dropout for PyTorch on CPUs: modules, functions, and a patch for models as they are."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("simdrop.torch needs PyTorch: pip install 'simdrop[torch]'") from error

from . import functional
from ._convert import convert
from ._patch import install, patch
from .modules import (
    AlphaDropout,
    DropBlock,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropPath,
    FeatureAlphaDropout,
    GaussianDropout,
    LockedDropout,
    WeightDrop,
)

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
    "convert",
    "functional",
    "install",
    "patch",
]
