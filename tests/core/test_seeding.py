"""Seeds: what `rng` may be, and the key that each gives."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd

KEY = bytes.fromhex("be78f4b0e7d72cdb49ba712c1a64f4ab")


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
