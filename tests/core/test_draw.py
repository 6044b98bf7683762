"""Draw: an address that masks, and whatever else is random, have in common."""

import copy
import pickle

import numpy as np
import pytest

import simdrop as sd

KEY = bytes(range(16))
EVAL = {"Draw": sd.Draw}

DRAWS = [
    sd.Draw(KEY, 3, (4, 6)),
    sd.Draw(KEY, 4, (4, 6)),
    sd.Draw(bytes(16), 3, (4, 6)),
    sd.Draw(KEY, 3, (6, 4)),
    sd.Draw(KEY, 3, (4, 6), shared_axes=0),
    sd.Draw(KEY, 3, (4, 6)).window((1, 2), (3, 4)),
    sd.Draw(KEY, 3, (4, 6)).window((0, 2), (3, 4)),
    sd.Draw(KEY, 3, (5, 6)).window((1, 2), (3, 4)),
    sd.Draw(KEY, 3, (3, 4)),
    sd.Mask(KEY, 3, 0.5, (4, 6)),
]


def test_draws_are_values():
    for i, one in enumerate(DRAWS):
        for j, other in enumerate(DRAWS):
            assert (one == other) is (i == j)
    assert len(set(DRAWS)) == len(DRAWS)
    for one in DRAWS[:-1]:
        others = [copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
        for other in (*others, eval(repr(one), EVAL)):
            assert type(other) is sd.Draw and other == one and hash(other) == hash(one)
            assert other.start == one.start


def test_attributes():
    draw = sd.Draw(KEY, np.int64(3), [4, np.uint8(6)], shared_axes=-1)
    assert (draw.key, draw.draw, draw.shape, draw.size) == (KEY, 3, (4, 6), 24)
    assert (draw.shared_axes, draw.start) == ((1,), (0, 0))
    assert sd.Draw(KEY, 3, 5) == sd.Draw(KEY, 3, (5,))
    for name in ("key", "draw", "shape", "size", "shared_axes", "start"):
        with pytest.raises(AttributeError):
            setattr(draw, name, 1)


def test_windows():
    draw = sd.Draw(KEY, 3, (20, 30), shared_axes=0)
    window = draw.window((5, 6), (10, 10))
    assert (window.start, window.shape, window.size) == ((5, 6), (10, 10), 100)
    assert window.shared_axes == (0,)
    assert window.window((1, 2), (3, 4)) == draw.window((6, 8), (3, 4))
    assert draw.window((0, 0), (20, 30)) is draw
    assert repr(window).endswith(".window((5, 6), (10, 10))")


def test_a_mask_is_a_draw_and_a_probability():
    mask = sd.Mask(KEY, 3, 0.5, (4, 6), shared_axes=1)
    assert isinstance(mask, sd.Draw)
    draw = sd.Draw(mask.key, mask.draw, mask.shape, shared_axes=mask.shared_axes)
    assert draw != mask and mask != draw
    window = mask.window((1, 0), (2, 6))
    assert type(window) is sd.Mask and window.start == draw.window((1, 0), (2, 6)).start


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("key", 0, 4), TypeError, "key must be 16 bytes, not str"),
        ((bytes(15), 0, 4), ValueError, "key has 15 bytes"),
        ((KEY, -1, 4), ValueError, "draw = -1, but draws are numbered from 0"),
        ((KEY, 2**56, 4), ValueError, "draws are numbered"),
        ((KEY, 0.5, 4), TypeError, "integer"),
        ((KEY, 0, (2, -3)), ValueError, "lengths must not be negative"),
        ((KEY, 0, "ab"), TypeError, "shape must be an int or a tuple of ints"),
        ((KEY, 0, (2**62, 4)), ValueError, "more than 2"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        sd.Draw(*arguments)


def test_shared_axes_out_of_range():
    with pytest.raises(ValueError, match="shared_axes"):
        sd.Draw(KEY, 0, (2, 3), shared_axes=2)
