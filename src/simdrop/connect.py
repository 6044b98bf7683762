"""DropConnect: dropout of weights, one mask for a batch or one for each of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _arrays
from simdrop._core.dropout import apply_sample, draw_mask, dropout
from simdrop._core.mask import Mask
from simdrop._values import Values

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

Array = NDArray[Any]

CHUNK = 2**18  # weights that are masked at a time, or those of one sample: 1 MiB of float32


def drop_connect(
    W: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]:
    """
    DropConnect with one mask for the batch: set each weight to zero with probability p.

    ``y[i, j] = W[i, j] * d[i, j] / (1 - p)``, with ``d = 0`` with probability p, else 1. It is
    `dropout` of the weights; use y in place of W, and give the gradient with respect to y to
    `backward` for the one with respect to W.

    Parameters
    ----------
    W : array_like
        Weights of any shape, of the types that `dropout` takes.
    p : float
        Probability of DROPPING a weight, in [0, 1].
    rng, training, out
        As `dropout`.
    scale : bool, optional
        False leaves kept weights as they are, as the paper does it.

    Returns
    -------
    y : ndarray
        Of W's shape and type; W itself as from `dropout`.
    mask : Mask
        With `backward`.

    Raises
    ------
    TypeError, ValueError
        As `dropout`.

    References
    ----------
    Wan et al. (2013), "Regularization of neural networks using DropConnect", section 3.

    Examples
    --------
    >>> W = np.arange(1.0, 9.0).reshape(2, 4)
    >>> y, mask = simdrop.drop_connect(W, 0.5, rng=0)
    >>> y
    array([[ 0.,  4.,  6.,  0.],
           [ 0.,  0., 14., 16.]])
    """
    return dropout(W, p, rng=rng, training=training, scale=scale, out=out)


class DropConnectMatmul(Values):
    """
    Which weights are dropped for which sample; what `drop_connect_matmul` returns.

    Attributes
    ----------
    mask : Mask
        Of shape (batch, n_in, n_out), never made as an array.
    x, W : ndarray
        The arguments, not copies of them: the gradients need their values, so leave them as they
        are until `backward`.
    """

    __slots__ = ("mask", "x", "W")
    __eq__, __hash__ = object.__eq__, object.__hash__  # arrays do not compare
    mask: Mask
    x: Array
    W: Array

    def backward(
        self, dy: ArrayLike, *, out: tuple[Array | None, Array | None] = (None, None)
    ) -> tuple[Array, Array]:
        """
        The gradients with respect to x and W, with the same masks drawn again.

        ``dx[b] = (mask[b] * W) @ dy[b]`` and ``dW = sum over b of mask[b] * outer(x[b], dy[b])``.

        Parameters
        ----------
        dy : array_like
            (batch, n_out), of W's type.
        out : pair of ndarray or None, optional
            Where to write dx and dW, as NumPy's functions of two results have it. They must not
            share memory with each other or with x, W and dy.

        Returns
        -------
        dx, dW : ndarray
            Of the shapes and types of x and W.
        """
        dy = _arrays.base(dy)
        batch, n_in, n_out = self.mask.shape
        check("dy", dy, (batch, n_out), self.W.dtype)
        arguments = {"x": self.x, "W": self.W}
        dx, dW = _arrays.checked_pair(out, arguments, read=arguments | {"dy": dy})
        self._write_gradients(dy, dx, dW)
        return _arrays.delivered_pair((dx, dW), out)

    def _write_gradients(self, dy: Array, dx: Array, dW: Array) -> None:
        batch = len(dy)
        if self.mask.p == 0:
            np.matmul(dy, self.W.T, out=dx)
            np.matmul(self.x.T, dy, out=dW)
            return
        dW[...] = 0
        chunk = Chunk(self.mask, self.W.dtype)
        gradients = dy[:, None, :]
        for first in range(0, batch, chunk.most):
            part = slice(first, first + chunk.most)
            masked = chunk.make(self.W, first)
            np.matmul(masked, dy[part, :, None], out=dx[part, :, None])
            # Over a chunk's samples b, dW[i, j] is x[b, i] times mask[b, i, j] dy[b, j].
            masked = chunk.make(gradients, first)
            rows = np.ascontiguousarray(self.x[part].T)
            dW += np.matmul(rows[:, None, :], masked.transpose(1, 0, 2))[:, 0]


def drop_connect_matmul(
    x: ArrayLike,
    W: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, DropConnectMatmul]:
    """
    DropConnect with a mask of its own for each sample, through the matrix product.

    ``y[b] = x[b] @ (mask[b] * W)``, where ``mask[b, i, j]`` is 0 with probability p, else
    ``1 / (1 - p)``. The mask has shape (batch, n_in, n_out), and is applied to so many samples at a
    time as have 2**18 weights, or to one: that is the memory needed.

    Parameters
    ----------
    x : array_like
        (batch, n_in), float32 or float64.
    W : array_like
        (n_in, n_out), of x's type.
    p : float
        Probability of DROPPING a weight, in [0, 1].
    rng, training
        As `dropout`.
    scale : bool, optional
        False leaves kept weights as they are, as the paper does it.
    out : ndarray, optional
        Where to write y. Must not share memory with x or W.

    Returns
    -------
    y : ndarray
        (batch, n_out), of x's type.
    ctx : DropConnectMatmul
        ``ctx.backward(dy)`` is the pair of gradients with respect to x and W.

    Raises
    ------
    TypeError
        If x and W are not both float32 or both float64, or another argument's type is wrong.
    ValueError
        If p is not in [0, 1], or shapes do not fit.

    References
    ----------
    Wan et al. (2013), "Regularization of neural networks using DropConnect", section 3.

    Examples
    --------
    >>> y, ctx = simdrop.drop_connect_matmul(np.ones((2, 3)), np.ones((3, 2)), 0.5, rng=0)
    >>> y
    array([[2., 2.],
           [6., 6.]])
    >>> dx, dW = ctx.backward(np.ones((2, 2)))
    >>> dx
    array([[2., 2., 0.],
           [4., 4., 4.]])
    """
    x, W = _arrays.base(x), _arrays.base(W)
    if _arrays.native(x.dtype) not in (np.float32, np.float64):
        raise TypeError(f"x must be of float32 or float64, not {x.dtype}")
    if x.ndim != 2 or W.ndim != 2 or x.shape[1] != W.shape[0]:
        raise ValueError(f"x has shape {x.shape} and W {W.shape}, but they are to be multiplied")
    check("W", W, W.shape, x.dtype)
    (batch, n_in), n_out = x.shape, W.shape[1]
    if out is None:
        y = np.empty((batch, n_out), _arrays.native(x.dtype))
    else:
        y = _arrays.checked_out(out, np.broadcast_to(x.dtype.type(0), (batch, n_out)))
        if np.may_share_memory(y, x) or np.may_share_memory(y, W):
            raise ValueError("out shares memory with x or W")
    mask = draw_mask(rng, p, (batch, n_in, n_out), training=training, scale=scale)
    if mask.p == 0:
        np.matmul(x, W, out=y)
    else:
        chunk = Chunk(mask, W.dtype)
        for first in range(0, batch, chunk.most):
            part = slice(first, first + chunk.most)
            np.matmul(x[part, None, :], chunk.make(W, first), out=y[part, None, :])
    return y if out is None else out, DropConnectMatmul(mask, x, W)


class Chunk:
    """
    The masked arrays of some samples at a time, in one buffer: W masked, or rows of gradients.

    More samples at a time make fewer and larger matrix products; the buffer has to stay near.
    """

    def __init__(self, mask: Mask, dtype: np.dtype[Any]) -> None:
        batch, n_in, n_out = self.shape = mask.shape
        self.mask = mask
        self.most = max(1, min(batch, CHUNK // max(1, n_in * n_out)))
        self.buffer = np.empty((self.most, n_in, n_out), _arrays.native(dtype))
        # Where a sample is written, in an array that has all of them in its place.
        self.places = [np.broadcast_to(one, mask.shape) for one in self.buffer]

    def make(self, array: Array, first: int) -> Array:
        """The samples from `first` of an array that is broadcast to the mask's shape, masked."""
        count = min(self.most, self.shape[0] - first)
        whole = np.broadcast_to(array, self.shape)
        for i in range(count):
            apply_sample(self.mask, whole, self.places[i], first + i)
        return self.buffer[:count]


def check(name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse another shape or type."""
    if _arrays.native(array.dtype) != _arrays.native(dtype):
        raise TypeError(f"{name} is of {array.dtype}, but must be of {dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, but must have shape {shape}")
