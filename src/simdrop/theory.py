"""The mean of a function of a masked vector over all masks: exact, sampled or approximated."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _args
from simdrop._core.stream import Stream
from simdrop._names import explained

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Array = NDArray[Any]
Function = Callable[[Array], ArrayLike]

MOST_ELEMENTS = 20  # 2**20 masks take seconds for a small net; each further element doubles that
CHUNK = 4096  # masks at a time, which bounds the memory


@explained
def expectation(f: Function, x: ArrayLike, p: ArrayLike, *, scale: bool = False) -> tuple[Any, Any]:
    """
    Exact mean and variance of f(masked x) over all masks, each with its probability.

    ``sum over masks m of P(m) f(m * x)``, where ``P(m)`` is the product over all elements i of
    ``p_i`` if m drops it, else ``1 - p_i``: the average of the 2**H nets that share weights.

    Parameters
    ----------
    f : callable
        Maps (n, H), a masked vector of x's dtype in each row, to an array (n, ...).
    x : array_like
        (H,), at most 20 elements, floats (others are converted to float64).
    p : float or array_like
        Probability of DROPPING, in [0, 1]: one for all elements, or (H,).
    scale : bool, optional
        True multiplies kept elements by ``1 / (1 - p)``, as inverted dropout does.

    Returns
    -------
    mean, variance : float64 or ndarray of float64
        Of the shape of the result for one row.

    Raises
    ------
    ValueError
        If x has more than 20 elements or is not a vector, p does not fit or is not in [0, 1], or f
        does not give one result per row.
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
    moments = Moments()
    for start in range(0, masks, CHUNK):
        number = np.arange(start, min(start + CHUNK, masks))
        keep = np.tile(p < 1, (len(number), 1))
        keep[:, undecided] = number[:, None] >> np.arange(len(undecided)) & 1
        weight = np.where(keep, 1 - p, p).prod(axis=1)
        result = rows(f, np.where(keep, kept, x.dtype.type(0)))
        total = weight.sum()
        if total == 0:  # p is so close to 0 or 1 that the probabilities underflow
            continue
        mean = np.tensordot(weight, result, 1) / total
        moments.add(total, mean, np.tensordot(weight, (result - mean) ** 2, 1))
    return moments.mean, moments.squares / moments.weight


@explained
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
    rng : optional
        As in `simdrop.dropout`. A draw is taken for every 4096 masks and each distinct p.

    Returns
    -------
    mean, standard_error : float64 or ndarray of float64
        The latter is the sample standard deviation (with n - 1) over the root of n.

    Raises
    ------
    TypeError, ValueError
        As `expectation`, and if n is not an int of at least 2.

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
        raise ValueError(f"n = {n}, but a standard error needs at least two masks")
    stream = rng if isinstance(rng, Stream) else Stream(rng)
    kept = scaled(x, p, scale)
    columns = [(float(one), np.flatnonzero(p == one)) for one in np.unique(p)]
    moments = Moments()
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        keep = np.empty((size, len(x)), np.bool_)
        for one, where in columns:
            keep[:, where] = stream.mask((size, len(where)), one).keep()
        result = rows(f, np.where(keep, kept, x.dtype.type(0)))
        mean = result.mean(axis=0)
        moments.add(size, mean, ((result - mean) ** 2).sum(axis=0))
    return moments.mean, np.sqrt(moments.squares / (count - 1) / count)


class Moments:
    """Mean and sum of squares about the mean of samples that are added in chunks."""

    weight: float
    mean: Any
    squares: Any

    def __init__(self) -> None:
        self.weight, self.mean, self.squares = 0.0, 0.0, 0.0

    def add(self, weight: float, mean: Any, squares: Any) -> None:
        """A chunk's samples; by Chan's formula, without differences of large numbers."""
        difference = mean - self.mean
        total = self.weight + weight
        self.squares = self.squares + squares + difference**2 * (self.weight * weight / total)
        self.weight = total
        self.mean = self.mean + difference * (weight / total)


@explained
def weight_scaling(f: Function, x: ArrayLike, p: ArrayLike) -> Any:
    """
    f at the expected input, ``f((1 - p) x)``: what a net computes at inference.

    This is the exact mean where f is linear, and an approximation elsewhere.

    Parameters
    ----------
    f, x, p
        As `expectation`; x may have any number of elements.

    Returns
    -------
    float64 or ndarray of float64
        Of the shape of the result for one row.

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
    """x as a vector of floats, and p as a vector of float64."""
    x, p = _args.base(x), _args.probabilities(_args.base(p))
    if x.dtype.kind not in "biuf":
        raise TypeError(f"x must be of real numbers, not of {x.dtype}")
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    if x.ndim != 1:
        raise ValueError(f"x has shape {x.shape}, but must be a vector")
    if p.shape not in ((), x.shape):
        raise ValueError(f"p has shape {p.shape}, but must be a number or of shape {x.shape}")
    return x, np.broadcast_to(p, x.shape)


def scaled(x: Array, p: Array, scale: bool) -> Array:
    """The values of elements that are kept."""
    if not scale:
        return x
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p < 1, x * (1 / (1 - p)), 0).astype(x.dtype)


def rows(f: Function, batch: Array) -> Array:
    """f of a batch, as float64; ValueError unless there is one result per row."""
    result = np.asarray(f(batch), np.float64)
    if result.shape[:1] != batch.shape[:1]:
        raise ValueError(
            f"f gave shape {result.shape} for {len(batch)} rows, but must give one result per row"
        )
    return result
