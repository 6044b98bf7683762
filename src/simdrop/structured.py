"""Dropout of larger parts than elements: whole samples, square blocks of images, words."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _arrays
from simdrop._core.dropout import draw_mask, dropout
from simdrop._core.mask import Mask
from simdrop._values import Values

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Array = NDArray[Any]

NEAR = 2**16  # bytes of decisions at a time, so that they stay in near caches


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

    ``y[b] = x[b] * d[b] / (1 - p)``, with ``d[b] = 0`` with probability p, else 1: what a residual
    block adds is left out for some samples. It is `dropout` with all axes but the first shared.

    Parameters
    ----------
    x : array_like
        (batch, ...), of the types that `dropout` takes.
    p : float or ndarray
        Probability of DROPPING a sample, in [0, 1]; an array as of `dropout`, (batch, 1, ...).
    rng, training, out
        As `dropout`.
    scale : bool, optional
        False leaves kept samples as they are, as the paper does it.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself as from `dropout`.
    mask : Mask
        With `backward`; its `shared_axes` are all but the first.

    Raises
    ------
    TypeError, ValueError
        As `dropout`, and ValueError if x has no axes.

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
    x = _arrays.base(x)
    if x.ndim == 0:
        raise ValueError("x has no axes, but its first one is that of the samples")
    axes = range(1, x.ndim)
    return dropout(x, p, rng=rng, shared_axes=axes, training=training, scale=scale, out=out)


class DropBlock(Values):
    """
    Which blocks of images are dropped, as a few numbers; what `drop_block` returns.

    Attributes
    ----------
    corners : Mask
        Of the places where a block's upper left corner can be; where it drops, a block begins.
    block_size : int
        Of a side.
    scale : float
        What kept elements are multiplied by: the number of elements divided by that of the kept
        ones, 0.0 if none is, and 1.0 with ``scale=False``.
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
        """True where an element is kept, of the shape `shape`."""
        return ~np.broadcast_to(covered(self.corners, self.block_size), self.shape)

    def apply(self, x: ArrayLike, *, out: Array | None = None) -> Array:
        """``x * scale`` where kept, exactly +0 where dropped; as `Mask.apply`."""
        x = _arrays.base(x)
        y = target(x, self.shape, self.corners.scaled, out)
        select(x, covered(self.corners, self.block_size), self.scale, y)
        return y if out is None else out

    def backward(self, dy: ArrayLike, *, out: Array | None = None) -> Array:
        """The gradient with respect to x, `scale` taken as a constant: ``apply(dy, out=out)``."""
        return self.apply(dy, out=out)


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
) -> tuple[Array, DropBlock]:
    """
    Set square blocks of images to zero, and scale the rest by the number of elements over the kept.

    A block of b = `block_size` begins at each of the (H - b + 1)(W - b + 1) places where all of it
    is inside with probability ``gamma = p / b**2 * H W / ((H - b + 1)(W - b + 1))``. Blocks may
    overlap, so rather less than p is dropped: an element that n places reach is kept with
    probability ``(1 - gamma)**n``, n = b**2 but near the border.

    Parameters
    ----------
    x : array_like
        (..., H, W), such as NCHW, of the types that `dropout` takes.
    p : float
        About the probability of DROPPING an element, in [0, 1]; for b = 1 exactly.
    block_size : int
        b, from 1 to the smaller of H and W, even or odd.
    shared_axes : int or tuple of ints, optional
        Axes before the last two along which blocks are the same: ``1`` for all channels.
    rng, training, out
        As `dropout`.
    scale : bool, optional
        False leaves kept elements as they are.

    Returns
    -------
    y : ndarray
        Of x's shape and type; x itself as from `dropout`.
    mask : DropBlock
        With `backward` and `keep()`. It holds no array.

    Raises
    ------
    TypeError, ValueError
        As `dropout`; ValueError if x has no two axes, a block does not fit, or H or W is shared.

    References
    ----------
    Ghiasi, Lin and Le (2018), "DropBlock: a regularization method for convolutional networks",
    algorithm 1 and equation 1.

    Examples
    --------
    >>> y, mask = simdrop.drop_block(np.ones((4, 6)), 0.3, 2, rng=1)
    >>> mask.keep().astype(int)
    array([[1, 0, 0, 1, 1, 1],
           [1, 0, 0, 1, 0, 0],
           [0, 0, 1, 1, 0, 0],
           [0, 0, 1, 1, 1, 1]])
    >>> mask.scale
    2.0
    """
    x = _arrays.base(x)
    size = operator.index(block_size)
    # A mask of x's shape, which is not drawn: it checks p and the axes.
    form = Mask(bytes(16), 0, p, x.shape, shared_axes=shared_axes)
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}, but its last two axes are those of an image")
    if form.shared_axes and form.shared_axes[-1] >= x.ndim - 2:
        raise ValueError(f"shared_axes = {shared_axes}, but blocks lie in the last two axes")
    height, width = x.shape[-2:]
    if not 1 <= size <= min(height, width):
        raise ValueError(
            f"block_size = {size}, but must be from 1 to the smaller of {x.shape[-2:]}"
        )
    y = target(x, x.shape, scale, out)
    rows, columns = height - size + 1, width - size + 1
    gamma = corner_probability(form.p, size, height, width)
    places = (*x.shape[:-2], rows, columns)
    axes = form.shared_axes
    corners = draw_mask(rng, gamma, places, shared_axes=axes, training=training, scale=scale)
    if corners.p == 0 and out is None:
        return x, DropBlock(corners, size, 1.0)
    drop = covered(corners, size)
    kept = drop.size - int(np.count_nonzero(drop))
    factor = 1.0 if not scale else drop.size / kept if kept else 0.0
    select(x, drop, factor, y)
    return y if out is None else out, DropBlock(corners, size, factor)


def corner_probability(p: float, size: int, height: int, width: int) -> float:
    """gamma: with which a block begins at each place where one can."""
    # The quotient is at most 1, and is 1 for blocks of one element.
    return p * (height * width / (size * size * (height - size + 1) * (width - size + 1)))


def kept_probability(p: float, block_size: int, shape: Sequence[int]) -> Array:
    """With which `drop_block` keeps each element of an image (H, W) of arrays of a shape."""
    reach = []  # of corners, by how many an element is covered
    for n in shape[-2:]:
        index = np.arange(n)
        most = min(block_size, n - block_size + 1)
        reach.append(np.minimum(np.minimum(index + 1, n - index), most))
    gamma = corner_probability(p, block_size, *shape[-2:])
    kept: Array = (1 - gamma) ** np.multiply.outer(*reach)
    return kept


def covered(corners: Mask, block_size: int) -> NDArray[np.bool_]:
    """Which elements a block covers; of length 1 along shared axes."""
    shared = corners.shared_axes
    *leading, rows, columns = (1 if i in shared else n for i, n in enumerate(corners.shape))
    height, width = rows + block_size - 1, columns + block_size - 1
    drop = np.zeros((*leading, height, width), np.bool_)
    keep = decisions(corners, (*leading, rows, columns))
    np.logical_not(keep, out=drop[..., :rows, :columns])
    # An element is covered if one of the corners up to b - 1 before it is. Of the flat images, too:
    # their last b - 1 rows and columns hold no corner, so none reaches over an end.
    flat = drop.reshape(-1)
    size = max(1, NEAR // (height * width)) * height * width
    before = np.empty(min(size, len(flat)), np.bool_)
    for start in range(0, len(flat), size):
        images = flat[start : start + size]
        for step in (1, width):
            reach = 1  # elements that each position looks back over, itself included
            while reach < block_size:
                more = min(reach, block_size - reach)
                earlier = before[: len(images) - more * step]
                np.copyto(earlier, images[: len(earlier)])
                np.logical_or(images[-len(earlier) :], earlier, out=images[-len(earlier) :])
                reach += more
    return drop


def decisions(mask: Mask, shape: Sequence[int]) -> NDArray[np.bool_]:
    """What a mask keeps, in its shape with the shared axes 1, or without those behind the first."""
    p = mask.p if np.ndim(mask.p) == 0 else np.reshape(mask.p, -1)  # an array has one axis above 1
    return Mask(mask.key, mask.draw, p, shape).keep()


def check(x: Array, shape: Sequence[int], scale: bool) -> None:
    """Refuse what `Mask.apply` does."""
    _arrays.check_dtype(x.dtype, scale)
    if x.shape != shape:
        raise ValueError(f"the array has shape {x.shape}, but the mask has shape {shape}")


def target(x: Array, shape: Sequence[int], scale: bool, out: Array | None) -> Array:
    """Where to write the result for x, if `Mask.apply` would take x and `out`."""
    check(x, shape, scale)
    return _arrays.new_like(x) if out is None else _arrays.checked_out(out, x)


def select(x: Array, drop: NDArray[np.bool_], scale: float | Array, y: Array) -> None:
    """Write to y: +0 where dropped, x * scale elsewhere; `drop` and `scale` may be broadcast."""
    if not _arrays.apart(x, y):
        x = x.copy()
    if np.ndim(scale) == 0 and scale == 1:
        np.copyto(y, x)
    else:
        _arrays.multiply(x, scale, y)
    np.copyto(y, np.zeros((), y.dtype), where=drop)


class EmbeddingDropout(Values):
    """
    Which words are dropped, and where they stand; what `embedding_dropout` with indices returns.

    Attributes
    ----------
    mask : Mask
        Of the embedding matrix's shape, all axes but the first shared.
    indices : ndarray of intp
        The words, as given.
    """

    __slots__ = ("mask", "indices")
    __eq__, __hash__ = object.__eq__, object.__hash__  # arrays do not compare
    mask: Mask
    indices: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of y and dy."""
        return self.indices.shape + self.mask.shape[1:]

    def _apply(self, embedded: Array, y: Array) -> None:
        """Rows of dropped words to zero, the others scaled."""
        drop = ~self._of_words(decisions(self.mask, self.mask.shape[:1]))
        scale = self.mask.scale
        if np.ndim(scale):
            scale = self._of_words(np.broadcast_to(np.ravel(scale), self.mask.shape[:1]))
        select(embedded, drop, scale, y)

    def _of_words(self, values: Array) -> Array:
        """Of (words,), those that were looked up, broadcastable to y."""
        return values[self.indices].reshape(self.indices.shape + (1,) * (len(self.mask.shape) - 1))

    def backward(self, dy: ArrayLike, *, out: Array | None = None) -> Array:
        """
        The gradient with respect to the embedding matrix, of its shape and dy's type.

        A word's row is the sum of the rows of dy where it stands, times `mask.scale`; 0 if dropped.
        """
        dy = _arrays.base(dy)
        check(dy, self.shape, self.mask.scaled)
        if out is None:
            dweight = np.empty(self.mask.shape, _arrays.native(dy.dtype))
        else:
            dweight = _arrays.checked_out(out, np.broadcast_to(dy.dtype.type(0), self.mask.shape))
        rows = dy.reshape(self.indices.size, *self.mask.shape[1:])
        if _arrays.is_small_float(dy.dtype):  # summed in float32 and rounded once
            rows = rows.astype(np.float32)
        # Equal words next to each other, so that each is one sum.
        order = np.argsort(self.indices, axis=None, kind="stable")
        words, starts = np.unique(self.indices.ravel()[order], return_index=True)
        sums = np.add.reduceat(rows[order], starts, axis=0) if len(words) else rows
        dweight[...] = 0
        dweight[words] = sums
        self.mask.backward(dweight, out=dweight)
        return dweight if out is None else out


def embedding_dropout(
    weight: ArrayLike,
    p: float | Array,
    *,
    indices: ArrayLike | None = None,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask | EmbeddingDropout]:
    """
    Drop words: set rows of an embedding matrix to zero with probability p, and scale the others.

    ``y[w] = weight[w] * d[w] / (1 - p)``, with ``d[w] = 0`` with probability p, else 1: one
    decision a word, wherever it stands. With `indices`, y is ``y[indices]``, and only that is
    computed.

    Parameters
    ----------
    weight : array_like
        (words, features...), of the types that `dropout` takes.
    p : float or ndarray
        Probability of DROPPING a word, in [0, 1]; an array (words,) gives each word its own, with
        `indices` too. It may also have weight's axes, of length 1 but for the first.
    indices : array_like of ints, optional
        Words to look up, of any shape, such as (time steps, batch); each in [0, words).
    rng, training
        As `dropout`.
    scale : bool, optional
        False leaves kept rows as they are.
    out : ndarray, optional
        Where to write y; of its shape and weight's type.

    Returns
    -------
    y : ndarray
        Of weight's shape, or ``indices.shape + weight.shape[1:]``.
    mask : Mask or EmbeddingDropout
        With indices the latter. ``backward(dy)`` is the gradient with respect to `weight`.

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
    >>> y, mask = simdrop.embedding_dropout(np.eye(4), 0.5, indices=[2, 0, 2], rng=0)
    >>> y
    array([[0., 0., 2., 0.],
           [0., 0., 0., 0.],
           [0., 0., 2., 0.]])
    """
    weight = _arrays.base(weight)
    if weight.ndim == 0:
        raise ValueError("weight has no axes, but its first one is that of the words")
    if isinstance(p, np.ndarray) and p.ndim == 1:
        p = p.reshape(-1, *(1,) * (weight.ndim - 1))
    if indices is None:
        return drop_path(weight, p, rng=rng, training=training, scale=scale, out=out)
    given = _arrays.base(indices)
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"indices must be ints, not {given.dtype}")
    words = given.astype(np.intp)  # a copy: the gradient needs what they were
    words.flags.writeable = False
    outside = words[(words < 0) | (words >= len(weight))]
    if outside.size:
        raise IndexError(f"index {outside[0]} is not one of {len(weight)} words")
    _arrays.check_dtype(weight.dtype, scale)
    shape = words.shape + weight.shape[1:]
    if out is None:
        y = np.empty(shape, _arrays.native(weight.dtype))
    else:
        y = _arrays.checked_out(out, np.broadcast_to(weight.dtype.type(0), shape))
    mask = draw_mask(
        rng,
        p,
        weight.shape,
        shared_axes=tuple(range(1, weight.ndim)),
        training=training,
        scale=scale,
        array_p=True,
    )
    context = EmbeddingDropout(mask, words)
    context._apply(np.asarray(weight[words]), y)
    return y if out is None else out, context
