"""Fused kernels: the oracle's mask around NumPy's or exact arithmetic, on every instruction set."""

import copy
import itertools
import math
import pathlib
import pickle
import pickletools
import subprocess
import sys

import mpmath
import numpy as np
import oracle
import pytest
from activation_errors import TRANSCENDENTAL, check_floats, function_and_derivative
from arrays import Guarded
from numpy.lib.stride_tricks import as_strided

import simdrop as sd
from simdrop import _threads, fused
from simdrop._core import kernels, task

ACTIVATIONS = [None, "relu", "gelu", "tanh", "sigmoid", "silu"]
DTYPES = [np.float32, np.float64]
SHAPES = [(1, 1), (5, 3), (3, 64), (2, 511), (2, 512), (3, 513), (2, 2, 1000), (9, 601), (4099,)]
SHAPES += [(801, 7), (2, 5000)]
KEY = oracle.key_from_seed(7)


def stream(draw=0):
    s = sd.Stream(7)
    s.state = s.state | {"draw": draw}
    return s


def kept(shape, p, draw=0):
    return oracle.keep(KEY, draw, p, shape)


def dropped_out(x, p, draw=0):
    return oracle.apply(x, KEY, draw, p)


def normal(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def special(n, dtype):
    """Numbers of every size and sign, zeros, subnormals, infinities and NaN."""
    info, rng = np.finfo(dtype), np.random.default_rng(1)
    x = rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-3, 3, n)
    numbers = [0, -0.0, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, -info.tiny]
    numbers += [info.smallest_subnormal, -info.smallest_subnormal, 88, -88, -104, 710, -745, 1000]
    with np.errstate(over="ignore"):
        return np.where(rng.random(n) < 0.5, rng.choice(numbers, n), x).astype(dtype)


def assert_same(y, expected):
    """Equal bits; every NaN is the same one."""
    assert y.dtype == expected.dtype and y.shape == expected.shape
    integer = f"u{y.dtype.itemsize}"
    one_nan = [np.where(np.isnan(a), a.dtype.type(np.nan), a).view(integer) for a in (y, expected)]
    np.testing.assert_array_equal(*one_nan)


def bits(*arrays):
    return [array.tobytes() for array in arrays]


def placed(x, offset):
    guarded = Guarded(x.shape, x.dtype, offset)
    guarded.array[...] = x
    return guarded.array


# --- Against the oracle, where nothing but one operation rounds ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0, 0.25, 0.3, 1])
def test_bias_dropout_without_and_with_relu_is_the_steps_bit_for_bit(instruction_set, dtype, p):
    for shape, activation in itertools.product(SHAPES, [None, "relu"]):
        x, bias, dy = normal(shape, dtype), normal(shape[-1:], dtype, 1), normal(shape, dtype, 2)
        v = x + bias
        y, ctx = fused.bias_dropout(x, bias, p, activation=activation, rng=stream())
        assert_same(y, dropped_out(np.maximum(v, 0) if activation else v, p))
        dx, dbias = ctx.backward(dy)
        expected = dropped_out(dy, p)
        if activation:
            expected[v <= 0] = 0
        assert_same(dx, expected)
        exact = expected.astype(np.longdouble).reshape(-1, shape[-1]).sum(axis=0)
        assert dbias.dtype == dtype and dbias.shape == shape[-1:]
        assert (np.abs(dbias - exact) <= np.spacing(np.abs(exact.astype(dtype)))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0, 0.25, 0.3, 1])
def test_dropout_add_is_the_steps_bit_for_bit(instruction_set, dtype, p):
    for shape in [*SHAPES, (), (1024,), (2048,), (65,)]:
        x, residual, dy = (normal(shape, dtype, seed) for seed in range(3))
        y, ctx = fused.dropout_add(x, residual, p, rng=stream())
        assert_same(y, dropped_out(x, p) + residual)
        dx, dresidual = ctx.backward(dy)
        assert_same(dx, dropped_out(dy, p))
        assert dresidual is dy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0, 0.25, 0.3, 1])
def test_relu_dropout_is_the_steps_bit_for_bit(instruction_set, dtype, p):
    for shape in [*SHAPES, (), (1024,), (2048,), (65,)]:
        x, dy = normal(shape, dtype), normal(shape, dtype, 1)
        y, ctx = fused.relu_dropout(x, p, rng=stream())
        assert_same(y, dropped_out(np.maximum(x, 0), p))
        assert_same(ctx.backward(dy), np.where(x > 0, dropped_out(dy, p), dtype(0)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_pass_where_kept_and_are_positive_zero_where_dropped(instruction_set, dtype):
    x, residual = special(4097, dtype), special(4097, dtype)[::-1].copy()
    with np.errstate(all="ignore"):
        y, _ = fused.dropout_add(x, residual, 0.3, rng=stream())
        assert_same(y, dropped_out(x, 0.3) + residual)
        y, ctx = fused.relu_dropout(x, 0.3, rng=stream())
        positive = np.where(x <= 0, dtype(0), x)
        assert_same(y, dropped_out(positive, 0.3))
        assert_same(ctx.backward(residual), np.where(y > 0, dropped_out(residual, 0.3), dtype(0)))
        for activation in ACTIVATIONS:
            y, ctx = fused.bias_dropout(x, residual, 0.3, activation=activation, rng=stream())
            dx, dbias = ctx.backward(residual)
            keep = kept(x.shape, 0.3)
            for array in (y, dx):
                zeros = array[~keep]
                assert (zeros == 0).all() and not np.signbit(zeros).any()
            assert (np.isnan(y) == (keep & np.isnan(x + residual))).all()
            assert_same(dbias, dx + dtype(0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dbias_is_the_exact_sum_where_much_cancels(instruction_set, dtype):
    for columns in (3, 600):
        dy = normal((64, columns), dtype)
        dy[::2] *= dtype(2.0**20)
        dy[1::4] = -dy[::4]
        _, ctx = fused.bias_dropout(dy, np.zeros(columns, dtype), 0, rng=stream())
        exact = [float(mpmath.fsum(map(mpmath.mpf, column.tolist()))) for column in dy.T]
        np.testing.assert_array_equal(ctx.backward(dy)[1], np.array(exact, dtype))


LARGE = 12 << 20  # bytes


@pytest.mark.parametrize(("columns", "activation"), [(3, None), (600, "relu")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dbias_is_the_exact_sum_of_blocks_that_cancel(
    instruction_set, dtype, columns, activation, always_shared
):
    """Each of a large array's 64 blocks of rows has sums of its own; what these lack adds up, too.
    Multiples of 2**-30 (2**-20 for float32, whose sums are double) leave nothing to round but the
    result."""
    unit, large = (2.0**-30, 2.0**40) if dtype is np.float64 else (2.0**-20, 2.0**3)
    rows = LARGE // np.dtype(dtype).itemsize // columns + 77
    dy = np.round(normal((rows, columns), np.float64) / unit) * unit
    half = rows // 2
    dy[:half] = np.round(normal((half, columns), np.float64, 1) * (large / unit)) * unit
    dy[-half:] -= dy[:half][::-1]  # so that the first block's sums vanish in the last one's
    dy = (np.round(dy / unit) * unit).astype(dtype)
    assert dy.nbytes >= LARGE
    exact = np.array([math.fsum(column) for column in dy.T.tolist()])
    x = np.ones(dy.shape, dtype)
    try:
        for count in (1, 3):
            sd.set_num_threads(count)
            _, ctx = fused.bias_dropout(
                x, np.zeros(columns, dtype), 0, activation=activation, rng=stream()
            )
            np.testing.assert_array_equal(ctx.backward(dy)[1], exact.astype(dtype))
    finally:
        sd.set_num_threads(None)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dbias_of_infinite_and_overflowing_columns(instruction_set, dtype):
    largest = np.finfo(dtype).max
    columns = [[np.inf, 1], [-np.inf, 1], [np.inf, -np.inf], [np.nan, 1], [largest, largest]]
    dy = np.array(columns, dtype).T.copy()
    _, ctx = fused.bias_dropout(dy, np.zeros(5, dtype), 0, rng=stream())
    expected = np.array([np.inf, -np.inf, np.nan, np.nan, np.inf], dtype)
    with np.errstate(over="ignore"):
        assert_same(ctx.backward(dy)[1], expected)


# --- Activations ---

REFERENCES = {
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "sigmoid": (lambda x: logistic(x), lambda x: logistic(x) * logistic(-x)),
    "silu": (lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * logistic(-x))),
    "gelu": (lambda x: x * mpmath.ncdf(x), lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x)),
}
LIMITS = {  # of function and derivative, at -inf and inf
    "tanh": (-1, 1, 0, 0),
    "sigmoid": (0, 1, 0, 0),
    "silu": (0, np.inf, 0, 1),
    "gelu": (0, np.inf, 0, 1),
}


def logistic(x):
    return 1 / (1 + mpmath.exp(-x))


def sample(n, dtype):
    """Where the functions bend, where their results become subnormal, and close to the roots of
    the derivatives of silu and gelu."""
    rng = np.random.default_rng(2)
    end = 115 if dtype == np.float32 else 770
    tiny = float(np.finfo(dtype).tiny)
    near = [
        root + rng.normal(size=n) * 10 ** rng.uniform(-17, 0, n) for root in (-1.2784645, -0.75179)
    ]
    exact = [np.float64(-1.2784645427610738), np.float64(-0.7517915246935645)]
    parts = [
        rng.uniform(-end, 10, n),
        rng.uniform(-40, 40, n),
        rng.normal(size=n),
        rng.choice([-1, 1], n) * np.exp(rng.uniform(np.log(tiny), 1, n)),
        *near,
        *(root + rng.normal(size=n) * 10 ** rng.uniform(-17, -3, n) for root in exact),
        exact,
    ]
    return np.concatenate(parts).astype(dtype)


def ulps(value, exact, info):
    """Error of value in units in the last place of the exact result."""
    exponent = max(mpmath.frexp(exact)[1] - 1, info.minexp) if exact else info.minexp
    return float(abs(mpmath.mpf(value) - exact) / mpmath.mpf(2) ** (exponent - info.nmant))


@pytest.mark.parametrize("activation", TRANSCENDENTAL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_are_within_four_units_in_the_last_place(dtype, activation):
    x = sample(400, dtype)
    with mpmath.workdps(40):
        for values, exact in zip(
            function_and_derivative(activation, x), REFERENCES[activation], strict=True
        ):
            errors = [
                ulps(value, exact(mpmath.mpf(at)), np.finfo(dtype))
                for at, value in zip(x.tolist(), values.tolist(), strict=True)
            ]
            assert max(errors) <= 4, (max(errors), x[int(np.argmax(errors))])


def test_polynomials_are_what_the_script_prints():
    tables = pathlib.Path(__file__).parents[2] / "csrc" / "tables"
    command = [sys.executable, tables / "coefficients.py"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == (tables / "polynomials.h").read_text()


@pytest.mark.parametrize("activation", TRANSCENDENTAL)
def test_one_in_1024_float32(activation, largest_error):
    check_floats(activation, largest_error, 1024)


@pytest.mark.parametrize("activation", TRANSCENDENTAL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_zeros_and_nan(instruction_set, dtype, activation):
    info = np.finfo(dtype)
    x = np.array([-np.inf, np.inf, -info.max, info.max, -1000, 1000, np.nan, -np.nan], dtype)
    y, dx = function_and_derivative(activation, x)
    low, high, low_slope, high_slope = LIMITS[activation]
    linear = np.isinf(high)
    np.testing.assert_array_equal(y[:4], [low, high, low, info.max if linear else high])
    np.testing.assert_array_equal(y[4:], [low, 1000 if linear else high, np.nan, np.nan])
    np.testing.assert_array_equal(dx[[0, 2, 4]], [low_slope] * 3)
    np.testing.assert_array_equal(dx[[1, 3, 5, 6, 7]], [high_slope] * 3 + [np.nan] * 2)
    y, dx = function_and_derivative(activation, np.array([0, info.smallest_subnormal], dtype))
    assert y[0] == (0.5 if activation == "sigmoid" else 0)
    assert (dx == {"tanh": 1, "sigmoid": 0.25, "silu": 0.5, "gelu": 0.5}[activation]).all()


@pytest.mark.parametrize("activation", TRANSCENDENTAL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_instruction_set_gives_the_same_bits(instruction_set, dtype, activation):
    x = np.concatenate([special(3001, dtype), sample(1000, dtype)])
    bias, dy = special(x.size, dtype)[::-1].copy(), special(x.size, dtype)
    x = np.stack([x, x[::-1]])
    dy = np.stack([dy, dy[::-1]])

    def results():
        y, ctx = fused.bias_dropout(x, bias, 0.3, activation=activation, rng=stream())
        return bits(y, *ctx.backward(dy))

    here = results()
    kernels.use_instruction_set("portable")
    assert results() == here


@pytest.mark.parametrize("activation", TRANSCENDENTAL)
def test_transcendental_bias_dropout_is_the_oracles_mask_of_the_activation(
    instruction_set, activation
):
    for dtype, shape, p in itertools.product(DTYPES, SHAPES, [0, 0.25, 0.3, 1]):
        x, bias, dy = normal(shape, dtype), normal(shape[-1:], dtype, 1), normal(shape, dtype, 2)
        value, slope = function_and_derivative(activation, x + bias)
        y, ctx = fused.bias_dropout(x, bias, p, activation=activation, rng=stream(3))
        assert_same(y, dropped_out(value, p, 3))
        dx, dbias = ctx.backward(dy)
        assert_same(dx, dropped_out(dy * slope, p, 3))
        exact = dx.astype(np.longdouble).reshape(-1, shape[-1]).sum(axis=0)
        assert (np.abs(dbias - exact) <= np.spacing(np.abs(exact.astype(dtype)))).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_central_differences(activation):
    x, bias, weight = normal((6, 5), np.float64), normal(5, np.float64, 1), normal((6, 5), "d", 2)

    def loss(x, bias):
        y, _ = fused.bias_dropout(x, bias, 0.4, activation=activation, rng=stream(5))
        return (weight * y).sum()

    _, ctx = fused.bias_dropout(x, bias, 0.4, activation=activation, rng=stream(5))
    arguments, gradients, h = (x, bias), ctx.backward(weight), 1e-6
    for i, gradient in enumerate(gradients):
        for at in np.ndindex(gradient.shape):
            step = [np.zeros_like(argument) for argument in arguments]
            step[i][at] = h
            ahead = loss(x + step[0], bias + step[1])
            behind = loss(x - step[0], bias - step[1])
            assert gradient[at] == pytest.approx((ahead - behind) / (2 * h), rel=1e-6, abs=1e-8)


# --- One interface for the three ---


def call_bias(x, **more):
    return fused.bias_dropout(x, np.zeros(x.shape[-1:], x.dtype), 0.3, activation="relu", **more)


def call_gelu(x, **more):
    return fused.bias_dropout(x, np.ones(x.shape[-1:], x.dtype), 0.3, activation="gelu", **more)


def call_add(x, **more):
    return fused.dropout_add(x, np.ones_like(x), 0.3, **more)


def call_relu(x, **more):
    return fused.relu_dropout(x, 0.3, **more)


CALLS = [call_bias, call_gelu, call_add, call_relu]


def first(gradients):
    return gradients[0] if isinstance(gradients, tuple) else gradients


def into(call, out):
    """`out` of backward, with an array for dx."""
    return out if call is call_relu else (out, None)


@pytest.fixture(params=CALLS)
def call(request):
    return request.param


def test_a_call_takes_the_draw_that_dropout_takes(call):
    s, x = stream(), np.ones((9, 70))
    for draw in range(3):
        y, ctx = call(x, rng=s)
        assert ctx.mask == sd.Mask(KEY, draw, 0.3, x.shape) and s.draw == draw + 1
        # Ones are dropped to 0, and with a residual of one to 1.
        np.testing.assert_array_equal(y == (call is call_add), ~kept(x.shape, 0.3, draw))


def test_contexts_are_copied_and_pickled_by_a_path_that_does_not_move(call):
    x, dy = normal((5, 70), "f"), normal((5, 70), "f", 1)
    ctx = call(x, rng=stream())[1]
    pickled = pickle.dumps(ctx)
    names = [arg for op, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)]
    assert "simdrop._pickle" in names and "simdrop._core.fused" not in names
    for again in (pickle.loads(pickled), copy.deepcopy(ctx)):
        assert type(again) is type(ctx) and again.mask == ctx.mask
        assert_same(first(again.backward(dy)), first(ctx.backward(dy)))


def test_evaluation_drops_nothing_and_takes_no_draw(call):
    s, x = stream(), normal((9, 70), "f")
    y, ctx = call(x, rng=s, training=False)
    assert s.draw == 0 and ctx.mask.p == 0
    expected = {
        call_bias: np.maximum(x, 0),
        call_relu: np.maximum(x, 0),
        call_add: x + 1,
        call_gelu: function_and_derivative("gelu", x + np.float32(1))[0],
    }[call]
    assert_same(y, expected)
    assert first(ctx.backward(np.ones_like(x))).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_address_is_written_and_nothing_beside_it(instruction_set, call, dtype):
    for shape, offset in itertools.product([(1, 1), (3, 67), (2, 1031)], [0, 8, 24, 56]):
        x, dy = normal(shape, dtype), normal(shape, dtype, 1)
        expected, ctx = call(x, rng=stream())
        gradient = first(ctx.backward(dy))
        y, dx = Guarded(shape, dtype, offset), Guarded(shape, dtype, 64 - offset - 8)
        result, ctx = call(placed(x, 64 - offset - 8), rng=stream(), out=y.array)
        assert result is y.array and y.intact()
        assert_same(result, expected)
        result = first(ctx.backward(placed(dy, offset), out=into(call, dx.array)))
        assert result is dx.array and dx.intact()
        assert_same(result, gradient)


def test_out_may_be_the_argument(call):
    x, dy = normal((5, 700), "f"), normal((5, 700), "f", 1)
    expected, ctx = call(x, rng=stream())
    gradient = first(ctx.backward(dy))
    y = x.copy()
    result, ctx = call(y, rng=stream(), out=y)
    assert result is y
    assert_same(y, expected)
    if call is call_add:
        with pytest.raises(ValueError, match="out overlaps dy"):
            ctx.backward(dy, out=(dy, None))
    else:
        assert first(ctx.backward(dy, out=into(call, dy))) is dy
        assert_same(dy, gradient)


def test_partly_overlapping_out_gives_what_a_copy_would(call):
    memory = normal(4000, "f")
    x = memory[:3000].reshape(3, 1000)
    expected, ctx = call(x.copy(), rng=stream())
    gradient = first(ctx.backward(np.ones_like(x)))
    y, ctx = call(x, rng=stream(), out=memory[777:3777].reshape(3, 1000))
    assert np.shares_memory(y, memory)
    assert_same(y, expected)
    assert_same(first(ctx.backward(np.ones_like(x))), gradient)


def test_out_that_overlaps_another_argument_gives_what_a_copy_would():
    memory, x, dy = normal(4000, "f"), normal((3, 1000), "f", 1), normal((3, 1000), "f", 2)
    out, bias, residual = memory[:3000].reshape(3, 1000), memory[500:1500], memory[1000:]
    for activation in ACTIVATIONS:
        expected, ctx = fused.bias_dropout(x, bias.copy(), 0.3, activation=activation, rng=stream())
        gradients = ctx.backward(dy)
        before = memory.copy()
        y, ctx = fused.bias_dropout(x, bias, 0.3, activation=activation, rng=stream(), out=out)
        assert_same(y, expected)
        for gradient, same in zip(ctx.backward(dy), gradients, strict=True):
            assert_same(gradient, same)
        memory[:] = before
    residual = residual.reshape(3, 1000)
    expected, _ = fused.dropout_add(x, residual.copy(), 0.3, rng=stream())
    assert_same(fused.dropout_add(x, residual, 0.3, rng=stream(), out=out)[0], expected)
    residual = normal((3, 1000), "f")
    expected, _ = fused.dropout_add(x, residual, 0.3, rng=stream())
    assert fused.dropout_add(x, residual, 0.3, rng=stream(), out=residual)[0] is residual
    assert_same(residual, expected)


def test_backward_into_x_or_y():
    x, dy = normal((3, 700), "f"), normal((3, 700), "f", 1)
    bias = np.ones(700, np.float32)
    expected = fused.bias_dropout(x, bias, 0.3, activation="silu", rng=stream())[1].backward(dy)
    _, ctx = fused.bias_dropout(x, bias, 0.3, activation="silu", rng=stream())
    assert ctx.x is x and ctx.bias is bias and ctx.y is None
    for array, same in zip(ctx.backward(dy, out=(x, None)), expected, strict=True):
        assert_same(array, same)
    y, ctx = fused.relu_dropout(dy, 0.3, rng=stream())
    assert ctx.y is y
    expected = ctx.backward(dy)
    assert_same(ctx.backward(dy, out=y), expected)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": lambda x: np.frombuffer(b"-" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "list": lambda x: x.tolist(),
    "matrix": lambda x: x.view(np.matrix),
    "read-only": lambda x: as_strided(x, writeable=False),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_is_copied(layout):
    laid = LAYOUTS[layout]
    x, other, dy = (normal((7, 600), np.float64, seed) for seed in range(3))
    bias = LAYOUTS[layout](other)[0] if layout in ("strided", "swapped", "list") else other[0]
    for activation in ACTIVATIONS:
        expected, ctx = fused.bias_dropout(x, other[0], activation=activation, rng=stream())
        y, ctx2 = fused.bias_dropout(laid(x), bias, activation=activation, rng=stream())
        assert type(y) is np.ndarray and y.flags.c_contiguous
        assert_same(y, expected)
        for a, b in zip(ctx.backward(dy), ctx2.backward(laid(dy)), strict=True):
            assert_same(b, a)
    expected, ctx = fused.dropout_add(x, other, rng=stream())
    y, ctx2 = fused.dropout_add(laid(x), laid(other), rng=stream())
    assert_same(y, expected)
    np.testing.assert_array_equal(ctx2.backward(laid(dy))[0], ctx.backward(dy)[0])
    expected, ctx = fused.relu_dropout(x, rng=stream())
    y, ctx2 = fused.relu_dropout(laid(x), rng=stream())
    assert_same(y, expected)
    assert_same(ctx2.backward(laid(dy)), ctx.backward(dy))


@pytest.mark.parametrize("layout", ["fortran", "reversed", "strided", "swapped"])
def test_out_of_any_layout(call, layout):
    x, dy = normal((7, 600), "f"), normal((7, 600), "f", 1)
    expected, ctx = call(x, rng=stream())
    gradient = first(ctx.backward(dy))
    out = LAYOUTS[layout](np.full_like(x, np.nan))
    y, ctx = call(x, rng=stream(), out=out)
    assert y is out
    np.testing.assert_array_equal(y, expected)
    out = LAYOUTS[layout](np.full_like(x, np.nan))
    assert first(ctx.backward(dy, out=into(call, out))) is out
    np.testing.assert_array_equal(out, gradient)


# --- Pairs of gradients ---


def call_two(call, dtype=np.float32):
    """A context of two gradients, dy, and the gradients."""
    x, dy = normal((7, 600), dtype), normal((7, 600), dtype, 1)
    ctx = call(x, rng=stream())[1]
    return ctx, dy, ctx.backward(dy)


@pytest.mark.parametrize("layout", [None, "fortran", "reversed", "strided", "swapped"])
@pytest.mark.parametrize("call", CALLS[:3])
def test_both_gradients_are_written(call, layout):
    ctx, dy, expected = call_two(call)
    outs = tuple(np.full_like(gradient, np.nan) for gradient in expected)
    if layout == "strided":
        outs = tuple(np.repeat(out, 2, axis=-1)[..., ::2] for out in outs)
    elif layout == "reversed":
        outs = tuple(out[::-1] for out in outs)
    elif layout is not None:
        outs = tuple(LAYOUTS[layout](out) for out in outs)
    for pair in (outs, list(outs), (None, outs[1])):
        outs[1][...] = np.nan
        found = ctx.backward(dy, out=pair)
        assert found[1] is outs[1] and (pair[0] is None or found[0] is outs[0])
        for gradient, right in zip(found, expected, strict=True):
            np.testing.assert_array_equal(gradient, right)


@pytest.mark.parametrize("call", CALLS[:3])
def test_wrong_pairs_are_refused_and_nothing_is_written(call):
    ctx, dy, expected = call_two(call)
    dx, other = (Guarded(gradient.shape, np.float32) for gradient in expected)
    shape, read_only = other.array.shape, as_strided(other.array, writeable=False)
    for pair, error, message in [
        (dx.array, TypeError, "out must be a pair of arrays or None, not ndarray"),
        (None, TypeError, "out must be a pair of arrays or None, not NoneType"),
        ((dx.array,), ValueError, "out must be a pair, .* not of 1"),
        ((dx.array, None, None), ValueError, "out must be a pair, .* not of 3"),
        ((dx.array, other.array.view(np.int32)), TypeError, "out is of int32"),
        ((dx.array, np.zeros(3, np.float32)), ValueError, r"out has shape \(3,\)"),
        ((dx.array, read_only), ValueError, "out is read-only"),
        ((dx.array, 0), TypeError, "out must be an array of NumPy, or .* not int"),
        ((np.zeros(shape), other.array), TypeError, "out is of float64"),
        ((dx.array, dx.array.reshape(-1)[: other.array.size].reshape(shape)), ValueError, "shares"),
    ]:
        with pytest.raises(error, match=message):
            ctx.backward(dy, out=pair)
    assert dx.untouched() and other.untouched()


def test_dbias_may_overwrite_what_the_context_keeps():
    for activation in ("relu", "silu"):
        x, bias, dy = normal((3, 700), "f"), normal(700, "f", 1), normal((3, 700), "f", 2)
        y, ctx = fused.bias_dropout(x, bias, 0.3, activation=activation, rng=stream())
        expected = ctx.backward(dy)
        kept = y if activation == "relu" else x
        dx, dbias = ctx.backward(dy, out=(kept, dy[1]))
        assert_same(dx, expected[0])
        assert_same(dbias, expected[1])


def test_dresidual_is_dy_or_its_copy():
    memory, out = normal(4000, "f"), np.empty((3, 1000), np.float32)
    ctx = fused.dropout_add(out.copy(), out.copy(), 0.3, rng=stream())[1]
    for dy, pair in [
        (memory[:3000], (None, memory[777:3777])),
        (memory[:3000], (out, memory[777:3777])),
        (memory[:3000], (memory[:3000], out)),
        (memory[:3000], (memory[777:3777], out)),
        (memory[:3000], (out, memory[:3000])),
    ]:
        memory[:] = normal(4000, "f")
        dy = dy.reshape(3, 1000)
        pair = tuple(None if array is None else array.reshape(3, 1000) for array in pair)
        right = dy.copy()
        dx, dresidual = ctx.backward(dy, out=pair)
        assert dresidual is pair[1] and (pair[0] is None or dx is pair[0])
        assert_same(dresidual, right)
        assert_same(dx, dropped_out(right, 0.3))
    with pytest.raises(ValueError, match="out overlaps dy"):
        ctx.backward(memory[:3000].reshape(3, 1000), out=(memory[5:3005].reshape(3, 1000), None))


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_empty_arrays(call, shape):
    x = np.empty(shape, np.float32)
    y, ctx = call(x, rng=stream())
    assert y.shape == shape
    gradients = ctx.backward(x)
    assert first(gradients).shape == shape
    if call in (call_bias, call_gelu):
        np.testing.assert_array_equal(gradients[1], np.zeros(shape[-1:], np.float32))


def test_arrays_past_the_caches(call):
    x = normal((40, 1 << 16), np.float32)
    y, ctx = call(x, rng=stream())
    parts = [call(row[None], rng=stream())[0] for row in x[:1]]
    assert_same(y[:1], parts[0])
    keep = ctx.mask.keep()
    assert (first(ctx.backward(np.ones_like(x)))[~keep] == 0).all()


@pytest.mark.parametrize("shape", [(4099, 801), (1100003, 3), (2, 1 << 21), (1 << 22,)], ids=str)
def test_threads_share_large_arrays_and_change_no_bit(call, shape, monkeypatch, always_shared):
    x, dy = normal(shape, "f"), normal(shape, "f", 1)
    starts = []
    start = task.start_new_thread
    task.forget_threads()
    monkeypatch.setattr(task, "start_new_thread", lambda *call: (starts.append(call), start(*call)))
    monkeypatch.setattr(_threads, "_count", None)
    results = []
    for count in (1, 2, 3, 7):
        sd.set_num_threads(count)
        y, ctx = call(x, rng=stream())
        gradients = ctx.backward(dy)
        results.append(bits(y, *(gradients if isinstance(gradients, tuple) else (gradients,))))
        assert results[-1] == results[0]
    sd.set_num_threads(None)
    assert starts
    keep = ctx.mask.keep()
    dx = first(gradients)
    assert (dx[~keep] == 0).all() and (dx[keep] != 0).mean() > 0.4
    if call in (call_add, call_relu, call_bias):
        expected = ctx.mask.apply(x if call is call_add else np.maximum(x, 0))
        assert_same(y, expected + np.float32(1) if call is call_add else expected)
    if call in (call_bias, call_gelu):
        exact = dx.reshape(-1, shape[-1]).sum(axis=0, dtype=np.longdouble)
        assert (np.abs(gradients[1] - exact) <= np.spacing(np.abs(exact.astype("f")))).all()


# --- Masks in place of p ---


def call_with(name, x, mask, **more):
    """One of the functions, or bias_dropout with an activation, with a mask as p."""
    if name == "add":
        return fused.dropout_add(x, np.ones_like(x), mask, **more)
    if name == "relu_dropout":
        return fused.relu_dropout(x, mask, **more)
    bias = normal(x.shape[-1:], x.dtype, 1)
    return fused.bias_dropout(x, bias, mask, activation=name, **more)


NAMES = [*ACTIVATIONS, "add", "relu_dropout"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [0, 0.3, 1])
def test_a_mask_in_place_of_p_is_applied_and_takes_no_draw(name, p):
    s = stream()
    mask = s.mask((7, 300), p)
    x, dy = normal((7, 300), "f"), normal((7, 300), "f", 2)
    y, ctx = call_with(name, x, mask)
    assert ctx.mask is mask and s.draw == 1
    expected, context = call_with(name, x, p, rng=stream())
    assert_same(y, expected)
    assert_same(first(ctx.backward(dy)), first(context.backward(dy)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(23, 5), (23, 64), (23, 601), (2, 13, 67)])
def test_windows_of_whole_rows_give_the_bits_of_the_whole(instruction_set, dtype, shape):
    for name in NAMES:
        whole = stream().mask(shape, 0.3)
        x, dy = normal(shape, dtype), normal(shape, dtype, 2)
        y, ctx = call_with(name, x, whole)
        dx = first(ctx.backward(dy))
        rows = shape[0]
        for begin, end in [(0, 1), (1, rows), (rows // 2, rows), (rows, rows), (1, 1)]:
            part = slice(begin, end)
            window = whole.window((begin,) + (0,) * (len(shape) - 1), x[part].shape)
            for own in (x[part], np.asfortranarray(x[part])):
                found, ctx = call_with(name, own, window)
                assert_same(found, y[part])
                gradients = ctx.backward(dy[part])
                assert_same(first(gradients), dx[part])
                if name in ACTIVATIONS:
                    exact = dx[part].astype(np.longdouble).reshape(-1, shape[-1]).sum(axis=0)
                    spacing = np.spacing(np.abs(exact.astype(dtype)))
                    assert (np.abs(gradients[1] - exact) <= spacing).all()


def test_column_sums_of_a_window_far_into_a_large_mask(always_shared):
    """A window whose first number is far above the number of its own elements."""
    whole = sd.Mask(KEY, 0, 0.5, (1 << 30, 600))
    rows = (4 << 20) // 600
    window = whole.window((1 << 29, 0), (rows, 600))
    x = np.ones((rows, 600), np.float32)
    y, ctx = fused.bias_dropout(x, np.zeros(600, np.float32), window, activation="tanh")
    np.testing.assert_array_equal(y != 0, window.keep())
    dx, dbias = ctx.backward(x)
    np.testing.assert_array_equal(dbias, dx.sum(axis=0, dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize("name", ["add", "relu_dropout"])
def test_any_window_and_shared_axes_where_only_elements_are_dropped(name):
    x = normal((6, 40), "f")
    for mask in (
        sd.Mask(KEY, 0, 0.3, (9, 70)).window((2, 11), (6, 40)),
        sd.Mask(KEY, 0, 0.3, (6, 40), shared_axes=0),
        sd.Mask(KEY, 0, 0.3, (6, 40), shared_axes=1),
        sd.Mask(KEY, 0, 0.3, (6, 40), scale=False),
    ):
        y, ctx = call_with(name, x, mask)
        expected = mask.apply(x) + 1 if name == "add" else mask.apply(np.maximum(x, 0))
        assert_same(y, expected)
        gradient = mask.apply(np.ones_like(x))
        expected = gradient if name == "add" else np.where(y > 0, gradient, np.float32(0))
        assert_same(first(ctx.backward(np.ones_like(x))), expected)


def test_masks_that_cannot_be_used():
    x = np.ones((6, 40), np.float32)
    good = sd.Mask(KEY, 0, 0.3, (6, 40))
    each = sd.Mask(KEY, 0, np.full((6, 1), 0.3), (6, 40))
    for name in NAMES:
        for mask, error, message in [
            (sd.Mask(KEY, 0, 0.3, (6, 41)), ValueError, r"x has shape \(6, 40\), but the mask has"),
            (each, ValueError, "the mask has an array of p"),
            (sd.Mask.from_keep(good.keep()), TypeError, "p, the probability of dropping"),
        ]:
            with pytest.raises(error, match=message):
                call_with(name, x, mask)
        for more in ({"rng": 0}, {"training": False}):
            with pytest.raises(TypeError, match="p is a Mask, which decides all"):
                call_with(name, x, good, **more)
    for mask in (
        sd.Mask(KEY, 0, 0.3, (6, 70)).window((0, 11), (6, 40)),
        sd.Mask(KEY, 0, 0.3, (6, 40), shared_axes=0),
    ):
        with pytest.raises(ValueError, match="has shared axes or is a window of parts of rows"):
            fused.bias_dropout(x, x[0], mask)
    with pytest.raises(TypeError, match="p is a Mask, which decides all"):
        fused.bias_dropout(x, x[0], good, scale=False)


def test_contexts_of_windows_are_pickled():
    window = sd.Mask(KEY, 0, 0.3, (9, 40)).window((3, 0), (6, 40))
    x = normal((6, 40), "f")
    _, ctx = fused.bias_dropout(x, x[0].copy(), window, activation="silu")
    again = pickle.loads(pickle.dumps(ctx))
    assert again.mask == window
    for a, b in zip(ctx.backward(x), again.backward(x), strict=True):
        assert_same(b, a)


# --- Errors ---


def test_errors_name_what_is_wrong_and_write_nothing(call):
    s, x = stream(), np.ones((4, 6), np.float32)
    out = Guarded((4, 6), np.float32)
    read_only = as_strided(out.array, writeable=False)
    wide = as_strided(out.array, strides=(0, 4))
    for wrong, error, message in [
        (read_only, ValueError, "read-only"),
        (wide, ValueError, "several elements at one address"),
        (out.array[:3], ValueError, r"out has shape \(3, 6\)"),
        (out.array.view(np.int32), TypeError, "out is of int32"),
        ([1.0], TypeError, "out must be an array of NumPy"),
    ]:
        with pytest.raises(error, match=message):
            call(x, rng=s, out=wrong)
        with pytest.raises(error, match=message):
            call(x, rng=7)[1].backward(x, out=into(call, wrong))
    for wrong, error, message in [
        (x.astype(np.float64), TypeError, "dy is of float64, but must be of float32"),
        (x.astype(np.int32), TypeError, "dy is of int32"),
        (x[:3], ValueError, r"dy has shape \(3, 6\), but must have shape \(4, 6\)"),
    ]:
        with pytest.raises(error, match=message):
            call(x, rng=7)[1].backward(wrong, out=into(call, out.array))
    for dtype in (np.int32, np.complex64, object):
        with pytest.raises(TypeError, match="x is of .*, but must be of float16, bfloat16"):
            call(x.astype(dtype), rng=s, out=out.array)
    with pytest.raises(TypeError, match="rng"):
        call(x, rng="seed", out=out.array)
    assert s.draw == 0 and out.untouched()


@pytest.mark.parametrize("function", [fused.bias_dropout, fused.dropout_add, fused.relu_dropout])
@pytest.mark.parametrize("training", [True, False])
def test_p_out_of_range(function, training):
    x, s = np.ones(6, np.float32), stream()
    out = Guarded((6,), np.float32)
    arguments = (x,) if function is fused.relu_dropout else (x, x)
    for p, error in [(-0.1, ValueError), (1.1, ValueError), (np.nan, ValueError), ("x", TypeError)]:
        with pytest.raises(error, match="p"):
            function(*arguments, p, rng=s, training=training, out=out.array)
    assert s.draw == 0 and out.untouched()


def test_errors_of_bias_residual_and_activation():
    x, s = np.ones((4, 6), np.float32), stream()
    for bias, error, message in [
        (np.ones(5, np.float32), ValueError, r"bias has shape \(5,\), but must have shape \(6,\)"),
        (np.ones((1, 6), np.float32), ValueError, "bias has shape"),
        (np.ones(6), TypeError, "bias is of float64, but must be of float32"),
    ]:
        with pytest.raises(error, match=message):
            fused.bias_dropout(x, bias, rng=s)
    with pytest.raises(ValueError, match="x has no axes"):
        fused.bias_dropout(np.float32(1), np.ones(1, np.float32), rng=s)
    with pytest.raises(ValueError, match="activation = 'elu', but"):
        fused.bias_dropout(x, x[0], activation="elu", rng=s)
    with pytest.raises(TypeError, match="activation must be None or a name, not ufunc"):
        fused.bias_dropout(x, x[0], activation=np.tanh, rng=s)
    for residual, error in [(x[0], ValueError), (x.astype("d"), TypeError), (x[:, :5], ValueError)]:
        with pytest.raises(error, match="residual"):
            fused.dropout_add(x, residual, rng=s)
    assert s.draw == 0


def test_importing_simdrop_does_not_import_fused(run_python):
    done = run_python("import sys, simdrop; assert 'simdrop.fused' not in sys.modules")
    assert done.returncode == 0, done.stderr
