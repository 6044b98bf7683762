"""Threads: the same bits at any count, in forked children, and from many threads at once."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import threads

COUNTS = (1, 2, 3, 7)
SOURCES = Path(__file__).parent.parent / "src" / "simdrop"


@pytest.fixture(autouse=True)
def default_threads():
    yield
    sd.set_num_threads(None)


@pytest.fixture
def small_split(monkeypatch):
    """Calls are counted, to see that threads did the work."""
    calls = []

    def run(function, ranges):
        calls.append(len(ranges))
        original(function, ranges)

    original = threads.run
    monkeypatch.setattr(threads, "run", run)
    return calls


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_same_bits_at_any_count(dtype, small_split):
    n = 4_000_037
    x = np.random.default_rng(0).standard_normal(n).astype(dtype)
    for p in (0.5, 0.3):
        mask = sd.Stream(1).mask(n, p)
        sd.set_num_threads(1)
        expected = mask.apply(x)
        np.testing.assert_array_equal(expected == 0, ~mask.keep())
        for count in COUNTS:
            sd.set_num_threads(count)
            out = np.full(n, 7, dtype)
            assert mask.apply(x, out=out).tobytes() == expected.tobytes()
    assert set(COUNTS) <= set(small_split)


@pytest.mark.parametrize("axes", [(), (0,), (1, 2)], ids=str)
@pytest.mark.parametrize("axis_order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=str)
def test_same_bits_in_any_layout(axis_order, axes):
    shape = (61, 250, 310)
    x = np.random.default_rng(0).standard_normal(np.take(shape, axis_order)).astype(np.float32)
    x = x.transpose(np.argsort(axis_order))
    mask = sd.Stream(2).mask(shape, 0.3, shared_axes=axes)
    expected = np.where(mask.keep(), x * np.float32(mask.scale), np.float32(0))
    for count in COUNTS:
        sd.set_num_threads(count)
        np.testing.assert_array_equal(mask.apply(x), expected)


@given(n=st.integers(1, 10**6), parts=st.integers(1, 64), grain=st.sampled_from([1, 64, 4096]))
def test_split_covers_all_once(n, parts, grain):
    ranges = threads.split(n, parts, grain)
    assert 1 <= len(ranges) <= parts
    assert [start for start, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
    assert ranges[-1][1] == n
    assert all(start < stop and start % grain == 0 for start, stop in ranges)


def test_an_error_in_a_thread_is_raised():
    def fail(start, stop):
        if start:
            raise RuntimeError("in a thread")

    sd.set_num_threads(2)
    with pytest.raises(RuntimeError, match="in a thread"):
        threads.run(fail, [(0, 1), (1, 2)])


def test_many_callers_at_once():
    """Callers share the executor; no draw is taken twice and each result is right."""
    stream, n = sd.Stream(3), 3_500_003
    x = np.ones(n, np.float32)
    sd.set_num_threads(2)
    masks, errors = [], []

    def work():
        for _ in range(4):
            y, mask = sd.dropout(x, 0.5, rng=stream)
            masks.append(mask)
            if not np.array_equal(y != 0, mask.keep()):
                errors.append(mask)

    callers = [threading.Thread(target=work) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not errors
    assert sorted(mask.draw for mask in masks) == list(range(32))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own():
    """An executor of the parent's has no threads in the child: a call would wait for ever."""
    x = np.ones(4_000_000, np.float32)
    mask = sd.Stream(4).mask(x.shape, 0.5)
    sd.set_num_threads(2)
    expected = mask.apply(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(mask.apply(x), expected) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_while_the_interpreter_shuts_down(run_python):
    """New threads are refused then; the caller's own does the work."""
    code = """
import atexit, numpy as np, simdrop as sd
x = np.ones(4_000_000, np.float32)
mask = sd.Stream(4).mask(x.shape, 0.5)
sd.set_num_threads(2)
expected = mask.apply(x)
atexit.register(lambda: print(np.array_equal(mask.apply(x), expected)))
"""
    assert run_python(code).stdout == "True\n"


def test_counts():
    sd.set_num_threads(3)
    assert sd.get_num_threads() == 3
    sd.set_num_threads(None)
    assert sd.get_num_threads() == threads.available_cpus() >= 1


@pytest.mark.parametrize("bad", [0, -1])
def test_too_few(bad):
    with pytest.raises(ValueError, match=f"at least 1, not {bad}"):
        sd.set_num_threads(bad)


@pytest.mark.parametrize("bad", ["2", 2.0, True])
def test_not_an_int(bad):
    with pytest.raises(TypeError, match="must be an int"):
        sd.set_num_threads(bad)


def test_environment_variable(monkeypatch):
    monkeypatch.setenv("SIMDROP_NUM_THREADS", "5")
    assert sd.get_num_threads() == 5
    for bad in ("0", "-1", "two", "", "1.5"):
        monkeypatch.setenv("SIMDROP_NUM_THREADS", bad)
        with pytest.raises(ValueError, match="SIMDROP_NUM_THREADS must be a positive integer"):
            sd.get_num_threads()


def test_every_module_says_that_it_needs_no_global_lock():
    """Else a free-threaded interpreter takes one, with a warning, as soon as it is imported."""
    modules = sorted(SOURCES.glob("*.pyx"))
    assert len(modules) >= 6
    for module in modules:
        assert "freethreading_compatible=True" in module.read_text().splitlines()[0], module.name
