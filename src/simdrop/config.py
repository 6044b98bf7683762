"""What this build of simdrop is, and what it runs on."""

from __future__ import annotations

import platform
import sys

import numpy as np

from simdrop._core.kernels import COMPILER, STREAM_VERSION, instruction_set, instruction_sets
from simdrop._terminal import fitted
from simdrop._threads import get_num_threads
from simdrop._version import __version__

INDENT = 18  # of the values that `show_config` prints


def config() -> dict[str, str]:
    """Versions, the stream's version, instruction sets found and chosen, and threads, by name."""
    return {
        "simdrop": __version__,
        "stream version": str(STREAM_VERSION),
        "instruction sets": ", ".join(instruction_sets()),
        "chosen": instruction_set(),
        "compiler": COMPILER,
        "threads": str(get_num_threads()),
        "numpy": np.__version__,
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
    }


def show_config() -> None:
    """Print `config`, a line for each value; broken between words in narrow terminals."""
    for name, value in config().items():
        print(fitted(f"{name + ':':{INDENT}}{value}", INDENT))
