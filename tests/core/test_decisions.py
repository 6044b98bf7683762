"""Which elements a mask drops: the oracle's, to the last digit of p, in every form and on every
instruction set."""

import itertools

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop._core import kernels

KEY = bytes(range(16))
DRAW = 2**40 + 3
PROBABILITIES = [
    *(0, 1, 0.5, 0.1, 0.3, 1 / 3, 1 / 256, 255 / 256, 0.9, 1e-4, 1e-12),
    *(1 - 2**-53, 2.0**-64, 2.0**-65, 5e-324, float(np.nextafter(0.5, 0))),
]
LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 10007]


def uniform_mask(p, n=10007, **more):
    return sd.Mask(KEY, DRAW, p, (n,), **more)


@pytest.fixture(scope="module")
def uniforms():
    """The uniforms of 400,000 elements, out of 2**64."""
    return oracle.uniforms(KEY, DRAW, 0, 400_000)


@pytest.mark.parametrize("p", PROBABILITIES)
def test_every_form_is_the_oracles(instruction_set, p):
    for n in LENGTHS:
        mask = uniform_mask(p, n)
        expected = oracle.keep(KEY, DRAW, p, (n,))
        for kept in (mask.keep(), np.asarray(mask)):
            assert type(kept) is np.ndarray and kept.dtype == bool and kept.shape == (n,)
            # As bytes: anything but 0 and 1 in a bool would misbehave later.
            np.testing.assert_array_equal(kept.view(np.uint8), expected.view(np.uint8))
        packed = mask.packbits()
        assert type(packed) is np.ndarray and packed.dtype == np.uint8
        np.testing.assert_array_equal(packed, np.packbits(expected, bitorder="little"))
        indices = mask.indices()
        assert type(indices) is np.ndarray and indices.dtype == np.intp
        np.testing.assert_array_equal(indices, np.flatnonzero(expected))


@pytest.mark.parametrize("p", [0.5, 0.3, 1e-5, 1 - 1e-5])
def test_large_masks_are_the_oracles(instruction_set, p):
    shape = (1001, 2999)
    expected = oracle.keep(KEY, DRAW, p, shape)
    mask = sd.Mask(KEY, DRAW, p, shape)
    np.testing.assert_array_equal(mask.keep(), expected)
    np.testing.assert_array_equal(mask.packbits(), np.packbits(expected, bitorder="little"))
    np.testing.assert_array_equal(mask.indices(), np.flatnonzero(expected))


@given(
    key=st.binary(min_size=16, max_size=16),
    draw=st.integers(0, 2**56 - 1),
    p=st.floats(0, 1),
    shape=st.lists(st.integers(0, 9), max_size=4),
    data=st.data(),
)
def test_any_mask_is_the_oracles(instruction_set, key, draw, p, shape, data):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    mask = sd.Mask(key, draw, p, shape, shared_axes=axes)
    expected = oracle.keep(key, draw, p, shape, axes)
    np.testing.assert_array_equal(mask.keep(), expected)
    np.testing.assert_array_equal(mask.packbits(), np.packbits(expected, bitorder="little"))
    np.testing.assert_array_equal(mask.indices(), np.flatnonzero(expected))


@pytest.mark.parametrize("p", [0.3, 0.5, 1e-3])
def test_any_part_is_the_same_part(instruction_set, p):
    expected = ~oracle.dropped(KEY, DRAW, p, 0, 5000)
    mask = uniform_mask(p, 5000)
    for start in (*range(70), 255, 256, 257, 1023):
        for n in (0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 3000):
            part = mask._keep_flat(start, start + n)
            np.testing.assert_array_equal(part, expected[start : start + n])


@given(
    batch=st.integers(0, 2**40),
    tile=st.integers(0, 70),
    offset=st.integers(-2, 2),
    n=st.integers(1, 700) | st.integers(4000, 9000),
    p=st.sampled_from([0.5, 0.1, 255 / 256, 1 / 3]),
)
def test_any_part_across_batches(instruction_set, batch, tile, offset, n, p):
    """Kernels may draw eight tiles of 64 elements together, and 64 of them a chunk."""
    start = max(0, 512 * batch + 64 * tile + offset)
    part = sd.Mask(KEY, DRAW, p, (start + n,))._keep_flat(start, start + n)
    expected = ~oracle.dropped(KEY, DRAW, p, start, start + n)
    np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize(
    "start", [2**31, 2**32, 2**33, 2**35, 2**36, 2**37, 2**39, 2**40 - 5000, 2**52, 2**62]
)
def test_indices_past_32_bits(instruction_set, start):
    """Bug elsewhere: 32-bit offsets wrapped. Here are elements and blocks on both sides of 2**31
    and 2**32."""
    start -= 2500 if start < 2**39 else 0
    mask = sd.Mask(KEY, DRAW, 0.3, (max(2**40, start + 5000),))
    expected = ~oracle.dropped(KEY, DRAW, 0.3, start, start + 5000)
    np.testing.assert_array_equal(mask._keep_flat(start, start + 5000), expected)


def test_size_past_32_bits():
    mask = sd.Mask(KEY, DRAW, 0.3, (2**20, 2**20))
    assert mask.size == 2**40 and mask.shape == (2**20, 2**20)


@pytest.mark.parametrize("plane", range(8))
def test_ties_are_settled_by_the_next_plane(instruction_set, uniforms, plane):
    """p equal to a uniform's first digits keeps the element; one more in the last of those digits
    drops it."""
    digit = np.uint64(1 << (56 - 8 * plane))
    # Elements whose first digits a float64 can hold exactly, with room for one more.
    low = uniforms < np.uint64(1 << min(63, 53 + 56 - 8 * plane))
    candidates = np.flatnonzero(low & (uniforms // digit % np.uint64(256) != 255))[:20]
    assert len(candidates) == 20
    n = int(candidates[-1]) + 1
    for element in candidates:
        first_digits = int(uniforms[element] // digit * digit)
        for threshold, kept in ((first_digits, True), (first_digits + int(digit), False)):
            p = threshold / 2**64
            assert p * 2**64 == threshold
            mask = uniform_mask(p, n)
            expected = uniforms[:n] >= np.uint64(threshold)
            assert expected[element] == kept
            np.testing.assert_array_equal(mask.keep(), expected)
            assert mask._keep_flat(int(element), int(element) + 1)[0] == kept


def test_an_element_is_kept_at_its_own_uniform_and_dropped_just_above(instruction_set, uniforms):
    """Bug elsewhere: `<=` for `<`. The nearest float64 on either side of an element's uniform
    decides."""
    for element in range(300):
        uniform = int(uniforms[element])
        spare_bits = max(uniform.bit_length() - 53, 0)
        at = (uniform >> spare_bits << spare_bits) / 2**64
        above = float(np.nextafter(at, 1))
        assert at * 2**64 <= uniform < above * 2**64
        for p in (at, above):
            expected = uniforms[:300] >= np.uint64(int(p * 2**64))
            assert expected[element] == (p == at)
            np.testing.assert_array_equal(uniform_mask(p, 300).keep(), expected)


def test_digits_after_the_eighth_are_rounded_to_nearest(instruction_set, uniforms):
    """Ties to even; only a p below 2**-11 has such digits."""
    parities = set()
    for element in np.flatnonzero(uniforms < np.uint64(2**50))[:8]:
        uniform, element = int(uniforms[element]), int(element)
        parities.add(uniform % 2)
        for eighths, kept in ((0, True), (3, True), (4, uniform % 2 == 0), (5, False), (8, False)):
            p = (8 * uniform + eighths) / 2**67
            assert p * 2**67 == 8 * uniform + eighths
            assert oracle.dropped(KEY, DRAW, p, element, element + 1)[0] != kept
            assert uniform_mask(p, 400_000)._keep_flat(element, element + 1)[0] == kept
    assert parities == {0, 1}


def test_many_ties_at_once(instruction_set, uniforms):
    """Every p near k / 256 and k / 65536: the elements that tie fill and overflow any buffer for
    them."""
    rng = np.random.default_rng(1)
    for k in (*rng.integers(1, 256, 10) * 256, *rng.integers(1, 65536, 10)):
        for p in (k / 65536, np.nextafter(k / 65536, 0), np.nextafter(k / 65536, 1)):
            expected = uniforms[:100_000] >= np.uint64(round(p * 2**64))
            np.testing.assert_array_equal(uniform_mask(p, 100_000).keep(), expected)


def test_p_0_keeps_everything(instruction_set):
    """Bug elsewhere: p = 0 still dropped. Here uniforms below 2**-13 are among those kept."""
    for p in (0, 0.0, -0.0, 5e-324, 2.0**-65):
        assert uniform_mask(p, 400_000).keep().all()
        assert len(uniform_mask(p, 400_000).indices()) == 400_000
        assert (uniform_mask(p, 400_000).packbits() == 255).all()


def test_p_1_drops_everything(instruction_set):
    """Bug elsewhere: the layer could not take p = 1."""
    for p in (1, 1.0):
        assert not uniform_mask(p, 400_000).keep().any()
        assert len(uniform_mask(p, 400_000).indices()) == 0
        assert not uniform_mask(p, 400_000).packbits().any()
        assert uniform_mask(p).scale == 0.0


def test_masks_are_nested_in_p(instruction_set):
    previous = uniform_mask(0).keep()
    for p in sorted(PROBABILITIES)[1:]:
        kept = uniform_mask(p).keep()
        assert not (kept & ~previous).any()
        previous = kept


def test_draws_share_nothing(instruction_set):
    """Bug elsewhere: every call, or two calls in a part, the same mask."""
    n = 1_000_000
    planes = [kernels.keystream(KEY, draw, 0, 0, n // 16) for draw in (0, 1, 2, 2**32, 2**55)]
    kept = [sd.Mask(KEY, draw, 0.3, (n,)).keep() for draw in (0, 1, 2, 2**32, 2**55)]
    for one, other in itertools.combinations(range(5), 2):
        same = (planes[one] == planes[other]).sum()
        assert abs(same - n / 256) < 5 * (n / 256 * (255 / 256)) ** 0.5
        correlation = np.corrcoef(kept[one], kept[other])[0, 1]
        assert abs(correlation) < 5 / n**0.5
        for shift in (1, 16, 64, 4096):
            same = (planes[one][shift:] == planes[other][:-shift]).sum()
            assert abs(same - n / 256) < 5 * (n / 256) ** 0.5


def test_keys_share_nothing(instruction_set):
    n = 1_000_000
    kept = [sd.Mask(oracle.key_from_seed(seed), 0, 0.5, (n,)).keep() for seed in range(4)]
    for one, other in itertools.combinations(kept, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / n**0.5
