"""Windows: any block of a mask is that block, in every form, layout and instruction set."""

import copy
import pickle

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd

KEY = bytes(range(16))
DRAW = 2**40 + 3
EVAL = {"Mask": sd.Mask, "StoredMask": sd.StoredMask, "np": np}


def packed(kept):
    return np.packbits(kept, bitorder="little")


def assert_is_block(window, expected):
    """All forms of a window, from the bool array that it must be."""
    assert window.shape == expected.shape and window.size == expected.size
    np.testing.assert_array_equal(window.keep(), expected)
    np.testing.assert_array_equal(np.asarray(window), expected)
    np.testing.assert_array_equal(window.packbits(), packed(expected))
    np.testing.assert_array_equal(window.indices(), np.flatnonzero(expected))
    x = np.full(expected.shape, np.nan)
    x[expected] = 3.0
    wanted = np.where(expected, 3.0 * window.scale, 0.0)
    np.testing.assert_array_equal(window.apply(x), wanted)
    np.testing.assert_array_equal(window.backward(np.array(x, order="F")), wanted)
    wide = np.zeros((*expected.shape, 2), np.float32)
    out = wide[..., 1]
    window.apply(x.astype(np.float32), out=out)
    np.testing.assert_array_equal(out, np.where(expected, np.float32(3 * window.scale), 0))
    assert not wide[..., 0].any()


@st.composite
def blocks(draw, most_axes=4, longest=9):
    """A shape, shared axes, and a block: its start and shape."""
    shape = tuple(draw(st.lists(st.integers(0, longest), max_size=most_axes)))
    axes = draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    start = tuple(draw(st.integers(0, n)) for n in shape)
    lengths = tuple(draw(st.integers(0, n - i)) for n, i in zip(shape, start, strict=True))
    return shape, tuple(sorted(axes)), start, lengths


def slices(start, lengths):
    return tuple(slice(i, i + n) for i, n in zip(start, lengths, strict=True))


@given(block=blocks(), p=st.sampled_from([0, 0.5, 0.3, 1e-3, 1]))
def test_any_window_is_the_oracles(instruction_set, block, p):
    shape, axes, start, lengths = block
    mask = sd.Mask(KEY, DRAW, p, shape, shared_axes=axes)
    window = mask.window(start, lengths)
    assert window.start == start
    expected = oracle.keep(KEY, DRAW, p, shape, axes)[slices(start, lengths)]
    assert_is_block(window, expected)


@given(block=blocks(), data=st.data())
def test_a_window_of_a_window(block, data):
    shape, axes, start, lengths = block
    mask = sd.Mask(KEY, DRAW, 0.5, shape, shared_axes=axes)
    inner = tuple(data.draw(st.integers(0, n)) for n in lengths)
    shorter = tuple(data.draw(st.integers(0, n - i)) for n, i in zip(lengths, inner, strict=True))
    window = mask.window(start, lengths).window(inner, shorter)
    corner = tuple(i + j for i, j in zip(start, inner, strict=True))
    assert window == mask.window(corner, shorter)
    np.testing.assert_array_equal(window.keep(), mask.keep()[slices(corner, shorter)])


@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (0, 2), (1, 2)], ids=str)
def test_longer_windows(instruction_set, axes):
    shape = (7, 130, 523)
    kept = oracle.keep(KEY, DRAW, 0.3, shape, axes)
    mask = sd.Mask(KEY, DRAW, 0.3, shape, shared_axes=axes)
    for start, lengths in (
        ((0, 0, 0), (7, 130, 522)),
        ((1, 2, 3), (5, 100, 500)),
        ((2, 0, 0), (3, 130, 523)),  # one after the other
        ((2, 17, 0), (1, 64, 523)),
        ((2, 17, 300), (1, 1, 200)),
        ((0, 0, 511), (7, 130, 1)),
        ((0, 5, 0), (7, 1, 523)),
    ):
        assert_is_block(mask.window(start, lengths), kept[slices(start, lengths)])


@pytest.mark.parametrize("corner", [(0, 0), (2**29 + 5, 77), (2**30 - 64, 2**20 - 64)])
def test_blocks_of_a_mask_that_fits_no_memory(instruction_set, corner):
    """Bug elsewhere: 32-bit offsets wrapped."""
    window = sd.Mask(KEY, DRAW, 0.3, (2**30, 2**20)).window(corner, (64, 64))
    rows = [2**20 * (corner[0] + i) + corner[1] for i in range(64)]
    expected = np.stack([~oracle.dropped(KEY, DRAW, 0.3, row, row + 64) for row in rows])
    assert_is_block(window, expected)


def test_shards_put_together_are_the_whole(instruction_set):
    x = np.random.default_rng(0).standard_normal((96, 200)).astype(np.float32)
    mask = sd.Mask(KEY, DRAW, 0.4, x.shape)
    y = np.empty_like(x)
    for i in range(0, 96, 32):
        for j in range(0, 200, 50):
            block = np.s_[i : i + 32, j : j + 50]
            mask.window((i, j), (32, 50)).apply(x[block], out=y[block])
    np.testing.assert_array_equal(y, mask.apply(x))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", [(), (0,), (1,)], ids=str)
def test_threads_share_a_large_window(order, axes, always_shared):
    mask = sd.Mask(KEY, DRAW, 0.4, (3000, 4000), shared_axes=axes).window((5, 7), (1500, 2500))
    x = np.asarray(np.ones(mask.shape, np.float32), order=order)
    kept = mask.keep()
    try:
        for count in (1, 3):
            sd.set_num_threads(count)
            np.testing.assert_array_equal(mask.apply(x) != 0, kept)
    finally:
        sd.set_num_threads(None)


def test_a_large_flat_array_whose_shared_axis_has_one_element():
    """Threads split it flat: axis 0 of that is not the axis that is shared."""
    mask = sd.Mask(KEY, DRAW, 0.4, (1, 4_000_000), shared_axes=0)
    np.testing.assert_array_equal(mask.apply(np.ones(mask.shape, np.float32)) != 0, mask.keep())


def test_a_decision_at_a_time(instruction_set):
    """Runs of one decision, and columns: bits far from each other, many ties among them."""
    for p in (0.3, np.full((1, 1), 0.3)):
        mask = sd.Mask(KEY, DRAW, p, (9000, 3), shared_axes=1)
        expected = oracle.keep(KEY, DRAW, 0.3, (9000, 3), (1,))
        np.testing.assert_array_equal(mask.packbits(), packed(expected))
        column = sd.Mask(KEY, DRAW, p, (9000, 700)).window((0, 5), (9000, 1))
        kept = ~oracle.dropped(KEY, DRAW, 0.3, 0, 9000 * 700)[5::700, None]
        np.testing.assert_array_equal(column.packbits(), packed(kept))


# --- Values ---


WINDOWS = [
    sd.Mask(KEY, DRAW, 0.5, (20, 30)).window((1, 2), (3, 4)),
    sd.Mask(KEY, DRAW, 0.5, (20, 30)).window((2, 2), (3, 4)),
    sd.Mask(KEY, DRAW, 0.5, (20, 31)).window((1, 2), (3, 4)),
    sd.Mask(KEY, DRAW, 0.5, (20, 30)).window((1, 2), (4, 3)),
    sd.Mask(KEY, DRAW, 0.5, (20, 30), scale=False).window((1, 2), (3, 4)),
    sd.Mask(KEY, DRAW, 0.5, (20, 30), shared_axes=0).window((1, 2), (3, 4)),
    sd.Mask(KEY, DRAW, np.full((20, 1), 0.5), (20, 30)).window((1, 2), (3, 4)),
    sd.Mask(KEY, DRAW, 0.5, (3, 4)),
]


def test_windows_are_values():
    for i, one in enumerate(WINDOWS):
        for j, other in enumerate(WINDOWS):
            assert (one == other) is (i == j)
        others = [copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
        if "<array of shape" not in repr(one):
            others.append(eval(repr(one), EVAL))
        for other in others:
            assert other == one and hash(other) == hash(one) and other.start == one.start
            np.testing.assert_array_equal(other.keep(), one.keep())
            x = np.ones(one.shape)
            np.testing.assert_array_equal(other.apply(x), one.apply(x))
    assert len(set(WINDOWS)) == len(WINDOWS)


def test_the_window_of_everything_is_the_mask():
    mask = sd.Mask(KEY, DRAW, 0.5, (20, 30))
    assert mask.window((0, 0), (20, 30)) == mask
    assert mask.window((0, 0), (20, 29)) != mask
    assert sd.Mask(KEY, DRAW, 0.5, ()).window((), ()) == sd.Mask(KEY, DRAW, 0.5, ())


def test_ints_of_any_kind():
    mask = sd.Mask(KEY, DRAW, 0.5, (20,))
    expected = mask.window((3,), (5,))
    for start, shape in (
        (3, 5),
        (np.int64(3), np.uint8(5)),
        ((np.int64(3),), (5,)),
        ((3,), (np.int64(5),)),
        ([3], [5]),
        (np.array([3]), (5,)),
    ):
        window = mask.window(start, shape)
        assert window == expected
        assert all(type(n) is int for n in (*window.start, *window.shape))
    window = mask.window((True,), (True,))
    assert window == mask.window((1,), (1,))
    assert type(window.start[0]) is type(window.shape[0]) is int


# --- Errors ---


@pytest.mark.parametrize(
    ("start", "shape"),
    [
        ((-1, 0), (2, 2)),
        ((0, 0), (21, 2)),
        ((19, 0), (2, 2)),
        ((0, 30), (1, 1)),
        ((21, 0), (0, 0)),
        ((2**70, 0), (1, 1)),
        ((-(2**70), 0), (1, 1)),
        ((0, 0), (1, 2**63)),
        ((2**63 - 1, 0), (2**63 - 1, 1)),
    ],
    ids=str,
)
def test_outside(start, shape):
    with pytest.raises(IndexError, match=r"not inside the mask's shape \(20, 30\)"):
        sd.Mask(KEY, DRAW, 0.5, (20, 30)).window(start, shape)


@pytest.mark.parametrize(
    ("start", "shape"), [((0,), (2, 2)), (0, 1), ((0, 0), (2, 2, 2)), ((0, 0), (-1, 2))], ids=str
)
def test_another_number_of_axes_or_a_negative_length(start, shape):
    with pytest.raises(ValueError, match="axes of the mask|negative"):
        sd.Mask(KEY, DRAW, 0.5, (20, 30)).window(start, shape)


@pytest.mark.parametrize(
    ("start", "shape"), [((0.0, 0), (2, 2)), ("ab", (2, 2)), ((0, 0), None), (None, (2, 2))]
)
def test_not_ints(start, shape):
    with pytest.raises(TypeError, match="must be an int or a tuple of ints"):
        sd.Mask(KEY, DRAW, 0.5, (20, 30)).window(start, shape)


def test_a_windows_shape_is_checked():
    window = sd.Mask(KEY, DRAW, 0.5, (20, 30)).window((1, 2), (3, 4))
    with pytest.raises(ValueError, match=r"the mask has shape \(3, 4\)"):
        window.apply(np.ones((20, 30)))
