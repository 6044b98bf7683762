"""What x may be: any layout, shape, subclass or array-like."""

import itertools

import numpy as np
import oracle
import pytest
from applying import KEY, expect, make_mask, probabilities
from arrays import assert_same, bits, dtypes, shapes, values, views
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd


@given(shape=shapes, dtype=dtypes, p=probabilities, data=st.data())
def test_any_layout(shape, dtype, p, data):
    x = data.draw(views(shape, dtype))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    scale = dtype.kind not in "biu" and data.draw(st.booleans())
    before = bits(x)
    mask = make_mask(shape, p, shared_axes=axes, scale=scale)
    expected = expect(x, p, axes, scale)
    for y in (mask.apply(x), mask.backward(x), sd.dropout_backward(x, mask)):
        assert type(y) is np.ndarray and y.dtype.isnative and y.flags.aligned and y.flags.writeable
        assert_same(y, expected)
        assert not np.may_share_memory(x, y)
    assert bits(x) == before


def test_result_has_the_input_s_order():
    """As ufuncs do: the memory order of the axes is the input's."""
    for dtype in (np.dtype(np.float32), np.dtype(np.float16), np.dtype(">f8")):
        cube = values((3, 4, 5), dtype.newbyteorder("=")).astype(dtype)
        for order in itertools.permutations(range(3)):
            for x in (cube.transpose(order), cube[:, ::2, ::-1].transpose(order)):
                y = make_mask(x.shape).apply(x)
                assert y.strides == np.multiply(x, dtype.type(1)).strides
                assert_same(y, expect(x))
    fortran = np.asfortranarray(values((30, 40), np.float64))
    y, _ = sd.dropout(fortran, rng=0)
    assert y.flags.f_contiguous and not y.flags.c_contiguous


def test_zero_strides():
    row = values((7,), np.float32)
    for x in (
        np.broadcast_to(row, (5, 7)),
        np.broadcast_to(row, (5, 7)).T,
        np.broadcast_to(row[0], (9,)),
    ):
        y = make_mask(x.shape).apply(x)
        assert_same(y, expect(x))
        assert 0 not in y.strides and y.flags.writeable


def test_zero_dimensions():
    kept = {bool(sd.Mask(KEY, draw, 0.5, ()).keep()) for draw in range(20)}
    assert kept == {True, False}
    for draw in range(20):
        for dtype in (np.float32, np.float64, np.float16, np.complex64):
            mask = sd.Mask(KEY, draw, 0.5, ())
            x = np.array(3, dtype)
            y = mask.apply(x)
            assert type(y) is np.ndarray and y.shape == () and y.dtype == dtype
            assert y == (6 if mask.keep() else 0)
            out = np.full((), 9, dtype)
            assert mask.apply(x, out=out) is out and out == y
            assert type(mask.apply(dtype(3))) is np.ndarray  # a NumPy scalar is converted


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_empty(shape, dtype):
    y, mask = sd.dropout(np.empty(shape, dtype), rng=0)
    assert type(y) is np.ndarray and y.shape == shape and y.dtype == dtype
    assert mask.keep().shape == shape and len(mask.packbits()) == 0 and len(mask.indices()) == 0
    out = np.empty(shape, dtype)
    assert mask.apply(y, out=out) is out


class Subclass(np.ndarray):
    """An array that would notice if it were treated as one of its own kind."""

    def __array_finalize__(self, other):
        self.tag = "subclass"

    def __array_wrap__(self, *arguments):
        raise AssertionError("the result is to be a base array")


def test_subclasses_give_base_arrays():
    plain = values((50,), np.float32)
    for x in (plain.view(Subclass), plain[::-1].view(Subclass)):
        y, mask = sd.dropout(x, 0.3, rng=0)
        assert type(y) is np.ndarray and type(mask.apply(x)) is np.ndarray
        assert_same(y, oracle.apply(np.asarray(x), mask.key, 0, 0.3))


def test_memory_mapped_files(tmp_path):
    x = values((1000,), np.float32)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r+")
    y = make_mask((1000,)).apply(mapped)
    assert type(y) is np.ndarray
    assert_same(y, expect(x))
    assert make_mask((1000,)).apply(mapped, out=mapped) is mapped
    assert_same(np.fromfile(tmp_path / "x", np.float32), expect(x))


def test_array_likes_are_converted():
    class Like:
        def __array__(self, dtype=None, copy=None):
            return np.arange(4, dtype=np.float32)

    for x in ([0.0, 1.0, 2.0, 3.0], (0.0, 1.0, 2.0, 3.0), [[0.5, 1.5]], 2.5, Like()):
        expected = oracle.apply(np.asarray(x), oracle.key_from_seed(0), 0, 0.5)
        y, mask = sd.dropout(x, rng=0)
        assert type(y) is np.ndarray
        assert_same(y, expected)
        assert_same(mask.backward(x), expected)
    assert_same(
        sd.dropout([1, 2, 3], rng=0, scale=False)[0],
        np.array([1, 2, 3]) * sd.Mask(oracle.key_from_seed(0), 0, 0.5, (3,)).keep(),
    )


def test_read_only_input():
    for dtype in (np.float32, np.float16):
        x = values((1000,), dtype)
        x.flags.writeable = False
        assert_same(make_mask((1000,)).apply(x), expect(x))


@pytest.mark.parametrize("shape", [(6, 4), (24,), (4, 5), (1, 6), (6,), (4, 1), (), (4, 6, 1)])
def test_x_of_another_shape_than_the_mask(form, shape):
    for dtype in (np.float32, np.float16):
        out = np.full(shape, 7, dtype)
        for more in ({}, {"out": out}):
            with pytest.raises(ValueError) as caught:
                form(make_mask((4, 6)), np.ones(shape, dtype), **more)
            assert str(shape) in str(caught.value) and "(4, 6)" in str(caught.value)
        assert (out == 7).all()


def test_ragged_lists():
    with pytest.raises((ValueError, TypeError)):
        sd.dropout([[1.0], [1.0, 2.0]], rng=0)
