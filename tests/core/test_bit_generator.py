"""The bit generator: words as the oracle's, NumPy's interface, states and pickles."""

import copy
import ctypes
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd

PLANE = 18
HALF = 2**32


def words(key, draw, start, stop):
    """Words `start` to `stop`, from the oracle's keystream."""
    return oracle.keystream(key, draw, PLANE, 8 * start, 8 * stop).view("<u8").tolist()


def generator(seed=0):
    return np.random.Generator(sd.BitGenerator(seed))


@given(st.integers(0, 2**64), st.integers(0, 1500), st.integers(1, 1500))
def test_words_are_the_oracles(seed, start, n):
    bits = sd.BitGenerator(seed)
    assert bits.key == sd.Stream(seed).key == oracle.key_from_seed(seed)
    bits.advance(start)
    assert bits.random_raw(n).tolist() == words(bits.key, 0, start, start + n)
    assert bits.state["state"]["word"] == start + n


def test_every_instruction_set(instruction_set):
    assert sd.BitGenerator(5).random_raw(1200).tolist() == words(
        oracle.key_from_seed(5), 0, 0, 1200
    )


def test_numbers_from_words():
    expected = np.array(words(oracle.key_from_seed(3), 0, 0, 10), np.uint64)
    np.testing.assert_array_equal(generator(3).random(10), (expected >> 11) * 2.0**-53)
    halves = generator(3).integers(0, HALF, 10, dtype=np.uint32)
    both = np.stack([expected & np.uint64(HALF - 1), expected >> np.uint64(32)], 1)
    np.testing.assert_array_equal(halves, both.ravel()[:10])


def test_masks_are_independent_of_it():
    """Other planes: no byte of the keystream serves both."""
    key = oracle.key_from_seed(0)
    assert PLANE not in (*range(8), 16, 17, 255)
    assert (
        oracle.keystream(key, 0, 0, 0, 64).tobytes()
        != oracle.keystream(key, 0, PLANE, 0, 64).tobytes()
    )


DISTRIBUTIONS = {
    "random": {},
    "standard_normal": {},
    "standard_exponential": {},
    "standard_gamma": {"shape": 2.0},
    "binomial": {"n": 100, "p": 0.3},
    "poisson": {"lam": 7.0},
    "beta": {"a": 2.0, "b": 3.0},
    "zipf": {"a": 3.0},
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name):
    n = 200_000
    ours = getattr(generator(1), name)(size=n, **DISTRIBUTIONS[name])
    theirs = getattr(np.random.default_rng(1), name)(size=n, **DISTRIBUTIONS[name])
    edges = np.unique(np.quantile(np.concatenate([ours, theirs]), np.linspace(0, 1, 30)))
    counts = [np.histogram(sample, edges)[0] for sample in (ours, theirs)]
    total = counts[0] + counts[1]
    chi2 = ((counts[0] - counts[1]) ** 2 / np.maximum(total, 1)).sum()
    assert chi2 < len(edges) + 6 * np.sqrt(2 * len(edges))


def test_other_methods():
    rng = generator(2)
    assert sorted(rng.permutation(100)) == list(range(100))
    x = np.arange(100)
    rng.shuffle(x)
    assert sorted(x) == list(range(100)) and x.tolist() != list(range(100))
    assert len(rng.bytes(17)) == 17 and len(rng.choice(50, 5, replace=False)) == 5


@pytest.mark.parametrize(
    "copier", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize("taken", [0, 1, 7, 512, 1025])
def test_copies_go_on_alike(copier, taken):
    rng = generator(4)
    rng.integers(0, HALF, taken, dtype=np.uint32)
    other = copier(rng)
    assert type(other.bit_generator) is sd.BitGenerator
    assert other.bit_generator is not rng.bit_generator or copier is copy.copy
    bits = copier(rng.bit_generator)
    expected = rng.bit_generator.state
    assert bits.state == expected
    first = other.integers(0, HALF, 9, dtype=np.uint32)
    again = np.random.Generator(bits).integers(0, HALF, 9, dtype=np.uint32)
    np.testing.assert_array_equal(first, again)


def test_pickles_name_a_path_that_does_not_move():
    assert b"simdrop._pickle" in pickle.dumps(sd.BitGenerator(0))


def test_states_are_json():
    rng = generator(6)
    rng.integers(0, HALF, 3, dtype=np.uint32)
    state = json.loads(json.dumps(rng.bit_generator.state))
    expected = rng.random(5)
    other = generator(7)
    other.bit_generator.state = state
    np.testing.assert_array_equal(other.random(5), expected)
    assert other.bit_generator.key == oracle.key_from_seed(6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda s: s.update(bit_generator="PCG64"),
            ValueError,
            "not of a BitGenerator, but of 'PCG64'",
        ),
        (lambda s: s.pop("uinteger"), ValueError, "a BitGenerator's state has"),
        (lambda s: s.update(has_uint32=2), ValueError, r"has_uint32 = 2, but must be in \[0, 1\]"),
        (lambda s: s.update(uinteger=2**32), ValueError, "uinteger = "),
        (lambda s: s["state"].update(word=-1), ValueError, "word = -1"),
        (lambda s: s["state"].update(word=2**65), ValueError, "word = "),
        (lambda s: s["state"].update(word=1.5), TypeError, "word must be an int"),
        (lambda s: s["state"].update(key="00"), ValueError, "32 hexadecimal digits"),
        (lambda s: s["state"].update(draw=2**56), ValueError, "draw = "),
        (lambda s: s["state"].update(stream=2), ValueError, "stream version 2"),
        (lambda s: s["state"].update(more=2), ValueError, "a stream's state has"),
    ],
)
def test_wrong_states_change_nothing(change, error, message):
    bits = sd.BitGenerator(0)
    state = bits.state
    wrong = copy.deepcopy(state)
    change(wrong)
    with pytest.raises(error, match=message):
        bits.state = wrong
    assert bits.state == state
    with pytest.raises(TypeError, match="is a dict"):
        bits.state = 3


@given(st.integers(0, 3000), st.integers(-(2**70), 2**70))
def test_advance(taken, delta):
    bits = sd.BitGenerator(8)
    bits.random_raw(taken)
    assert bits.advance(delta) is bits
    start = (taken + delta) % 2**65
    assert bits.state["state"]["word"] == start
    if start < 2**64:  # whose bytes the oracle can number
        assert bits.random_raw() == words(bits.key, 0, start, start + 1)[0]


def test_the_words_of_a_draw_follow_its_end():
    bits = sd.BitGenerator(8).advance(-2)
    bits.random_raw(2)
    assert bits.state["state"]["word"] == 0
    assert bits.random_raw() == words(bits.key, 0, 0, 1)[0]


def test_jumped():
    bits = sd.BitGenerator(9)
    bits.random_raw(5)
    other = bits.jumped(3)
    assert (other.draw, other.key, bits.draw) == (3, bits.key, 0)
    assert other.random_raw(4).tolist() == words(bits.key, 3, 5, 9)
    assert bits.jumped(2**56).state == {**bits.state, "has_uint32": 0, "uinteger": 0}
    assert bits.jumped().jumped(-1).state["state"] == bits.state["state"]


def test_spawn():
    children = sd.BitGenerator(10).spawn(3)
    assert len({child.key for child in children}) == 3
    expected = [oracle_key(seed) for seed in np.random.SeedSequence(10).spawn(3)]
    assert [child.key for child in children] == expected
    assert all(type(child.bit_generator) is sd.BitGenerator for child in generator(1).spawn(2))


def oracle_key(sequence):
    return sequence.generate_state(4, np.uint32).astype("<u4").tobytes()


def test_a_stream_gives_its_next_draw():
    stream = sd.Stream(11)
    stream.mask(5)
    first, second = sd.BitGenerator(stream), sd.BitGenerator(stream)
    assert (first.draw, second.draw, stream.draw) == (1, 2, 3)
    assert first.random_raw(3).tolist() == words(stream.key, 1, 0, 3)
    assert len({child.key for child in (*first.spawn(2), *second.spawn(2))}) == 4


@pytest.mark.parametrize("seed", ["text", 1.5, -1, [1, "a"]])
def test_wrong_seeds(seed):
    with pytest.raises((TypeError, ValueError)):
        sd.BitGenerator(seed)


def test_it_seeds_a_stream():
    """As every generator of NumPy."""
    expected = generator(12).bytes(16)
    assert sd.Stream(sd.BitGenerator(12)).key == expected


def test_users_of_ctypes_and_of_the_capsule():
    bits = sd.BitGenerator(13)
    interface = bits.ctypes
    expected = words(bits.key, 0, 0, 4)
    assert interface.next_uint64(interface.state) == expected[0]
    assert interface.next_double(interface.state) == (expected[1] >> 11) * 2.0**-53
    assert interface.next_uint32(interface.state) == expected[2] % HALF
    assert interface.next_uint32(interface.state) == expected[2] >> 32
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    fields = ctypes.cast(pointer(bits.capsule, b"BitGenerator"), ctypes.POINTER(ctypes.c_void_p))
    raw = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(fields[4])
    assert raw(fields[0]) == expected[3]


def test_threads_share_it():
    rng = generator(14)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: rng.random(1000), range(40)))
    expected = generator(14).random(40_000)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.sort(expected))


def test_without_initialisation_nothing_is_drawn():
    bits = sd.BitGenerator.__new__(sd.BitGenerator)
    for use in (lambda: bits.state, lambda: bits.random_raw(), lambda: np.random.Generator(bits)):
        with pytest.raises((AttributeError, TypeError, ValueError)):
            use()


def test_numpy_random_is_imported_when_it_is_used(run_python):
    code = """
import sys, simdrop
before = "simdrop._core.bitgenerator" in sys.modules
simdrop.BitGenerator
print(before, "simdrop._core.bitgenerator" in sys.modules)
"""
    assert run_python(code).stdout == "False True\n"
