"""The stream: draws, spawning, checkpoints, the process-wide one, and `rng` of the functions."""

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracle
import pytest

import simdrop as sd

KEY = bytes.fromhex("be78f4b0e7d72cdb49ba712c1a64f4ab")
MAX_DRAW = 2**56 - 1


# --- Draws ---


def test_each_mask_takes_one_draw():
    """Bug elsewhere: every call gave the same mask."""
    stream = sd.Stream(3)
    for draw in range(5):
        assert stream.draw == draw
        mask = stream.mask((100,), 0.5)
        assert (mask.key, mask.draw) == (stream.key, draw)
        expected = oracle.keep(stream.key, draw, 0.5, (100,))
        np.testing.assert_array_equal(mask.keep(), expected)
    assert stream.draw == 5


def test_mask_passes_its_arguments_on():
    mask = sd.Stream(3).mask((4, 5, 6), 0.25, shared_axes=(0, 2), scale=False)
    assert mask == sd.Mask(
        oracle.key_from_seed(3), 0, 0.25, (4, 5, 6), shared_axes=(0, 2), scale=False
    )
    assert sd.Stream(3).mask((7,)) == sd.Mask(oracle.key_from_seed(3), 0, 0.5, (7,))


def test_key_and_draw_cannot_be_set():
    stream = sd.Stream(0)
    with pytest.raises(AttributeError):
        stream.key = bytes(16)
    with pytest.raises(AttributeError):
        stream.draw = 7
    assert (stream.key, stream.draw) == (KEY, 0)


def test_refused_calls_take_no_draw():
    """So a program that recovers from an error goes on with the draws it would have had."""
    stream, x = sd.Stream(0), np.ones((2, 3))
    for call in (
        lambda: stream.mask((2, 3), 2),
        lambda: stream.mask((2, 3), "1"),
        lambda: stream.mask((-2, 3)),
        lambda: stream.mask((2, 3), shared_axes=(2,)),
        lambda: sd.dropout(x, np.nan, rng=stream),
        lambda: sd.dropout(x, rng=stream, shared_axes=(2,)),
        lambda: sd.dropout(x.astype(int), rng=stream),
        lambda: sd.dropout(x.astype(object), rng=stream),
        lambda: sd.dropout(x, rng=stream, out=np.empty((3, 2))),
        lambda: sd.dropout(x, rng=stream, out=np.empty((2, 3), np.float32)),
        lambda: sd.dropout(x, rng=stream, out=[1]),
    ):
        with pytest.raises((ValueError, TypeError)):
            call()
        assert stream.draw == 0


def test_draws_run_out_without_wrapping():
    stream = sd.Stream(0)
    stream.state = stream.state | {"draw": MAX_DRAW - 1}
    assert stream.mask((3,)).draw == MAX_DRAW - 1
    last = stream.mask((100,))
    assert last.draw == MAX_DRAW
    np.testing.assert_array_equal(last.keep(), oracle.keep(KEY, MAX_DRAW, 0.5, (100,)))
    for _ in range(2):
        with pytest.raises(OverflowError):
            stream.mask((3,))
        with pytest.raises(OverflowError):
            sd.dropout(np.ones(3), rng=stream)
    for again in (copy.copy(stream), pickle.loads(pickle.dumps(stream))):
        with pytest.raises(OverflowError):
            again.mask((3,))


# --- Spawn ---


def test_spawn():
    stream = sd.Stream(0)
    stream.mask((3,))
    children = stream.spawn(3)
    assert stream.spawn(0) == []
    children += stream.spawn(2)
    assert [child.key for child in children] == [oracle.spawned_key(KEY, i) for i in range(5)]
    assert all(isinstance(child, sd.Stream) and child.draw == 0 for child in children)
    assert all(child.state["spawned"] == 0 for child in children)
    assert stream.state == {"stream": 1, "key": KEY.hex(), "draw": 1, "spawned": 5}
    grandchild = children[1].spawn(1)[0]
    assert grandchild.key == oracle.spawned_key(children[1].key, 0)


def test_spawned_streams_differ():
    """Bug elsewhere: the same mask on every rank."""
    streams = [sd.Stream(0)]
    streams += streams[0].spawn(100)
    streams += streams[1].spawn(100)
    masks = [stream.mask((4096,)).packbits().tobytes() for stream in streams]
    assert len(set(masks)) == 201


def test_spawn_of_a_wrong_number():
    stream = sd.Stream(0)
    with pytest.raises(ValueError):
        stream.spawn(-1)
    for bad in (1.5, "2", None):
        with pytest.raises(TypeError):
            stream.spawn(bad)
    assert stream.state["spawned"] == 0


# --- State, pickle, copy ---


def used_stream():
    stream = sd.Stream(11)
    for _ in range(3):
        stream.mask((5,))
    stream.spawn(2)
    return stream


def assert_continues_alike(stream, other):
    assert stream.state == other.state
    assert stream.mask((50,)) == other.mask((50,))
    assert stream.spawn(1)[0].key == other.spawn(1)[0].key
    assert stream.state == other.state


def test_state_is_a_checkpoint():
    stream = used_stream()
    state = stream.state
    assert state == {
        "stream": 1,
        "key": oracle.key_from_seed(11).hex(),
        "draw": 3,
        "spawned": 2,
    }
    restored = sd.Stream(0)
    restored.state = json.loads(json.dumps(state))
    assert restored.key == stream.key
    assert_continues_alike(stream, restored)
    assert state["draw"] == 3  # the state taken is a copy: the stream moving on does not change it


def test_changing_a_taken_state_does_not_change_the_stream():
    stream = used_stream()
    stream.state["draw"] = 77
    assert stream.draw == 3


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    stream = used_stream()
    assert_continues_alike(stream, pickle.loads(pickle.dumps(stream, protocol)))


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_copy(copier):
    stream = used_stream()
    other = copier(stream)
    other.mask((5,))
    assert (stream.draw, other.draw) == (3, 4)  # they do not share what moves
    assert_continues_alike(used_stream(), copier(stream))


BAD_STATES = [
    {},
    {"stream": 2},
    {"stream": None},
    {"stream": "1"},
    {"key": "00" * 15},
    {"key": "00" * 17},
    {"key": "zz" * 16},
    {"key": ""},
    {"key": bytes(16)},
    {"key": None},
    {"key": 5},
    {"draw": -1},
    {"draw": 2**56 + 1},
    {"draw": 2**64},
    {"draw": 1.5},
    {"draw": "3"},
    {"draw": None},
    {"spawned": -1},
    {"spawned": 2**56 + 1},
    {"spawned": 0.5},
    {"spawned": None},
]


@pytest.mark.parametrize("change", BAD_STATES, ids=repr)
def test_bad_state_changes_nothing(change):
    stream = used_stream()
    before = stream.state
    good = {"stream": 1, "key": KEY.hex(), "draw": 9, "spawned": 9}
    with pytest.raises((ValueError, TypeError)):
        stream.state = good | change if change else {}
    assert stream.state == before


@pytest.mark.parametrize("lacking", ["stream", "key", "draw", "spawned"])
def test_incomplete_state_changes_nothing(lacking):
    stream = used_stream()
    before = stream.state
    state = {"stream": 1, "key": KEY.hex(), "draw": 9, "spawned": 9}
    del state[lacking]
    with pytest.raises((ValueError, TypeError)):
        stream.state = state
    assert stream.state == before


@pytest.mark.parametrize("bad", [None, 5, "state", [1, 2, 3, 4]])
def test_state_of_a_wrong_type(bad):
    stream = used_stream()
    before = stream.state
    with pytest.raises((ValueError, TypeError)):
        stream.state = bad
    assert stream.state == before


# --- rng of the functions ---


def test_int_rng_gives_the_same_mask_every_time():
    x = np.ones(1000)
    for _ in range(2):
        y, mask = sd.dropout(x, 0.3, rng=0)
        assert mask == sd.Mask(KEY, 0, 0.3, (1000,))
        np.testing.assert_array_equal(y, oracle.apply(x, KEY, 0, 0.3))


def test_stream_rng_takes_its_next_draw():
    stream = sd.Stream(0)
    for draw in range(3):
        y, mask = sd.dropout(np.ones(1000), rng=stream)
        assert mask == sd.Mask(KEY, draw, 0.5, (1000,))
        np.testing.assert_array_equal(y, oracle.apply(np.ones(1000), KEY, draw, 0.5))


def test_generator_rng_moves_on():
    generator, twin = np.random.default_rng(8), np.random.default_rng(8)
    for _ in range(3):
        _, mask = sd.dropout(np.ones(10), rng=generator)
        assert mask == sd.Mask(twin.bytes(16), 0, 0.5, (10,))


def test_other_rngs():
    x = np.ones(10)
    _, mask = sd.dropout(x, rng=np.random.SeedSequence(4))
    assert mask.key == oracle.key_from_seed(4)
    _, mask = sd.dropout(x, rng=[4, 5])
    assert mask.key == oracle.key_from_seed([4, 5])
    bit_generator = np.random.PCG64(8)
    _, mask = sd.dropout(x, rng=bit_generator)
    assert mask.key == np.random.Generator(np.random.PCG64(8)).bytes(16)


@pytest.mark.parametrize("p", [0, 0.5, 1])
def test_training_takes_one_draw_whatever_p(p):
    stream = sd.Stream(0)
    for draw in range(3):
        assert stream.draw == draw
        _, mask = sd.dropout(np.ones(4), p, rng=stream)
        assert mask.draw == draw
    assert stream.draw == 3


def test_inference_does_not_touch_rng():
    stream = sd.Stream(0)
    generator, twin = np.random.default_rng(8), np.random.default_rng(8)
    for rng in (stream, generator):
        sd.dropout(np.ones(4), 0.5, rng=rng, training=False)
        sd.dropout(np.ones(4), 0.5, rng=rng, training=False, out=np.empty(4))
    assert stream.draw == 0
    assert generator.bytes(16) == twin.bytes(16)


# --- The process-wide stream ---


def test_calls_without_rng_differ():
    """Bug elsewhere: every call gave the same mask."""
    x = np.ones(1000)
    masks = [sd.dropout(x)[1] for _ in range(200)]
    assert len({(mask.key, mask.draw) for mask in masks}) == 200
    assert len({mask.packbits().tobytes() for mask in masks}) == 200


def test_numpy_global_seed_changes_nothing():
    before = np.random.get_state()
    try:
        masks = []
        for _ in range(2):
            np.random.seed(0)
            masks.append(sd.dropout(np.ones(1000))[1].packbits().tobytes())
            drawn = np.random.random()
            np.random.seed(0)
            assert drawn == np.random.random()  # nor does dropout change NumPy's global state
        assert masks[0] != masks[1]
    finally:
        np.random.set_state(before)


def test_processes_differ(run_python):
    script = """if True:
        import numpy as np, simdrop as sd
        np.random.seed(0)
        y, mask = sd.dropout(np.ones(10))
        print(mask.key.hex())"""
    runs = [run_python(script) for _ in range(3)]
    assert [run.returncode for run in runs] == [0, 0, 0], runs[0].stderr
    assert len({run.stdout for run in runs}) == 3


def test_forked_workers_differ(run_python):
    """Bug elsewhere: the same mask in every forked worker. The arrays are large, so any threads are
    made and lost."""
    script = """if True:
        import os, hashlib
        import numpy as np, simdrop as sd

        x = np.ones(4_000_000, np.float32)

        def draw():
            y, mask = sd.dropout(x)
            assert np.array_equal(y, np.where(mask.keep(), np.float32(2), np.float32(0)))
            return hashlib.sha256(mask.packbits()).hexdigest() + chr(10)

        def fork(work):
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    os.write(writer, work().encode())
                    os._exit(0)
                except BaseException:
                    import traceback
                    traceback.print_exc()
                    os._exit(1)
            os.close(writer)
            text = open(reader).read()
            assert os.waitpid(pid, 0)[1] == 0
            return text

        def worker():
            return draw() + draw() + fork(draw)

        before = draw()
        children = fork(worker) + fork(worker) + fork(worker)
        print(before + children + draw(), end="")"""
    if not hasattr(__import__("os"), "fork"):
        pytest.skip("this system has no fork")
    run = run_python(script)
    assert run.returncode == 0, run.stderr
    masks = run.stdout.split()
    assert len(masks) == 1 + 3 * 3 + 1
    assert len(set(masks)) == len(masks)


# --- Threads ---


def in_threads(work, threads=8):
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        return [result for future in futures for result in future.result()]


def test_threads_never_share_a_draw(frequent_switches):
    stream = sd.Stream(0)
    draws = in_threads(lambda: [stream.mask((4,)).draw for _ in range(3000)])
    assert sorted(draws) == list(range(8 * 3000))
    assert stream.draw == 8 * 3000


def test_threads_never_share_a_draw_of_dropout(frequent_switches):
    stream, x = sd.Stream(0), np.ones(100, np.float32)
    draws = in_threads(lambda: [sd.dropout(x, rng=stream)[1].draw for _ in range(1000)])
    assert sorted(draws) == list(range(8 * 1000))


def test_threads_never_share_a_draw_of_the_process(frequent_switches):
    x = np.ones(4)
    masks = in_threads(lambda: [sd.dropout(x)[1] for _ in range(1000)])
    assert len({(mask.key, mask.draw) for mask in masks}) == 8 * 1000


def test_threads_never_share_a_child(frequent_switches):
    stream = sd.Stream(0)
    keys = in_threads(lambda: [child.key for _ in range(300) for child in stream.spawn(3)])
    assert len(set(keys)) == 8 * 900
    assert stream.state["spawned"] == 8 * 900
