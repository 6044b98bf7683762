"""A stream that the user holds, in forked children, in pools of processes and of threads: a draw is
never taken twice, but by a copy."""

import copy
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import oracle
import pytest

import simdrop as sd

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

held = sd.Stream(0)  # what a module of the user's has


def drawn(stream, count=3):
    """Key and number of some draws."""
    return [(mask.key, mask.draw) for mask in (stream.mask((8,)) for _ in range(count))]


def in_child(work):
    """What work() returns in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return pickle.loads(data)


@needs_fork
def test_children_and_their_parent_share_no_draw():
    """Bug elsewhere: the same mask in every forked worker."""
    stream = sd.Stream(0)
    stream.mask((8,))

    def child():
        return drawn(stream) + in_child(lambda: drawn(stream)) + drawn(stream)

    draws = [*drawn(stream)]
    for _ in range(4):
        draws += in_child(child)
    draws += drawn(stream)
    assert len(set(draws)) == len(draws) == 2 * 3 + 4 * 9
    # The parent goes on as if nothing had been.
    assert stream.state == {
        "stream": 1,
        "key": oracle.key_from_seed(0).hex(),
        "draw": 7,
        "spawned": 0,
    }


@needs_fork
def test_children_and_their_parent_share_no_spawned_stream():
    stream = sd.Stream(0)
    keys = [child.key for child in stream.spawn(2)]
    for _ in range(3):
        keys += in_child(lambda: [child.key for child in stream.spawn(2)])
    keys += [child.key for child in stream.spawn(2)]
    keys += in_child(lambda: [sd.Stream(stream).key])
    assert len(set(keys)) == len(keys) == 2 + 6 + 2 + 1


@needs_fork
@pytest.mark.parametrize(
    "look",
    [
        lambda stream: stream.key.hex(),
        lambda stream: stream.state["key"],
        lambda stream: repr(stream)[len("Stream(key=") :][:32],
        lambda stream: copy.copy(stream).key.hex(),
        lambda stream: pickle.loads(pickle.dumps(stream)).key.hex(),
        lambda stream: (stream.draw, stream.key.hex())[1],
    ],
)
def test_whatever_a_child_looks_at_first_is_its_own(look):
    stream = sd.Stream(0)
    stream.mask((8,))
    stream.spawn(2)

    def child():
        seen = look(stream)
        (mask_key, draw), *_ = drawn(stream, 1)
        return seen, mask_key.hex(), draw, stream.state

    seen, mask_key, draw, state = in_child(child)
    assert seen == mask_key != stream.key.hex()
    assert draw == 0 and state == {"stream": 1, "key": seen, "draw": 1, "spawned": 0}


@needs_fork
def test_a_state_that_a_child_sets_is_the_childs():
    """How workers that are forked have the same masks in each run."""
    stream = sd.Stream(0)
    states = [child.state for child in stream.spawn(3)]

    def child(state):
        stream.state = state
        return drawn(stream)

    for state in states:
        expected = [(bytes.fromhex(state["key"]), draw) for draw in range(3)]
        assert in_child(lambda state=state: child(state)) == expected


@needs_fork
def test_a_child_makes_streams_as_ever():
    assert in_child(lambda: drawn(sd.Stream(5))) == drawn(sd.Stream(5))
    assert in_child(lambda: sd.dropout(np.ones(8), rng=5)[1]) == sd.dropout(np.ones(8), rng=5)[1]


@needs_fork
def test_threads_of_a_child_agree_on_the_new_key():
    stream = sd.Stream(0)

    def child():
        barrier = threading.Barrier(8)

        def work():
            barrier.wait()
            return drawn(stream, 200)

        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(work) for _ in range(8)]
            return [draw for future in futures for draw in future.result()]

    draws = in_child(child)
    assert len(set(draws)) == 1600 and len({key for key, _ in draws}) == 1
    assert sorted(number for _, number in draws) == list(range(1600))


def draw_held(_):
    """In a worker of a pool: the module's stream, which it inherited or imported."""
    return os.getpid(), drawn(held)


def draw_given(stream):
    return drawn(stream)


@needs_fork
def test_children_of_a_seeded_process():
    """They draw what neither their parent nor their siblings draw, unless they seed themselves."""

    def draws():
        return [(m.key, m.draw) for m in (sd.dropout(np.ones(8))[1] for _ in range(3))]

    def seeded():
        sd.seed([5, 1])
        return draws()

    try:
        sd.seed(5)
        found = draws() + in_child(draws) + in_child(draws) + in_child(lambda: in_child(draws))
        assert len({key for key, _ in found}) == 4 and len(set(found)) == 12
        assert in_child(seeded) == in_child(seeded)
        after = draws()
        sd.seed(5)
        assert found[:3] + after == draws() + draws()
    finally:
        sd.seed()


@needs_fork
def test_a_pool_of_forked_processes():
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("fork")) as pool:
        results = list(pool.map(draw_held, range(12)))
    draws = [draw for _, more in results for draw in more] + drawn(held)
    assert len(set(draws)) == len(draws)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        draws += [draw for _, more in pool.map(draw_held, range(12)) for draw in more]
    assert len(set(draws)) == len(draws)


CONTEXTS = [
    pytest.param(name, marks=needs_fork if name == "fork" else ()) for name in ("fork", "spawn")
]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_stream_that_is_sent_is_a_copy(context):
    """It was pickled: all that get it draw the same; streams that were spawned for them do not."""
    stream = sd.Stream(3)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(context)) as pool:
        same = list(pool.map(draw_given, [stream] * 4))
        others = list(pool.map(draw_given, stream.spawn(4)))
    assert same == [drawn(sd.Stream(3))] * 4
    assert others == [drawn(child) for child in sd.Stream(3).spawn(4)]
    assert len({draw for draws in others for draw in draws}) == 12


# --- Threads ---


class Slow:
    """A length whose conversion to an int lets other threads run."""

    def __index__(self):
        total = 0
        for i in range(50):
            total += i
        return 8


def test_setting_the_state_is_one_step(frequent_switches):
    """No draw has the key of one state and the number of another."""
    stream = sd.Stream(0)
    a = {"stream": 1, "key": "aa" * 16, "draw": 0, "spawned": 0}
    b = {"stream": 1, "key": "bb" * 16, "draw": 2**50, "spawned": 2**40}
    stream.state = a
    stop, turn_taken = threading.Event(), threading.Semaphore(0)
    taken, seen = [], []

    def take():
        while not stop.is_set():
            mask = stream.mask((Slow(),))
            taken.append((mask.key, mask.draw))
            turn_taken.release()

    def look():
        while not stop.is_set():
            seen.append(stream.state)

    def others_take_turns():
        while turn_taken.acquire(blocking=False):
            pass
        for _ in range(3 + 1):  # of three threads, one has then begun and ended a turn
            turn_taken.acquire()

    class Slowly(dict):
        """A state that others have time to draw in while it is looked at."""

        def __getitem__(self, name):
            others_take_turns()
            return super().__getitem__(name)

    threads = [threading.Thread(target=work) for work in (take, take, take, look, look)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(20):
            for state in (b, a):
                stream.state = Slowly(state) if turn < 2 else state
                others_take_turns()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for key, draw in taken:
        assert (key == b"\xaa" * 16) == (draw < 2**50)
    for state in seen:
        assert (state["key"] == "aa" * 16) == (state["draw"] < 2**50) == (state["spawned"] == 0)
    assert {key[0] for key, _ in taken} == {0xAA, 0xBB}


def test_a_refused_draw_moves_nothing():
    stream = sd.Stream(0)
    stream.state = stream.state | {"draw": 2**56, "spawned": 2**56}
    for _ in range(2):
        with pytest.raises(OverflowError):
            stream.mask((3,))
        for count in (1, 2**70):
            with pytest.raises(OverflowError):
                stream.spawn(count)
    assert stream.state["draw"] == stream.state["spawned"] == 2**56
    assert stream.spawn(0) == []
