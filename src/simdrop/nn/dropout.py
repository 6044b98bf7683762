"""Dropout, and what it shares with the layers of the library's other transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import simdrop as sd
from simdrop import _args, _arrays
from simdrop._core.draw import Draw
from simdrop._core.mask import probability
from simdrop._values import Values

from .layer import Draws, Layer
from .parameter import Array

Probability = float | Callable[[int], float]


class Transform(Layer):
    """Any function of the library of the form ``y, m = transform(x, ..., rng=, training=)``.

    A call in training takes one draw and keeps m, a few numbers, which is the derivative too.

    Parameters
    ----------
    transform : callable
        Such as `simdrop.drop_path`.
    *arguments
        What follows x. A callable one, such as of `simdrop.schedule`, is called with `steps`.
    stream : simdrop.Stream or None
        Gives the draws; layers may share one. None is the process-wide stream.
    **options
        Keyword arguments of the transform, with their meaning there: ``scale=False`` scales neither
        in training nor in eval, unlike ``inverted=False`` of the layers below.
    """

    def __init__(
        self,
        transform: Callable[..., tuple[Array, Any]],
        *arguments: Any,
        stream: sd.Stream | None = None,
        **options: Any,
    ) -> None:
        self.transform, self.arguments, self.options = transform, arguments, options
        self.stream = checked_stream(stream)

    def __call__(self, x: Array) -> Array:
        y, self._saved = self.transform(
            x,
            *(at(argument, self.steps) for argument in self.arguments),
            rng=self.stream,
            training=self.training,
            **self.options,
        )
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._from_forward().backward(dy)
        return dx

    def _shown(self) -> list[str]:
        name = [self.transform.__name__] if type(self) is Transform else []
        options = [f"{option}={value!r}" for option, value in self.options.items()]
        return [*name, *map(repr, self.arguments), *options]


class Dropping(Transform):
    """What `Dropout`, `DropPath`, `DropBlock` and `LockedDropout` share: a p and two forms.

    Parameters
    ----------
    transform, *arguments, **options
        As in `Transform`, but for p, which comes before the arguments, and ``scale=``.
    p, stream, inverted
        As in `Dropout`.
    """

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
        p = at(self.p, self.steps)
        y, saved = self.transform(
            x,
            p,
            *self.arguments,
            rng=self.stream,
            training=self.training,
            scale=self.inverted,
            **self.options,
        )
        if not (self.training or self.inverted):
            saved = _Factor(self._kept(p, x.shape))
            y = saved.backward(y)
        self._saved = saved
        return y

    def _kept(self, p: float, shape: tuple[int, ...]) -> Any:
        """The probability that an element of x is kept."""
        return 1 - p

    def _shown(self) -> list[str]:
        return [repr(self.p), *super()._shown(), *form(self.inverted)]


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
        p, shared = at(self.p, self.steps), {axis % len(shape) for axis in self.shared_axes}
        return sd.Mask(
            drawn.key, drawn.draw, p, shape, shared_axes=tuple(shared), scale=self.inverted
        )

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


def at(argument: Any, step: int) -> Any:
    """A layer's argument at a step: what a schedule gives, else itself."""
    return argument(step) if callable(argument) else argument


def check_p(p: Probability) -> None:
    """Refuse what is no probability; a schedule by what it begins with."""
    probability(at(p, 0))


def form(inverted: bool) -> list[str]:
    """What `repr` says of `inverted`: nothing of the usual form."""
    return [] if inverted else ["inverted=False"]


def checked_stream(stream: sd.Stream | None) -> sd.Stream | None:
    """Refuse seeds: each call would drop the same."""
    if stream is not None and not isinstance(stream, sd.Stream):
        raise TypeError(f"stream must be a simdrop.Stream or None, not {type(stream).__name__}")
    return stream
