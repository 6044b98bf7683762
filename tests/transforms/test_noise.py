"""Gaussian dropout and noise, alpha dropout: the oracle's numbers bit for bit, their distribution,
moments against formulas, gradients against differences."""

import math
import pickle
from fractions import Fraction
from statistics import NormalDist

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from normal_distribution import check_distribution

import simdrop as sd
from simdrop._core import kernels

KEY = oracle.key_from_seed(7)
ALPHA = -1.7580993408473766
DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
TRANSFORMS = {
    "dropout": lambda x, **options: sd.gaussian_dropout(x, 0.3, **options),
    "noise": lambda x, **options: sd.gaussian_noise(x, 0.7, **options),
    "alpha": lambda x, **options: sd.alpha_dropout(x, 0.3, **options),
}
LENGTHS = [0, 1, 31, 32, 33, 63, 64, 65, 511, 512, 513, 575, 576, 4099]


def stream(draw=0):
    s = sd.Stream(7)
    s.state = s.state | {"draw": draw}
    return s


def values(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def same_bits(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    integer = f"u{a.dtype.itemsize}"
    a, b = (np.ascontiguousarray(np.where(np.isnan(x), x.dtype.type(np.nan), x)) for x in (a, b))
    return np.array_equal(a.view(integer), b.view(integer))


def wide(x):
    """x as it is computed."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def expected(name, x, draw=0):
    """The result for x in C order: the oracle's draw and NumPy's arithmetic."""
    v = wide(x)
    f = v.dtype.type
    z = oracle.normals(KEY, draw, x.size).reshape(x.shape).astype(v.dtype)
    with np.errstate(all="ignore"):
        if name == "dropout":
            y = v * (f(1) + f((0.3 / 0.7) ** 0.5) * z)
        elif name == "noise":
            y = v + f(0.7) * z
        else:
            a = 1 / math.sqrt((1 - 0.3) * (1 + 0.3 * ALPHA * ALPHA))
            b = -a * 0.3 * ALPHA
            keep = oracle.keep(KEY, draw, 0.3, x.shape)
            y = np.where(keep, v * f(a) + f(b), f(a * ALPHA + b))
        return y.astype(x.dtype)


# --- The normal numbers ---


@pytest.mark.parametrize("draw", [0, 1, 2**40 + 3])
def test_normals_are_the_oracles(instruction_set, draw):
    for n in LENGTHS:
        z = sd.GaussianNoiseContext(KEY, draw, 1, n).normals()
        assert same_bits(z, oracle.normals(KEY, draw, n))


def test_normals_whose_words_are_tiny(instruction_set):
    """One word in 32,768 has 32 more bits."""
    n = 20_000_000 if instruction_set == kernels.instruction_sets()[0] else 2_000_000
    words, more = (oracle.normal_words(KEY, 3, n, plane) for plane in (16, 17))
    tiny = np.flatnonzero(np.abs((words.view(np.int32) | 1).astype(np.int64)) < 2**16)
    assert len(tiny) > 20
    z = sd.GaussianNoiseContext(KEY, 3, 1, n).normals()
    assert same_bits(z[tiny], oracle.normals_of(words[tiny], more[tiny]))


def test_steps_that_are_not_fused_round_once():
    """A product of float32 numbers and a sum that float64 holds: what `math.fma` would give."""
    rng = np.random.default_rng(0)
    pieces = [oracle.floats(row) for row in oracle.PIECES.split("\n") if row]
    assert len(pieces) == 15
    for piece in pieces:
        for t in [-0.5, 0.5 - 2**-23, *(rng.integers(-(2**22), 2**22, 100) / 2**23)]:
            z = piece[-1]
            for c in piece[-2::-1]:
                total = float(z) * t + float(c)
                assert total == Fraction(float(z)) * Fraction(t) + Fraction(float(c))
                z = np.float32(total)


def test_normals_are_the_inverse_of_the_distribution_function():
    """All octaves of words, and of words that are tiny, in float64: within 1e-6, and in the tail
    within a few units in the last place."""
    rng = np.random.default_rng(1)
    octaves = np.repeat(np.arange(31), 300)
    signed = (2.0**octaves * rng.uniform(1, 2, len(octaves))).astype(np.int32)
    signed *= rng.choice([-1, 1], len(signed))
    more = rng.integers(0, 2**32, len(signed), np.uint32)
    signed[:6] = 0, -1, 0, 2**16, 2**31 - 130, -(2**31)
    more[:3] = 0, 2**32 - 1, 2**20
    size, wide = (
        np.abs(w | 1) for w in (signed.astype(np.int64), signed.astype(np.int64) << 32 | more)
    )
    p = np.where(size < 2**16, wide / 2.0**64, size / 2.0**32)
    z = np.where(signed < 0, -1, 1) * oracle.normals_of(signed.view(np.uint32), more)
    error = np.abs(z + [NormalDist().inv_cdf(u) for u in p])
    assert error.max() < 2e-6 and error[size >= 2**16].max() < 1e-6
    assert 9.07 < z.max() < 9.1 and z[5] == 0


def test_distribution():
    check_distribution(10_000_000, 5)


def test_neighbours_and_draws_are_uncorrelated():
    n = 4_000_000
    z = sd.GaussianNoiseContext(KEY, 1, 1, n).normals()
    assert abs(np.dot(z, sd.GaussianNoiseContext(KEY, 2, 1, n).normals())) < 5 * n**0.5
    for lag in (1, 2, 4, 8, 16, 32, 64, 512, 4096):
        both = (z[lag:] * z[:-lag]).sum(dtype=np.float64)
        squares = ((z[lag:] ** 2 - 1) * (z[:-lag] ** 2 - 1)).sum(dtype=np.float64)
        assert abs(both) < 5 * n**0.5 and abs(squares) < 5 * 2 * n**0.5


# --- Moments ---

N = 10_000_000


def check_moments(y, mean, variance, fourth):
    """`fourth`: the fourth central moment."""
    y = y.astype(np.float64)
    assert abs(y.mean() - mean) < 5 * (variance / N) ** 0.5
    assert abs(y.var() - variance) < 5 * ((fourth - variance**2) / N) ** 0.5
    covariance = ((y[1:] - mean) * (y[:-1] - mean)).mean()
    assert abs(covariance) < 5 * variance / N**0.5


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_moments_of_gaussian_dropout(p):
    """E[y] = x and Var[y] = x**2 p / (1 - p), as dropout has them."""
    y, _ = sd.gaussian_dropout(np.full(N, 2, np.float32), p, rng=1)
    variance = 4 * p / (1 - p)
    check_moments(y, 2, variance, 3 * variance**2)


@pytest.mark.parametrize("std", [1e-3, 3.5])
def test_moments_of_gaussian_noise(std):
    y, _ = sd.gaussian_noise(np.full(N, 0.25), std, rng=2)
    check_moments(y, 0.25, std**2, 3 * std**4)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_alpha_dropout_keeps_mean_0_and_variance_1(p):
    x = values(N, np.float32)
    x = (x - x.mean(dtype=np.float64)) / x.std(dtype=np.float64)
    y, ctx = sd.alpha_dropout(x, p, rng=3)
    a, b = ctx.a, ctx.b
    low = a * ALPHA + b
    fourth = (1 - p) * (3 * a**4 + 6 * a**2 * b**2 + b**4) + p * low**4
    check_moments(y, 0, 1, fourth)


def selu(x):
    scale = 1.0507009873554805
    return scale * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


@pytest.mark.parametrize("transform", [sd.alpha_dropout, sd.dropout])
def test_a_self_normalizing_net_of_32_layers(transform):
    """Mean 0 and variance 1 stay to the end with alpha dropout, and do not with dropout."""
    rng, s = np.random.default_rng(0), sd.Stream(1)
    x = rng.standard_normal((512, 512))
    for _ in range(32):
        w = rng.standard_normal((512, 512)) / 512**0.5
        x, _ = transform(selu(x @ w), 0.1, rng=s)
    normalized = abs(x.mean()) < 0.1 and abs(x.var() - 1) < 0.2
    assert normalized == (transform is sd.alpha_dropout)


# --- Results ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_results_are_the_oracles(instruction_set, name, dtype):
    for n in LENGTHS:
        x = values(n, dtype)
        y, ctx = TRANSFORMS[name](x, rng=stream(4))
        assert same_bits(y, expected(name, x, 4))
        assert same_bits(ctx.apply(x), y)
        buffer = x.copy()
        assert TRANSFORMS[name](buffer, rng=stream(4), out=buffer)[0] is buffer
        assert same_bits(buffer, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_special_values(instruction_set, name, dtype):
    x = np.resize(np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e38, 1e-45, 1], dtype), 1000)
    y, _ = TRANSFORMS[name](x, rng=stream())
    assert same_bits(y, expected(name, x))


LAYOUTS = {
    "Fortran": lambda x: np.asfortranarray(x),
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "unaligned": lambda x: np.frombuffer(b"?" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "list": lambda x: x.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_layouts(name, layout):
    x = values((37, 29), np.float64)
    plain = expected(name, x)
    laid_out = LAYOUTS[layout](x)
    y, ctx = TRANSFORMS[name](laid_out, rng=stream())
    assert same_bits(y, plain) and y.dtype.isnative
    assert same_bits(ctx.backward(laid_out) + 0.0, np.ascontiguousarray(ctx.backward(x)) + 0.0)
    if layout == "Fortran":
        assert y.flags.f_contiguous
    if isinstance(laid_out, np.ndarray):
        out = np.empty_like(np.repeat(x, 3, axis=1))[:, ::3]
        assert TRANSFORMS[name](laid_out, rng=stream(), out=out)[0] is out
        assert same_bits(out.copy(), plain)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_large_arrays_of_any_order(name, order, always_shared):
    """More than a block; the result has x's order, as ufuncs do it."""
    shape = (37, 70, 61)
    x = values(shape)
    memory = np.empty([2 * shape[axis] for axis in order], np.float32)
    laid_out = memory[::-2, ::2, ::2].transpose(np.argsort(order))
    laid_out[...] = x
    for count in (1, 3):
        sd.set_num_threads(count)
        try:
            y, ctx = TRANSFORMS[name](laid_out, rng=stream())
        finally:
            sd.set_num_threads(None)
        assert same_bits(y, expected(name, x))
        assert y.strides == np.add(laid_out, 0).strides
        assert same_bits(ctx.apply(laid_out, out=laid_out.copy(order="K")), y)


@given(st.data())
def test_views(data):
    """Any strides, negative and zero ones too, into any other."""
    shape = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=3))
    name = data.draw(st.sampled_from(sorted(TRANSFORMS)))
    dtype = data.draw(st.sampled_from(DTYPES))

    def view(zero):
        memory = values([3 * n for n in shape], dtype).transpose(
            data.draw(st.permutations(range(len(shape))))
        )
        steps = [data.draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
        found = memory[tuple(slice(None, None, k) for k in steps)]
        found = found[tuple(slice(n) for n in shape)]
        assume(list(found.shape) == shape)
        return np.broadcast_to(found[:1], found.shape) if zero and shape[0] else found

    x, out = view(data.draw(st.booleans())), view(False)
    y, ctx = TRANSFORMS[name](x, rng=stream())
    assert same_bits(y, expected(name, np.ascontiguousarray(x)))
    assert ctx.apply(x, out=out) is out and same_bits(out.copy(), y.copy())


# --- Windows and shared axes ---

GAUSSIAN = {name: TRANSFORMS[name] for name in ("dropout", "noise")}


@given(st.data())
def test_windows(data):
    """A window's numbers are the block's, whatever is shared."""
    shape = tuple(data.draw(st.lists(st.integers(1, 70), min_size=1, max_size=3)))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
    start, lengths = tuple(a for a, _ in ends), tuple(b - a for a, b in ends)
    block = tuple(slice(a, b) for a, b in ends)
    name = data.draw(st.sampled_from(sorted(GAUSSIAN)))
    x = values(shape)
    y, ctx = GAUSSIAN[name](x, rng=stream(2), shared_axes=axes)
    decided = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    z = oracle.normals(KEY, 2, math.prod(decided)).reshape(decided)
    assert same_bits(ctx.normals(), np.broadcast_to(z, shape))
    f = np.float32
    plain = x * (1 + f((0.3 / 0.7) ** 0.5) * z) if name == "dropout" else x + f(0.7) * z
    assert same_bits(y, plain)
    part = ctx.window(start, lengths)
    assert type(part) is type(ctx) and part.shape == lengths and part.std == ctx.std
    assert same_bits(part.normals(), ctx.normals()[block])
    assert same_bits(part.apply(x[block]), y[block])
    again = part.window((0,) * len(shape), lengths)
    copy = pickle.loads(pickle.dumps(part))
    assert again == part == copy == eval(repr(part), vars(sd)) and hash(copy) == hash(part)
    assert (part == ctx) == (lengths == shape)


@pytest.mark.parametrize("axes", [(), (0,), (1, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_windows_of_alpha_dropout(dtype, axes):
    x = values((7, 90, 11), dtype)
    y, ctx = sd.alpha_dropout(x, 0.3, rng=stream(2), shared_axes=axes)
    block = (slice(2, 6), slice(13, 80), slice(1, 9))
    part = ctx.window((2, 13, 1), (4, 67, 8))
    assert (part.p, part.a, part.b) == (ctx.p, ctx.a, ctx.b)
    np.testing.assert_array_equal(part.keep(), ctx.keep()[block])
    assert same_bits(part.apply(x[block]), y[block].copy())
    assert same_bits(part.backward(x[block]), ctx.backward(x)[block].copy())
    copy = pickle.loads(pickle.dumps(part))
    assert copy == part == eval(repr(part), vars(sd)) and part != ctx


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GAUSSIAN)
def test_shared_numbers(name, dtype):
    x = values((3, 4, 5, 6), dtype)
    y, ctx = GAUSSIAN[name](x, rng=stream(), shared_axes=(2, -1))
    v = wide(x)
    z = oracle.normals(KEY, 0, 12).reshape(3, 4, 1, 1).astype(v.dtype)
    f = v.dtype.type
    plain = v * (1 + f((0.3 / 0.7) ** 0.5) * z) if name == "dropout" else v + f(0.7) * z
    assert same_bits(y, plain.astype(dtype)) and ctx.shared_axes == (2, 3)
    out = np.empty_like(x, order="F")
    assert ctx.apply(x, out=out) is out and same_bits(out.copy(), y)
    if name == "dropout":
        assert same_bits(ctx.backward(x), y)


def test_errors_of_windows_and_axes():
    s = stream(2)
    with pytest.raises(ValueError, match="axis"):
        sd.gaussian_dropout(np.zeros((2, 3)), 0.5, rng=s, shared_axes=2)
    assert s.draw == 2
    ctx = sd.GaussianNoiseContext(KEY, 0, 1, (3, 4), shared_axes=0)
    with pytest.raises(IndexError, match="not inside"):
        ctx.window((2, 0), (2, 4))
    with pytest.raises(ValueError, match="axes"):
        ctx.window(0, 1)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_an_overlapping_out_gives_what_a_copy_would(name):
    memory = values(3000)
    plain = expected(name, memory[:2000].copy())
    y, _ = TRANSFORMS[name](memory[:2000], rng=stream(), out=memory[7:2007])
    assert same_bits(y, plain)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_threads_change_nothing(name, always_shared):
    x = values(300_000 + 4321)
    results = []
    for count in (1, 2, 5):
        sd.set_num_threads(count)
        try:
            y, ctx = TRANSFORMS[name](x, rng=stream())
        finally:
            sd.set_num_threads(None)
        results.append((y.tobytes(), ctx))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("axes", [(0,), (2, 3), (-1, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_feature_alpha_dropout(dtype, axes):
    x = values((3, 4, 5, 6), dtype)
    y, ctx = sd.alpha_dropout(x, 0.4, rng=stream(), shared_axes=axes)
    keep = oracle.keep(KEY, 0, 0.4, x.shape, [axis % 4 for axis in axes])
    v = wide(x)
    f = v.dtype.type
    expected = np.where(keep, v * f(ctx.a) + f(ctx.b), f(ctx.a * ALPHA + ctx.b)).astype(dtype)
    assert same_bits(y, expected)
    np.testing.assert_array_equal(ctx.keep(), keep)
    assert same_bits(ctx.backward(x), oracle.times(x, ctx.a) * keep.astype(dtype) + dtype(0))
    out = np.empty_like(x)
    assert sd.alpha_dropout(x, 0.4, rng=stream(), shared_axes=axes, out=out)[0] is out
    assert same_bits(out, expected)


def test_alpha_dropout_at_p_1_is_0():
    """As PyTorch has it: no variance is left to restore."""
    x = np.array([np.nan, np.inf, -1.0, 3.0])
    y, ctx = sd.alpha_dropout(x, 1, rng=0)
    assert same_bits(y, np.zeros(4)) and same_bits(ctx.backward(x), np.zeros(4))
    assert (ctx.a, ctx.b) == (0, 0)


def test_alpha_dropout_drops_what_dropout_drops():
    x = values(1000)
    _, ctx = sd.alpha_dropout(x, 0.3, rng=stream())
    _, mask = sd.dropout(x, 0.3, rng=stream())
    np.testing.assert_array_equal(ctx.keep(), mask.keep())


# --- Gradients ---


@given(st.sampled_from(sorted(TRANSFORMS)), st.integers(0, 2**56 - 1), st.integers(1, 200))
def test_backward_is_the_derivative(name, draw, n):
    """Central differences of a loss with the draw fixed: exact, since each transform is linear."""
    x, dy, step = (values(n, np.float64, seed) for seed in range(3))
    _, ctx = TRANSFORMS[name](x, rng=stream(draw))
    difference = dy @ (ctx.apply(x + step) - ctx.apply(x - step)) / 2
    np.testing.assert_allclose(ctx.backward(dy) @ step, difference, rtol=1e-9, atol=1e-9)


def test_the_gradient_of_noise_is_dy_itself():
    dy, out = values(9), np.empty(9, np.float32)
    ctx = sd.gaussian_noise(values(9), 1, rng=0)[1]
    assert ctx.backward(dy) is dy
    assert ctx.backward(dy, out=out) is out and same_bits(out, dy)


# --- Nothing to do ---


@pytest.mark.parametrize(
    "call",
    [
        lambda x, **o: sd.gaussian_dropout(x, 0, **o),
        lambda x, **o: sd.gaussian_noise(x, 0, **o),
        lambda x, **o: sd.alpha_dropout(x, 0, **o),
        *(lambda x, f=f, **o: f(x, training=False, **o) for f in TRANSFORMS.values()),
    ],
)
def test_without_noise_y_is_x(call):
    x = np.array([np.nan, np.inf, -0.0, 1, 2], np.float32)
    y, ctx = call(x)
    assert y is x and ctx.backward(x).tobytes() == x.tobytes()
    assert ctx.apply(x) is not x and ctx.apply(x).tobytes() == x.tobytes()
    out = np.empty_like(x)
    assert call(x, out=out)[0] is out and out.tobytes() == x.tobytes()


def test_evaluation_takes_no_draw():
    s = stream(5)
    for transform in TRANSFORMS.values():
        transform(values(3), rng=s, training=False)
    assert s.draw == 5


# --- What a draw is ---


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_draw_is_a_few_numbers(name):
    x = values((4, 5))
    y, ctx = TRANSFORMS[name](x, rng=stream(9))
    again, other = TRANSFORMS[name](x, rng=stream(9))[1], TRANSFORMS[name](x, rng=stream(8))[1]
    assert (ctx.key, ctx.draw, ctx.shape, ctx.size) == (KEY, 9, (4, 5), 20)
    assert ctx == again and hash(ctx) == hash(again) and ctx != other and ctx != 3
    copy = pickle.loads(pickle.dumps(ctx))
    assert copy == ctx and same_bits(copy.apply(x), y)
    assert same_bits(eval(repr(ctx), vars(sd)).apply(x), y)
    pickled = pickle.dumps(ctx)
    assert len(pickled) < 300 and b"simdrop._pickle" in pickled and b"simdrop._core" not in pickled
    with pytest.raises(TypeError, match="cannot be changed"):
        ctx.__init__(KEY, 1, 0.5, 3)
    with pytest.raises(AttributeError):
        ctx.draw = 3


def test_kinds_of_draws_differ():
    arguments = KEY, 0, 0.5, (3,)
    assert sd.GaussianDropoutContext(*arguments) != sd.GaussianNoiseContext(*arguments)
    assert sd.AlphaDropoutContext(*arguments) != sd.AlphaDropoutContext(*arguments, shared_axes=0)


# --- Errors: before a draw is taken and before anything is written ---

READ_ONLY = np.zeros(4, np.float32)
READ_ONLY.flags.writeable = False
OUTS = [(3, TypeError), (np.zeros(4), TypeError), (np.zeros(5, np.float32), ValueError)]
OUTS += [(READ_ONLY, ValueError), (np.broadcast_to(np.float32(0), 4), ValueError)]
XS = [np.zeros(4, int), np.zeros(4, np.complex64), np.zeros(4, bool), np.array(["a"]), [None]]


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_errors_of_arrays(transform):
    s = stream(2)
    for x in XS:
        with pytest.raises(TypeError, match="float16, bfloat16"):
            transform(x, rng=s)
    x = np.ones(4, np.float32)
    for out, error in OUTS:
        with pytest.raises(error):
            transform(x, rng=s, out=out)
        with pytest.raises(error):
            transform(x, rng=s, out=out, training=False)
    with pytest.raises(TypeError):
        transform(x, rng="seed")
    assert s.draw == 2 and not READ_ONLY.any()
    ctx = transform(x, rng=s)[1]
    for method in (ctx.apply, ctx.backward):
        with pytest.raises(ValueError, match="shape"):
            method(np.ones(5))
        with pytest.raises(TypeError):
            method(np.ones(4, int))
        with pytest.raises(TypeError):
            method(x, out=np.zeros(4))


@pytest.mark.parametrize(
    "call",
    [
        *(
            (f, p, error)
            for f in (sd.gaussian_dropout, sd.alpha_dropout)
            for p, error in [
                (math.nan, ValueError),
                (-0.1, ValueError),
                (1.1, ValueError),
                (10**400, ValueError),
                ("0.5", TypeError),
                (None, TypeError),
            ]
        ),
        (sd.gaussian_dropout, 1, ValueError),
        *((sd.gaussian_noise, s, ValueError) for s in (math.nan, -1e-9, math.inf, 10**400, 1e39)),
        *((sd.gaussian_noise, s, TypeError) for s in ("1", None, 1j)),
    ],
    ids=lambda call: f"{call[0].__name__}-{str(call[1])[:5]}",
)
def test_errors_of_parameters(call):
    transform, parameter, error = call
    s, x = stream(2), np.ones(4, np.float32)
    for training in (True, False):
        with pytest.raises(error):
            transform(x, parameter, rng=s, training=training, out=x)
    assert s.draw == 2 and (x == 1).all()


def test_a_std_that_only_float64_holds():
    y, ctx = sd.gaussian_noise(np.zeros(4), 1e200, rng=0)
    assert np.isfinite(y).all() and (y != 0).all()
    with pytest.raises(ValueError, match="float32"):
        ctx.apply(np.zeros(4, np.float32))


def test_errors_of_axes_take_no_draw():
    s = stream(2)
    with pytest.raises(ValueError):
        sd.alpha_dropout(values((2, 3)), rng=s, shared_axes=2)
    assert s.draw == 2


@given(st.data())
def test_any_part_of_an_array_is_like_the_whole(data):
    """Any length from any address, nothing written around it."""
    name = data.draw(st.sampled_from(sorted(TRANSFORMS)))
    n, offset = data.draw(st.integers(0, 1500)), data.draw(st.integers(0, 40))
    memory = np.full(n + 100, 7, np.float32)
    x = values(n)
    out = memory[offset : offset + n]
    TRANSFORMS[name](x, rng=stream(), out=out)
    assert same_bits(out.copy(), expected(name, x))
    assert (memory[:offset] == 7).all() and (memory[offset + n :] == 7).all()


def test_an_array_of_p_is_refused():
    p = np.full(3, 0.5)
    with pytest.raises(TypeError, match="p, the probability"):
        sd.AlphaDropoutContext(bytes(16), 0, p, 3)
    for transform in (sd.alpha_dropout, sd.gaussian_dropout):
        stream = sd.Stream(0)
        with pytest.raises(TypeError, match="p, the probability"):
            transform(np.ones(3), p, rng=stream)
        assert stream.draw == 0
