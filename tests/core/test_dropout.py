"""`dropout` and `dropout_backward`: the mask that is drawn is the one that is applied, forward and
backward."""

import numpy as np
import oracle
import pytest
from applying import DRAW, KEY, LENGTHS, make_mask
from arrays import FLOATS, KERNEL_DTYPES, assert_same, bits, values

import simdrop as sd


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize("p", [0.5, 0.3, 1 / 3, 1])
def test_dropout(instruction_set, dtype, p):
    """Bugs elsewhere: the mask returned was not the one applied; the backward pass had another
    one."""
    for n in LENGTHS:
        x = values((n,), dtype, n)
        before = x.tobytes()
        stream = sd.Stream(n)
        for draw in range(2):
            y, mask = sd.dropout(x, p, rng=stream)
            assert mask == sd.Mask(stream.key, draw, p, (n,))
            assert_same(y, oracle.apply(x, stream.key, draw, p))
            np.testing.assert_array_equal(mask.keep(), oracle.keep(stream.key, draw, p, (n,)))
            assert_same(sd.dropout_backward(x, mask), y)
        # Bug elsewhere: dropout wrote into its input and broke the step before it.
        assert x.tobytes() == before


def test_dropout_of_shared_axes():
    x = values((4, 5, 6), np.float32)
    for axes in ((0,), (1, 2), (-1,), range(1, x.ndim)):
        y, mask = sd.dropout(x, 0.5, rng=0, shared_axes=axes)
        positive = tuple(axis % 3 for axis in axes)
        assert_same(y, oracle.apply(x, oracle.key_from_seed(0), 0, 0.5, positive))
        assert mask.shared_axes == positive


def test_backward_does_not_look_at_the_values():
    """Bug elsewhere: the backward pass read the mask off y != 0 and failed where x was 0."""
    x = np.zeros(1000, np.float32)
    y, mask = sd.dropout(x, 0.3, rng=0)
    assert not y.any()
    expected = oracle.apply(np.ones(1000, np.float32), oracle.key_from_seed(0), 0, 0.3)
    assert_same(sd.dropout_backward(np.ones(1000, np.float32), mask), expected)


def test_backward_of_another_dtype_and_layout():
    x = values((30, 40), np.float32)
    _, mask = sd.dropout(x, 0.3, rng=0)
    key = oracle.key_from_seed(0)
    for dtype in FLOATS:
        for dy in (values((30, 40), dtype), values((40, 30), dtype).T):
            assert_same(mask.backward(dy), oracle.apply(dy, key, 0, 0.3))


def test_backward_is_the_gradient():
    """Dropout is linear with a diagonal matrix: <dy, f(x)> = <f'(dy), x>."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 50, 60))
    y, mask = sd.dropout(x, 0.3, rng=0)
    np.testing.assert_allclose(
        (dy * y).sum(), (sd.dropout_backward(dy, mask) * x).sum(), rtol=1e-12
    )


@pytest.mark.parametrize(
    "arguments", [{"p": 0}, {"p": 0.5, "training": False}, {"p": 1, "training": False}]
)
def test_nothing_to_drop_returns_x_itself(arguments):
    """Bug elsewhere: p = 0 still dropped."""
    for x in (
        values((3, 4), np.float32),
        values((3, 4), np.float16),
        values((3, 4), np.complex128).T,
        values((3, 4), np.float64).astype(">f8"),
        values((), np.float64),
        values((0,), np.float32),
    ):
        before = bits(x)
        y, mask = sd.dropout(x, rng=0, **arguments)
        assert y is x and bits(x) == before
        assert mask.shape == x.shape and mask.keep().all() and mask.keep().shape == x.shape
        assert mask.scale == 1.0
        assert_same(mask.backward(x), np.array(x, x.dtype.newbyteorder("=")))
        out = np.full_like(x, 9)
        y, mask = sd.dropout(x, rng=0, out=out, **arguments)
        assert y is out and mask.keep().all()
        assert bits(out) == before
        assert sd.dropout(x, rng=0, out=x, **arguments)[0] is x and bits(x) == before
    y, mask = sd.dropout([1.0, np.nan], rng=0, **arguments)
    assert type(y) is np.ndarray
    assert_same(y, np.array([1.0, np.nan]))


def test_nothing_to_drop_of_integers():
    x = np.arange(5)
    for arguments in ({"p": 0}, {"training": False}):
        assert sd.dropout(x, rng=0, scale=False, **arguments)[0] is x


def test_p_1():
    """Bug elsewhere: the layer could not take p = 1. All are dropped, and nothing divides by
    zero."""
    for dtype in FLOATS:
        x = values((1000,), dtype)
        y, mask = sd.dropout(x, 1, rng=0)
        assert not any(y.tobytes())
        assert not any(mask.backward(x).tobytes())
        assert mask.scale == 0.0


def test_dropout_in_place():
    for dtype in FLOATS:
        x = values((1001,), dtype)
        expected = oracle.apply(x, oracle.key_from_seed(0), 0, 0.3)
        y, _ = sd.dropout(x, 0.3, rng=0, out=x)
        assert y is x
        assert_same(x, expected)


@pytest.mark.parametrize("mask", [None, np.ones(3, bool), 0.5, (KEY, DRAW)])
def test_backward_with_something_else_than_a_mask(mask):
    with pytest.raises(TypeError):
        sd.dropout_backward(np.ones(3), mask)


def test_options_are_keyword_only():
    x = np.ones(3)
    with pytest.raises(TypeError):
        sd.dropout(x, 0.5, 0)
    with pytest.raises(TypeError):
        make_mask((3,)).apply(x, np.empty(3))
    with pytest.raises(TypeError):
        make_mask((3,)).backward(x, np.empty(3))
    with pytest.raises(TypeError):
        sd.dropout_backward(x, make_mask((3,)), np.empty(3))
