"""The layers that forget: Dropout, and all other transforms of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop import _args, _arrays
from simdrop._values import Values
from simdrop.structured import kept_probability

from .base import Array, Layer, Seed
from .layers import Linear

Probability = float | Callable[[int], float]


class Transform(Layer):
    """Any function of the library of the form ``y, m = transform(x, ..., rng=, training=)``.

    A call in training takes one draw and keeps m, a few numbers, which is the derivative too.

    Parameters
    ----------
    transform : callable
        Such as `simdrop.drop_path`.
    *arguments
        What follows x. A callable one, such as of `simdrop.schedule`, is called with `step`.
    stream : simdrop.Stream or None
        Gives the draws; layers may share one. None is the process-wide stream.
    **options
        Keyword arguments of the transform, which mean what they do there: with ``scale=False``
        neither training nor eval scales. `inverted` is of the layers that are named after what they
        drop.
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
            *(at(argument, self.step) for argument in self.arguments),
            rng=self.stream,
            training=self.training,
            **self.options,
        )
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._from_forward().backward(dy)
        return dx

    def __repr__(self) -> str:
        name = type(self).__name__
        given = [self.transform.__name__] if type(self) is Transform else []
        given += map(repr, self.arguments)
        given += [f"{option}={value!r}" for option, value in self.options.items()]
        return f"{name}({', '.join(given)})"


class Dropping(Layer):
    """What `Dropout`, `DropPath`, `DropBlock` and `LockedDropout` share.

    Parameters
    ----------
    transform : callable
        Of the library, with ``scale=``.
    p : float or callable
        Probability of dropping, in [0, 1], else ValueError. A callable, such as of
        `simdrop.schedule`, gives it for each step of training, counted from 0 by
        `Network.train_step`.
    *arguments
        What follows p.
    stream : simdrop.Stream or None
        Gives the draws; layers may share one. None is the process-wide stream.
    inverted : bool
        True: kept elements are scaled in training, and eval leaves x as it is. False is the form of
        the papers: training leaves kept elements as they are, and eval multiplies by the
        probability of being kept. The mean over masks is the output of eval in both.
    **options
        Keyword arguments of the transform.
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
        self.transform, self.arguments, self.options = transform, arguments, options
        self.p, self.stream, self.inverted = p, checked_stream(stream), inverted

    def __call__(self, x: Array) -> Array:
        p = at(self.p, self.step)
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
            saved = Factor(self._kept(p, x.shape))
            y = saved.backward(y)
        self._saved = saved
        return y

    def _kept(self, p: float, shape: tuple[int, ...]) -> Any:
        """The probability of each element of x to be kept."""
        return 1 - p

    def backward(self, dy: Array) -> Array:
        dx: Array = self._from_forward().backward(dy)
        return dx

    def __repr__(self) -> str:
        given = [repr(self.p), *map(repr, self.arguments)]
        given += [f"{option}={value!r}" for option, value in self.options.items()]
        given += [] if self.inverted else ["inverted=False"]
        return f"{type(self).__name__}({', '.join(given)})"


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
        False is the paper's form: training leaves kept elements as they are, and eval multiplies
        all of them by 1 - p (section 4).
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

    def __repr__(self) -> str:
        shared = f", shared_axes={self.shared_axes}" if self.shared_axes else ""
        return f"Dropout(p={self.p}{shared}{'' if self.inverted else ', inverted=False'})"


class Factor(Values):
    """A multiplication by constants, which is its own derivative."""

    __slots__ = ("factor",)
    factor: Any

    def backward(self, dy: Array) -> Array:
        _args.check_dtype(dy.dtype, True)
        dx = _arrays.new_like(dy)
        _arrays.multiply(dy, self.factor, dx)
        return dx


class DropPath(Dropping):
    """Whole samples are dropped with probability p, as `simdrop.drop_path`; `inverted` as in
    `Dropout`."""

    def __init__(
        self, p: Probability, stream: sd.Stream | None = None, *, inverted: bool = True
    ) -> None:
        super().__init__(sd.drop_path, p, stream=stream, inverted=inverted)


class DropBlock(Dropping):
    """Square blocks of (..., H, W) are dropped, as `simdrop.drop_block`; arguments as there.

    With ``inverted=False`` eval multiplies each element by the probability that no block covers it,
    which is rather more than 1 - p, and larger near the border. With ``inverted=True`` training
    keeps the mean of all elements, as the paper does it, and not that of each.
    """

    def __init__(
        self,
        p: Probability,
        block_size: int,
        stream: sd.Stream | None = None,
        *,
        shared_axes: int | Sequence[int] = (),
        inverted: bool = True,
    ) -> None:
        options = {"shared_axes": shared_axes} if shared_axes != () else {}
        super().__init__(sd.drop_block, p, block_size, stream=stream, inverted=inverted, **options)

    def _kept(self, p: float, shape: tuple[int, ...]) -> Array:
        return kept_probability(p, self.arguments[0], shape)


class LockedDropout(Dropping):
    """The same elements are dropped at all time steps, as `simdrop.locked_dropout`; `inverted` as
    in `Dropout`."""

    def __init__(
        self,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        time_axis: int = 0,
        inverted: bool = True,
    ) -> None:
        super().__init__(
            sd.locked_dropout, p, stream=stream, inverted=inverted, time_axis=time_axis
        )


class AlphaDropout(Transform):
    """Elements of a SELU net are set to what it saturates at, as `simdrop.alpha_dropout`."""

    def __init__(
        self,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        shared_axes: int | Sequence[int] = (),
    ) -> None:
        check_p(p)
        options = {"shared_axes": shared_axes} if shared_axes != () else {}
        super().__init__(sd.alpha_dropout, p, stream=stream, **options)


class GaussianDropout(Transform):
    """Elements are multiplied by N(1, p / (1 - p)), p < 1, as `simdrop.gaussian_dropout`."""

    def __init__(self, p: Probability, stream: sd.Stream | None = None) -> None:
        check_p(p)
        if p == 1:
            raise ValueError("p = 1, but the variance p / (1 - p) of Gaussian dropout is finite")
        super().__init__(sd.gaussian_dropout, p, stream=stream)


class GaussianNoise(Transform):
    """N(0, std**2) is added, as `simdrop.gaussian_noise`; std may be a schedule, too."""

    def __init__(self, std: Probability, stream: sd.Stream | None = None) -> None:
        if not callable(std) and not 0 <= std < float("inf"):
            raise ValueError(f"std = {std}, but a standard deviation is finite and not negative")
        super().__init__(sd.gaussian_noise, std, stream=stream)


class DropConnect(Linear):
    """Linear, of which each weight is dropped with probability p in training, else scaled.

    Wan et al. 2013, "Regularization of neural networks using DropConnect". Eval: y = x W + b, or
    (1 - p) x W + b with ``inverted=False``.

    Parameters
    ----------
    n_in, n_out, rng, dtype, activation
        As `Linear`.
    p, stream, inverted
        As `Dropout`.
    per_sample : bool
        Whether each row of x has a mask of its own, as in the paper (`drop_connect_matmul`), which
        takes about as long as a product with each; False: one for the batch (`drop_connect`).
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        p: Probability,
        stream: sd.Stream | None = None,
        *,
        per_sample: bool = False,
        inverted: bool = True,
        rng: Seed,
        dtype: DTypeLike = np.float32,
        activation: str = "relu",
    ) -> None:
        check_p(p)
        super().__init__(n_in, n_out, rng=rng, dtype=dtype, activation=activation)
        self.p, self.stream, self.per_sample = p, checked_stream(stream), per_sample
        self.inverted = inverted

    def __call__(self, x: Array) -> Array:
        p = at(self.p, self.step)
        options: dict[str, Any] = {
            "rng": self.stream,
            "training": self.training,
            "scale": self.inverted,
        }
        factor = 1.0 if self.training or self.inverted else 1.0 - p
        m: Any
        if self.per_sample:
            y, m = sd.drop_connect_matmul(x, self.weight.value, p, **options)
        else:
            weight, m = sd.drop_connect(self.weight.value, p, **options)
            y = x @ weight
        if factor != 1:
            y *= y.dtype.type(factor)
        self._saved = x, m, factor
        y += self.bias.value
        return y

    def backward(self, dy: Array) -> Array:
        _, m, factor = self._from_forward()
        if not self.per_sample:
            self.write_gradients(dy)
            dx: Array = scaled(dy, factor) @ m.apply(self.weight.value).T
            return dx
        dx, _ = m.backward(scaled(dy, factor), out=(None, self.weight.grad))
        np.sum(dy, axis=0, out=self.bias.grad)
        return dx

    def write_gradients(self, dy: Array) -> None:
        if self.per_sample:
            self.backward(dy)
            return
        x, m, factor = self._from_forward()
        grad = np.matmul(x.T, scaled(dy, factor), out=self.weight.grad)
        m.backward(grad, out=grad)
        np.sum(dy, axis=0, out=self.bias.grad)

    def __repr__(self) -> str:
        per_sample = ", per_sample=True" if self.per_sample else ""
        classic = "" if self.inverted else ", inverted=False"
        shape = "{}, {}".format(*self.weight.value.shape)
        return f"DropConnect({shape}, p={self.p}{per_sample}{classic})"


def scaled(array: Array, factor: float) -> Array:
    """The array times a number; itself, where that is 1."""
    return array if factor == 1 else array * array.dtype.type(factor)


def at(argument: Any, step: int) -> Any:
    """A layer's argument at a step: what a schedule gives, else itself."""
    return argument(step) if callable(argument) else argument


def check_p(p: Probability) -> None:
    """Refuse what is no probability; a schedule by what it begins with."""
    now = at(p, 0)
    if not 0 <= now <= 1:
        raise ValueError(f"p, the probability of dropping, must be in [0, 1], got {now!r}")


def checked_stream(stream: sd.Stream | None) -> sd.Stream | None:
    """Refuse seeds: each call would drop the same."""
    if stream is not None and not isinstance(stream, sd.Stream):
        raise TypeError(f"stream must be a simdrop.Stream or None, not {type(stream).__name__}")
    return stream
