"""The layers that forget: Dropout, and all other transforms of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import simdrop as sd
from simdrop.values import Values

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
        Keyword arguments of the transform.
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


class Dropout(Layer):
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
        check_p(p)
        self.p, self.stream, self.shared_axes = p, checked_stream(stream), tuple(shared_axes)
        self.inverted = inverted

    def __call__(self, x: Array) -> Array:
        p = at(self.p, self.step)
        if not (self.training or self.inverted):
            self._saved = factor = Factor(1 - p)
            return factor.backward(x)
        y, self._saved = sd.dropout(
            x,
            p,
            rng=self.stream,
            shared_axes=self.shared_axes,
            training=self.training,
            scale=self.inverted,
        )
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self._from_forward().backward(dy)
        return dx

    def __repr__(self) -> str:
        shared = f", shared_axes={self.shared_axes}" if self.shared_axes else ""
        return f"Dropout(p={self.p}{shared}{'' if self.inverted else ', inverted=False'})"


class Factor(Values):
    """A multiplication by a constant, which is its own derivative."""

    __slots__ = ("factor",)
    factor: float

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * dy.dtype.type(self.factor)
        return dx


class DropPath(Transform):
    """Whole samples are dropped with probability p, as `simdrop.drop_path`."""

    def __init__(
        self, p: Probability, stream: sd.Stream | None = None, *, scale: bool = True
    ) -> None:
        check_p(p)
        super().__init__(sd.drop_path, p, stream=stream, **({} if scale else {"scale": False}))


class DropBlock(Transform):
    """Square blocks of (..., H, W) are dropped, as `simdrop.drop_block`; arguments as there."""

    def __init__(
        self,
        p: Probability,
        block_size: int,
        stream: sd.Stream | None = None,
        *,
        shared_axes: int | Sequence[int] = (),
    ) -> None:
        check_p(p)
        options = {"shared_axes": shared_axes} if shared_axes != () else {}
        super().__init__(sd.drop_block, p, block_size, stream=stream, **options)


class LockedDropout(Transform):
    """The same elements are dropped at all time steps, as `simdrop.locked_dropout`."""

    def __init__(
        self, p: Probability, stream: sd.Stream | None = None, *, time_axis: int = 0
    ) -> None:
        check_p(p)
        super().__init__(sd.locked_dropout, p, stream=stream, time_axis=time_axis)


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

    Wan et al. 2013, "Regularization of neural networks using DropConnect". Eval: y = x W + b.

    Parameters
    ----------
    n_in, n_out, rng, dtype, activation
        As `Linear`.
    p, stream
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
        rng: Seed,
        dtype: DTypeLike = np.float32,
        activation: str = "relu",
    ) -> None:
        check_p(p)
        super().__init__(n_in, n_out, rng=rng, dtype=dtype, activation=activation)
        self.p, self.stream, self.per_sample = p, checked_stream(stream), per_sample

    def __call__(self, x: Array) -> Array:
        p = at(self.p, self.step)
        m: Any
        if self.per_sample:
            y, m = sd.drop_connect_matmul(
                x, self.weight.value, p, rng=self.stream, training=self.training
            )
        else:
            weight, m = sd.drop_connect(
                self.weight.value, p, rng=self.stream, training=self.training
            )
            y = x @ weight
        self._saved = x, m
        y += self.bias.value
        return y

    def backward(self, dy: Array) -> Array:
        _, m = self._from_forward()
        dx: Array
        if self.per_sample:
            dx, _ = m.backward(dy, out=(None, self.weight.grad))
            np.sum(dy, axis=0, out=self.bias.grad)
        else:
            self.write_gradients(dy)
            dx = dy @ m.apply(self.weight.value).T
        return dx

    def write_gradients(self, dy: Array) -> None:
        if self.per_sample:
            self.backward(dy)
            return
        x, m = self._from_forward()
        grad = np.matmul(x.T, dy, out=self.weight.grad)
        m.backward(grad, out=grad)
        np.sum(dy, axis=0, out=self.bias.grad)

    def __repr__(self) -> str:
        per_sample = ", per_sample=True" if self.per_sample else ""
        return "DropConnect({}, {}, p={}{})".format(*self.weight.value.shape, self.p, per_sample)


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
