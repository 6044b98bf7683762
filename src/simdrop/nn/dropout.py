"""Dropout, and what it shares with the layers of the library's other transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import simdrop as sd
from simdrop import _args, _arrays
from simdrop._core.draw import Draw
from simdrop._names import explained
from simdrop._values import Values

from .arguments import Probability, at, check_p, form
from .layer import Layer
from .parameter import Array
from .sampling import Draws
from .shard import Shard
from .transform import Transform


class Dropping(Transform):
    """What `Dropout`, `DropPath`, `DropBlock` and `LockedDropout` share: a p and two forms.

    The transform gets p before its other arguments, and `inverted` as ``scale=``.
    """

    p: Probability
    inverted: bool

    def __init__(
        self,
        transform: Callable[..., tuple[Array, Any]],
        p: Probability,
        *arguments: Any,
        stream: sd.Stream | None,
        inverted: bool,
        **options: Any,
    ) -> None:
        check_p(p)
        super().__init__(transform, *arguments, stream=stream, **options)
        self.p, self.inverted = p, inverted

    def __call__(self, x: Array) -> Array:
        y = super().__call__(x)
        if not (self.training or self.inverted):
            self._saved = _Factor(self._kept(at(self.p, self.steps), x.shape))
            y = self._saved.backward(y)
        return y

    def on_shard(self, x: Array, shard: Shard) -> Array:
        return super().on_shard(x, shard)  # which has the factor of evaluation from the call

    def _given(self) -> list[Any]:
        return [at(self.p, self.steps), *super()._given()]

    def _named(self) -> dict[str, Any]:
        return {"scale": self.inverted} | super()._named()

    def _kept(self, p: float, shape: tuple[int, ...]) -> Any:
        """The probability that an element of x is kept."""
        return 1 - p

    def _shown(self) -> list[str]:
        return [repr(self.p), *super()._shown(), *form(self.inverted)]


@explained
class Dropout(Dropping):
    """Training: each element is dropped with probability p, else scaled by 1/(1-p). Eval: y is x.

    A call in training takes one draw from the stream and keeps its Mask, a few numbers, which is
    the derivative too. Source: Srivastava et al. 2014, "Dropout", JMLR 15:1929-1958.

    Parameters
    ----------
    p : float or callable
        Probability of dropping, in [0, 1], else ValueError. A callable, such as of
        `simdrop.schedule`, gives it for each step of training, counted from 0 by
        `Network.train_step`.
    stream : simdrop.Stream or None
        Gives the draws; layers may share one. None is the process-wide stream.
    shared_axes : iterable of ints
        The axes along which one decision is shared, as in `simdrop.dropout`.
    inverted : bool
        True: kept elements are scaled in training, and eval leaves x as it is. False is the form of
        the paper (section 4): training leaves kept elements as they are, and eval multiplies all by
        the probability of being kept. The mean over masks is the output of eval in both.
    """

    shared_axes: tuple[int, ...]

    def __init__(
        self,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        shared_axes: Iterable[int] = (),
        inverted: bool = True,
    ) -> None:
        self.shared_axes = tuple(shared_axes)
        super().__init__(
            sd.dropout, p, stream=stream, inverted=inverted, shared_axes=self.shared_axes
        )

    def parts(self, shared_masks: bool) -> list[Layer]:
        axes = {0, *self.shared_axes} if shared_masks else self.shared_axes
        return [Dropout(at(self.p, self.steps), shared_axes=axes, inverted=self.inverted)]

    def sample(self, x: Array, draws: Draws) -> Array:
        """As of any layer, also for some rows of a batch, with their window of its mask."""
        y = np.empty(x.shape, x.dtype)
        start = draws.start, *[0] * (x.ndim - 2)
        for drawn, one, out in zip(draws.drawn, x, y, strict=True):
            mask = self.mask(drawn, (draws.rows, *one.shape[1:]))
            mask.window(start, one.shape).apply(one, out=out)
        return y

    def mask(self, drawn: Draw, shape: tuple[int, ...]) -> sd.Mask:
        """The mask of a pass with this key and draw for x of this shape."""
        p = at(self.p, self.steps)
        shared = tuple({axis % len(shape) for axis in self.shared_axes})
        return sd.Mask(drawn.key, drawn.draw, p, shape, shared_axes=shared, scale=self.inverted)

    def _shown(self) -> list[str]:
        shared = [f"shared_axes={self.shared_axes}"] if self.shared_axes else []
        return [f"p={self.p}", *shared, *form(self.inverted)]


class _Factor(Values):
    """A multiplication by constants, which is its own derivative."""

    __slots__ = ("factor",)
    factor: Any

    def backward(self, dy: Array) -> Array:
        _args.check_dtype(dy.dtype, True)
        dx = _arrays.new_like(dy)
        _arrays.multiply(dy, self.factor, dx)
        return dx


def scaled(array: Array, factor: float) -> Array:
    """The array times a number; itself, where that is 1."""
    return array if factor == 1 else array * array.dtype.type(factor)
