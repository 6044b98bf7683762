"""What this build of simdrop is, what it runs on, and where its C library is."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np

import simdrop
from simdrop._core.kernels import COMPILER, STREAM_VERSION, instruction_set, instruction_sets
from simdrop._terminal import fitted
from simdrop._threads import get_num_threads
from simdrop._version import __version__

INDENT = 18  # of the values that `show_config` prints


def config() -> dict[str, str]:
    """Versions, instruction sets found and chosen, threads, and what else was built, by name."""
    return {
        "simdrop": __version__,
        "stream version": str(STREAM_VERSION),
        "instruction sets": ", ".join(instruction_sets()),
        "chosen": instruction_set(),
        "compiler": COMPILER,
        "threads": str(get_num_threads()),
        "jax extension": "not built" if jax_extension() is None else "built",
        "numpy": np.__version__,
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
    }


def show_config() -> None:
    """Print the version, the instruction sets, the compiler and the threads, a line for each.

    Lines are broken between words in narrow terminals.
    """
    for name, value in config().items():
        print(fitted(f"{name + ':':{INDENT}}{value}", INDENT))


def get_include() -> str:
    """
    The folder with ``simdrop.h``, the interface for C, C++ and Cython.

    Returns
    -------
    str
        For a compiler's ``-I``.

    See Also
    --------
    get_library

    Examples
    --------
    ::

        cc program.c -I"$(python -c 'import simdrop; print(simdrop.get_include())')" ...
    """
    return os.path.dirname(_installed("include", "simdrop.h"))


def get_library(*, static: bool = False) -> str:
    """
    The C library of this build, to link other programs and extensions with.

    Parameters
    ----------
    static : bool, optional
        Whether to return the static library instead of the shared one. On Linux and macOS, the
        extensions of this package use the shared one, with the instruction set that it has chosen.

    Returns
    -------
    str
        Path of the file; its folder also has ``pkgconfig/simdrop.pc``, and what
        ``find_package(simdrop)`` of CMake reads.

    Raises
    ------
    FileNotFoundError
        If this build has none.
    """
    if sys.platform == "win32":
        return _installed("lib", "simdrop_static.lib" if static else "simdrop.lib")
    shared = "libsimdrop.dylib" if sys.platform == "darwin" else "libsimdrop.so"
    return _installed("lib", "libsimdrop.a" if static else shared)


def jax_extension() -> str | None:
    """The path of `simdrop.jax`'s extension, or None; JAX is not imported."""
    return _found("jax", "_ffi.dll" if sys.platform == "win32" else "_ffi.so")


def _installed(*names: str) -> str:
    """The path of a file that the build has installed."""
    path = _found(*names)
    if path is None:
        raise FileNotFoundError(
            f"this build of simdrop has no {os.path.join(simdrop.__path__[0], *names)}"
        )
    return path


def _found(*names: str) -> str | None:
    """The path of a file of the package, or None."""
    paths = (os.path.join(root, *names) for root in simdrop.__path__)
    return next((path for path in paths if os.path.isfile(path)), None)
