"""Masks that are stored: bits from elsewhere do what a drawn mask with the same bits does."""

import copy
import pickle

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _pickle

EVAL = {"StoredMask": sd.StoredMask}


def packed(kept):
    return np.packbits(kept, bitorder="little")


def applied(x, kept, scale):
    y = np.zeros(x.shape, x.dtype.newbyteorder("="))
    y[kept] = oracle.times(x[kept].astype(y.dtype), scale)
    return y


def random_keep(shape, seed=0):
    return np.random.default_rng(seed).random(shape) < 0.6


@given(
    shape=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    p=st.sampled_from([0, 0.25, 0.3, 0.999]),
    scale=st.booleans(),
    order=st.permutations(range(4)),
    step=st.sampled_from([1, 2, -1]),
    seed=st.integers(0, 2**32),
)
def test_any_bits_in_any_layout(instruction_set, shape, p, scale, order, step, seed):
    kept = random_keep(shape, seed)
    x = np.random.default_rng(seed).standard_normal(shape)
    axes = [axis for axis in order if axis < len(shape)]
    x = np.array(x.transpose(axes), order="C").transpose(np.argsort(axes))
    if shape:
        x = np.repeat(x, abs(step), axis=-1)[..., ::step]
    bits = packed(kept)
    expected = applied(x, kept, 1 / (1 - p) if scale else 1)
    y = sd.apply_packed(x, bits, p, scale=scale)
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, expected)
    mask = sd.Mask.from_keep(kept, p, scale=scale)
    for result in (mask.apply(x), mask.backward(x), sd.dropout_backward(x, mask)):
        np.testing.assert_array_equal(result, expected)


TYPES = ["f2", "f4", "f8", "c8", "c16", "bfloat16", ">f4", ">c16"]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("n", [1, 7, 63, 64, 65, 511, 513, 10007])
def test_every_type_and_length(instruction_set, name, n):
    """Beyond the bits nothing is read, and beyond the array nothing is written."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    kept = random_keep(n)
    x = np.random.default_rng(1).standard_normal(n).astype(dtype)
    x[~kept] = np.nan
    around = np.full(n + 2, 7, dtype)
    y = sd.apply_packed(x, packed(kept), 0.3, out=around[1:-1])
    native = dtype.newbyteorder("=")
    expected = applied(x, kept, 1 / (1 - 0.3))
    assert y.astype(native).tobytes() == expected.tobytes()
    assert around[0] == around[-1] == 7


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8", "M8[s]", "S3"])
def test_any_type_without_scaling(instruction_set, dtype):
    kept = random_keep((24, 65))
    x = np.arange(1, 24 * 65 + 1).reshape(24, 65).astype(dtype)
    expected = x.copy()
    expected.view(np.uint8).reshape(24, 65, -1)[~kept] = 0
    assert sd.apply_packed(x, packed(kept), scale=False).tobytes() == expected.tobytes()


def test_a_stored_mask_is_the_one_that_was_drawn():
    """Bug elsewhere: recomputation drew a fresh mask."""
    x = np.random.default_rng(0).standard_normal((64, 100)).astype(np.float32)
    y, mask = sd.dropout(x, 0.3, rng=0)
    bits = mask.packbits()
    np.testing.assert_array_equal(sd.apply_packed(x, bits, 0.3), y)
    np.testing.assert_array_equal(sd.StoredMask(bits, 0.3, x.shape).apply(x), y)


def test_forms():
    for shape in ((), (0, 3), (5,), (3, 4, 5), (100, 100)):
        kept = random_keep(shape)
        mask = sd.Mask.from_keep(kept, 0.3)
        assert (mask.shape, mask.size, mask.shared_axes) == (shape, kept.size, ())
        assert (mask.p, mask.scale, mask.scaled) == (0.3, 1 / (1 - 0.3), True)
        for form in (mask.keep(), np.asarray(mask)):
            np.testing.assert_array_equal(form, kept)
            assert form.dtype == bool
        np.testing.assert_array_equal(mask.packbits(), packed(kept))
        np.testing.assert_array_equal(mask.indices(), np.flatnonzero(kept))
        for form in (mask.keep(), mask.packbits(), mask.indices()):
            form[...] = 0
        np.testing.assert_array_equal(mask.keep(), kept)


def test_keep_of_any_order_and_kind():
    kept = random_keep((6, 7))
    expected = sd.Mask.from_keep(kept)
    for same in (np.asfortranarray(kept), kept.tolist(), kept[::-1].copy()[::-1]):
        assert sd.Mask.from_keep(same) == expected
    bits = packed(kept)
    kept[:] = False
    bits_mask = sd.StoredMask(bits, 0.5, (6, 7))
    bits[:] = 0
    assert bits_mask == expected


@given(shape=st.lists(st.integers(0, 9), max_size=3).map(tuple), data=st.data())
def test_windows(shape, data):
    kept = random_keep(shape)
    start = tuple(data.draw(st.integers(0, n)) for n in shape)
    lengths = tuple(data.draw(st.integers(0, n - i)) for n, i in zip(shape, start, strict=True))
    block = tuple(slice(i, i + n) for i, n in zip(start, lengths, strict=True))
    window = sd.Mask.from_keep(kept, 0.3, scale=False).window(start, lengths)
    assert window == sd.Mask.from_keep(kept[block], 0.3, scale=False)


@pytest.mark.parametrize("order", ["C", "F"])
def test_threads_share_large_arrays(order, always_shared):
    kept = random_keep((2000, 2001))
    mask = sd.Mask.from_keep(kept, 0.5)
    x = np.asarray(np.ones(mask.shape, np.float32), order=order)
    try:
        for count in (1, 3):
            sd.set_num_threads(count)
            np.testing.assert_array_equal(mask.apply(x), np.where(kept, np.float32(2), 0))
    finally:
        sd.set_num_threads(None)


def test_values():
    kept = random_keep((3, 5))
    other = kept.copy()
    other[2, 4] ^= True
    masks = [
        sd.Mask.from_keep(kept),
        sd.Mask.from_keep(other),
        sd.Mask.from_keep(kept, 0.3),
        sd.Mask.from_keep(kept, scale=False),
        sd.Mask.from_keep(kept.reshape(5, 3)),
        sd.Mask(bytes(16), 0, 0.5, (3, 5)),
    ]
    assert len(set(masks)) == len(masks)
    for mask in masks[:-1]:
        copies = [copy.copy(mask), copy.deepcopy(mask), pickle.loads(pickle.dumps(mask))]
        for again in (*copies, eval(repr(mask), EVAL)):
            assert again == mask and hash(again) == hash(mask)
            np.testing.assert_array_equal(again.keep(), mask.keep())
    shown = repr(sd.Mask.from_keep(np.ones(10**6, bool)))
    assert shown == "StoredMask(<125000 bytes>, p=0.5, shape=(1000000,))"


def test_pickles_name_what_stays_where_it_is():
    """A pickle names the function that restores it, by module, too."""
    (restore, arguments) = sd.StoredMask(bytes([5]), 0.5, (3,)).__reduce__()
    assert restore is _pickle.restore
    assert restore(*arguments) == sd.StoredMask(bytes([5]), 0.5, (3,))


def test_bits_after_the_last_are_ignored():
    one = sd.StoredMask(bytes([0b11111101]), 0.5, (3,))
    assert one == sd.StoredMask(bytes([0b101]), 0.5, (3,))
    np.testing.assert_array_equal(one.packbits(), [0b101])
    np.testing.assert_array_equal(
        sd.apply_packed(np.ones(3), np.array([0b11111101], np.uint8)), [2, 0, 2]
    )
    sd.apply_packed(np.ones(3), np.array([0b11111000], np.uint8), 1)


def test_out_may_be_x_or_the_bits_themselves():
    kept = random_keep(800)
    x = np.arange(1.0, 801)
    expected = np.where(kept, 2 * x, 0)
    assert sd.apply_packed(x, packed(kept), out=x) is x
    np.testing.assert_array_equal(x, expected)
    memory = np.zeros(800, np.uint8)
    memory[:100] = packed(kept)
    sd.apply_packed(np.full(800, 3, np.uint8), memory[:100], scale=False, out=memory)
    np.testing.assert_array_equal(memory, np.where(kept, 3, 0))
    every_other = np.repeat(packed(kept), 2)[::2]
    np.testing.assert_array_equal(sd.apply_packed(np.ones(800), every_other), np.where(kept, 2, 0))


def test_it_was_not_drawn():
    mask = sd.Mask.from_keep([True, False])
    assert not isinstance(mask, sd.Draw)
    assert not hasattr(mask, "key") and not hasattr(mask, "draw")


# --- Errors: nothing is written ---


@pytest.mark.parametrize("bits", [[1], b"\x01", np.array([1]), np.array([True]), None], ids=repr)
def test_bits_of_a_wrong_type(bits):
    out = np.full(3, 7.0)
    with pytest.raises(TypeError, match="bits must be an array of uint8"):
        sd.apply_packed(np.ones(3), bits, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("shape", [(0,), (2,), (1, 1), ()], ids=str)
def test_bits_of_a_wrong_shape(shape):
    out = np.full(3, 7.0)
    with pytest.raises(ValueError, match="bits have shape"):
        sd.apply_packed(np.ones(3), np.zeros(shape, np.uint8), out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("p", [-0.1, 1.5, np.nan])
def test_p_out_of_range(p):
    with pytest.raises(ValueError, match=f"p = {p}"):
        sd.apply_packed(np.ones(3), np.zeros(1, np.uint8), p)
    with pytest.raises(ValueError, match=f"p = {p}"):
        sd.Mask.from_keep([True], p)


def test_p_must_be_one_number():
    with pytest.raises(TypeError, match="one number"):
        sd.Mask.from_keep([True], np.full(1, 0.5))


def test_p_1_keeps_nothing():
    for call in (
        lambda: sd.apply_packed(np.ones(3), np.array([1], np.uint8), 1),
        lambda: sd.Mask.from_keep([True, False], 1),
    ):
        with pytest.raises(ValueError, match="p = 1 drops everything"):
            call()
    assert not sd.Mask.from_keep([False, False], 1).apply(np.full(2, np.nan)).any()
    assert (sd.Mask.from_keep([True], 1, scale=False).apply(np.ones(1)) == 1).all()


def test_keep_of_a_wrong_type():
    for keep in ([0, 1], np.ones(3), None):
        with pytest.raises(TypeError, match="array of bool"):
            sd.Mask.from_keep(keep)


def test_arrays_that_do_not_fit():
    mask = sd.Mask.from_keep([True, False])
    with pytest.raises(ValueError, match="shape"):
        mask.apply(np.ones(3))
    with pytest.raises(TypeError, match="scale=False"):
        mask.apply(np.ones(2, int))
    with pytest.raises(TypeError, match="cannot be changed"):
        mask.__init__(b"\x00", 0.5, (2,))
