"""Rates and independence over many elements. Every key is fixed, so a test either always passes or
never does."""

import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop._core import kernels

N = 100_000_000
KEY = bytes.fromhex("00112233445566778899aabbccddeeff")


def kept_count(p, draw, n=N):
    return int(np.bitwise_count(sd.Mask(KEY, draw, p, (n,)).packbits()).sum(dtype=np.int64))


@pytest.fixture(scope="module", autouse=True)
def fastest_instruction_set():
    before = kernels.instruction_set()
    kernels.use_instruction_set(kernels.instruction_sets()[0])
    yield
    kernels.use_instruction_set(before)


@pytest.mark.parametrize("p", [0, 5e-324, 2.0**-65])
def test_p_0_drops_none_of_a_billion(p):
    """Bug elsewhere: p = 0 still dropped, 3 to 11 in 1e8."""
    assert all(kept_count(p, draw) == N for draw in range(10))


@pytest.mark.parametrize("p", [1, 1 - 2.0**-53])
def test_p_1_drops_all_of_a_billion(p):
    """The largest p below 1 keeps one in 2**53."""
    assert all(kept_count(p, draw) == 0 for draw in range(10))


@pytest.mark.parametrize("p", [0.5, 0.1, 1 / 3, 1e-4, 0.999, 1 / 256 + 1e-6])
def test_rate(p):
    dropped = N - kept_count(p, 0)
    assert abs(dropped - N * p) < 5 * (N * p * (1 - p)) ** 0.5


def test_small_p_is_exact():
    """Bug elsewhere: a p below 1e-7 was inaccurate, or came in steps of 2**-23. Here each dropped
    element is known."""
    n = 25_000_000
    zeros = oracle.keystream(KEY, 7, 0, 0, n) == 0
    zeros &= oracle.keystream(KEY, 7, 1, 0, n) == 0
    candidates = np.flatnonzero(zeros)
    uniforms = np.array([oracle.uniforms(KEY, 7, e, e + 1)[0] for e in map(int, candidates)])
    assert len(candidates) > 200
    for p in (1e-5, 2e-6, 1.3e-6, 1e-6, 5e-7, 2.5e-7, 1e-7, 2e-8):
        dropped = np.unpackbits(~sd.Mask(KEY, 7, p, (n,)).packbits(), bitorder="little")[:n]
        np.testing.assert_array_equal(
            np.flatnonzero(dropped), candidates[uniforms < np.uint64(round(p * 2**64))]
        )
    for p in (2e-6, 1e-7):
        dropped = sum(N - kept_count(p, draw) for draw in range(5))
        assert abs(dropped - 5 * N * p) < 5 * (5 * N * p) ** 0.5


@pytest.mark.parametrize("p", [0.5, 0.1, 1 / 3])
def test_neighbours_are_uncorrelated(p):
    n = 10_000_000
    dropped = ~sd.Mask(KEY, 1, p, (n,)).keep()
    for lag in (1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 63, 64, 128, 255, 256, 1024, 4096, 65536):
        both = np.count_nonzero(dropped[lag:] & dropped[:-lag])
        covariance = both / (n - lag) - p * p
        # The variance of a product of two indicators, and of its neighbours that share one of them.
        variance = p**2 * (1 - p**2) + 2 * p**3 * (1 - p)
        assert abs(covariance) < 5 * (variance / (n - lag)) ** 0.5


@pytest.mark.parametrize("p", [0.5, 0.1, 1 / 3])
@pytest.mark.parametrize("modulus", [8, 16, 64, 256, 4096])
def test_every_position_has_the_same_rate(p, modulus):
    """Chi-square of the dropped elements over positions mod 64 and others: no lane is special."""
    rows = 16_000_000 // modulus
    dropped = ~sd.Mask(KEY, 2, p, (rows, modulus)).keep()
    counts = dropped.sum(axis=0)
    chi_square = ((counts - rows * p) ** 2).sum() / (rows * p * (1 - p))
    assert abs(chi_square - modulus) < 5 * (2 * modulus) ** 0.5


def test_groups_of_elements_take_every_pattern():
    """Chi-square of the 256 patterns of eight neighbours, and of eight elements 16 apart."""
    kept = sd.Mask(KEY, 3, 0.5, (100_000, 8, 16)).keep()
    for axis in (1, 2):
        patterns = np.packbits(
            kept.reshape(-1, 8) if axis == 2 else np.moveaxis(kept, 1, 2).reshape(-1, 8), axis=1
        )
        counts = np.bincount(patterns.ravel(), minlength=256)
        expected = patterns.size / 256
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi_square - 255) < 5 * (2 * 255) ** 0.5


def test_rate_over_draws_and_keys():
    """One element's rate over many masks, rather than one mask's over many elements."""
    n, repeats, p = 256, 20_000, 0.3
    stream = sd.Stream(6)
    over_draws = sum(~stream.mask((n,), p).keep() for _ in range(repeats))
    over_keys = sum(~child.mask((n,), p).keep() for child in stream.spawn(repeats))
    for counts in (over_draws, over_keys):
        chi_square = ((counts - repeats * p) ** 2).sum() / (repeats * p * (1 - p))
        assert abs(chi_square - n) < 5 * (2 * n) ** 0.5


def test_run_lengths_are_geometric():
    n, p = 4_000_000, 0.3
    dropped_at = np.flatnonzero(~sd.Mask(KEY, 4, p, (n,)).keep())
    gaps = np.diff(dropped_at)
    for gap in range(1, 20):
        expected = len(gaps) * p * (1 - p) ** (gap - 1)
        assert abs(np.count_nonzero(gaps == gap) - expected) < 5 * expected**0.5


def test_mean_and_variance_are_inverted_dropouts():
    """E[y] = x and Var[y] = x**2 p / (1 - p)."""
    n, p = 10_000_000, 0.2
    y, _ = sd.dropout(np.ones(n, np.float32), p, rng=3)
    deviation = (p / (1 - p)) ** 0.5
    assert abs(y.mean(dtype=np.float64) - 1) < 5 * deviation / n**0.5
    assert abs(y.std(dtype=np.float64) / deviation - 1) < 0.001
