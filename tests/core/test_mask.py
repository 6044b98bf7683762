"""The mask: its decisions against the oracle to the last digit of p, its forms, its value
semantics, its errors."""

import copy
import itertools
import os
import pickle
import re

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import submatrix
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


# --- Decisions ---


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


# --- Shapes and shared axes ---


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (3, 0), (2, 3, 5), (1, 1, 1, 7), (2,) * 10])
def test_shapes(shape):
    mask = sd.Mask(KEY, DRAW, 0.4, shape)
    expected = oracle.keep(KEY, DRAW, 0.4, shape)
    assert mask.shape == shape and mask.size == expected.size
    assert mask.keep().shape == np.asarray(mask).shape == shape
    np.testing.assert_array_equal(mask.keep(), expected)
    np.testing.assert_array_equal(mask.packbits(), np.packbits(expected, bitorder="little"))
    np.testing.assert_array_equal(mask.indices(), np.flatnonzero(expected))


def test_shape_may_be_a_list_an_int_or_numpy_integers():
    expected = sd.Mask(KEY, DRAW, 0.4, (3, 4))
    for shape in ([3, 4], (np.int64(3), np.uint8(4)), np.array([3, 4])):
        mask = sd.Mask(KEY, DRAW, 0.4, shape)
        assert mask == expected and mask.shape == (3, 4)
        assert all(type(n) is int for n in mask.shape)
    for shape in (12, np.int32(12), [12]):
        mask = sd.Mask(KEY, DRAW, 0.4, shape)
        assert mask == sd.Mask(KEY, DRAW, 0.4, (12,)) and mask.shape == (12,)
    assert sd.Stream(0).mask(12) == sd.Stream(0).mask((12,))


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_shared_axes_of_every_kind(instruction_set, p):
    shape = (3, 4, 5, 67)
    for count in range(5):
        for axes in itertools.combinations(range(4), count):
            mask = sd.Mask(KEY, DRAW, p, shape, shared_axes=axes)
            expected = oracle.keep(KEY, DRAW, p, shape, axes)
            assert mask.shape == shape and mask.size == expected.size
            np.testing.assert_array_equal(mask.keep(), expected)
            np.testing.assert_array_equal(np.asarray(mask), expected)
            np.testing.assert_array_equal(mask.packbits(), np.packbits(expected, bitorder="little"))
            np.testing.assert_array_equal(mask.indices(), np.flatnonzero(expected))


def test_shared_axes_are_normalised():
    expected = sd.Mask(KEY, DRAW, 0.3, (2, 3, 4), shared_axes=(0, 2))
    assert expected.shared_axes == (0, 2)
    for axes in ((2, 0), (0, -1), (-3, -1), [0, 2], range(0, 3, 2), np.array([2, 0])):
        mask = sd.Mask(KEY, DRAW, 0.3, (2, 3, 4), shared_axes=axes)
        assert mask == expected and hash(mask) == hash(expected)
        assert mask.shared_axes == (0, 2)
        np.testing.assert_array_equal(mask.keep(), oracle.keep(KEY, DRAW, 0.3, (2, 3, 4), (0, 2)))
    assert sd.Mask(KEY, DRAW, 0.3, (2, 3, 4)).shared_axes == ()
    for axis in (2, -1, np.int64(2)):
        assert sd.Mask(KEY, DRAW, 0.3, (2, 3, 4), shared_axes=axis).shared_axes == (2,)


def test_locked_dropout_shares_time():
    """Bug elsewhere: locked dropout shared the wrong axis. (T, B, F) with axis 0 shared: one mask
    for all times."""
    time, batch, features = 5, 64, 32
    kept = sd.Stream(1).mask((time, batch, features), 0.5, shared_axes=(0,)).keep()
    assert (kept == kept[:1]).all()
    assert len({kept[0, i].tobytes() for i in range(batch)}) == batch
    assert len({kept[0, :, i].tobytes() for i in range(features)}) == features


def test_channel_and_path_dropout():
    kept = sd.Stream(1).mask((8, 16, 5, 7), 0.5, shared_axes=(2, 3)).keep()
    assert (kept == kept[:, :, :1, :1]).all()
    assert len({kept[i, :, 0, 0].tobytes() for i in range(8)}) == 8
    kept = sd.Stream(1).mask((64, 5, 7), 0.5, shared_axes=range(1, 3)).keep()
    assert (kept == kept[:, :1, :1]).all() and 0 < kept[:, 0, 0].sum() < 64


@pytest.mark.parametrize("axes", [(3,), (-4,), (0, 5), (0, 0), (0, -3), (1, 1)])
def test_wrong_shared_axes(axes):
    with pytest.raises(ValueError):
        sd.Mask(KEY, DRAW, 0.5, (2, 3, 4), shared_axes=axes)
    with pytest.raises(ValueError):
        sd.Stream(0).mask((2, 3, 4), shared_axes=axes)
    with pytest.raises(ValueError):
        sd.dropout(np.ones((2, 3, 4)), rng=0, shared_axes=axes)


@pytest.mark.parametrize("axes", [(1.0,), ("0",), (None,), 1.5])
def test_shared_axes_of_a_wrong_type(axes):
    with pytest.raises(TypeError):
        sd.Mask(KEY, DRAW, 0.5, (2, 3, 4), shared_axes=axes)


# --- Conversions to arrays ---


def test_asarray_protocol():
    mask = uniform_mask(0.3, 100)
    expected = oracle.keep(KEY, DRAW, 0.3, (100,))
    as_float = np.asarray(mask, dtype=np.float32)
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(as_float, expected.astype(np.float32))
    np.testing.assert_array_equal(np.array(mask, copy=True), expected)
    with pytest.raises(ValueError):
        np.asarray(mask, copy=False)  # the array does not exist before it is asked for


def test_results_are_new_and_writable():
    mask = uniform_mask(0.3, 100)
    for form in (mask.keep, mask.packbits, mask.indices, mask.__array__):
        form()[:] = 0
    np.testing.assert_array_equal(mask.keep(), oracle.keep(KEY, DRAW, 0.3, (100,)))


# --- A mask is a value ---


def test_attributes():
    mask = sd.Mask(KEY, DRAW, 0.25, (2, 3), shared_axes=(1,))
    assert (mask.key, mask.draw, mask.p) == (KEY, DRAW, 0.25)
    assert (mask.shape, mask.size, mask.shared_axes) == ((2, 3), 6, (1,))
    assert mask.scale == 1 / 0.75
    assert sd.Mask(KEY, DRAW, 0.25, (2, 3), scale=False).scale == 1.0
    assert sd.Mask(KEY, DRAW, 1, (2, 3)).scale == 0.0
    assert sd.Mask(KEY, DRAW, 0, (2, 3)).scale == 1.0
    for p in (0.1, 0.3, 1 / 3, 1 - 2**-53):
        assert sd.Mask(KEY, DRAW, p, (2,)).scale == 1 / (1 - p)
    assert isinstance(sd.Mask(KEY, DRAW, 1, (2,)).p, float)


VARIANTS = [
    ((KEY, DRAW, 0.5, (2, 3)), {}),
    ((bytes(16), DRAW, 0.5, (2, 3)), {}),
    ((KEY, DRAW + 1, 0.5, (2, 3)), {}),
    ((KEY, DRAW, 0.25, (2, 3)), {}),
    ((KEY, DRAW, 0.5, (3, 2)), {}),
    ((KEY, DRAW, 0.5, (6,)), {}),
    ((KEY, DRAW, 0.5, (2, 3)), {"shared_axes": (0,)}),
    ((KEY, DRAW, 0.5, (2, 3)), {"shared_axes": (1,)}),
    ((KEY, DRAW, 0.5, (2, 3)), {"scale": False}),
]


def test_equality_and_hash():
    masks = [sd.Mask(*arguments, **more) for arguments, more in VARIANTS]
    again = [sd.Mask(*arguments, **more) for arguments, more in VARIANTS]
    for (i, one), (j, other) in itertools.product(enumerate(masks), enumerate(again)):
        assert (one == other) is (i == j)
        assert (one != other) is (i != j)
        if i == j:
            assert hash(one) == hash(other)
    assert len(set(masks + again)) == len(VARIANTS)
    assert masks[0] != "mask" and masks[0] != None and masks[0] != KEY  # noqa: E711


def test_equal_p_of_another_type():
    mask = sd.Mask(KEY, DRAW, 0.5, (3,))
    for p in (np.float64(0.5), np.float32(0.5)):
        other = sd.Mask(KEY, DRAW, p, (3,))
        assert mask == other and hash(mask) == hash(other) and type(other.p) is float
    assert sd.Mask(KEY, DRAW, 1, (3,)) == sd.Mask(KEY, DRAW, 1.0, (3,))


@pytest.mark.parametrize(("arguments", "more"), VARIANTS)
def test_pickle_and_copy(arguments, more):
    """Bug elsewhere: recomputation drew a fresh mask. A mask that was sent away and came back is
    the same one."""
    mask = sd.Mask(*arguments, **more)
    others = [copy.copy(mask), copy.deepcopy(mask)]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        others.append(pickle.loads(pickle.dumps(mask, protocol)))
    for other in others:
        assert other == mask and hash(other) == hash(mask) and other.scale == mask.scale
        np.testing.assert_array_equal(other.keep(), mask.keep())
        np.testing.assert_array_equal(
            other.apply(np.ones(mask.shape)), mask.apply(np.ones(mask.shape))
        )


def test_a_pickle_is_small():
    assert len(pickle.dumps(sd.Mask(KEY, DRAW, 0.3, (1000, 1000)))) < 400


def test_immutable():
    mask = sd.Mask(KEY, DRAW, 0.5, (2, 3))
    for name in ("key", "draw", "p", "shape", "size", "shared_axes", "scale"):
        before = getattr(mask, name)
        with pytest.raises(AttributeError):
            setattr(mask, name, before)
        with pytest.raises(AttributeError):
            delattr(mask, name)
        assert getattr(mask, name) == before


def test_the_same_mask_again():
    """Bug elsewhere: every look at the mask drew a new one."""
    mask = sd.Stream(5).mask((1000,), 0.3)
    first = mask.keep()
    y = mask.apply(np.ones(1000))
    for _ in range(3):
        np.testing.assert_array_equal(mask.keep(), first)
        np.testing.assert_array_equal(mask.apply(np.ones(1000)), y)
        np.testing.assert_array_equal(y != 0, first)


# --- Errors ---


@pytest.mark.parametrize(
    "p",
    [np.nan, -1e-300, -0.1, 1 + 2**-52, 2, 10**400, np.inf, -np.inf, np.float32(2)],
    ids=lambda p: repr(p)[:9],
)
def test_p_out_of_range_names_the_value(p):
    for call in (
        lambda: sd.Mask(KEY, DRAW, p, (3,)),
        lambda: sd.Stream(0).mask((3,), p),
        lambda: sd.dropout(np.ones(3), p, rng=0),
        lambda: sd.dropout(np.ones(3), p, rng=0, training=False),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(p) in str(error.value)


@pytest.mark.parametrize("p", ["0.5", None, 0.5j, [0.5], object(), b"1"])
def test_p_of_a_wrong_type(p):
    for call in (
        lambda: sd.Mask(KEY, DRAW, p, (3,)),
        lambda: sd.Stream(0).mask((3,), p),
        lambda: sd.dropout(np.ones(3), p, rng=0),
        lambda: sd.dropout(np.ones(3), p, rng=0, training=False),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(17), bytes(32)])
def test_key_of_a_wrong_length(key):
    with pytest.raises(ValueError):
        sd.Mask(key, DRAW, 0.5, (3,))


@pytest.mark.parametrize("key", ["0" * 16, 5, None, [0] * 16])
def test_key_of_a_wrong_type(key):
    with pytest.raises(TypeError):
        sd.Mask(key, DRAW, 0.5, (3,))


def test_wrong_draw():
    for draw in (-1, 2**56, 2**64):
        with pytest.raises((ValueError, OverflowError)):
            sd.Mask(KEY, draw, 0.5, (3,))
    for draw in (1.5, "1", None):
        with pytest.raises(TypeError):
            sd.Mask(KEY, draw, 0.5, (3,))
    assert sd.Mask(KEY, 2**56 - 1, 0.5, (3,)).draw == 2**56 - 1


def test_wrong_shape():
    for shape in ((-1,), (3, -2), (2**40, 2**40)):
        with pytest.raises((ValueError, OverflowError)):
            sd.Mask(KEY, DRAW, 0.5, shape)
    for shape in ((1.5,), "ab", None, (None,)):
        with pytest.raises(TypeError):
            sd.Mask(KEY, DRAW, 0.5, shape)


def test_the_order_of_lengths_does_not_decide_whether_a_shape_is_too_large():
    """As NumPy's own limit, which an axis of length 0 does not lift."""
    for lengths in itertools.permutations((2**62, 2**62, 0)):
        with pytest.raises(ValueError, match="more than"):
            sd.Mask(KEY, DRAW, 0.5, lengths)
        with pytest.raises(ValueError, match="too big"):
            np.empty(lengths, np.uint8)
    for lengths in itertools.permutations((2**62, 1, 0)):
        assert sd.Mask(KEY, DRAW, 0.5, lengths).size == np.empty(lengths, np.uint8).size == 0


@pytest.mark.parametrize("size", [2**63 - 1, 2**63 - 7, 2**63 - 63, 2**62 + 1])
def test_the_largest_masks_do_not_overflow(size):
    """Their windows can be computed; all of their bits fit no memory."""
    mask = sd.Mask(KEY, DRAW, 0.5, size)
    assert mask.size == size
    window = mask.window(size - 100, 100)
    np.testing.assert_array_equal(window.keep(), ~oracle.dropped(KEY, DRAW, 0.5, size - 100, size))
    for method in (mask.packbits, mask.keep, mask.indices, lambda: submatrix.Kept(mask)):
        with pytest.raises((MemoryError, ValueError)):
            method()
    with pytest.raises(ValueError, match=rf"bits have shape \(1,\).*{-(-size // 8)}"):
        sd.StoredMask(b"1", 0.5, size)


def test_more_axes_than_arrays_have():
    longest = (2,) + (1,) * 62 + (3,)
    mask = sd.Mask(KEY, DRAW, 0.5, longest, shared_axes=0)
    assert mask.keep().shape == longest and len(mask.packbits()) == 1
    x = np.ones(longest, np.float32)
    np.testing.assert_array_equal(mask.apply(x), 2 * mask.keep())
    window = mask.window((1,) + (0,) * 63, (1,) * 63 + (2,))
    assert window.keep().shape == window.apply(x[1:, ..., :2]).shape == (1,) * 63 + (2,)
    for shape in ((2,) + (1,) * 100 + (3,), (1,) * 65, [1] * 65):
        for make in (
            lambda shape: sd.Mask(KEY, DRAW, 0.5, shape, shared_axes=0),
            lambda shape: sd.Mask(KEY, DRAW, np.full(3, 0.5), shape),
            lambda shape: sd.Stream(0).mask(shape),
            lambda shape: sd.StoredMask(b"1", 0.5, shape),
            lambda shape: sd.GaussianNoiseContext(KEY, DRAW, 1, shape),
            lambda shape: sd.GaussianDropoutContext(KEY, DRAW, 0.5, shape),
            lambda shape: sd.AlphaDropoutContext(KEY, DRAW, 0.5, shape),
        ):
            with pytest.raises(ValueError, match=f"{len(shape)} axes, but arrays have at most 64"):
                make(shape)


def test_options_are_keyword_only():
    with pytest.raises(TypeError):
        sd.Mask(KEY, DRAW, 0.5, (3,), (0,))
    with pytest.raises(TypeError):
        sd.Stream(0).mask((3,), 0.5, (0,))


# --- Instruction sets ---


def test_instruction_sets_of_this_cpu():
    names = kernels.instruction_sets()
    assert isinstance(names, tuple) and len(set(names)) == len(names)
    assert set(names) <= {"portable", "aesni", "vaes256", "vaes512", "neon"}
    assert "portable" in names
    if "SIMDROP_ISA" not in os.environ:
        assert kernels.instruction_set() in names


def test_use_instruction_set(instruction_set):
    assert kernels.instruction_set() == instruction_set
    unsupported = {"aesni", "vaes256", "vaes512", "neon"} - set(kernels.instruction_sets())
    cut = (f"{instruction_set}\0x", "portable\0", "\0")  # C's strings end at the NUL
    for bad in ("nonesuch", "", "PORTABLE", "\udcff", b"portable", 5, *cut, *unsupported):
        with pytest.raises(ValueError, match=re.escape(f"instruction set {bad!r} is not avail")):
            kernels.use_instruction_set(bad)
        assert kernels.instruction_set() == instruction_set


def test_show_config_names_the_instruction_set(instruction_set, capsys):
    sd.show_config()
    assert instruction_set in capsys.readouterr().out


def test_environment_forces_an_instruction_set(instruction_set, run_python):
    run = run_python(
        "from simdrop._core.kernels import instruction_set; print(instruction_set())",
        SIMDROP_ISA=instruction_set,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == instruction_set


@pytest.mark.parametrize("name", ["nonesuch", "avx9000", "vaes128", "vaes512"])
def test_environment_with_an_impossible_instruction_set(name, run_python):
    if name in kernels.instruction_sets():
        pytest.skip(f"this CPU can run {name}")
    run = run_python("import simdrop; print('imported')", SIMDROP_ISA=name)
    assert run.returncode != 0 and "imported" not in run.stdout
    last_line = run.stderr.strip().splitlines()[-1]
    assert last_line.startswith(f"ValueError: SIMDROP_ISA: instruction set '{name}' is not avail")
    assert last_line.endswith(", ".join(kernels.instruction_sets()))


def test_init_does_not_change_a_mask():
    mask = sd.Mask(bytes(16), 0, 0.5, (3,))
    before = repr(mask)
    with pytest.raises(TypeError, match="cannot be changed"):
        mask.__init__(bytes(16), 1, 0.1, (4,))
    assert repr(mask) == before


@pytest.mark.parametrize("type_", [np.int64, np.uint8, np.int8])
def test_ints_may_be_numpys(type_):
    """What NumPy's own functions return is taken wherever an int is."""
    x, images = np.ones((4, 6)), np.ones((2, 3, 8, 8))
    mask = sd.Mask(bytes(16), 3, 0.5, (5, 6))

    def results(type_):
        stream = sd.Stream(type_(3))
        children = stream.spawn(type_(2))
        stream.state = stream.state | {"draw": type_(5), "spawned": type_(1), "stream": type_(1)}
        yield stream.state, [child.key for child in children], sd.Stream([type_(3), type_(4)]).key
        yield sd.Mask(bytes(16), type_(3), 0.5, (type_(2), type_(3)), shared_axes=type_(1))
        yield sd.Mask(bytes(16), type_(3), 0.5, type_(5), shared_axes=[type_(0)])
        yield mask.window((type_(1), type_(2)), (type_(2), type_(3)))
        yield kernels.keystream(bytes(16), type_(1), type_(2), type_(0), type_(3)).tobytes()
        yield sd.StoredMask(b"\3", 0.5, type_(5))
        yield sd.GaussianNoiseContext(bytes(16), type_(0), 1, (type_(3), type_(2)))
        yield sd.drop_block(images, 0.1, type_(3), shared_axes=type_(1), rng=type_(0))[1]
        yield sd.dropout(x, 0.5, shared_axes=type_(0), rng=type_(0))[1]
        yield sd.locked_dropout(x, 0.5, time_axis=type_(1), rng=type_(0))[1]
        yield sd.theory.monte_carlo(lambda rows: rows.sum(1), [1, 2], 0.5, type_(9), rng=type_(1))

    assert list(results(type_)) == list(results(int))
