"""Averages over masks: against plain enumeration and formulas, and the page that tells of them."""

import itertools
import pathlib
import re
import runpy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop.theory import CHUNK, expectation, monte_carlo, weight_scaling

ROOT = pathlib.Path(__file__).parents[2]
NUMBERS = np.random.default_rng(0).normal(size=(2, 20, 3))


def f(x):
    """Of H elements to three numbers, not linear."""
    return np.tanh(x @ NUMBERS[0, : x.shape[1]]) + (x**2) @ NUMBERS[1, : x.shape[1]]


def enumerated(f, x, p, scale):
    """Mean and variance as they are defined, a mask at a time."""
    values, weights = [], []
    for keep in itertools.product((0, 1), repeat=len(x)):
        keep = np.array(keep, bool)
        factors = [1 / (1 - q) if scale and q < 1 else 1 for q in p]
        values.append(f(np.where(keep, x * factors, 0)[None])[0])
        weights.append(np.prod([1 - q if k else q for q, k in zip(p, keep, strict=True)]))
    values, weights = np.array(values), np.array(weights)[:, None]
    mean = (weights * values).sum(axis=0)
    return mean, (weights * (values - mean) ** 2).sum(axis=0)


probabilities = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@given(st.lists(st.tuples(st.floats(-3, 3), probabilities), max_size=8), st.booleans())
def test_expectation_is_the_sum_over_all_masks(pairs, scale):
    x, p = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    if scale:
        p = np.where(p > 0.99, 1, p)  # of 1 / (1 - p), squared
    mean, variance = expectation(f, x, p, scale=scale)
    expected = enumerated(f, x, p, scale)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(variance, expected[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [False, True])
def test_a_linear_function_of_the_most_elements(scale):
    """E = (1 - p) w.x and Var = p (1 - p) sum (w x)**2, over 2**20 masks, a chunk at a time."""
    x, w = NUMBERS[:, :, 0]
    p = np.linspace(0.05, 0.95, 20)
    sizes = []

    def linear(batch):
        sizes.append(len(batch))
        return batch @ w

    mean, variance = expectation(linear, x, p, scale=scale)
    factor = 1 / (1 - p) if scale else 1
    assert mean == pytest.approx(((1 - p) * factor * w * x).sum(), rel=1e-12)
    assert variance == pytest.approx((p * (1 - p) * (factor * w * x) ** 2).sum(), rel=1e-12)
    assert max(sizes) == CHUNK and sum(sizes) == 2**20


def test_the_variance_survives_a_large_mean():
    mean, variance = expectation(lambda x: x[:, 0] + 1e9, [1.0, 0.0], 0.5)
    assert mean == 1e9 + 0.5 and variance == pytest.approx(0.25, rel=1e-6)


def test_elements_that_are_decided_are_exact():
    """At p = 0 and 1 nothing is random: one mask, whatever the element's value."""
    batches = []

    def first(batch):
        batches.append(batch.copy())
        return batch[:, 0]

    mean, variance = expectation(first, [2.0, np.nan, 3.0], [0, 1, 0], scale=True)
    assert (mean, variance) == (2, 0)
    np.testing.assert_array_equal(batches, [[[2, 0, 3]]])
    mean, variance = expectation(first, [2.0], 5e-324)
    assert mean == 2 and 0 < variance < 1e-300


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_f_gets_the_type_of_x(dtype):
    def same(batch):
        assert batch.dtype == dtype and batch.ndim == 2
        return batch.sum(axis=1)

    x = np.ones(3, dtype)
    for scale in (False, True):
        expectation(same, x, 0.5, scale=scale)
        monte_carlo(same, x, 0.5, 10, scale=scale)
    weight_scaling(same, x, 0.5)
    assert expectation(lambda x: x[:, 0], [3], 0.25)[0] == 2.25  # ints become float64


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("p", [0.3, [0.0, 0.2, 0.2, 0.9, 1.0, 0.5]])
def test_monte_carlo_approaches_the_expectation(p, scale):
    x = np.linspace(-1, 1.5, 6)
    n = 2_000_000
    exact, variance = expectation(f, x, p, scale=scale)
    mean, error = monte_carlo(f, x, p, n, rng=1, scale=scale)
    np.testing.assert_allclose(error, np.sqrt(variance / n), rtol=0.01)
    assert np.all(np.abs(mean - exact) < 4 * error)
    assert np.all(error < 0.02)


def test_monte_carlo_is_plain_sampling():
    """Of one draw a chunk, with NumPy's mean and standard deviation."""
    x, n = np.array([1.0, 2.0, -3.0]), CHUNK + 100
    keep = np.concatenate(
        [sd.Mask(sd.Stream(7).key, i, 0.4, (size, 3)).keep() for i, size in enumerate((CHUNK, 100))]
    )
    values = f(np.where(keep, x, 0))
    stream = sd.Stream(7)
    mean, error = monte_carlo(f, x, 0.4, n, rng=stream)
    assert stream.draw == 2
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(error, values.std(axis=0, ddof=1) / n**0.5, rtol=1e-12)
    np.testing.assert_array_equal(mean, monte_carlo(f, x, 0.4, n, rng=7)[0])


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8), st.floats(0, 1))
def test_weight_scaling_is_exact_where_f_is_linear(x, p):
    w = NUMBERS[0, : len(x), 0]
    mean = expectation(lambda x: x @ w, x, p)[0]
    assert weight_scaling(lambda x: x @ w, x, p) == pytest.approx(mean, rel=1e-9, abs=1e-9)


def test_weight_scaling_is_f_of_the_mean_elsewhere():
    x, p = np.array([1.0, 2.0, -1.0]), np.array([0, 0.5, 1])
    np.testing.assert_array_equal(weight_scaling(f, x, p), f(np.array([[1, 1, 0.0]]))[0])


@pytest.mark.parametrize(
    ("error", "x", "p"),
    [
        (ValueError, np.ones((2, 2)), 0.5),
        (ValueError, 1.0, 0.5),
        (TypeError, np.ones(2, complex), 0.5),
        (TypeError, "abc", 0.5),
        (ValueError, np.ones(2), np.nan),
        (ValueError, np.ones(2), 1.5),
        (ValueError, np.ones(2), [0.5, -0.1]),
        (ValueError, np.ones(2), [0.5] * 3),
        (ValueError, np.ones(2), [[0.5] * 2]),
        (TypeError, np.ones(2), None),
        (TypeError, np.ones(2), "0.5"),
    ],
)
def test_bad_input(error, x, p):
    stream = sd.Stream(0)
    for call in (expectation, weight_scaling, lambda *a: monte_carlo(*a, 10, rng=stream)):
        with pytest.raises(error):
            call(f, x, p)
    assert stream.draw == 0


def test_too_many_elements_and_bad_functions():
    with pytest.raises(ValueError, match=r"x has 21 elements, which have 2\*\*21 masks"):
        expectation(f, np.ones(21), 0.5)
    for bad in (lambda x: x[:-1], lambda x: 1.0, lambda x: x.T):
        for call in (expectation, weight_scaling, lambda *a: monte_carlo(*a, 10)):
            with pytest.raises(ValueError, match="must give one result per row"):
                call(bad, np.ones(3), 0.5)
    for n, error in ((1, ValueError), (0, ValueError), (2.0, TypeError)):
        with pytest.raises(error):
            monte_carlo(f, np.ones(2), 0.5, n)


# --- docs/explanation/theory.md ---


def test_the_pages_code_runs():
    names = {}
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/explanation/theory.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)


def test_the_pages_table_is_what_the_example_finds():
    pytest.importorskip("sklearn")
    example = runpy.run_path(str(ROOT / "examples/theory.py"))
    page = (ROOT / "docs/explanation/theory.md").read_text()
    mean, variance, scaled = example["two_neurons"]()
    assert f"mean == {mean} ==" in page and f"variance == {variance} ==" in page and scaled == mean
    table = re.findall(r"^\| ([^|]+) \| (\d\.\d+) \| (\d+\.\d) % \|$", page, re.MULTILINE)
    found = example["compare"]()
    assert [row[0] for row in table] == [row[0] for row in found]
    for (_, distance, error), (_, found_distance, found_error) in zip(table, found, strict=True):
        # Another BLAS rounds otherwise, which training makes larger.
        assert float(distance) == pytest.approx(found_distance, rel=0.02, abs=1e-4)
        assert float(error) == pytest.approx(100 * found_error, abs=0.7)
    scaled, geometric = found[1][1:], found[-1][1:]
    assert scaled == pytest.approx(geometric, rel=1e-9)
