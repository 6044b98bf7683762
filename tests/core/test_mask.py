"""The mask: shapes and shared axes, conversion to arrays, value semantics, errors."""

import copy
import itertools
import pickle

import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop import submatrix

KEY = bytes(range(16))
DRAW = 2**40 + 3


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
    mask = sd.Mask(KEY, DRAW, 0.3, (100,))
    expected = oracle.keep(KEY, DRAW, 0.3, (100,))
    as_float = np.asarray(mask, dtype=np.float32)
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(as_float, expected.astype(np.float32))
    np.testing.assert_array_equal(np.array(mask, copy=True), expected)
    with pytest.raises(ValueError):
        np.asarray(mask, copy=False)  # the array does not exist before it is asked for


def test_results_are_new_and_writable():
    mask = sd.Mask(KEY, DRAW, 0.3, (100,))
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


def test_init_does_not_change_a_mask():
    mask = sd.Mask(bytes(16), 0, 0.5, (3,))
    before = repr(mask)
    with pytest.raises(TypeError, match="cannot be changed"):
        mask.__init__(bytes(16), 1, 0.1, (4,))
    assert repr(mask) == before


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

TAKE_P = (
    lambda p: sd.Mask(KEY, DRAW, p, (3,)),
    lambda p: sd.Stream(0).mask((3,), p),
    lambda p: sd.dropout(np.ones(3), p, rng=0),
    lambda p: sd.dropout(np.ones(3), p, rng=0, training=False),
)


@pytest.mark.parametrize(
    "p",
    [np.nan, -1e-300, -0.1, 1 + 2**-52, 2, 10**400, np.inf, -np.inf, np.float32(2)],
    ids=lambda p: repr(p)[:9],
)
def test_p_out_of_range_names_the_value(p):
    for take in TAKE_P:
        with pytest.raises(ValueError) as error:
            take(p)
        assert str(p) in str(error.value)


@pytest.mark.parametrize("p", ["0.5", None, 0.5j, [0.5], object(), b"1"])
def test_p_of_a_wrong_type(p):
    for take in TAKE_P:
        with pytest.raises(TypeError):
            take(p)


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
