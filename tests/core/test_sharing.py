"""When threads share an array, and how it is cut: the rules, with made-up numbers."""

import numpy as np
import pytest

import simdrop as sd
from simdrop._core import task
from simdrop._core.apply import split_axis

pytestmark = pytest.mark.usefixtures("default_threads", "always_shared")

NEVER = 2**60


@pytest.fixture
def called(monkeypatch):
    """The helpers that are called; they never answer."""
    helpers = []
    task.forget_threads()
    monkeypatch.setattr(task, "start_new_thread", lambda serve, _: helpers.append(serve.__self__))
    yield helpers
    task.forget_threads()


# --- When others are called ---


@pytest.mark.parametrize(
    ("left", "delay", "threads"),
    [
        (0, 10_000, 1),
        (29_999, 10_000, 1),
        (30_000, 10_000, 3),
        (10**6, 10_000, 100),
        (10**6, NEVER, 1),
        (0, 0, 2**63 - 1),
    ],
)
def test_how_many_threads_are_worth_having(left, delay, threads):
    assert task.threads_worth(left, delay) == threads


def test_the_expected_delay_follows_what_is_seen():
    for first, seen in ((100_000, 20_000), (5_000, 20_000)):
        delay = first
        for _ in range(40):
            delay = task.adapted(delay, seen)
        assert seen / 1.3 < delay < seen * 1.3


def test_rare_long_delays_hardly_move_it():
    delay = 20_000
    for i in range(1000):
        delay = task.adapted(delay, 10**7 if i % 10 == 0 else 20_000)
    assert 15_000 < delay < 30_000


def test_it_falls_slowly_while_nobody_is_called():
    delay = 10**6
    for calls in range(2000):
        delay = task.faded(delay)
        assert delay > 10**5 or calls > 500
    assert delay < 10**4


def test_what_is_set_for_tests_stays():
    assert task.adapted(0, 10**6) == task.faded(0) == 0
    assert task.threads_worth(2**40, task.faded(NEVER)) == 1


def test_others_are_called_from_a_size_on(called):
    """One for each time that the size has it."""
    x = np.ones(100_000, np.float32)
    mask = sd.Stream(0).mask(x.shape, 0.5)
    sd.set_num_threads(9)
    task.assumed(least=x.nbytes)
    expected = mask.apply(x)
    assert not called
    task.assumed(least=x.nbytes - 1)
    assert np.array_equal(mask.apply(x), expected)
    assert len(called) == 1
    task.forget_threads()
    task.assumed(least=x.nbytes // 3)
    assert np.array_equal(mask.apply(x), expected)
    assert len(called) == 1 + 3


def test_a_count_of_one_calls_nobody(called):
    sd.set_num_threads(1)
    sd.dropout(np.ones(100_000, np.float32), 0.5, rng=0)
    assert not called


@pytest.mark.parametrize("layout", ["C", "F"])
def test_others_that_cannot_save_time_are_not_called(called, layout):
    """The delay that is expected of them then falls."""
    x = np.asarray(np.ones((1000, 1000), np.float32), order=layout)
    mask = sd.Stream(0).mask(x.shape, 0.5)
    sd.set_num_threads(2)
    task.assumed(delay=NEVER)
    assert np.array_equal(mask.apply(x) != 0, mask.keep())
    assert not called and task.assumed()[0] == task.faded(NEVER)


def test_what_the_first_piece_shows_changes_no_bit(called):
    """The caller does the first piece, to see how fast it is, and helpers then come too late."""
    x = np.ones(200_000, np.float32)
    mask = sd.Stream(0).mask(x.shape, 0.5)
    sd.set_num_threads(10**6)  # of which some are worth having only if a kernel is slow
    task.assumed(delay=8)
    y = mask.apply(x)
    assert np.array_equal(y != 0, mask.keep())
    y[:] = 7
    for helper in called:
        helper.answer()
    assert (y == 7).all()


def test_the_number_of_threads_is_looked_up_before_anything_is_written(monkeypatch):
    x = np.ones(100_000, np.float32)
    out = np.full_like(x, 7)
    mask = sd.Stream(0).mask(x.shape, 0.5)
    sd.set_num_threads(None)
    task.forget_threads()
    monkeypatch.setenv("SIMDROP_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="SIMDROP_NUM_THREADS must be a positive integer"):
        mask.apply(x, out=out)
    assert (out == 7).all()


def test_it_is_set_at_once(called, monkeypatch):
    x = np.ones(100_000, np.float32)
    mask = sd.Stream(0).mask(x.shape, 0.5)
    task.forget_threads()
    monkeypatch.setenv("SIMDROP_NUM_THREADS", "1")
    mask.apply(x)
    assert not called
    sd.set_num_threads(2)
    mask.apply(x)
    assert len(called) == 1
    sd.set_num_threads(None)
    mask.apply(x)
    assert len(called) == 1


# --- How arrays are cut ---


def laid_out(shape, memory):
    """An array whose axes are in this order in memory, outermost first."""
    return np.empty([shape[axis] for axis in memory], np.float32).transpose(np.argsort(memory))


@pytest.mark.parametrize(
    ("shape", "memory", "shared", "axis", "grain"),
    [
        # In the order of the mask: the first, in pieces of any length.
        ((64, 224, 224, 3), (0, 1, 2, 3), (), 0, 1),
        # The outermost two in memory have few elements that are next to each other in the mask.
        ((64, 224, 224, 3), (3, 2, 1, 0), (), 1, 4),
        ((64, 3, 224, 224), (1, 0, 2, 3), (), 0, 1),
        # A transposed matrix: as long in the mask as a kernel draws.
        ((5000, 6000), (1, 0), (), 1, 256),
        ((100_000, 100), (1, 0), (), 0, 256),
        ((100, 100_000), (1, 0), (), 1, 256),
        # Too few units along the first.
        ((3, 1000, 1000), (0, 1, 2), (), 1, 1),
        ((1, 1, 4_000_000), (0, 1, 2), (), 2, 256),
        # A decision for each channel: however few there are, they cost nothing.
        ((64, 3, 512, 512), (0, 1, 2, 3), (2, 3), 0, 1),
        # Each piece draws all decisions of a shared axis, for sixteen elements each or more.
        ((1600, 40, 50), (0, 1, 2), (0,), 0, 16),
        ((35, 1000, 650), (0, 1, 2), (0,), 1, 1),
        ((1000, 1000), (0, 1), (0, 1), 0, 1),
    ],
)
def test_which_axis_is_cut(shape, memory, shared, axis, grain):
    x = laid_out(shape, memory)
    assert split_axis(x, sd.Mask(bytes(16), 0, 0.5, shape, shared_axes=shared)) == (axis, grain)


@pytest.mark.parametrize("shared", [(), (0,), (3,), (1, 2)], ids=str)
@pytest.mark.parametrize("memory", [(3, 2, 1, 0), (3, 0, 1, 2), (1, 3, 2, 0)], ids=str)
def test_pieces_of_any_axis_make_the_whole(memory, shared):
    shape = (40, 60, 70, 3)
    x = laid_out(shape, memory)
    x[...] = np.random.default_rng(0).standard_normal(shape)
    mask = sd.Stream(2).mask(shape, 0.3, shared_axes=shared)
    stored = sd.Mask.from_keep(mask.keep(), 0.3)
    expected = np.where(mask.keep(), x * np.float32(mask.scale), np.float32(0))
    for count in (1, 2, 3, 7):
        sd.set_num_threads(count)
        np.testing.assert_array_equal(mask.apply(x), expected)
        np.testing.assert_array_equal(stored.apply(x), expected)


def test_windows_of_windows_have_the_axes_of_the_whole():
    mask = sd.Mask(bytes(16), 0, 0.5, (4000, 6000)).window((7, 5), (3000, 4000))
    x = np.empty((3000, 4000), np.float32, order="F")
    assert split_axis(x, mask) == (1, 256)
