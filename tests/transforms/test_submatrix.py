"""Weight matrices in parts: gathering and updating them against plain NumPy."""

import gc
import math
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simdrop as sd
from simdrop import submatrix
from simdrop._core import submatrix as _submatrix

DTYPES = (np.float32, np.float64)


def kept(n, p, seed):
    mask = sd.Stream(seed).mask((1, n), p, shared_axes=(0,))
    return submatrix.Kept(mask), mask.keep()[0]


def parts(rows, columns, p_rows, p_columns, seed):
    """Kept rows and columns, and the same as indices; p None keeps all without a Kept."""
    row_kept, row_bools = kept(rows, p_rows, [seed, 0]) if p_rows is not None else (None, None)
    column_kept, column_bools = (
        kept(columns, p_columns, [seed, 1]) if p_columns is not None else (None, None)
    )
    row_indices = np.arange(rows) if row_bools is None else np.flatnonzero(row_bools)
    column_indices = np.arange(columns) if column_bools is None else np.flatnonzero(column_bools)
    return row_kept, column_kept, np.ix_(row_indices, column_indices)


def plain_sgd(w, g, v, where, lr, momentum, nesterov, l2, l1):
    f = w.dtype.type
    step = f(-lr) * (g + f(l2) * w[where] + f(l1) * np.sign(w[where]))
    velocity = f(momentum) * v[where] + step
    velocity[np.abs(velocity) < np.finfo(w.dtype).tiny] = 0
    v[where] = velocity
    w[where] += f(momentum) * velocity + step if nesterov else velocity


def plain_adam(w, g, m, v, where, lr, step, beta1, beta2, eps, l2, l1):
    f = w.dtype.type
    g = g + f(l2) * w[where] + f(l1) * np.sign(w[where])
    m[where] = f(beta1) * m[where] + f(1 - beta1) * g
    v[where] = f(beta2) * v[where] + f(1 - beta2) * g * g
    root = np.sqrt(v[where]) * f((1 - beta2**step) ** -0.5) + f(eps)
    w[where] -= f(lr / (1 - beta1**step)) * m[where] / root


sizes = st.integers(0, 5) | st.integers(60, 70) | st.integers(120, 200)
probabilities = st.none() | st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
cases = given(
    rows=sizes,
    columns=sizes,
    p_rows=probabilities,
    p_columns=probabilities,
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 100),
    threads=st.sampled_from([1, 2, 3]),
)


@pytest.fixture(autouse=True)
def share_small_matrices(always_shared):
    yield
    sd.set_num_threads(None)


def arrays(shape, dtype, seed, count):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for _ in range(count)]


@cases
@settings(deadline=None)
def test_gather_is_indexing(
    instruction_set, rows, columns, p_rows, p_columns, dtype, seed, threads
):
    sd.set_num_threads(threads)
    row_kept, column_kept, where = parts(rows, columns, p_rows, p_columns, seed)
    (matrix,) = arrays((rows, columns), dtype, seed, 1)
    expected = matrix[where]
    around = np.full(expected.size + 20, 7, dtype)
    out = around[10:-10].reshape(expected.shape)
    result = submatrix.gather(matrix, row_kept, column_kept, out=out)
    assert result is out
    np.testing.assert_array_equal(result, expected)
    assert np.all(around[:10] == 7) and np.all(around[-10:] == 7)
    np.testing.assert_array_equal(submatrix.gather(matrix, row_kept, column_kept), matrix[where])


@cases
@settings(deadline=None)
def test_sgd_is_the_formula(
    instruction_set, rows, columns, p_rows, p_columns, dtype, seed, threads
):
    sd.set_num_threads(threads)
    row_kept, column_kept, where = parts(rows, columns, p_rows, p_columns, seed)
    w, v, g = arrays((rows, columns), dtype, seed, 3)
    g = np.ascontiguousarray(g[where])
    nesterov, l2, l1 = bool(seed % 2), (0.0, 0.01)[seed // 2 % 2], (0.0, 0.003)[seed // 4 % 2]
    expected_w, expected_v = w.copy(), v.copy()
    plain_sgd(expected_w, g, expected_v, where, 0.1, 0.9, nesterov, l2, l1)
    squares = np.full(columns, 9.0)
    submatrix.sgd(
        w, g, v, row_kept, column_kept,
        lr=0.1, momentum=0.9, nesterov=nesterov, l2=l2, l1=l1, squares=squares,
    )  # fmt: skip
    np.testing.assert_array_equal(w, expected_w)
    np.testing.assert_array_equal(v, expected_v)
    np.testing.assert_allclose(squares, (w.astype(np.float64) ** 2).sum(axis=0), rtol=1e-13)


@cases
@settings(deadline=None)
def test_adam_is_the_formula(
    instruction_set, rows, columns, p_rows, p_columns, dtype, seed, threads
):
    sd.set_num_threads(threads)
    row_kept, column_kept, where = parts(rows, columns, p_rows, p_columns, seed)
    w, m, v, g = arrays((rows, columns), dtype, seed, 4)
    v = v * v
    g = np.ascontiguousarray(g[where])
    l2, l1 = (0.0, 0.01)[seed % 2], (0.0, 0.003)[seed // 2 % 2]
    expected = w.copy(), m.copy(), v.copy()
    plain_adam(expected[0], g, *expected[1:], where, 0.1, seed + 1, 0.9, 0.999, 1e-8, l2, l1)
    submatrix.adam(w, g, m, v, row_kept, column_kept, lr=0.1, step=seed + 1, l2=l2, l1=l1)
    for result, right in zip((w, m, v), expected, strict=True):
        np.testing.assert_array_equal(result, right)


@pytest.mark.parametrize("p", [None, 0.5])
def test_vectors_are_matrices_of_one_row(p):
    which, _, where = parts(1, 100, None, p, 0)[1:] + (None,)
    columns, where = which, where
    w, v, g = arrays((100,), np.float32, 0, 3)
    index = np.ix_(columns.indices)[0] if columns is not None else np.arange(100)
    g = np.ascontiguousarray(g[index])
    expected_w, expected_v = w.copy(), v.copy()
    plain_sgd(expected_w, g, expected_v, index, 0.1, 0.9, False, 0.0, 0.0)
    np.testing.assert_array_equal(submatrix.gather(w, None, columns), w[index])
    submatrix.sgd(w, g, v, None, columns, lr=0.1, momentum=0.9)
    np.testing.assert_array_equal(w, expected_w)
    np.testing.assert_array_equal(v, expected_v)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_decays_ends_at_zero(instruction_set, dtype):
    """Not among the subnormal numbers, on which CPUs take a hundred times as long."""
    tiny = np.finfo(dtype).tiny
    w, v, g = np.ones(70, dtype), np.full(70, tiny, dtype), np.zeros(70, dtype)
    submatrix.sgd(w, g, v, lr=0.1, momentum=0.9)
    np.testing.assert_array_equal(v, 0)
    m, v = np.full(70, -tiny, dtype), np.full(70, tiny, dtype)
    submatrix.adam(w, g, m, v, lr=0.1, step=1)
    np.testing.assert_array_equal(m, 0)
    np.testing.assert_array_equal(v, 0)


def test_nan_is_not_hidden(instruction_set):
    w, v, g = np.ones(70, np.float32), np.zeros(70, np.float32), np.zeros(70, np.float32)
    g[3] = np.nan
    submatrix.sgd(w, g, v, lr=0.1)
    assert np.flatnonzero(np.isnan(w)).tolist() == [3]


def test_kept():
    mask = sd.Stream(0).mask((5, 200), 0.3, shared_axes=(0,))
    which = submatrix.Kept(mask.window((0, 0), (1, 200)))
    np.testing.assert_array_equal(which.indices, np.flatnonzero(mask.keep()[0]))
    assert (which.size, which.count) == (200, mask.keep()[0].sum())
    assert repr(which) == f"Kept({which.count} of 200)"


MATRIX = np.ones((3, 4), np.float32)
READ_ONLY = np.ones((3, 4), np.float32)
READ_ONLY.flags.writeable = False
THREE = kept(3, 0.0, 0)[0]
OTHERS = np.ones((3, 3, 4), np.float32)  # what is not value
VECTOR = np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: submatrix.gather([[1.0]]), TypeError, "matrix must be an ndarray, not list"),
        (lambda: submatrix.gather(np.ones((2, 2), int)), TypeError, "float32 or float64"),
        (lambda: submatrix.gather(np.ones((2, 2, 2))), ValueError, "3 axes"),
        (lambda: submatrix.gather(MATRIX.T), ValueError, "C-contiguous"),
        (lambda: submatrix.gather(MATRIX, None, THREE), ValueError, "of 3, but the matrix has 4"),
        (lambda: submatrix.gather(MATRIX, [0, 1]), TypeError, "Kept or None, not list"),
        (lambda: submatrix.gather(MATRIX, out=np.ones((3, 4))), TypeError, "float64, but"),
        (lambda: submatrix.gather(MATRIX, out=MATRIX), ValueError, "overlaps"),
        (lambda: submatrix.gather(MATRIX, out=READ_ONLY), ValueError, "read-only"),
        (lambda: submatrix.gather(MATRIX, out=MATRIX[::-1]), ValueError, "C-contiguous"),
        (lambda: submatrix.sgd(READ_ONLY, *OTHERS[:2], lr=1), ValueError, "value is read-only"),
        (
            lambda: submatrix.sgd(MATRIX, OTHERS[0, :2], OTHERS[1], lr=1),
            ValueError,
            r"grad has shape",
        ),
        (
            lambda: submatrix.sgd(MATRIX, OTHERS[0], OTHERS[1, 0], lr=1),
            ValueError,
            "velocity has shape",
        ),
        (
            lambda: submatrix.sgd(MATRIX, *OTHERS[:2], lr=1, squares=np.ones(3)),
            ValueError,
            "squares has shape",
        ),
        (lambda: submatrix.sgd(MATRIX, *OTHERS[:2], lr=1, squares=VECTOR), TypeError, "of float64"),
        (lambda: submatrix.adam(MATRIX, *OTHERS, lr=1, step=0), ValueError, "counted from 1"),
        (lambda: submatrix.adam(MATRIX, *OTHERS, lr=1, step=1.5), TypeError, "integer"),
    ],
)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
    np.testing.assert_array_equal(MATRIX, 1)
    np.testing.assert_array_equal(OTHERS, 1)


# --- Numbers and memory ---

STEPS = {
    "sgd": (submatrix.sgd, {"lr": 0.1, "momentum": 0.9}, ["value", "grad", "velocity"]),
    "adam": (submatrix.adam, {"lr": 0.1, "step": 1}, ["value", "grad", "mean", "square"]),
}
OUTSIDE = {
    "lr": (-0.1, math.nan, math.inf, 10**400),
    "l2": (-0.1, math.nan, math.inf),
    "l1": (-0.1, math.nan, math.inf),
    "momentum": (-0.1, 1, math.nan, math.inf),
    "beta1": (-0.1, 1, math.nan, 1.0),
    "beta2": (-0.1, 1, math.nan, 1.0),
    "eps": (0, -1e-8, math.nan, math.inf, 1e39, 1e-50),
}
HAVE = {"sgd": ("lr", "l2", "l1", "momentum"), "adam": ("lr", "l2", "l1", "beta1", "beta2", "eps")}


@pytest.mark.parametrize(
    ("function", "name", "number"),
    [(f, name, number) for f, names in HAVE.items() for name in names for number in OUTSIDE[name]],
)
def test_numbers_outside_their_range_are_refused(function, name, number):
    step, numbers, names = STEPS[function]
    every = np.ones((len(names), 3, 4), np.float32)
    with pytest.raises(ValueError, match=f"^{name} "):
        step(*every, **numbers | {name: number})
    with pytest.raises(TypeError, match=f"{name} must be a number, not str"):
        step(*every, **numbers | {name: "0.5"})
    np.testing.assert_array_equal(every, 1)


@pytest.mark.parametrize("function", STEPS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1, 11])
def test_arrays_that_share_memory_are_refused(function, dtype, offset):
    """Each with each: the same, or the last element of one the first of the other."""
    step, numbers, names = STEPS[function]
    for i in range(len(names)):
        for j in range(len(names)):
            if i == j:
                continue
            memory = np.ones(40, dtype)
            every = [np.ones((3, 4), dtype) for _ in names]
            every[i] = memory[:12].reshape(3, 4)
            every[j] = memory[offset : offset + 12].reshape(3, 4)
            with pytest.raises(ValueError, match=f"({names[i]}|{names[j]}).*share memory"):
                step(*every, **numbers)
            np.testing.assert_array_equal(memory, 1)
            every[j] = memory[12:24].reshape(3, 4)  # beside is not the same
            step(*every, **numbers)


@pytest.mark.parametrize("function", STEPS)
def test_squares_that_share_memory_are_refused(function):
    step, numbers, names = STEPS[function]
    for i in range(len(names)):
        every = np.ones((len(names), 3, 4))
        with pytest.raises(ValueError, match=f"{names[i]} and squares share memory"):
            step(*every, **numbers, squares=every[i, 1])
        np.testing.assert_array_equal(every, 1)


@pytest.mark.parametrize("step", [10**6, 2**63, 10**400, np.int64(2**62)])
def test_adam_late_in_training(step):
    """The powers of beta1 and beta2 are 0, and the means are what they are."""
    value, grad, mean, square = np.ones((4, 3))
    submatrix.adam(value, grad, mean, square, lr=0.5, step=step, beta1=0.9, beta2=0.99, eps=1.0)
    np.testing.assert_allclose(value, 1 - 0.5 / 2, rtol=1e-12)


def test_a_subclass_that_lies_about_itself():
    class Liar(np.ndarray):
        shape = (1000, 1000)
        ndim = 2
        dtype = np.dtype(np.float64)
        size = 10**6

    plain = np.ones((4, 3, 4), np.float32)
    result = submatrix.gather(plain[0].view(Liar))
    assert (result.shape, result.dtype) == ((3, 4), np.float32)
    for arrays, step in ((plain[:3], submatrix.sgd), (plain, submatrix.adam)):
        expected = [array.copy() for array in arrays]
        numbers = {"lr": 0.1} | ({"step": 1} if step is submatrix.adam else {})
        step(*expected, **numbers)
        step(*(array.view(Liar) for array in arrays), **numbers)
        np.testing.assert_array_equal(arrays, expected)
        plain[:] = 1
    with pytest.raises(ValueError, match=r"grad has shape \(2, 4\)"):
        submatrix.sgd(plain[0], plain[1, :2].view(Liar), plain[2], lr=0.1)


@pytest.mark.parametrize("function", STEPS)
def test_a_prepared_step_owns_what_it_works_on(function):
    """Nothing else may hold the arrays, nor what is kept of them, when it is made."""
    _, numbers, names = STEPS[function]
    rng, (rows, row_keep), (columns, column_keep) = (
        np.random.default_rng(0), kept(30, 0.5, 1), kept(40, 0.5, 2),
    )  # fmt: skip
    every = [np.abs(rng.normal(size=(30, 40))) for _ in names]
    every[1] = np.ascontiguousarray(every[1][np.ix_(row_keep, column_keep)])
    options = {"momentum": 0.0, "nesterov": False, "l2": 0.0, "l1": 0.0, "squares": None} | numbers
    if function == "adam":
        options = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8} | options
        del options["momentum"], options["nesterov"]
    expected = [array.copy() for array in every]
    STEPS[function][0](*expected, rows, columns, **options)
    prepare = {"sgd": _submatrix.prepared_sgd, "adam": _submatrix.prepared_adam}[function]
    value, step = every[0], prepare(*every, rows, columns, **options)
    references = [weakref.ref(array) for array in every]
    del every, rows, columns
    gc.collect()
    assert all(reference() is not None for reference in references)
    step()
    np.testing.assert_array_equal(value, expected[0])


# --- The penalty of L1 ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", STEPS)
@pytest.mark.parametrize("size", [1, 64, 70])
def test_l1_has_the_sign_of_every_weight(instruction_set, dtype, function, size):
    """At both zeros it has none; at the smallest numbers, subnormal ones too, it has theirs."""
    info = np.finfo(dtype)
    ends = [0.0, info.smallest_subnormal, info.tiny, np.nextafter(info.tiny, dtype(0)), info.eps]
    value = np.resize(np.array([sign * end for end in ends for sign in (1, -1)], dtype), size)
    for start in range(10):  # of the one element, each
        _, numbers, names = STEPS[function]
        every = [np.roll(value, -start), *(np.zeros(size, dtype) for _ in names[1:])]
        if size == 1:
            every[0] = np.array([[sign * end for end in ends for sign in (1, -1)][start]], dtype)
        before = [array.copy() for array in every]
        if function == "sgd":
            submatrix.sgd(*every, lr=0.5, l1=0.25)
            plain_sgd(before[0], before[1], before[2], slice(None), 0.5, 0.0, False, 0.0, 0.25)
        else:
            submatrix.adam(*every, lr=0.5, step=1, l1=0.25)
            w, g, m, v = before
            plain_adam(w, g, m, v, slice(None), 0.5, 1, 0.9, 0.999, 1e-8, 0.0, 0.25)
        for found, right in zip(every, before, strict=True):
            np.testing.assert_array_equal(found, right)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(right))


@pytest.mark.parametrize("dtype", DTYPES)
def test_l1_moves_by_its_strength_and_not_at_zero(instruction_set, dtype):
    """In numbers, without a formula of the test's: w - lr l1 sign(w)."""
    tiny = np.finfo(dtype).smallest_subnormal
    value = np.array([0.0, -0.0, tiny, -tiny, 1.0, -1.0], dtype)
    submatrix.sgd(value, np.zeros(6, dtype), np.zeros(6, dtype), lr=0.5, l1=0.25)
    np.testing.assert_array_equal(value, [0, 0, -0.125, 0.125, 0.875, -0.875])
