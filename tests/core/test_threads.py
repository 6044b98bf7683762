"""Threads: the same bits at any count, after errors and interrupts, in forked children, and while
the interpreter ends."""

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import simdrop as sd
from simdrop._core import elements, task

pytestmark = pytest.mark.usefixtures("default_threads", "always_shared")

COUNTS = (1, 2, 3, 7)
SOURCES = Path(__file__).parents[2] / "src" / "simdrop" / "_core"


@pytest.fixture
def starts(monkeypatch):
    """The helpers whose threads are started: all that are needed, as if this were a new process."""
    helpers = []

    def start(serve, arguments):
        helpers.append(serve.__self__)
        original(serve, arguments)

    original = task.start_new_thread
    task.forget_threads()
    monkeypatch.setattr(task, "start_new_thread", start)
    return helpers


@pytest.fixture
def start_by(monkeypatch, starts):
    """Have another function start the threads."""

    def use(start):
        monkeypatch.setattr(task, "start_new_thread", lambda serve, _: start(serve.__self__))

    return use


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_same_bits_at_any_count(dtype, starts):
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
    assert len(starts) == max(COUNTS) - 1


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


# Large arrays in a layout that is computed in blocks: each piece begins with a new buffer, where a
# test can be.
SHAPE = (1024, 2048)  # of equal blocks


def noisy(x, out=None):
    return sd.gaussian_noise(x, 1.0, rng=3, out=out)[0]


@pytest.fixture
def transposed():
    return np.random.default_rng(0).standard_normal(SHAPE[::-1], dtype=np.float32).T


class Other:
    """Work in another thread; what it raises is raised by join()."""

    def __init__(self, work):
        self.error = None
        self.thread = threading.Thread(target=self.run, args=(work,))
        self.thread.start()

    def run(self, work):
        try:
            work()
        except BaseException as error:
            self.error = error

    def join(self):
        self.thread.join()
        if self.error is not None:
            raise self.error


def in_main():
    return threading.current_thread() is threading.main_thread()


def test_what_is_left_is_done_by_the_caller(transposed, start_by):
    """Threads that come late, or not at all, are not waited for, and hold no array."""
    sd.set_num_threads(1)
    expected = noisy(transposed)
    late = []
    start_by(late.append)
    sd.set_num_threads(4)
    references = sys.getrefcount(transposed)
    out = np.zeros_like(transposed)
    assert np.array_equal(noisy(transposed, out), expected)
    assert len(late) == 3
    assert sys.getrefcount(transposed) == references and sys.getrefcount(out) == 2
    out[:] = 7
    for helper in late:
        helper.answer()
    assert (out == 7).all()


def test_others_may_do_all_of_it(transposed, start_by):
    sd.set_num_threads(1)
    expected = noisy(transposed)
    start_by(lambda helper: Other(helper.answer).join())
    sd.set_num_threads(2)
    assert np.array_equal(noisy(transposed), expected)


def test_a_system_that_gives_no_more_threads(start_by, starts):
    x = np.ones(4_000_000, np.float32)
    mask = sd.Stream(4).mask(x.shape, 0.5)
    expected = mask.apply(x)
    refused = []

    def refuse(helper):
        refused.append(helper)
        raise RuntimeError("can't start new thread")

    sd.set_num_threads(4)
    start_by(refuse)
    for calls in (1, 2):
        assert np.array_equal(mask.apply(x), expected)
        assert len(refused) == calls


def test_threads_are_started_once(starts):
    x = np.ones(4_000_000, np.float32)
    mask = sd.Stream(4).mask(x.shape, 0.5)
    for count in (3, 2, 3, 1, 3):
        sd.set_num_threads(count)
        mask.apply(x)
    assert len(starts) == 2


# --- What is raised ---


@pytest.mark.parametrize("fails_in_main", [False, True])
def test_an_error_ends_the_call_when_all_others_have_ended(
    transposed, monkeypatch, start_by, fails_in_main
):
    """One thread fails in its first piece while another is in its own; nobody begins one more."""
    original = elements.new_buffer
    began = {True: threading.Event(), False: threading.Event()}
    failed, left, pieces = threading.Event(), [], []

    def new_buffer(n, dtype):
        main = in_main()
        pieces.append(main)
        if not began[main].is_set():  # of the first piece
            began[main].set()
            began[not main].wait()
            if main == fails_in_main:
                failed.set()
                raise MemoryError("in a piece")
            failed.wait()
            time.sleep(0.05)  # a caller that does not wait is gone by then
            left.append(main)
        return original(n, dtype)

    others = []

    def start(helper):  # but one of those that are asked
        if not others:
            others.append(Other(helper.answer))

    monkeypatch.setattr(elements, "new_buffer", new_buffer)
    start_by(start)
    sd.set_num_threads(12)
    out = np.zeros_like(transposed)
    with pytest.raises(MemoryError, match="in a piece"):
        noisy(transposed, out)
    assert left == [not fails_in_main]
    written = out.copy()
    assert sorted(pieces) == [False, True]
    assert np.count_nonzero(out) < out.size / 2
    others[0].join()
    assert np.array_equal(out, written)


def test_an_interrupt_on_the_way_to_other_threads(transposed, monkeypatch, start_by):
    """A thread was started already when the exception comes: it is waited for."""
    original = elements.new_buffer
    began, raised, left = threading.Event(), threading.Event(), []

    def new_buffer(n, dtype):
        began.set()
        raised.wait()
        time.sleep(0.05)  # a caller that does not wait is gone by then
        left.append(in_main())
        return original(n, dtype)

    others = []

    def start(helper):
        others.append(Other(helper.answer))
        began.wait()
        raised.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(elements, "new_buffer", new_buffer)
    start_by(start)
    sd.set_num_threads(2)
    out = np.zeros_like(transposed)
    with pytest.raises(KeyboardInterrupt):
        noisy(transposed, out)
    assert left and not any(left)
    written = out.copy()
    others[0].join()
    assert np.array_equal(out, written)


INTERRUPTED = """
import gc, random, signal, sys
import numpy as np
import simdrop as sd
from simdrop import fused, submatrix
from simdrop._core import task

task.assumed(delay=0, least=0)
signal.signal(signal.SIGALRM, signal.default_int_handler)
sd.set_num_threads(4)
n = 3_300_000
x, other = np.ones(n, np.float32), np.ones(n, np.float32)
matrix = x.reshape(1000, -1)
masks = [sd.Stream(i).mask(n, 0.3) for i in range(2)]


def calls(out):
    "Each on the same arrays, again and again."
    shaped = out.reshape(matrix.shape)
    while True:
        yield lambda: masks[0].apply(x, out=out)
        yield lambda: sd.gaussian_noise(x, 1.0, rng=1, out=out)
        yield lambda: fused.relu_dropout(x, 0.3, rng=1, out=out)
        yield lambda: sd.alpha_dropout(matrix.T, 0.3, rng=1, out=shaped.T)
        yield lambda: submatrix.sgd(shaped, matrix, shaped.copy(), lr=0.1)
        yield lambda: masks[1].apply(x[::-1], out=out)


for turn in range(int(sys.argv[1])):
    out = np.zeros(n, np.float32)
    try:
        # The timer alone ends this; at whatever call it does.
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 0.01))
        for call in calls(out):
            call()
    except KeyboardInterrupt:
        now = out.tobytes()
    else:
        raise AssertionError
    masks[1].apply(other)
    assert out.tobytes() == now, turn
    del out, now
    gc.collect()
print("ended", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no timers that interrupt")
def test_interrupts_at_random_moments(run_python):
    """200 of them, 20 in the first large calls of a process: then nothing is written any more,
    memory may be freed, and the process can end."""
    for _ in range(20):
        done = run_python(INTERRUPTED, arguments=["10"])
        assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_many_callers_at_once(starts):
    """Callers share the helpers; no draw is taken twice and each result is right."""
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
    assert len(starts) == 1


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


# --- The end of the interpreter ---


EXIT = """
import atexit, numpy as np, simdrop as sd
from simdrop._core import task
task.assumed(delay=0, least=0)
np.ones(2).all()  # NumPy imports some of its own on first use
x = np.ones(4_000_000, np.float32)
mask = sd.Stream(4).mask(x.shape, 0.5)
sd.set_num_threads(1)
expected = mask.apply(x)
sd.set_num_threads(4)

def look(name, mask=mask, x=x, expected=expected, print=print):
    print(name, (mask.apply(x) == expected).all())

class Last:
    def __del__(self, look=look):
        look("last")
"""


@pytest.mark.parametrize("before", [False, True])
def test_large_calls_while_the_interpreter_ends(run_python, before):
    """The first of all, too, and one after another; then the caller's thread does the work."""
    done = run_python(
        EXIT
        + ("mask.apply(x)\n" if before else "")
        + "atexit.register(look, 'atexit')\n"
        + "last = Last()\n"
    )
    assert done.stdout == "atexit True\nlast True\n" and done.stderr == ""


def test_a_first_large_call_in_a_finalizer(run_python):
    done = run_python(EXIT + "last = Last()\n")
    assert done.stdout == "last True\n" and done.stderr == ""


def test_everything_works_in_a_finalizer(run_python):
    """No function imports what it needs when nothing can be imported any more."""
    code = """
import numpy as np, simdrop as sd, copy
from simdrop import fused, submatrix
x = np.ones(2)
x.min(), x.max(), x.sum(), x.any(), x.all()  # NumPy imports some of its own on first use
rng = {generator}
class Last:
    def __init__(self, *needs):
        self.needs = needs
    def __del__(self):
        np, sd, fused, submatrix, copy, rng, print = self.needs
        x = np.ones((40, 60), np.float32)
        for call in (
            sd.dropout, sd.gaussian_dropout, sd.alpha_dropout, sd.drop_path, sd.locked_dropout,
            fused.relu_dropout, fused.bias_dropout, sd.drop_connect, sd.embedding_dropout,
        ):
            extra = [x[0]] if call is fused.bias_dropout else []
            y, mask = call(x, *extra, 0.5, rng=rng)
            if hasattr(mask, "backward") and call is not sd.drop_connect:
                mask.backward(x)
        sd.drop_block(x, 0.1, 3, rng=rng)
        sd.zoneout(x, x, 0.5, rng=rng)
        stream = sd.Stream(rng)
        mask = sd.Mask.from_keep(stream.mask((40, 60)).keep())
        for thing in (stream, mask, stream.mask((4, 5)).window((1, 1), (2, 2))):
            copy.copy(thing)
        stream.spawn(2)[0].mask(3, np.array([0.1, 0.2, 0.3])).apply(x[0, :3])
        sd.apply_packed(x, mask.packbits())
        submatrix.gather(x, submatrix.Kept(stream.mask(40)))
        sd.show_config()
        print("done")
last = Last(np, sd, fused, submatrix, copy, rng, print)
"""
    for generator in ("3", "None", "np.random.default_rng(0)"):
        done = run_python(code.format(generator=generator))
        assert done.stdout.endswith("done\n") and done.stderr == "", generator


def test_every_module_says_that_it_needs_no_global_lock():
    """Else a free-threaded interpreter takes one, with a warning, as soon as it is imported."""
    modules = sorted(SOURCES.glob("*.pyx"))
    assert len(modules) >= 6
    for module in modules:
        assert "freethreading_compatible=True" in module.read_text().splitlines()[0], module.name
