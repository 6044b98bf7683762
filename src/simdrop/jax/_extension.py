"""The extension, _ffi.c: loaded and registered with XLA, where it was built."""

from __future__ import annotations

import ctypes
import warnings
from functools import cache

import jax

from simdrop.config import jax_extension

TARGET = "simdrop_dropout"  # its name in compiled programs


@cache
def is_registered() -> bool:
    """Whether XLA can call the extension on CPUs. A warning, once, if it was built but cannot."""
    path = jax_extension()
    if path is None:
        return False
    try:
        library = ctypes.CDLL(path)
        jax.ffi.register_ffi_target(
            TARGET, jax.ffi.pycapsule(library.simdrop_xla_dropout), platform="cpu"
        )
    except Exception as error:
        warnings.warn(
            f"JAX {jax.__version__} cannot use simdrop's extension, so that dropout is computed in "
            f"jax.numpy, with the same results but far slower: {error}. Install simdrop again to "
            "build it for this JAX",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True
