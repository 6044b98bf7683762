"""What this build of simdrop is, and what it runs on."""

from __future__ import annotations

import platform
import sys

import numpy as np

import simdrop
from simdrop.mask import COMPILER, STREAM_VERSION, instruction_set, instruction_sets
from simdrop.threads import get_num_threads


def config() -> dict[str, str]:
    """Versions, the stream's version, instruction sets found and chosen, and threads, by name."""
    return {
        "simdrop": simdrop.__version__,
        "stream version": str(STREAM_VERSION),
        "instruction sets": ", ".join(instruction_sets()),
        "chosen": instruction_set(),
        "compiler": COMPILER,
        "threads": str(get_num_threads()),
        "numpy": np.__version__,
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
    }


def show_config() -> None:
    """Print `config`."""
    for name, value in config().items():
        print(f"{name + ':':18}{value}")
