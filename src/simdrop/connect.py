"""DropConnect: dropout of weights, with one mask for the batch or one per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simdrop import _args, _arrays
from simdrop._core.dropout import dropout
from simdrop._core.mask import Mask
from simdrop._core.stream import next_mask
from simdrop._names import explained
from simdrop._values import OfArrays

if TYPE_CHECKING:
    from simdrop._core.stream import Rng
    from simdrop._typing import Scalar

Array = NDArray[Any]

CHUNK = 2**18  # weights that are masked at a time, at least those of one sample: 1 MiB of float32


@overload
def drop_connect(
    W: NDArray[Scalar],
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], Mask]: ...


@overload
def drop_connect(
    W: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, Mask]: ...


@explained
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

    ``y[i, j] = W[i, j] * d[i, j] / (1 - p)``, where d is 0 with probability p, else 1. It is
    `dropout` of the weights: use y in place of W; ``mask.backward`` turns the gradient with respect
    to y into the one with respect to W.

    Parameters
    ----------
    W : array_like
        Weights of any shape, of the dtypes that `dropout` takes.
    p : float
        Probability of DROPPING a weight, in [0, 1].
    rng, training, scale, out
        As in `dropout`; the paper does not scale.

    Returns
    -------
    y : ndarray
        As from `dropout`.
    mask : Mask

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


class DropConnectMatmulContext(OfArrays):
    """
    Returned by `drop_connect_matmul` for its backward pass, ``dx, dW = ctx.backward(dy)``.

    Attributes
    ----------
    mask : Mask
        Of shape (batch, n_in, n_out), never stored as an array.
    x, W : ndarray
        The arguments, not copies: do not change them before `backward`.
    """

    __slots__ = ("mask", "x", "W")
    mask: Mask
    x: Array
    W: Array

    @overload
    def backward(
        self,
        dy: NDArray[Scalar],
        *,
        out: tuple[NDArray[Scalar] | None, NDArray[Scalar] | None] = (None, None),
    ) -> tuple[NDArray[Scalar], NDArray[Scalar]]: ...

    @overload
    def backward(
        self, dy: ArrayLike, *, out: tuple[Array | None, Array | None] = (None, None)
    ) -> tuple[Array, Array]: ...

    def backward(
        self, dy: ArrayLike, *, out: tuple[Array | None, Array | None] = (None, None)
    ) -> tuple[Array, Array]:
        """
        The gradients with respect to x and W; the masks are drawn again.

        ``dx[b] = (mask[b] * W) @ dy[b]`` and ``dW = sum over b of mask[b] * outer(x[b], dy[b])``.

        Parameters
        ----------
        dy : array_like
            (batch, n_out), of W's dtype.
        out : pair of ndarray or None, optional
            Where to write dx and dW; None makes a new array. They must not share memory with each
            other or with x, W and dy.

        Returns
        -------
        dx, dW : ndarray
            Of the shapes and dtypes of x and W.

        Raises
        ------
        TypeError, ValueError
            If dy or `out` does not fit; nothing is written then.
        """
        given, dy = dy, _args.base(dy)
        batch, n_in, n_out = self.mask.shape
        _args.check_like("dy", dy, (batch, n_out), self.W.dtype)
        arguments = {"x": self.x, "W": self.W}
        dx, dW = _args.checked_pair(out, arguments, read=arguments | {"dy": dy})
        self._write_gradients(dy, dx, dW)
        return _args.delivered_pair(given, dy, (dx, dW), out)

    def _write_gradients(self, dy: Array, dx: Array, dW: Array) -> None:
        batch = len(dy)
        if self.mask.p == 0:
            np.matmul(dy, self.W.T, out=dx)
            np.matmul(self.x.T, dy, out=dW)
            return
        dW[...] = 0
        chunk = Chunk(self.mask, self.W.dtype)
        weights = np.broadcast_to(self.W, chunk.buffer.shape)
        gradients = np.broadcast_to(dy[:, None, :], self.mask.shape)
        for first in range(0, batch, chunk.most):
            part = slice(first, first + chunk.most)
            masked = chunk.masked(weights, first)
            np.matmul(masked, dy[part, :, None], out=dx[part, :, None])
            # dW[i, j] is the sum over b of x[b, i] times mask[b, i, j] dy[b, j].
            masked = chunk.masked(gradients[part], first)
            rows = np.ascontiguousarray(self.x[part].T)
            dW += np.matmul(rows[:, None, :], masked.transpose(1, 0, 2))[:, 0]


@overload
def drop_connect_matmul(
    x: NDArray[Scalar],
    W: NDArray[Scalar],
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: NDArray[Scalar] | None = None,
) -> tuple[NDArray[Scalar], DropConnectMatmulContext]: ...


@overload
def drop_connect_matmul(
    x: ArrayLike,
    W: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, DropConnectMatmulContext]: ...


@explained
def drop_connect_matmul(
    x: ArrayLike,
    W: ArrayLike,
    p: float,
    *,
    rng: Rng = None,
    training: bool = True,
    scale: bool = True,
    out: Array | None = None,
) -> tuple[Array, DropConnectMatmulContext]:
    """
    DropConnect with one mask per sample, and the matrix product.

    ``y[b] = x[b] @ (mask[b] * W)``, where ``mask[b, i, j]`` is 0 with probability p, else
    ``1 / (1 - p)``. At most 2**18 masked weights, or those of one sample, are in memory at a time.

    Parameters
    ----------
    x : array_like
        (batch, n_in), float32 or float64.
    W : array_like
        (n_in, n_out), of x's dtype.
    p : float
        Probability of DROPPING a weight, in [0, 1].
    rng, training, scale
        As in `dropout`; the paper does not scale.
    out : ndarray, optional
        Where to write y. Must not share memory with x or W.

    Returns
    -------
    y : ndarray
        (batch, n_out), of x's dtype.
    ctx : DropConnectMatmulContext
        For ``dx, dW = ctx.backward(dy)``.

    Raises
    ------
    TypeError
        If x and W are not both float32 or both float64, or another argument has the wrong type.
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
    given, x, W = x, _args.base(x), _args.base(W)
    _args.check_floats(x.dtype, False)
    if x.ndim != 2 or W.ndim != 2 or x.shape[1] != W.shape[0]:
        raise ValueError(
            f"x has shape {x.shape} and W {W.shape}, but must be (batch, n_in) and (n_in, n_out)"
        )
    (batch, n_in), n_out = x.shape, W.shape[1]
    _args.check_like("W", W, W.shape, x.dtype)
    y = _args.result(out, (batch, n_out), x.dtype)
    if np.may_share_memory(y, x) or np.may_share_memory(y, W):
        raise ValueError("out shares memory with x or W")
    mask = next_mask(rng, p, (batch, n_in, n_out), training=training, scale=scale)
    if mask.p == 0:
        np.matmul(x, W, out=y)
    else:
        chunk = Chunk(mask, W.dtype)
        weights = np.broadcast_to(W, chunk.buffer.shape)
        for first in range(0, batch, chunk.most):
            part = slice(first, first + chunk.most)
            np.matmul(x[part, None, :], chunk.masked(weights, first), out=y[part, None, :])
    return _args.delivered(given, x, y, out), DropConnectMatmulContext(mask, x, W)


class Chunk:
    """
    A buffer for the masked arrays of some samples at a time: W, or rows of gradients.

    More samples at a time make fewer and larger matrix products, but the buffer must stay in the
    caches.
    """

    most: int
    buffer: Array

    def __init__(self, mask: Mask, dtype: np.dtype[Any]) -> None:
        batch, n_in, n_out = mask.shape
        self.mask = mask
        self.most = max(1, min(batch, CHUNK // max(1, n_in * n_out)))
        self.buffer = np.empty((self.most, n_in, n_out), _arrays.native(dtype))

    def masked(self, x: Array, first: int) -> Array:
        """The samples x, the first of this number, masked; without those after the last one."""
        x = x[: self.mask.shape[0] - first]
        mask = self.mask.window((first, 0, 0), x.shape)
        return mask.apply(x, out=self.buffer[: len(x)])
