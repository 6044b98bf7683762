"""Dropout of larger parts than elements: whole samples, square blocks of images, words."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _args, _arrays
from simdrop._core.apply import operands
from simdrop._core.dropout import dropout
from simdrop._core.mask import Mask, probability
from simdrop._core.stream import next_mask
from simdrop._names import explained
from simdrop._values import OfArrays, Values

if TYPE_CHECKING:
    from simdrop._core.stream import Rng
    from simdrop._typing import Scalar

Array = NDArray[Any]

PAGE = 4096  # bytes
CHUNK = 2**16  # bytes of decisions at a time, which stay in the L1 and L2 caches


@overload
def drop_path(
    x: NDArray[Scalar],
    p: float | Array,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], Mask]: ...


@overload
def drop_path(
    x: ArrayLike,
    p: float | Array,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]: ...


@explained
def drop_path(
    x: ArrayLike,
    p: float | Array,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]:
    """
    Stochastic depth: set each sample, as a whole, to zero with probability p; scale the others.

    ``y[b] = x[b] * d[b] / (1 - p)``, where ``d[b]`` is 0 with probability p, else 1: some samples
    skip the residual branch. It is `dropout` with all axes but the first shared.

    Parameters
    ----------
    x : array_like
        (batch, ...), of the dtypes that `dropout` takes.
    p : float or ndarray
        Probability of DROPPING a sample, in [0, 1]; an array of shape (batch, 1, ...) as in
        `dropout`.
    rng, training, scale, out
        As in `dropout`; the paper does not scale.

    Returns
    -------
    y : ndarray
        As from `dropout`.
    mask : Mask
        Its `shared_axes` are all but the first.

    Raises
    ------
    TypeError, ValueError
        As `dropout`; ValueError if x has no axes.

    References
    ----------
    Huang et al. (2016), "Deep networks with stochastic depth", equation 2.

    Examples
    --------
    >>> y, mask = simdrop.drop_path(np.ones((4, 2)), 0.5, rng=0)
    >>> y
    array([[0., 0.],
           [2., 2.],
           [2., 2.],
           [0., 0.]])
    """
    axes = _args.axes_of_a_sample(_args.base(x).ndim)
    return dropout(x, p, rng=rng, shared_axes=axes, training=training, scale=scale, out=out)


class DropBlockContext(Values):
    """
    The blocks that `drop_block` dropped, as a few numbers.

    Attributes
    ----------
    corners : Mask
        Of the positions that the upper left corner of a block can have; it drops those where a
        block begins.
    block_size : int
        Length of a side.
    scale : float
        What kept elements are multiplied by: the number of elements over the number of kept ones,
        0.0 if none is kept, and 1.0 with ``scale=False``.
    """

    __slots__ = ("corners", "block_size", "scale")
    corners: Mask
    block_size: int
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the arrays that it is applied to."""
        *leading, rows, columns = self.corners.shape
        return *leading, rows + self.block_size - 1, columns + self.block_size - 1

    def keep(self) -> NDArray[np.bool_]:
        """True where an element is kept; of shape `shape`."""
        return ~np.broadcast_to(covered(self.corners, self.block_size), self.shape)

    @overload
    def apply(
        self, x: NDArray[Scalar], *, out: NDArray[Scalar] | None = None
    ) -> NDArray[Scalar]: ...

    @overload
    def apply(self, x: ArrayLike, *, out: Array | None = None) -> Array: ...

    def apply(self, x: ArrayLike, *, out: Array | None = None) -> Array:
        """``x * scale`` where kept, exactly +0 where dropped: as `Mask.apply`."""
        source, y = operands(x, out, self.shape, self.corners.scaled)
        select(source, covered(self.corners, self.block_size), self.scale, y)
        result: Array = _args.delivered(x, source, y, out)
        return result

    @overload
    def backward(
        self, dy: NDArray[Scalar], *, out: NDArray[Scalar] | None = None
    ) -> NDArray[Scalar]: ...

    @overload
    def backward(self, dy: ArrayLike, *, out: Array | None = None) -> Array: ...

    def backward(self, dy: ArrayLike, *, out: Array | None = None) -> Array:
        """The gradient with respect to x, `scale` taken as a constant: ``apply(dy, out=out)``."""
        return self.apply(dy, out=out)


@overload
def drop_block(
    x: NDArray[Scalar],
    p: float,
    block_size: int,
    *,
    shared_axes: int | Sequence[int] = (),
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], DropBlockContext]: ...


@overload
def drop_block(
    x: ArrayLike,
    p: float,
    block_size: int,
    *,
    shared_axes: int | Sequence[int] = (),
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, DropBlockContext]: ...


@explained
def drop_block(
    x: ArrayLike,
    p: float,
    block_size: int,
    *,
    shared_axes: int | Sequence[int] = (),
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, DropBlockContext]:
    """
    DropBlock: set square blocks of images to zero, and scale the rest to keep the mean.

    At each of the (H - b + 1)(W - b + 1) positions where a block of side b = `block_size` fits into
    the image, one begins with probability ``gamma = p / b**2 * H W / ((H - b + 1)(W - b + 1))``.
    Blocks may overlap, so rather less than p is dropped: an element that n positions cover is kept
    with probability ``(1 - gamma)**n``, where n = b**2 except near the border.

    Parameters
    ----------
    x : array_like
        (..., H, W), such as NCHW, of the dtypes that `dropout` takes.
    p : float
        Probability of DROPPING an element, in [0, 1]; approximate unless b = 1.
    block_size : int
        b, from 1 to the smaller of H and W, even or odd.
    shared_axes : int or tuple of ints, optional
        Axes before the last two along which blocks are the same: ``1`` for all channels.
    rng, training, scale, out
        As in `dropout`; kept elements are scaled by the number of elements over that of kept ones.

    Returns
    -------
    y : ndarray
        As from `dropout`.
    ctx : DropBlockContext
        With `backward` and `keep()`: a few numbers, no array.

    Raises
    ------
    TypeError, ValueError
        As `dropout`; ValueError if x has fewer than two axes, a block does not fit, or H or W is
        shared.

    References
    ----------
    Ghiasi, Lin and Le (2018), "DropBlock: a regularization method for convolutional networks",
    algorithm 1 and equation 1.

    Examples
    --------
    >>> y, ctx = simdrop.drop_block(np.ones((4, 6)), 0.3, 2, rng=1)
    >>> ctx.keep().astype(int)
    array([[1, 0, 0, 1, 1, 1],
           [1, 0, 0, 1, 0, 0],
           [0, 0, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 1]])
    >>> ctx.scale
    2.0
    """
    array, p, size = _args.base(x), probability(p), operator.index(block_size)
    positions, gamma = corner_positions(array.shape, p, size)
    axes = _args.checked_axes(shared_axes, array.ndim)
    if axes and axes[-1] >= array.ndim - 2:
        raise ValueError(f"shared_axes = {shared_axes}, but blocks lie in the last two axes")
    source, y = operands(array, out, array.shape, scale)
    corners = next_mask(rng, gamma, positions, shared_axes=axes, training=training, scale=scale)
    if corners.p == 0 and out is None:
        return _args.delivered(x, array, array, out), DropBlockContext(corners, size, 1.0)
    drop = covered(corners, size)
    factor = block_scale(drop) if scale else 1.0
    select(source, drop, factor, y)
    return _args.delivered(x, array, y, out), DropBlockContext(corners, size, factor)


def corner_positions(shape: Sequence[int], p: float, size: int) -> tuple[tuple[int, ...], float]:
    """The shape of the positions where blocks may begin, and gamma, the probability of each."""
    if len(shape) < 2:
        raise ValueError(f"x has shape {tuple(shape)}, but its last two axes are those of an image")
    *leading, height, width = shape
    if not 1 <= size <= min(height, width):
        raise ValueError(
            f"block_size = {size}, but must be from 1 to the smaller of {(height, width)}"
        )
    positions = (*leading, height - size + 1, width - size + 1)
    return positions, corner_probability(p, size, height, width)


def block_scale(drop: NDArray[np.bool_]) -> float:
    """What keeps the mean: the number of elements over that of kept ones, 0 if there are none."""
    kept = drop.size - int(np.count_nonzero(drop))
    return drop.size / kept if kept else 0.0


def corner_probability(p: float, size: int, height: int, width: int) -> float:
    """gamma, the probability that a block begins at a position."""
    # The quotient is at most 1, and exactly 1 for blocks of one element.
    return p * (height * width / (size * size * (height - size + 1) * (width - size + 1)))


def kept_probability(p: float, block_size: int, shape: Sequence[int]) -> Array:
    """The probability that `drop_block` keeps an element, (H, W), for arrays of a shape."""
    covering = []  # along each axis, the number of positions that cover an element
    for n in shape[-2:]:
        index = np.arange(n)
        most = min(block_size, n - block_size + 1)
        covering.append(np.minimum(np.minimum(index + 1, n - index), most))
    gamma = corner_probability(p, block_size, *shape[-2:])
    kept: Array = (1 - gamma) ** np.multiply.outer(*covering)
    return kept


def covered(corners: Mask, block_size: int) -> NDArray[np.bool_]:
    """Which elements a block covers; of length 1 along shared axes."""
    decisions = corners._each_once()
    *leading, rows, columns = decisions.shape
    height, width = rows + block_size - 1, columns + block_size - 1
    drop = np.zeros((*leading, height, width), np.bool_)
    np.logical_not(decisions.keep(), out=drop[..., :rows, :columns])
    # An element is covered if a block begins at most b - 1 before it along both axes. This holds in
    # the flat array, too: the last b - 1 rows and columns of an image have no corners, so that no
    # block reaches past an end.
    flat = drop.reshape(-1)
    size = max(1, CHUNK // (height * width)) * height * width
    memory = np.empty(min(size, len(flat)) + PAGE, np.bool_)
    for start in range(0, len(flat), size):
        images = flat[start : start + size]
        # Half a page away from the images, modulo a page: where the low bits of two addresses are
        # the same, CPUs let a load wait for an earlier store as if it were to the same place.
        offset = (address(images) - address(memory) + PAGE // 2) % PAGE
        before = memory[offset : offset + len(images)]
        for step in (1, width):
            reach = 1  # elements that have been combined, from each element backwards
            while reach < block_size:
                more = min(reach, block_size - reach)
                earlier = before[: len(images) - more * step]
                np.copyto(earlier, images[: len(earlier)])
                np.logical_or(images[-len(earlier) :], earlier, out=images[-len(earlier) :])
                reach += more
    return drop


def address(array: Array) -> int:
    """Of the first element; `array.ctypes` cannot be imported in a finalizer."""
    first: int = array.__array_interface__["data"][0]
    return first


def select(x: Array, drop: NDArray[np.bool_], scale: float | Array, y: Array) -> None:
    """Write +0 to y where dropped, x * scale elsewhere; `drop` and `scale` broadcast to y."""
    if np.ndim(scale) == 0 and scale == 1:
        np.copyto(y, x)
    else:
        _arrays.multiply(x, scale, y)
    np.copyto(y, np.zeros((), y.dtype), where=drop)


class EmbeddingDropoutContext(OfArrays):
    """
    The words that `embedding_dropout` dropped, and those that it looked up.

    Attributes
    ----------
    mask : Mask
        Of the embedding matrix's shape, all axes but the first shared.
    indices : ndarray of intp
        The words that were looked up.
    """

    __slots__ = ("mask", "indices")
    mask: Mask
    indices: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of y and dy."""
        return self.indices.shape + self.mask.shape[1:]

    @overload
    def backward(
        self, dy: NDArray[Scalar], *, out: NDArray[Scalar] | None = None
    ) -> NDArray[Scalar]: ...

    @overload
    def backward(self, dy: ArrayLike, *, out: Array | None = None) -> Array: ...

    def backward(self, dy: ArrayLike, *, out: Array | None = None) -> Array:
        """
        The gradient with respect to the embedding matrix, of its shape and dy's dtype.

        The row of a word is the sum of its rows in dy, times `mask.scale`; 0 if it was dropped.
        """
        given, dy = dy, _args.base(dy)
        _args.check_maskable(dy, self.shape, self.mask.scaled)
        dweight = _args.result(out, self.mask.shape, dy.dtype)
        rows = dy.reshape(self.indices.size, *self.mask.shape[1:])
        if _arrays.is_small_float(dy.dtype):  # summed in float32 and rounded once
            rows = rows.astype(np.float32)
        # Sorted by word, so that the rows of each are added by one reduceat.
        order = np.argsort(self.indices, axis=None, kind="stable")
        words, starts = np.unique(self.indices.ravel()[order], return_index=True)
        sums = np.add.reduceat(rows[order], starts, axis=0) if len(words) else rows
        dweight[...] = 0
        dweight[words] = sums
        self.mask.backward(dweight, out=dweight)
        result: Array = _args.delivered(given, dy, dweight, out)
        return result


@overload
def embedding_dropout(
    weight: NDArray[Scalar],
    p: float | Array,
    *,
    indices: None = None,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], Mask]: ...


@overload
def embedding_dropout(
    weight: ArrayLike,
    p: float | Array,
    *,
    indices: None = None,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]: ...


@overload
def embedding_dropout(
    weight: NDArray[Scalar],
    p: float | Array,
    *,
    indices: ArrayLike,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], EmbeddingDropoutContext]: ...


@overload
def embedding_dropout(
    weight: ArrayLike,
    p: float | Array,
    *,
    indices: ArrayLike,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, EmbeddingDropoutContext]: ...


@explained
def embedding_dropout(
    weight: ArrayLike,
    p: float | Array,
    *,
    indices: ArrayLike | None = None,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask | EmbeddingDropoutContext]:
    """
    Word dropout: set rows of an embedding matrix to zero with probability p; scale the others.

    ``y[w] = weight[w] * d[w] / (1 - p)``, where ``d[w]`` is 0 with probability p, else 1: one
    decision per word, at all its positions in the text. With `indices`, the result is
    ``y[indices]``, and nothing else is computed.

    Parameters
    ----------
    weight : array_like
        (words, features...), of the dtypes that `dropout` takes.
    p : float or ndarray
        Probability of DROPPING a word, in [0, 1]; an array of shape (words,) or (words, 1, ...)
        gives each word its own.
    indices : array_like of ints, optional
        Words to look up, of any shape, such as (time steps, batch); each in [0, words).
    rng, training, scale
        As in `dropout`.
    out : ndarray, optional
        Where to write y; of its shape and weight's dtype.

    Returns
    -------
    y : ndarray
        Of weight's shape, or ``indices.shape + weight.shape[1:]``.
    ctx : Mask or EmbeddingDropoutContext
        The latter with `indices`. ``ctx.backward(dy)`` is the gradient with respect to `weight`.

    Raises
    ------
    TypeError, ValueError
        As `dropout`; ValueError if `weight` has no axes, TypeError if indices are not ints.
    IndexError
        If an index is not a word's.

    References
    ----------
    Gal and Ghahramani (2016), "A theoretically grounded application of dropout in recurrent neural
    networks", section 4.2; Merity et al. (2018), "Regularizing and optimizing LSTM language
    models", section 4.3.

    Examples
    --------
    >>> y, ctx = simdrop.embedding_dropout(np.eye(4), 0.5, indices=[2, 0, 2], rng=0)
    >>> y
    array([[0., 0., 2., 0.],
           [0., 0., 0., 0.],
           [0., 0., 2., 0.]])
    """
    given, weight = weight, _args.base(weight)
    if weight.ndim == 0:
        raise ValueError("weight has no axes, but its first one is that of the words")
    if isinstance(p, np.ndarray) and p.ndim == 1:
        p = p.reshape(-1, *(1,) * (weight.ndim - 1))
    if indices is None:
        return drop_path(given, p, rng=rng, training=training, scale=scale, out=out)
    words = _args.base(indices)
    if words.dtype.kind not in "iu" and words.size:
        raise TypeError(f"indices must be ints, not {words.dtype}")
    words = words.astype(np.intp)  # a copy, which the gradient needs unchanged
    words.flags.writeable = False
    outside = words[(words < 0) | (words >= len(weight))]
    if outside.size:
        raise IndexError(f"index {outside[0]} is not one of {len(weight)} words")
    _args.check_dtype(weight.dtype, scale)
    y = _args.result(out, words.shape + weight.shape[1:], weight.dtype)
    mask = next_mask(
        rng,
        p,
        weight.shape,
        shared_axes=tuple(range(1, weight.ndim)),
        training=training,
        scale=scale,
        array_p=True,
    )
    keep, factor = mask._each_once().keep(), mask.scale
    if np.ndim(factor):
        factor = np.broadcast_to(factor, keep.shape)[words]
    select(np.asarray(weight[words]), ~keep[words], factor, y)
    return _args.delivered(given, weight, y, out), EmbeddingDropoutContext(mask, words)
