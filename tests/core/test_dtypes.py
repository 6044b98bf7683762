"""Every dtype: how it is scaled, which need `scale=False`, and which are refused."""

import ml_dtypes
import numpy as np
import oracle
import pytest
from applying import DRAW, KEY, expect, make_mask
from arrays import BFLOAT16, FLOATS, INTEGERS, assert_same, values

import simdrop as sd


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_float_dtype(form, dtype):
    for n in (0, 1, 17, 1000):
        for p in (0, 0.5, 0.3, 1 / 3, 0.9, 1):
            x = values((n,), dtype, n)
            y = form(make_mask((n,), p), x)
            assert type(y) is np.ndarray
            assert_same(y, expect(x, p))
            assert_same(form(make_mask((n,), p, scale=False), x), expect(x, p, scale=False))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_every_integer_dtype(form, dtype):
    for n in (0, 1, 17, 1000):
        for p in (0, 0.5, 0.3, 1):
            x = values((n,), dtype, n)
            y = form(make_mask((n,), p, scale=False), x)
            assert type(y) is np.ndarray
            assert_same(y, expect(x, p, scale=False))


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16], ids=str)
def test_16_bit_floats_multiply_in_float32_and_round_once(dtype):
    """All 65,536 values, at a scale that a 16-bit float cannot hold."""
    x = np.arange(65536, dtype=np.uint16).view(dtype)
    with np.errstate(all="ignore"):
        x = x[~np.isnan(x)]
    for p in (0.1, 0.3, 0.45, 0.7):
        kept = oracle.keep(KEY, DRAW, p, x.shape)
        y = make_mask(x.shape, p).apply(x)
        with np.errstate(all="ignore"):
            once = (x.astype(np.float32) * np.float32(1 / (1 - p))).astype(dtype)
            twice = x * np.asarray(1 / (1 - p), dtype)
        assert (once != twice)[kept].any()
        np.testing.assert_array_equal(y.view(np.uint16)[kept], once.view(np.uint16)[kept])
        assert not y.view(np.uint16)[~kept].any()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers_are_kept_or_dropped_whole(dtype):
    """And scaled by a real number, so an infinite part does not make the other a NaN."""
    x = np.full(1000, complex(np.inf, 1), dtype)
    y = make_mask((1000,), 0.5).apply(x)
    kept = oracle.keep(KEY, DRAW, 0.5, (1000,))
    assert (y.real[kept] == np.inf).all() and (y.imag[kept] == 2).all()
    assert (y[~kept] == 0).all()


@pytest.mark.parametrize(
    "dtype", [BFLOAT16, np.float16, np.float32, np.float64, np.complex64], ids=str
)
def test_the_mask_does_not_depend_on_the_dtype(dtype):
    """Bug elsewhere: a uniform drawn in bfloat16 biased the rate."""
    ones = np.ones(400_000, dtype)
    for p in (1e-3, 0.1, 0.999):
        y, mask = sd.dropout(ones, p, rng=0)
        np.testing.assert_array_equal(y != 0, sd.Mask(mask.key, 0, p, ones.shape).keep())
        np.testing.assert_array_equal(
            y != 0, oracle.keep(oracle.key_from_seed(0), 0, p, ones.shape)
        )


def test_p_is_not_cast_to_an_integer_type():
    """Bug elsewhere: p was cast to the array's integer type and became 0."""
    for dtype in INTEGERS:
        y, _ = sd.dropout(np.ones(1000, dtype), 0.5, rng=0, scale=False)
        assert 400 < np.count_nonzero(y) < 600


def test_no_floating_point_warnings(instruction_set):
    """Neither of overflow in what is kept nor of infinities in what is dropped: the kernels give
    none, and every dtype does as they do."""
    for dtype in FLOATS:
        x, out = values((1000,), dtype), np.empty(1000, dtype)
        assert np.isinf(oracle.times(x[np.isfinite(x)], 2)).any()
        with np.errstate(all="raise"):
            for p in (0.5, 0.3, 1):
                make_mask((1000,), p).apply(x)
                make_mask((1000,), p).apply(x, out=out)


@pytest.mark.parametrize(
    "x",
    [
        np.ones(3, np.longdouble),
        np.ones(3, np.clongdouble),
        np.array([1, "a", None], object),
        np.array(["a", "b", "c"]),
        np.array([b"a", b"b", b"c"]),
        np.array(["2020", "2021", "2022"], "M8[Y]"),
        np.array([1, 2, 3], "m8[s]"),
        np.zeros(3, [("a", np.float32)]),
        np.zeros(3, "V4"),
        np.zeros(3, ml_dtypes.float8_e4m3fn),
        ["a", "b", "c"],
    ],
    ids=lambda x: str(getattr(x, "dtype", "list")),
)
def test_dtypes_that_cannot_be_scaled(x):
    check_refused(x, scale=True)


@pytest.mark.parametrize("code", ["O", "clongdouble", "U5", "S17", "V0", "V40", "f8,O"])
def test_dtypes_that_cannot_be_masked(code):
    for scale in (True, False):
        check_refused(np.zeros(3, code), scale)


def check_refused(x, scale):
    for p in (0.5, 1):
        with pytest.raises(TypeError):
            sd.dropout(x, p, rng=0, scale=scale)
        with pytest.raises(TypeError):
            make_mask((3,), p, scale=scale).apply(x)
        with pytest.raises(TypeError):
            make_mask((3,), p, scale=scale).backward(x)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_need_scale_false(dtype):
    x = np.ones(3, dtype)
    for call in (
        lambda: sd.dropout(x, rng=0),
        lambda: make_mask((3,)).apply(x),
        lambda: make_mask((3,)).backward(x),
        lambda: sd.dropout_backward(x, make_mask((3,))),
    ):
        with pytest.raises(TypeError, match="scale=False"):
            call()
