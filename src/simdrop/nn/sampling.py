"""Forward passes of one layer for several samples, as Monte-Carlo dropout asks for them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from simdrop._core.draw import Draw
from simdrop._core.stream import Stream, stream_at

from .parameter import Array


class Draws(NamedTuple):
    """A layer's draw in each of several samples.

    Parameters
    ----------
    drawn : sequence of Draw
        One for each sample, of which only key and draw number are used.
    start, rows : int
        Number of the first row at hand, and how many rows the whole batch has.
    """

    drawn: Sequence[Draw] = ()
    start: int = 0
    rows: int = 0

    def streams(self) -> Iterator[Stream]:
        """For each sample a stream whose next draw is the sample's."""
        return map(stream_at, self.drawn)

    def outputs(self, layer: Any, x: Array) -> Array:
        """What `Layer.sample` returns; a random layer is called once for each sample."""
        layer = copy.copy(layer)
        if layer.is_random:
            layer.train()
            outputs = []
            for one, stream in zip(x, self.streams(), strict=True):
                layer.stream = stream
                outputs.append(layer(one))
            return np.stack(outputs)
        y = layer.eval()(x.reshape(-1, *x.shape[2:]))
        return y.reshape(*x.shape[:2], *y.shape[1:])
