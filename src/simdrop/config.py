"""What this build of simdrop is, and what it runs on."""

from __future__ import annotations

import pathlib
import platform
import sys

import numpy as np

from simdrop._core.kernels import COMPILER, STREAM_VERSION, instruction_set, instruction_sets
from simdrop._terminal import fitted
from simdrop._threads import get_num_threads
from simdrop._version import __version__

INDENT = 18  # of the values that `show_config` prints


def jax_extension() -> pathlib.Path | None:
    """The file of `simdrop.jax`'s extension, if this build has it; JAX is not imported."""
    names = ("_ffi.so", "_ffi.dll")
    paths = (pathlib.Path(__file__).parent / "jax" / name for name in names)
    return next((path for path in paths if path.exists()), None)


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
    """Print `config`, a line for each value; broken between words in narrow terminals."""
    for name, value in config().items():
        print(fitted(f"{name + ':':{INDENT}}{value}", INDENT))
