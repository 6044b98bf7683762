"""What dropout averages over: the mean of a function of a masked vector, exact or approximate."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _arrays
from simdrop._core.stream import Stream

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Array = NDArray[Any]
Function = Callable[[Array], ArrayLike]

MOST_ELEMENTS = 20  # 2**20 masks take seconds for a small net; every further element doubles that
CHUNK = 4096  # masks at a time, so that memory is bounded


def expectation(f: Function, x: ArrayLike, p: ArrayLike, *, scale: bool = False) -> tuple[Any, Any]:
    """
    Exact mean and variance of f(masked x) over all masks, each with its probability.

    ``sum over masks m of P(m) f(m * x)``, with ``P(m) = product over i of p_i`` where m drops
    element i, ``1 - p_i`` where it keeps it: the average of the 2**H nets that share weights.

    Parameters
    ----------
    f : callable
        From (n, H), rows of masked vectors of x's type, to an array (n, ...).
    x : array_like
        (H,), at most 20 elements, floats (others are made float64).
    p : float or array_like
        Probability of DROPPING: of each element, or (H,); in [0, 1]. Elements with p = 0 are
        always kept, with p = 1 always dropped.
    scale : bool, optional
        True multiplies kept elements by ``1 / (1 - p)``, as inverted dropout does.

    Returns
    -------
    mean, variance : float64 or ndarray of float64
        Of the shape of one row's result.

    Raises
    ------
    ValueError
        If x has more than 20 elements or is no vector, p does not fit or is not in [0, 1], or f
        does not give one result a row.
    TypeError
        If x or p is not of real numbers.

    References
    ----------
    Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting",
    section 1; the running mean and variance: Chan, Golub and LeVeque (1983), "Algorithms for
    computing the sample variance".

    Examples
    --------
    >>> w = np.array([2.0, 3.0])
    >>> mean, variance = simdrop.theory.expectation(lambda x: x @ w, np.array([1.0, -4.0]), 0.25)
    >>> float(mean), float(variance)  # (1 - p) w.x and p (1 - p) sum (w x)**2
    (-7.5, 27.75)
    """
    x, p = checked(x, p)
    if len(x) > MOST_ELEMENTS:
        raise ValueError(
            f"x has {len(x)} elements, which have 2**{len(x)} masks; the most is {MOST_ELEMENTS}, "
            "and monte_carlo takes any number"
        )
    kept = scaled(x, p, scale)
    undecided = np.flatnonzero((p > 0) & (p < 1))
    masks = 2 ** len(undecided)
    total, mean, squares = 0.0, 0.0, 0.0  # of probabilities; weighted, and about the mean
    for start in range(0, masks, CHUNK):
        number = np.arange(start, min(start + CHUNK, masks))
        keep = np.tile(p < 1, (len(number), 1))
        keep[:, undecided] = number[:, None] >> np.arange(len(undecided)) & 1
        weight = np.where(keep, 1 - p, p).prod(axis=1)
        result = rows(f, np.where(keep, kept, x.dtype.type(0)))
        # Chunks join by Chan's formula: no difference of large numbers.
        share = weight.sum()
        if share == 0:  # p so close to 0 or 1 that probabilities are below float64's
            continue
        chunk_mean = np.tensordot(weight, result, 1) / share
        chunk_squares = np.tensordot(weight, (result - chunk_mean) ** 2, 1)
        difference = chunk_mean - mean
        squares = squares + chunk_squares + difference**2 * (total * share / (total + share))
        total += share
        mean = mean + difference * (share / total)
    return mean, squares / total


def monte_carlo(
    f: Function,
    x: ArrayLike,
    p: ArrayLike,
    n: int,
    *,
    rng: Rng = None,
    scale: bool = False,
) -> tuple[Any, Any]:
    """
    Mean of f(masked x) over n sampled masks, and its standard error.

    Parameters
    ----------
    f, x, p, scale
        As `expectation`; x may have any number of elements.
    n : int
        Number of masks, at least 2.
    rng : None, int, sequence of ints, SeedSequence, BitGenerator, Generator or Stream, optional
        As `simdrop.dropout`. A draw is taken for every 4096 masks and each different p.

    Returns
    -------
    mean, standard_error : float64 or ndarray of float64
        The latter is the sample's standard deviation (with n - 1) over the root of n.

    Raises
    ------
    TypeError, ValueError
        As `expectation`, and if n is no int of at least 2.

    References
    ----------
    Gal and Ghahramani (2016), "Dropout as a Bayesian approximation" (MC dropout).

    Examples
    --------
    >>> w = np.array([2.0, 3.0])
    >>> mean, error = simdrop.theory.monte_carlo(lambda x: x @ w, [1.0, -4.0], 0.25, 10**5, rng=0)
    >>> bool(abs(mean + 7.5) < 3 * error)
    True
    """
    x, p = checked(x, p)
    count = operator.index(n)
    if count < 2:
        raise ValueError(f"n = {n}, but a standard error needs two masks or more")
    stream = rng if isinstance(rng, Stream) else Stream(rng)
    kept = scaled(x, p, scale)
    columns = [(float(one), np.flatnonzero(p == one)) for one in np.unique(p)]
    total, mean, squares = 0, 0.0, 0.0
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        keep = np.empty((size, len(x)), np.bool_)
        for one, where in columns:
            keep[:, where] = stream.mask((size, len(where)), one).keep()
        result = rows(f, np.where(keep, kept, x.dtype.type(0)))
        chunk_mean = result.mean(axis=0)
        difference = chunk_mean - mean
        squares = squares + ((result - chunk_mean) ** 2).sum(axis=0)
        squares = squares + difference**2 * (total * size / (total + size))
        total += size
        mean = mean + difference * (size / total)
    return mean, np.sqrt(squares / (count - 1) / count)


def weight_scaling(f: Function, x: ArrayLike, p: ArrayLike) -> Any:
    """
    f at the expected input, ``f((1 - p) x)``: what a net computes at inference.

    It is the exact mean where f is linear, and an approximation of it elsewhere.

    Parameters
    ----------
    f, x, p
        As `expectation`; x may have any number of elements.

    Returns
    -------
    float64 or ndarray of float64
        Of the shape of one row's result.

    Raises
    ------
    TypeError, ValueError
        As `expectation`.

    References
    ----------
    Srivastava et al. (2014), section 4; Baldi and Sadowski (2013), "Understanding dropout".

    Examples
    --------
    >>> float(simdrop.theory.weight_scaling(lambda x: x @ np.array([2.0, 3.0]), [1.0, -4.0], 0.25))
    -7.5
    """
    x, p = checked(x, p)
    return rows(f, ((1 - p) * x).astype(x.dtype)[None])[0]


def checked(x: ArrayLike, p: ArrayLike) -> tuple[Array, Array]:
    """x as a vector of floats, and p as one of float64."""
    x, given = _arrays.base(x), _arrays.base(p)
    for name, array in (("x", x), ("p", given)):
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be of real numbers, not of {array.dtype}")
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    if x.ndim != 1:
        raise ValueError(f"x has shape {x.shape}, but must be a vector")
    given = given.astype(np.float64)
    if given.shape not in ((), x.shape):
        raise ValueError(f"p has shape {given.shape}, but must be a number or of shape {x.shape}")
    if not np.all((given >= 0) & (given <= 1)):
        raise ValueError(f"p = {p!r}, but the probability of dropping must be in [0, 1]")
    return x, np.broadcast_to(given, x.shape)


def scaled(x: Array, p: Array, scale: bool) -> Array:
    """The elements as they are where kept."""
    if not scale:
        return x
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p < 1, x * (1 / (1 - p)), 0).astype(x.dtype)


def rows(f: Function, batch: Array) -> Array:
    """f of a batch, as float64; ValueError unless it is one result a row."""
    result = np.asarray(f(batch), np.float64)
    if result.shape[:1] != batch.shape[:1]:
        raise ValueError(
            f"f gave shape {result.shape} for {len(batch)} rows, but must give one result a row"
        )
    return result
