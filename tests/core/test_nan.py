"""NaN of any sign and payload: what each kernel makes of it is the same bits on every instruction
set. Where nothing but a multiplication touches a number, its NaN stays that NaN, made quiet;
everything that adds gives the positive quiet one without payload. Updates of weights promise that
NaN is NaN, and no bits."""

import ml_dtypes
import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop import fused, submatrix

KEY = oracle.key_from_seed(7)
FRACTION_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
DTYPES = [np.dtype(d) for d in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
WIDE = DTYPES[2:]
P = 0.3


def words(x):
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


def parts(dtype):
    """The sign bit, the exponent's bits and the quiet bit."""
    fraction, size = FRACTION_BITS[dtype.name], 8 * dtype.itemsize
    sign, quiet = 1 << (size - 1), 1 << (fraction - 1)
    return sign, sign - (1 << fraction), quiet


def is_nan(x):
    """As np.isnan, which warns of signalling bfloat16."""
    sign, exponent, _ = parts(x.dtype)
    return words(x) & words(x).dtype.type(sign - 1) > exponent


def nans(shape, dtype, seed=0):
    """Quiet and signalling, of both signs, with payloads of one bit, all bits and any."""
    sign, exponent, quiet = parts(dtype)
    generator = np.random.default_rng(seed)
    payloads = [1, 3, quiet - 1, quiet >> 1, *generator.integers(1, quiet, 20).tolist()]
    fractions = [*payloads, *[quiet | payload for payload in payloads], quiet]
    integer = words(np.zeros(1, dtype)).dtype
    every = np.array([exponent | f | s for f in fractions for s in (0, sign)], integer)
    return generator.choice(every, shape).view(dtype)


def mixed(shape, dtype, seed=0):
    """Half of them NaN."""
    generator = np.random.default_rng(seed + 100)
    numbers = generator.standard_normal(shape).astype(dtype)
    return np.where(generator.random(shape) < 0.5, nans(shape, dtype, seed), numbers)


def made_quiet(x):
    sign, exponent, quiet = parts(x.dtype)
    if x.dtype.name == "bfloat16":  # which is rounded without its payload
        return words(x) & words(x).dtype.type(sign) | words(x).dtype.type(exponent | quiet)
    return words(x) | words(x).dtype.type(quiet)


def stays(x, y, kept=True):
    """Whether each kept NaN of x is itself in y, quiet, and what is dropped is +0."""
    kept = np.broadcast_to(kept, x.shape)
    nan = is_nan(x) & kept
    assert nan.any()
    return (words(y)[nan] == made_quiet(x)[nan]).all() and not words(y)[~kept].any()


def is_one(y, where=True):
    """Whether each NaN of y is the positive quiet one, and there are some."""
    _, exponent, quiet = parts(y.dtype)
    nan = is_nan(y)
    assert (nan & where).any()
    return (words(y)[nan] == exponent | quiet).all()


# --- What is multiplied ---


@pytest.mark.parametrize("n", [1, 15, 64, 100, 1100, 5000])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dropout_keeps_a_nan(instruction_set, dtype, n):
    kept = oracle.keep(KEY, 0, P, (n,))
    mask = sd.Mask(KEY, 0, P, n)
    x = nans(n, dtype)
    for each in (mask, sd.Mask.from_keep(kept, P)):
        if not kept.any():
            continue
        assert stays(x, each.apply(x), kept)
        assert stays(x, each.apply(x[::-1].copy()[::-1]), kept)
        assert stays(x, each.apply(np.repeat(x, 2)[::2]), kept)
        assert stays(x, each.apply(x.astype(dtype.newbyteorder())), kept)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_dropout_keeps_a_nan_in_each_part_of_a_complex_number(instruction_set, dtype):
    real = np.dtype(dtype).type(0).real.dtype
    x = nans((1000, 2), real)
    kept = oracle.keep(KEY, 0, P, (1000,))
    y = sd.Mask(KEY, 0, P, 1000).apply(x.view(dtype)[:, 0])
    assert stays(x, y.view(real).reshape(1000, 2), kept[:, None])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_without_scaling_a_nan_keeps_all_its_bits(instruction_set, dtype):
    x = nans(1000, dtype)
    kept = oracle.keep(KEY, 0, P, (1000,))
    y = sd.Mask(KEY, 0, P, 1000, scale=False).apply(x)
    np.testing.assert_array_equal(words(y), np.where(kept, words(x), 0))


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_gradients_of_a_product_keep_a_nan(instruction_set, dtype):
    dy = nans((9, 70), dtype)
    kept = oracle.keep(KEY, 0, P, dy.shape)
    x, bias = np.ones(dy.shape, dtype), np.ones(70, dtype)
    for activation in (None, "relu"):
        _, context = fused.bias_dropout(x, bias, P, activation=activation, rng=stream())
        dx, dbias = context.backward(dy)
        assert stays(dy, dx, kept) and is_one(dbias)
    assert stays(dy, fused.relu_dropout(x, P, rng=stream())[1].backward(dy), kept)
    assert stays(dy, fused.relu_dropout(dy, P, rng=stream())[0], kept)
    assert stays(dy, fused.dropout_add(x, x, P, rng=stream())[1].backward(dy)[0], kept)
    _, alpha = sd.alpha_dropout(x, P, rng=stream())
    assert stays(dy, alpha.backward(dy), oracle.keep(KEY, 0, P, dy.shape))


# --- What is added ---


def stream():
    return sd.Stream(7)


@pytest.mark.parametrize("n", [1, 15, 64, 100, 1100, 5000])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_noise_gives_one_nan(instruction_set, dtype, n):
    x = mixed(n, dtype)
    x[0] = nans(1, dtype, 1)[0]
    kept = oracle.keep(KEY, 0, 0.03, (n,))
    assert is_one(sd.alpha_dropout(x, 0.03, rng=stream())[0], kept)
    y, mask = sd.gaussian_dropout(x, P, rng=stream())
    assert is_one(y) and is_one(mask.backward(x))
    assert is_one(sd.gaussian_noise(x, 0.7, rng=stream())[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_alpha_dropout_of_nothing_but_nan(instruction_set, dtype):
    """Kept, it is the one NaN; dropped, the number that it is for all."""
    x = nans(1000, dtype)
    kept = oracle.keep(KEY, 0, P, (1000,))
    y, _ = sd.alpha_dropout(x, P, rng=stream())
    assert is_one(y)
    np.testing.assert_array_equal(is_nan(y), kept)
    assert len(set(words(y)[~kept].tolist())) == 1


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "tanh", "sigmoid", "silu"])
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_bias_dropout_gives_one_nan(instruction_set, dtype, activation):
    """NaN in x, in the bias, in both and in dy."""
    plain, bias = np.ones((9, 100), dtype), np.ones(100, dtype)
    for p in (0.1, 0.5):
        kept = oracle.keep(KEY, 0, p, plain.shape)
        for x, b in ((mixed((9, 100), dtype), bias), (plain, mixed(100, dtype, 1))):
            x = np.where(is_nan(x), x, mixed((9, 100), dtype, 2)) if b is bias else x
            y, context = fused.bias_dropout(x, b, p, activation=activation, rng=stream())
            assert is_one(y, kept)
            if activation not in (None, "relu"):
                dx, dbias = context.backward(mixed((9, 100), dtype, 3))
                assert is_one(dx, kept) and is_one(dbias)
        both = mixed((9, 100), dtype, 4), mixed(100, dtype, 5)
        y, context = fused.bias_dropout(*both, p, activation=activation, rng=stream())
        assert is_one(y, kept) and is_one(context.backward(mixed((9, 100), dtype, 6))[1])


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_a_residual_gives_one_nan(instruction_set, dtype):
    one, other = mixed((9, 100), dtype), mixed((9, 100), dtype, 1)
    plain = np.ones(one.shape, dtype)
    for x, residual in ((one, plain), (plain, one), (one, other), (nans(one.shape, dtype), other)):
        assert is_one(fused.dropout_add(x, residual, P, rng=stream())[0])


UPDATES = {
    "sgd": lambda *args, **more: submatrix.sgd(*args, lr=0.1, momentum=0.9, **more),
    "nesterov": lambda *args, **more: submatrix.sgd(
        *args, lr=0.1, momentum=0.9, nesterov=True, **more
    ),
    "adam": lambda *args, **more: submatrix.adam(*args, lr=0.1, step=3, **more),
}


@pytest.mark.parametrize("penalty", [0.0, 0.1])
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_updates_of_weights_give_nan_where_there_was_one(instruction_set, dtype, update, penalty):
    """In the weight or what it is computed from, and nowhere else; unkept columns are as before."""
    columns = submatrix.Kept(sd.Mask(KEY, 0, P, (1, 77), shared_axes=0))
    for kept, where in ((None, np.arange(77)), (columns, columns.indices)):
        value, *states = (np.abs(mixed((40, 77), dtype, i)) for i in range(2 + (update == "adam")))
        grad = mixed((40, len(where)), dtype, 5)
        before = value.copy()
        state_nan = is_nan(grad) | np.any([is_nan(state[:, where]) for state in states], 0)
        state_nan |= is_nan(value[:, where]) & (penalty != 0)
        squares = np.zeros(77)
        UPDATES[update](value, grad, *states, None, kept, l1=penalty, l2=penalty, squares=squares)
        expected = is_nan(before)
        expected[:, where] |= state_nan
        np.testing.assert_array_equal(is_nan(value), expected)
        np.testing.assert_array_equal(is_nan(squares), expected.any(0))
        unkept = np.setdiff1d(np.arange(77), where)
        np.testing.assert_array_equal(words(value[:, unkept]), words(before[:, unkept]))


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_gathered_weights_keep_all_bits_of_a_nan(instruction_set, dtype):
    matrix = nans((40, 77), dtype)
    columns = submatrix.Kept(sd.Mask(KEY, 0, P, (1, 77), shared_axes=0))
    packed = submatrix.gather(matrix, None, columns)
    np.testing.assert_array_equal(words(packed), words(matrix)[:, columns.indices])
