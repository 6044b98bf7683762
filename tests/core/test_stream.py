"""The stream: published AES vectors, the keystream against the oracle, seeds, spawning,
checkpoints, threads, forks."""

import copy
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop._core.kernels import keystream

KEY = bytes.fromhex("be78f4b0e7d72cdb49ba712c1a64f4ab")
MAX_DRAW = 2**56 - 1

# FIPS-197, Appendices B and C.1; NIST SP 800-38A, F.1.1 (ECB) and F.5.1 (CTR: counter to output
# block).
SP800_38A_KEY = "2b7e151628aed2a6abf7158809cf4f3c"
AES_VECTORS = [
    (SP800_38A_KEY, "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
    (
        "000102030405060708090a0b0c0d0e0f",
        "00112233445566778899aabbccddeeff",
        "69c4e0d86a7b0430d8cdb78070b4c55a",
    ),
    (SP800_38A_KEY, "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    (SP800_38A_KEY, "ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
    (SP800_38A_KEY, "30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
    (SP800_38A_KEY, "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "ec8cdf7398607cb0f2d21675ea9ea1e4"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff00", "362b7c3c6773516318a077d7fc5073ae"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff01", "6a2cc3787889374fbeb4c81b17ba6c44"),
    (SP800_38A_KEY, "f0f1f2f3f4f5f6f7f8f9fafbfcfdff02", "e89c399ff0f198c6d40a31db156cabfe"),
]


# --- Keystream ---


@pytest.mark.parametrize(("key", "plaintext", "ciphertext"), AES_VECTORS)
def test_published_aes_vectors(instruction_set, key, plaintext, ciphertext):
    counter = bytes.fromhex(plaintext)
    block = int.from_bytes(counter[:8], "little")
    draw = int.from_bytes(counter[8:15], "little")
    plane = counter[15]
    # The vector comes out of every place in a run of blocks, so out of every lane and every tail.
    for place in range(40):
        for blocks in (place + 1, 40):
            stream = keystream(bytes.fromhex(key), draw, plane, block - place, blocks)
            assert stream[16 * place : 16 * place + 16].tobytes().hex() == ciphertext


def test_published_aes_vectors_by_the_oracle():
    for key, plaintext, ciphertext in AES_VECTORS:
        assert oracle.aes(bytes.fromhex(key), bytes.fromhex(plaintext)).hex() == ciphertext


def test_known_check(instruction_set):
    """The check printed in the definition of the stream."""
    stream = sd.Stream(0)
    assert stream.key.hex() == "be78f4b0e7d72cdb49ba712c1a64f4ab"
    assert keystream(KEY, 0, 0, 0, 1).tobytes().hex() == "3883cf555803f8abfbd5c4b4668bb194"
    tenth = sd.Mask(KEY, 0, 0.1, (64,)).keep()
    assert np.flatnonzero(~tenth).tolist() == [5, 31, 33, 45, 53, 57]
    three_tenths = stream.mask((64,), 0.3).keep()
    assert np.flatnonzero(~three_tenths).tolist() == [
        *(0, 5, 22, 30, 31, 33, 39, 41, 43, 44, 45, 49, 52, 53, 54, 57, 59, 63)
    ]


@pytest.mark.parametrize("draw", [0, 1, 255, 256, 2**32 - 1, 2**32, 2**55, MAX_DRAW])
@pytest.mark.parametrize(
    "first_block", [0, 1, 2**28 - 3, 2**32 - 3, 2**32, 2**60 - 40, 2**60 - 3, 2**63 - 3]
)
def test_keystream_is_the_oracles(instruction_set, draw, first_block):
    blocks = 40
    start, stop = 16 * first_block, 16 * (first_block + blocks)
    for plane in (0, 1, 7, 15, 16, 127, 128, 254, 255):
        expected = oracle.keystream(KEY, draw, plane, start, stop)
        np.testing.assert_array_equal(keystream(KEY, draw, plane, first_block, blocks), expected)


def test_keystream_of_every_plane(instruction_set):
    for plane in range(256):
        expected = oracle.keystream(KEY, 12345, plane, 16 * 77, 16 * 94)
        np.testing.assert_array_equal(keystream(KEY, 12345, plane, 77, 17), expected)


@pytest.mark.parametrize(
    "plane, first_block, n_blocks",
    [
        (0, 0, 2**60),
        (0, 0, 2**64),
        (0, 0, -1),
        (0, -1, 1),
        (0, 2**64, 0),
        (0, 2**64 - 1, 2),
        (0, 1, 2**64),
        (256, 0, 1),
        (-1, 0, 1),
    ],
)
def test_keystream_out_of_range(plane, first_block, n_blocks):
    """A length in bytes that wraps would be written past the end of its array."""
    with pytest.raises(ValueError, match="plane|first_block|n_blocks"):
        keystream(KEY, 0, plane, first_block, n_blocks)


def test_keystream_of_other_things_than_ints():
    for arguments in ((0.5, 0, 1), (0, 0.5, 1), (0, 0, 1.0), (None, 0, 1)):
        with pytest.raises(TypeError):
            keystream(KEY, 0, *arguments)
    assert len(keystream(KEY, 0, np.int64(0), np.uint64(2**64 - 1), np.int8(1))) == 16
    assert len(keystream(KEY, 0, 0, 0, 0)) == 0


def test_keystream_of_every_length(instruction_set):
    expected = oracle.keystream(KEY, 5, 3, 0, 16 * 1100)
    for blocks in (*range(140), 255, 256, 257, 1023, 1024, 1025):
        for first in (0, 1, 3, 50):
            stream = keystream(KEY, 5, 3, first, blocks)
            assert stream.dtype == np.uint8 and stream.shape == (16 * blocks,)
            np.testing.assert_array_equal(stream, expected[16 * first : 16 * (first + blocks)])


def test_keystream_of_many_keys(instruction_set):
    for seed in range(200):
        key = oracle.key_from_seed(seed)
        expected = oracle.keystream(key, seed, 0, 0, 160)
        np.testing.assert_array_equal(keystream(key, seed, 0, 0, 10), expected)


def test_no_block_is_ever_reused(instruction_set):
    """Bug elsewhere: the offset was undercounted, so two calls overlapped. Here every block of
    every draw is new."""
    streams = [keystream(KEY, draw, plane, 0, 4096) for draw in range(32) for plane in range(3)]
    blocks = np.concatenate(streams).reshape(-1, 2, 8).view("<u8")[..., 0]
    assert len(np.unique(blocks, axis=0)) == 32 * 3 * 4096


# --- Seeds ---


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1, 2**32, 2**64, 2**128 - 1, 3**200])
def test_int_seed(seed):
    assert sd.Stream(seed).key == oracle.key_from_seed(seed)
    assert sd.Stream(seed).draw == 0


@given(st.integers(0, 2**600) | st.integers(0, 2**160))
def test_an_int_is_hashed_as_numpy_does(seed):
    state = np.random.SeedSequence(seed).generate_state(4, np.uint32)
    assert sd.Stream(seed).key == state.astype("<u4").tobytes()


def test_numpy_int_seed():
    for integer in (np.int64(7), np.uint8(7), np.int32(7)):
        assert sd.Stream(integer).key == oracle.key_from_seed(7)


@pytest.mark.parametrize(
    "seed", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), [0], [2**40, 5], range(4)]
)
def test_sequence_seed(seed):
    assert sd.Stream(seed).key == oracle.key_from_seed([int(part) for part in seed])


def test_seed_sequence():
    sequence = np.random.SeedSequence(9, spawn_key=(3, 1))
    expected = sequence.generate_state(4, np.uint32).astype("<u4").tobytes()
    assert sd.Stream(sequence).key == expected
    assert sd.Stream(sequence).key == expected  # a SeedSequence does not move on
    assert sd.Stream(np.random.SeedSequence(9)).key == oracle.key_from_seed(9)


def test_generator_gives_128_bits_and_moves_on():
    generator, twin = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(3):
        assert sd.Stream(generator).key == twin.bytes(16)
    assert generator.integers(2**60) == twin.integers(2**60)


@pytest.mark.parametrize("kind", ["PCG64", "Philox", "SFC64", "MT19937"])
def test_bit_generator_as_its_generator(kind):
    bit_generator = getattr(np.random, kind)(5)
    twin = np.random.Generator(getattr(np.random, kind)(5))
    for _ in range(3):
        assert sd.Stream(bit_generator).key == twin.bytes(16)


def test_stream_of_a_stream_is_its_child():
    stream = sd.Stream(0)
    assert sd.Stream(stream).key == oracle.spawned_key(KEY, 0)
    assert sd.Stream(stream).key == oracle.spawned_key(KEY, 1)
    assert stream.state["spawned"] == 2 and stream.draw == 0


def test_every_seed_gives_its_own_key():
    """Bug elsewhere: only 4,096 possible seeds."""
    assert len({sd.Stream(seed).key for seed in range(20_000)}) == 20_000


def test_no_seed_gives_a_new_key_each_time():
    """Bugs elsewhere: the seed was a thread's id, or its own address."""
    assert len({sd.Stream().key for _ in range(2_000)}) == 2_000
    assert len({sd.Stream(None).key for _ in range(2_000)}) == 2_000


@pytest.mark.parametrize(
    "nested",
    [[[1, 2], [3]], [[1, [2, (3,)]], 4], np.array([[1, 2], [3, 4]]), [[]], [np.array([5, 6]), 7]],
    ids=repr,
)
def test_nested_sequences_as_default_rng_takes_them(nested):
    """The key is that of the same SeedSequence."""
    words = np.random.SeedSequence(nested).generate_state(4, np.uint32)
    assert sd.Stream(nested).key == words.astype("<u4").tobytes()
    np.random.default_rng(nested)  # takes it


nested_seeds = st.recursive(st.integers(0, 2**70), lambda seeds: st.lists(seeds, max_size=4))


@given(st.lists(nested_seeds, max_size=4))
def test_any_nested_seed_is_that_of_a_seed_sequence(seeds):
    words = np.random.SeedSequence(seeds).generate_state(4, np.uint32)
    assert sd.Stream(seeds).key == words.astype("<u4").tobytes()


def test_random_state_gives_128_bits_and_moves_on():
    """As a Generator does, and as default_rng takes one."""
    legacy, same = np.random.RandomState(5), np.random.RandomState(5)
    keys = [sd.Stream(legacy).key, sd.dropout(np.ones(3), rng=legacy)[1].key]
    assert keys == [same.bytes(16), same.bytes(16)]


@pytest.mark.parametrize(
    "bad", ["0", 1.5, np.float64(2), object(), 1j, [1.5], ["1"], [[1], ["2"]], [[1.5]], [b"12"]]
)
def test_seed_of_a_wrong_type(bad):
    with pytest.raises(TypeError):
        sd.Stream(bad)
    with pytest.raises(TypeError):
        sd.dropout(np.ones(3), rng=bad)


@pytest.mark.parametrize("bad", [-1, -(2**70), np.int64(-5), [1, -2]])
def test_negative_seed(bad):
    with pytest.raises(ValueError):
        sd.Stream(bad)
    with pytest.raises(ValueError):
        sd.dropout(np.ones(3), rng=bad)


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


@pytest.fixture
def frequent_switches():
    """Let threads interrupt each other as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


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
