"""What the tests share: every instruction set by name, Hypothesis without deadlines, a fresh
interpreter."""

import os
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from activation_errors import largest_error as largest_error  # a fixture

import simdrop as sd
from simdrop._core import kernels, task

INSTRUCTION_SETS = ("portable", "aesni", "vaes256", "vaes512", "neon")

# The `instruction_set` fixture may run once for all examples: it sets what they all need.
hypothesis.settings.register_profile(
    "simdrop",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("simdrop")


def pytest_report_header():
    here = kernels.instruction_sets()
    lacking = [name for name in INSTRUCTION_SETS if name not in here]
    return f"instruction sets: {', '.join(here)}; this CPU lacks: {', '.join(lacking) or 'none'}"


@pytest.fixture(autouse=True)
def unseeded():
    """No test leaves the process-wide stream seeded: others would draw the masks of `Stream(0)`."""
    yield
    sd.seed()


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request):
    """Run the test once for each instruction set; those this CPU lacks are skipped by name."""
    if request.param not in kernels.instruction_sets():
        pytest.skip(f"this CPU cannot run {request.param}")
    before = kernels.instruction_set()
    kernels.use_instruction_set(request.param)
    yield request.param
    kernels.use_instruction_set(before)


@pytest.fixture
def one_thread():
    """Whose part is the whole array; those of several may be too small for the path past the
    caches."""
    sd.set_num_threads(1)
    yield
    sd.set_num_threads(None)


@pytest.fixture
def always_shared():
    """Threads share arrays of any size, whatever that costs."""
    before = task.assumed()
    task.assumed(delay=0, least=0)
    yield
    task.assumed(*before)


@pytest.fixture
def run_python():
    """Run a script in a fresh interpreter, with more environment variables, or without those that
    are None; gives the completed process."""

    def run(script, arguments=(), **environment):
        # Forking a process that has threads is what some of these scripts are there to try.
        ignore = "ignore:This process:DeprecationWarning"
        merged = os.environ | environment
        return subprocess.run(
            [sys.executable, "-W", "error", "-W", ignore, "-c", script, *arguments],
            env={name: value for name, value in merged.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=600,  # only against hanging
        )

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The test is in an empty folder of its own, from which relative paths start."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def corners(tmp_path):
    """Write an .npz file with points around three corners of a cube; gives its path."""

    def write(train, test):
        rng = np.random.default_rng(0)
        arrays = {}
        for part, count in (("train", train), ("test", test)):
            labels = np.arange(count) % 3
            points = np.eye(3)[labels] + rng.normal(0, 0.3, (count, 3))
            arrays |= {f"x_{part}": points.astype(np.float32), f"y_{part}": labels}
        np.savez(tmp_path / "small.npz", **arrays)
        return str(tmp_path / "small.npz")

    return write
