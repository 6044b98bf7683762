"""Any function of the library that drops or adds noise, as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simdrop._core.stream import Stream

from .arguments import at, checked_stream
from .layer import Layer
from .parameter import Array
from .shard import Shard, like, windowed


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
        in training nor in eval, unlike ``inverted=False`` of `Dropout`.
    """

    transform: Callable[..., tuple[Array, Any]]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    stream: Stream | None

    def __init__(
        self,
        transform: Callable[..., tuple[Array, Any]],
        *arguments: Any,
        stream: Stream | None = None,
        **options: Any,
    ) -> None:
        self.transform, self.arguments, self.options = transform, arguments, options
        self.stream = checked_stream(stream)

    def __call__(self, x: Array) -> Array:
        y, self._saved = self.transform(x, *self._given(), **self._named(), training=self.training)
        return y

    def on_shard(self, x: Array, shard: Shard) -> Array:
        """As of any layer; ValueError where what is dropped has no windows (`drop_block`)."""
        if not self.training:
            return self(x)
        draw = windowed(self.transform, self)
        whole = draw(like(x, shard.shape(x)), *self._given(), **self._named())
        self._saved = shard.window(whole, len(x))
        return self._saved.apply(x)

    def _given(self) -> list[Any]:
        """What follows x in a call of the transform at this step."""
        return [at(argument, self.steps) for argument in self.arguments]

    def _named(self) -> dict[str, Any]:
        """Its keyword arguments, but for the mode."""
        return {"rng": self.stream} | self.options

    def backward(self, dy: Array) -> Array:
        return self._from_forward().backward(dy)

    def _shown(self) -> list[str]:
        name = [self.transform.__name__] if type(self) is Transform else []
        options = [f"{option}={value!r}" for option, value in self.options.items()]
        return [*name, *map(repr, self.arguments), *options]
