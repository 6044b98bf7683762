"""What lines need that is done in another thread or process."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

pool = ThreadPoolExecutor(1)


def copy_halves(y: np.ndarray, x: np.ndarray) -> None:
    """np.copyto with half of it in another thread."""
    half = x.size // 2
    other = pool.submit(np.copyto, y[half:], x[half:])
    np.copyto(y[:half], x[:half])
    other.result()


def python(code: str) -> None:
    """Run code in a new interpreter, which looks for modules in its own folders alone."""
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
