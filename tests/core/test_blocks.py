"""Blocks of arrays of any layout: bits that are drawn in the mask's order and used in memory's."""

import numpy as np
import oracle
import pytest
from applying import DRAW, KEY, large_keep
from arrays import BFLOAT16, FLOATS, INTEGERS, POISON, assert_same, values
from hypothesis import given, settings
from hypothesis import strategies as st

import simdrop as sd

# Where the code changes its ways: few rows or columns, those that are transposed together, words,
# rows that the kernels have for themselves, the least runs of a block.
LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 39, 40, 48, 63, 64, 65, 130, 511, 513]
STEPS = [1, 1, 1, 1, 2, 3, -1, -1, -2]
MOST = 10_000_000  # elements of a mask whose window is taken


class Place:
    """An array in poisoned memory: the order of its axes there, outermost first, their steps, how
    many elements are left out at either end of each, and bytes before the first."""

    def __init__(self, shape, dtype, order, steps, gaps, offset=0):
        sizes = [
            (n - 1) * abs(step) + 1 + 2 * gap
            for n, step, gap in zip(shape, steps, gaps, strict=True)
        ]
        size = int(np.prod(sizes)) * dtype.itemsize
        self.memory = np.full(size + 512, POISON, np.uint8)
        start = -self.memory.ctypes.data % 64 + 192 + offset
        whole = self.memory[start : start + size].reshape(
            *(sizes[axis] for axis in order), dtype.itemsize
        )
        whole = whole.transpose(*np.argsort(order), -1)
        for axis, (n, step, gap) in enumerate(zip(shape, steps, gaps, strict=True)):
            part = whole[(slice(None),) * axis + (slice(gap, gap + (n - 1) * abs(step) + 1),)]
            whole = part[(slice(None),) * axis + (slice(None, None, step),)]
        self.bytes = whole
        self.array = whole.view(dtype)[..., 0]
        assert self.array.shape == tuple(shape)

    def intact(self):
        """Whether all memory around the elements is as it was; they are poisoned again."""
        self.bytes[...] = POISON
        return (self.memory == POISON).all()


def kept(p, shape, shared_axes=()):
    """The oracle's decisions."""
    decisions = tuple(1 if axis in shared_axes else n for axis, n in enumerate(shape))
    flat = large_keep(p)[: int(np.prod(decisions))]
    return np.broadcast_to(flat.reshape(decisions), shape)


def expect(keep, x, scale):
    """What applying a mask with these decisions to x gives."""
    x = np.array(x, x.dtype.newbyteorder("="), order="C")
    y = np.zeros(x.shape, x.dtype)
    y[keep] = oracle.times(x[keep], scale) if scale != 1 else x[keep]
    return y


def check(mask, keep, x, y):
    """Apply a mask to x, first into y, then in place; `keep` are its decisions."""
    original = x.array.tobytes()
    expected = expect(keep, x.array, mask.scale if mask.scaled else 1)
    assert mask.apply(x.array, out=y.array) is y.array
    assert_same(np.array(y.array, expected.dtype, order="C"), expected)
    assert y.intact()
    assert x.array.tobytes() == original
    mask.apply(x.array, out=x.array)
    assert_same(np.array(x.array, expected.dtype, order="C"), expected)
    assert x.intact()


# --- Each way of arranging bits ---

# Shape, the order of its axes in memory (outermost first), axes that run backward, shared axes, and
# what the mask has more than the window: at the start of each axis, at the end.
DIRECTED = {
    "two rows": ((2, 1000), (1, 0)),
    "three rows": ((3, 14, 50), (1, 2, 0)),
    "four rows, of two axes": ((2, 2, 333), (2, 0, 1)),
    "four rows, of two axes, exchanged": ((2, 2, 333), (2, 1, 0)),
    "channels last seen as NCHW": ((5, 3, 20, 33), (0, 2, 3, 1)),
    "three rows, backward": ((3, 700), (1, 0), (0,)),
    "five rows": ((5, 700), (1, 0)),
    "eight rows": ((8, 700), (1, 0)),
    "nine rows": ((9, 700), (1, 0)),
    "16 rows": ((16, 700), (1, 0)),
    "17 rows": ((17, 700), (1, 0)),
    "31 rows": ((31, 1000), (1, 0)),
    "rows and columns, backward": ((13, 1500), (1, 0), (0, 1)),
    "one column and spare ones": ((1000, 1), (0, 1), (), (), (0, 3), (0, 4)),
    "two columns": ((1000, 2), (1, 0)),
    "three columns": ((1000, 3), (1, 0)),
    "four columns, of two axes": ((333, 2, 2), (1, 2, 0)),
    "four columns, of two axes, exchanged": ((333, 2, 2), (2, 1, 0)),
    "three columns, backward": ((700, 3), (1, 0), (1,)),
    "three columns, rows backward": ((700, 3), (1, 0), (0,)),
    "three columns, both backward": ((700, 3), (1, 0), (0, 1)),
    "three columns of a window": ((700, 3), (1, 0), (), (), (1, 0), (2, 70)),
    "samples of three columns": ((9, 70, 3), (0, 2, 1)),
    "five columns": ((1500, 5), (1, 0)),
    "eight columns": ((1500, 8), (1, 0)),
    "nine columns": ((1500, 9), (1, 0)),
    "31 columns": ((1000, 31), (1, 0)),
    "columns and rows, backward": ((1500, 13), (1, 0), (0, 1)),
    "few rows and few columns": ((9, 40, 11), (0, 2, 1)),
    "as few of each": ((9, 40, 3), (0, 2, 1)),
    "words": ((130, 200), (1, 0)),
    "exactly words": ((128, 192), (1, 0)),
    "one more than words": ((65, 129), (1, 0)),
    "half words": ((32, 32), (1, 0)),
    "less than half words": ((31, 32), (1, 0)),
    "words, rows backward": ((130, 200), (1, 0), (0,)),
    "words, columns backward": ((130, 200), (1, 0), (1,)),
    "words, both backward": ((130, 200), (1, 0), (0, 1)),
    "words, samples": ((5, 70, 90), (0, 2, 1)),
    "words, rows of several axes": ((5, 6, 7, 300), (3, 0, 1, 2)),
    "words, rows of several axes, exchanged": ((5, 6, 7, 300), (3, 2, 1, 0)),
    "words, columns of several axes": ((300, 5, 6, 7), (1, 2, 3, 0)),
    "words, columns of several axes, exchanged": ((300, 5, 6, 7), (3, 2, 1, 0)),
    "short axes, some backward": ((2, 3, 5, 7, 11, 13), (5, 4, 3, 2, 1, 0), (0, 2, 5)),
    "several pieces": ((7, 12, 5, 16, 10), (1, 2, 0, 4, 3)),
    "several pieces, transposed": ((16, 12, 7, 10, 5), (2, 1, 4, 0, 3)),
    "several pieces, columns far out": ((10, 5, 12, 16, 7), (4, 2, 1, 3, 0)),
    "several pieces, some backward": ((10, 5, 12, 16, 7), (4, 2, 1, 3, 0), (0, 2, 4)),
    "several pieces that share": ((10, 5, 12, 16, 7), (4, 2, 1, 3, 0), (), (1,)),
    "pieces of a window": ((90, 80, 7), (2, 1, 0), (), (), (1, 1, 0), (2, 3, 80)),
    "rows of two": ((90, 80, 2), (1, 0, 2)),
    "rows of three": ((90, 80, 3), (1, 0, 2)),
    "rows of four": ((90, 80, 4), (1, 0, 2)),
    "rows of three, backward": ((90, 80, 3), (1, 0, 2), (2,)),
    "rows of three, others backward": ((90, 80, 3), (1, 0, 2), (0, 1)),
    "rows of three, samples": ((4, 40, 50, 3), (0, 2, 1, 3)),
    "rows of three, few": ((6, 5, 3), (1, 0, 2)),
    "rows of five": ((90, 80, 5), (1, 0, 2)),
    "rows of nine": ((90, 80, 9), (1, 0, 2)),
    "rows of 17": ((30, 20, 17), (1, 0, 2)),
    "rows of 33": ((30, 20, 33), (1, 0, 2)),
    "rows of 39": ((30, 20, 39), (1, 0, 2)),
    "rows of 40": ((30, 20, 40), (1, 0, 2)),
    "rows of 60": ((30, 20, 60), (1, 0, 2)),
    "heads": ((4, 12, 50, 64), (0, 2, 1, 3)),
    "rows of 65": ((30, 20, 65), (1, 0, 2)),
    "long rows": ((6, 5, 600), (1, 0, 2)),
    "rows of 13, backward": ((90, 80, 13), (0, 1, 2), (2,)),
    "rows of 64, backward": ((30, 20, 64), (1, 0, 2), (2,)),
    "rows of 130, backward": ((30, 20, 130), (1, 0, 2), (2,)),
    "all backward": ((30, 20, 50), (0, 1, 2), (0, 1, 2)),
    "each bit twice": ((1000, 2), (0, 1), (), (1,)),
    "each bit five times": ((1000, 5), (0, 1), (), (1,)),
    "each bit 32 times": ((300, 32), (0, 1), (), (1,)),
    "each bit 47 times": ((300, 47), (0, 1), (), (1,)),
    "runs of 48": ((300, 48), (0, 1), (), (1,)),
    "runs of 2000": ((30, 2000), (0, 1), (), (1,)),
    "bits in another order, repeated": ((20, 30, 5), (1, 0, 2), (), (2,)),
    "bits in another order, 40 times": ((20, 30, 40), (1, 0, 2), (), (2,)),
    "bits backward, repeated": ((500, 5), (0, 1), (0,), (1,)),
    "repeated, then their rows again": ((7, 300, 5), (1, 0, 2), (), (0, 2)),
    "rows that repeat": ((40, 9, 300), (0, 1, 2), (), (1,)),
    "transposed rows that repeat": ((40, 9, 100), (2, 1, 0), (), (1,)),
    "channels of channels last": ((5, 64, 20, 20), (0, 2, 3, 1), (), (2, 3)),
    "one column of a wide window": ((1000, 1), (0, 1), (), (), (0, 90), (0, 110)),
    "single bits, backward": ((1000, 1), (0, 1), (0,), (), (0, 3), (0, 4)),
    "single bits in another order": ((30, 40, 1), (1, 0, 2), (), (), (0, 0, 3), (0, 0, 5)),
    "single bits far from each other": ((30, 40, 1), (1, 0, 2), (), (), (1, 2, 3), (0, 9, 500)),
    "rows of a window": ((50, 60), (0, 1), (), (), (1, 13), (2, 70)),
    "short rows of a window": ((500, 7), (0, 1), (), (), (1, 2), (2, 1)),
    "a window, transposed": ((50, 60), (1, 0), (), (), (1, 13), (2, 70)),
    "a window, both backward": ((50, 60), (1, 0), (0, 1), (), (1, 13), (2, 70)),
    "a window of a window's planes": ((9, 50, 60), (2, 1, 0), (), (), (1, 1, 13), (2, 3, 200)),
    "a window, three rows": ((3, 700), (1, 0), (), (), (1, 13), (2, 70)),
    "a window, rows of three": ((90, 80, 3), (1, 0, 2), (), (), (1, 1, 0), (2, 3, 0)),
    "a window, rows of three and a gap": ((90, 80, 3), (1, 0, 2), (), (), (1, 1, 1), (2, 3, 2)),
    "a window that shares": ((90, 80, 3), (1, 0, 2), (), (1,), (1, 1, 1), (2, 3, 4)),
}


@pytest.mark.parametrize("name", DIRECTED)
def test_each_way_of_arranging_bits(instruction_set, name):
    shape, order, *more = DIRECTED[name]
    backward, shared, before, after = (*more, *[()] * (4 - len(more)))
    none = [0 for _ in shape]
    before, after = before or none, after or none
    whole = np.add(shape, np.add(before, after)).tolist()
    block = tuple(slice(i, i + n) for i, n in zip(before, shape, strict=True))
    steps = [-1 if axis in backward else 1 for axis in range(len(shape))]
    keep = kept(0.3, whole, shared)[block]
    for code in "fH":
        dtype = np.dtype(code)
        mask = sd.Mask(KEY, DRAW, 0.3, whole, shared_axes=shared, scale=code == "f")
        stored = sd.Mask.from_keep(np.array(keep), 0.3, scale=code == "f")
        for each in (mask.window(before, shape), stored):
            x, y = (Place(shape, dtype, order, steps, none) for _ in range(2))
            x.array[...] = values(shape, dtype)
            check(each, keep, x, y)


# --- Any layout ---


@st.composite
def shapes(draw, lengths, least, most):
    """One to six axes, about `least` elements or more, at most `most`: one axis is made longer, or
    the longest ones shorter."""
    shape = draw(st.lists(lengths, min_size=1, max_size=6))
    wanted, axis = draw(st.integers(least, most)), draw(st.integers(0, len(shape) - 1))
    if (n := int(np.prod(shape))) < least:
        shape[axis] *= -(-wanted // n)
    while (n := int(np.prod(shape))) > most:
        longest = shape.index(max(shape))
        shape[longest] = max(1, min(shape[longest] - 1, most * shape[longest] // n))
    return tuple(shape)


@st.composite
def places(draw, shape, dtype):
    """How an array lies in memory of at most eight times its size: the arguments of Place after
    shape and dtype."""
    order = tuple(draw(st.permutations(range(len(shape)))))
    dense = draw(st.booleans())
    steps, gaps, room = [], [], 8
    for n in shape:
        step, gap = draw(st.sampled_from([1, 1, -1] if dense else STEPS)), draw(st.integers(0, 2))
        size = (n - 1) * abs(step) + 1 + 2 * gap
        if dense or size > n * room:
            step, gap, size = step // abs(step), 0, n
        steps.append(step)
        gaps.append(gap)
        room *= n / size
    offset = dtype.itemsize * draw(st.integers(0, 5)) + draw(st.sampled_from([0, 0, 0, 1]))
    return order, steps, gaps, offset


@st.composite
def decisions(draw, shape, scale, spare):
    """A mask of a shape, and the oracle's decisions: drawn or stored, of all or of a window."""
    p = draw(st.sampled_from([0.5, 0.3, 0.3, 1 / 3, 0, 1]))
    count = len(shape)
    shared = tuple(axis for axis in range(count) if draw(st.sampled_from([False, False, True])))
    before, after = [0] * count, [0] * count
    if draw(st.booleans()):
        before, after = ([draw(st.integers(0, spare)) for _ in shape] for _ in range(2))
    while np.prod(np.add(shape, np.add(before, after))) > MOST:
        before, after = ([n // 2 for n in side] for side in (before, after))
    whole = tuple(np.add(shape, np.add(before, after)).tolist())
    block = tuple(slice(i, i + n) for i, n in zip(before, shape, strict=True))
    keep = kept(p, whole, shared)[block]
    if draw(st.sampled_from([False, False, True])):
        return sd.Mask.from_keep(np.array(keep), p, scale=scale), keep
    mask = sd.Mask(KEY, DRAW, p, whole, shared_axes=shared, scale=scale)
    return mask.window(before, shape), keep


def check_any(data, shape, dtype, spare):
    scale = dtype in FLOATS and data.draw(st.sampled_from([True, True, False]))
    mask, keep = data.draw(decisions(shape, scale, spare))
    native = dtype
    if dtype != BFLOAT16 and data.draw(st.integers(0, 5)) == 0:
        dtype = dtype.newbyteorder()
    first = data.draw(places(shape, dtype))
    second = first if data.draw(st.booleans()) else data.draw(places(shape, dtype))
    x, y = (Place(shape, dtype, *place) for place in (first, second))
    x.array[...] = values(shape, native, data.draw(st.integers(0, 9)))
    check(mask, keep, x, y)


SHORT, LONG = st.sampled_from(LENGTHS) | st.integers(1, 20), st.sampled_from(LENGTHS[1:])


@settings(max_examples=200)
@given(shape=shapes(SHORT, 1, 5000), dtype=st.sampled_from(FLOATS + INTEGERS), data=st.data())
def test_any_layout(instruction_set, shape, dtype, data):
    check_any(data, shape, dtype, spare=40)


CODES = st.sampled_from([np.dtype(code) for code in "fffeBdF"])


@settings(max_examples=30)
@given(shape=shapes(LONG, 2**18, 3 * 2**18), dtype=CODES, data=st.data())
def test_any_layout_of_larger_arrays(instruction_set, one_thread, shape, dtype, data):
    check_any(data, shape, dtype, spare=3)
