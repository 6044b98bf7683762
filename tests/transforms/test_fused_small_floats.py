"""simdrop.fused on 16-bit floats: what float32 gives, rounded once."""

import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simdrop as sd
from simdrop import fused

SMALL = [np.float16, ml_dtypes.bfloat16]
ACTIVATIONS = [None, "relu", "gelu", "tanh", "sigmoid", "silu"]
every_dtype = pytest.mark.parametrize("dtype", SMALL, ids=["float16", "bfloat16"])
ODD = [0.0, -0.0, np.inf, -np.inf, np.nan, 6e-8, -6e-8, 9.2e-41, 65504.0, 3.3e38, 1.0]


def random(shape, dtype, seed, scale=3.0):
    """Normal numbers, some of them special, in bits that a type of 16 bits has."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, scale, shape)
    with np.errstate(all="ignore"):
        return np.where(rng.random(shape) < 0.05, rng.choice(ODD, shape), x).astype(dtype)


def wide(x):
    return x.astype(np.float32)


def assert_rounded(found, expected):
    """What was computed for float32, rounded to the type of `found`, bit for bit (NaNs are one)."""
    with np.errstate(all="ignore"):
        expected = expected.astype(found.dtype)
    bits = [
        np.where(np.isnan(a), a.dtype.type(np.nan), a).view(np.uint16) for a in (found, expected)
    ]
    np.testing.assert_array_equal(*bits)


def laid_out(x, layout):
    """The same array in another layout."""
    if layout == "F":
        return np.asfortranarray(x)
    if layout == "strided":
        memory = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
        memory[..., 1::2] = x
        return memory[..., 1::2]
    if layout == "reversed":
        return x[..., ::-1].copy()[..., ::-1]
    if layout == "swapped":
        return x.astype(x.dtype.newbyteorder()) if x.dtype == np.float16 else x
    return x


LAYOUTS = ["C", "F", "strided", "reversed", "swapped"]
shapes = st.lists(st.integers(0, 40), min_size=1, max_size=3).map(tuple)
options = st.fixed_dictionaries({"training": st.booleans(), "rng": st.integers(0, 9)})


@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS)
@settings(max_examples=25)
@given(
    shape=shapes,
    p=st.sampled_from([0, 0.25, 0.3, 1]),
    layout=st.sampled_from(LAYOUTS),
    options=options,
    scale=st.booleans(),
    seed=st.integers(0, 99),
)
def test_bias_dropout(dtype, activation, shape, p, layout, options, scale, seed):
    x, dy = (laid_out(random(shape, dtype, seed + i), layout) for i in (0, 1))
    bias = random(shape[-1:], dtype, seed + 2)
    named = options | {"activation": activation, "scale": scale}
    y, ctx = fused.bias_dropout(x, bias, p, **named)
    expected, reference = fused.bias_dropout(wide(x), wide(bias), p, **named)
    assert y.dtype == dtype and y.shape == shape and ctx.mask == reference.mask
    assert_rounded(y, expected)
    dx, dbias = ctx.backward(dy)
    assert dx.dtype == dbias.dtype == dtype
    for one, other in zip((dx, dbias), reference.backward(wide(dy)), strict=True):
        assert_rounded(one, other)
    again = pickle.loads(pickle.dumps(ctx)).backward(dy, out=(dy, None))
    assert again[0] is dy
    assert_rounded(np.array(dy, dtype), dx)
    assert_rounded(again[1], dbias)


@every_dtype
@settings(max_examples=40)
@given(
    shape=shapes,
    p=st.sampled_from([0, 0.25, 0.3, 1]),
    layout=st.sampled_from(LAYOUTS),
    options=options,
    seed=st.integers(0, 99),
)
def test_dropout_add_and_relu_dropout(dtype, shape, p, layout, options, seed):
    x, residual, dy = (laid_out(random(shape, dtype, seed + i), layout) for i in (0, 1, 2))
    y, ctx = fused.dropout_add(x, residual, p, **options)
    expected, reference = fused.dropout_add(wide(x), wide(residual), p, **options)
    assert y.dtype == dtype and ctx.mask == reference.mask
    assert_rounded(y, expected)
    for one, other in zip(ctx.backward(dy), reference.backward(wide(dy)), strict=True):
        assert_rounded(np.array(one, dtype), other)
    y, ctx = fused.relu_dropout(x, p, **options)
    expected, reference = fused.relu_dropout(wide(x), p, **options)
    assert y.dtype == dtype
    assert_rounded(y, expected)
    assert_rounded(ctx.backward(dy), reference.backward(wide(dy)))
    assert_rounded(pickle.loads(pickle.dumps(ctx)).backward(dy), reference.backward(wide(dy)))


@every_dtype
@pytest.mark.parametrize("columns", [7, 600, 4096])
def test_large_arrays_and_any_number_of_threads(dtype, columns):
    """Of several blocks, whose column sums are those of float32's."""
    shape = 300_000 // columns + 3, columns
    x, dy, bias = (random(s, dtype, i) for i, s in enumerate((shape, shape, columns)))
    threads = sd.get_num_threads()
    try:
        for count in (1, 2):
            sd.set_num_threads(count)
            for activation in ("relu", "gelu"):
                y, ctx = fused.bias_dropout(x, bias, 0.3, activation=activation, rng=1)
                expected, reference = fused.bias_dropout(
                    wide(x), wide(bias), 0.3, activation=activation, rng=1
                )
                assert_rounded(y, expected)
                for one, other in zip(ctx.backward(dy), reference.backward(wide(dy)), strict=True):
                    assert_rounded(one, other)
            assert_rounded(
                fused.dropout_add(x, dy, 0.3, rng=1)[0],
                fused.dropout_add(wide(x), wide(dy), 0.3, rng=1)[0],
            )
    finally:
        sd.set_num_threads(threads)


@every_dtype
def test_out_windows_and_masks(dtype):
    x, residual, bias = random((12, 10), dtype, 0), random((12, 10), dtype, 1), random(10, dtype, 2)
    whole = sd.Stream(3).mask((40, 10), 0.4)
    window = whole.window((20, 0), (12, 10))
    y, _ = fused.bias_dropout(x, bias, window, activation="silu")
    expected, _ = fused.bias_dropout(wide(x), wide(bias), window, activation="silu")
    assert_rounded(y, expected)
    part = whole.window((5, 0), (12, 10))
    assert_rounded(fused.relu_dropout(x, part)[0], fused.relu_dropout(wide(x), part)[0])
    for out in (x.copy(), np.empty((10, 12), dtype).T, np.empty((12, 20), dtype)[:, ::2]):
        found, _ = fused.dropout_add(x, residual, 0.4, rng=0, out=out)
        assert found is out
        assert_rounded(np.array(out), fused.dropout_add(wide(x), wide(residual), 0.4, rng=0)[0])
    inside = x.copy()
    found, ctx = fused.bias_dropout(inside, bias, 0.4, activation="gelu", rng=0, out=inside)
    expected, reference = fused.bias_dropout(wide(x), wide(bias), 0.4, activation="gelu", rng=0)
    assert found is inside
    assert_rounded(inside, expected)
    pair = np.empty((12, 10), dtype), np.empty(10, dtype)
    ctx.backward(residual, out=pair)
    for one, other in zip(pair, reference.backward(wide(residual)), strict=True):
        assert_rounded(one, other)


@every_dtype
@pytest.mark.parametrize("p", [0.0, 0.5])
def test_all_numbers_of_the_type(dtype, p):
    """Activations of every one of the 65,536."""
    x = np.arange(2**16, dtype=np.uint16).view(dtype).reshape(64, 1024)
    bias = np.zeros(1024, dtype)
    for activation in ACTIVATIONS:
        y, ctx = fused.bias_dropout(x, bias, p, activation=activation, rng=0)
        expected, reference = fused.bias_dropout(
            wide(x), wide(bias), p, activation=activation, rng=0
        )
        assert_rounded(y, expected)
        dy = np.ones_like(x)
        assert_rounded(ctx.backward(dy)[0], reference.backward(wide(dy))[0])


def test_types_are_not_mixed():
    x, bias = np.ones((2, 3), np.float16), np.ones(3, np.float32)
    with pytest.raises(TypeError, match="bias is of float32, but must be of float16"):
        fused.bias_dropout(x, bias)
    with pytest.raises(TypeError, match="residual is of bfloat16, but must be of float16"):
        fused.dropout_add(x, x.astype(ml_dtypes.bfloat16))
    with pytest.raises(TypeError, match="out is of float32, but the result is of float16"):
        fused.relu_dropout(x, out=np.empty((2, 3), np.float32))
    _, ctx = fused.bias_dropout(x, x[0], rng=0)
    with pytest.raises(TypeError, match="dy is of float32"):
        ctx.backward(np.ones((2, 3), np.float32))
    for wrong in (np.int8, np.complex64, ml_dtypes.float8_e4m3fn):
        with pytest.raises(TypeError, match="must be of float16, bfloat16, float32 or float64"):
            fused.relu_dropout(np.ones(3, wrong))
