"""``mask[index]`` is ``mask.keep()[index]``, and takes nothing but basic indices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import simdrop as sd
from simdrop import _indexing

KEY = bytes(range(16))
SHAPE = (4, 5, 6)
MASK = sd.Mask(KEY, 3, 0.5, SHAPE)


def masks_of(shape):
    """Drawn in order, with shared axes, with a p of each unit, a window, and stored."""
    whole = sd.Mask(KEY, 3, 0.5, tuple(n + 2 for n in shape))
    masks = [sd.Mask(KEY, 3, 0.5, shape), whole.window((1,) * len(shape), shape)]
    masks.append(sd.Mask.from_keep(masks[0].keep()))
    if shape:
        masks.append(sd.Mask(KEY, 3, 0.5, shape, shared_axes=0))
        masks.append(sd.Mask(KEY, 3, np.linspace(0, 1, shape[-1]), shape))
    return masks


def same(found, wanted):
    assert type(found) is type(wanted) and found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


@settings(max_examples=40)
@given(data=st.data())
def test_it_is_keep_at_the_index(data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    indices = hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    index = data.draw(indices)
    mask = data.draw(st.sampled_from(masks_of(shape)))
    same(mask[index], mask.keep()[index])


@given(
    index=st.tuples(*[st.one_of(st.integers(-8, 8), st.slices(9), st.just(Ellipsis))] * 3).map(
        lambda items: items[:2] if items.count(Ellipsis) else items
    )
)
def test_errors_are_numpys(index):
    try:
        wanted = MASK.keep()[index]
    except IndexError:
        with pytest.raises(IndexError):
            MASK[index]
    else:
        same(MASK[index], wanted)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (4, "index 4 is out of bounds for axis 0 with size 4"),
        ((0, 0, -7), "index -7 is out of bounds for axis 2 with size 6"),
        ((0, 0, 0, 0), "too many indices: the mask has 3 axes, but 4 were indexed"),
        ((..., 0, ...), "a single ellipsis"),
    ],
)
def test_what_is_out_of_range(index, message):
    for mask in masks_of(SHAPE):
        with pytest.raises(IndexError, match=message):
            mask[index]


@pytest.mark.parametrize(
    "index",
    [True, np.True_, [0, 1], np.array([0, 1]), np.ones(SHAPE, bool), "a", 1.0, (0, [1]), {}],
    ids=repr,
)
def test_other_indices_are_refused(index):
    for mask in masks_of(SHAPE):
        with pytest.raises(TypeError, match=r"with ints, slices, .* index its keep\(\) instead"):
            mask[index]


def test_steps_and_the_types_of_slices_are_checked_as_by_numpy():
    mask = sd.Mask(KEY, 0, 0.5, SHAPE)
    with pytest.raises(ValueError, match="step cannot be zero"):
        mask[::0]
    with pytest.raises(TypeError, match="slice indices must be integers"):
        mask[1.0:]
    same(mask[np.int8(1), np.uint64(2) :], mask.keep()[1, 2:])


def test_only_the_block_is_drawn():
    mask = sd.Mask(KEY, 0, 0.5, (2**30, 2**20))
    assert mask[2**29, 7:11].tolist() == mask.window((2**29, 7), (1, 4)).keep()[0].tolist()
    assert mask[-1, -1] == mask[2**30 - 1, 2**20 - 1]
    assert mask[-3::2, -5::-1000].shape == (2, 1049)
    assert _indexing.block(np.s_[5:20:4, ::-1], (100, 7)) == (
        (5, 0),
        (13, 7),
        (slice(None, None, 4), slice(None, None, -1)),
    )


def test_the_result_is_an_array_of_its_own():
    mask = sd.Mask(KEY, 0, 0.5, SHAPE)
    part = mask[1:3]
    part[:] = True
    assert not mask[1:3].all()


def test_a_mask_is_no_sequence():
    for mask in masks_of(SHAPE):
        with pytest.raises(TypeError, match=r"cannot be iterated over: .* its keep\(\)"):
            list(mask)
        with pytest.raises(TypeError):
            len(mask)
        with pytest.raises(TypeError):
            True in mask  # noqa: B015
        with pytest.raises(TypeError):
            del mask[0]
        with pytest.raises(TypeError):
            mask[0] = True
        assert bool(mask) and np.asarray(mask).shape == SHAPE
        same(np.asarray(mask), mask.keep())
        same(np.ones(SHAPE)[mask], np.ones(SHAPE)[mask.keep()])


def test_without_an_initialised_mask():
    for cls in (sd.Mask, sd.StoredMask):
        for use in (lambda mask: mask[0], lambda mask: mask[...], lambda mask: mask._repr_html_()):
            with pytest.raises(TypeError, match="was never initialised"):
                use(cls.__new__(cls))


@settings(max_examples=40)
@given(data=st.data())
def test_windows_of_stored_masks_read_small_and_large_parts_alike(data):
    """Small parts of large masks are read by themselves."""
    shape = data.draw(st.sampled_from([(400,), (20, 30), (10, 8, 9), (0, 3), (300, 1)]))
    start = tuple(data.draw(st.integers(0, n)) for n in shape)
    lengths = tuple(data.draw(st.integers(0, n - i)) for n, i in zip(shape, start, strict=True))
    keep = np.random.default_rng(0).random(shape) < 0.5
    window = sd.Mask.from_keep(keep).window(start, lengths)
    block = keep[tuple(slice(i, i + n) for i, n in zip(start, lengths, strict=True))]
    same(window.keep(), block)
    assert window == sd.Mask.from_keep(np.ascontiguousarray(block))
