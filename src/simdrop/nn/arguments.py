"""The arguments of layers: their types and checks, and how `repr` and checkpoints show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simdrop._core.mask import probability
from simdrop._core.stream import Stream
from simdrop._values import Values

Probability = float | Callable[[int], float]
Seed = int | Sequence[int] | np.random.SeedSequence | np.random.Generator | None


def generator(rng: Seed) -> np.random.Generator:
    """The generator that `rng` means; of None, one that `simdrop.seed` decides."""
    if rng is None:
        rng = int.from_bytes(Stream().key, "little")
    return np.random.default_rng(rng)


def at(argument: Any, step: int) -> Any:
    """A layer's argument at a step: what a schedule gives, else itself."""
    return argument(step) if callable(argument) else argument


def check_p(p: Probability) -> None:
    """Refuse what is no probability; a schedule by what it begins with."""
    probability(at(p, 0))


def p_of_each(p: Any, layers: int) -> list[Probability]:
    """p of each hidden layer: the same for all, or from a sequence with one for each."""
    if isinstance(p, np.ndarray):
        p = p.tolist()
    if not isinstance(p, Sequence):
        check_p(p)
        return [p] * layers
    if len(p) != layers:
        raise ValueError(
            f"p must be one probability or one for each of the {layers} hidden layers, got {len(p)}"
        )
    for i, one in enumerate(p):
        try:
            check_p(one)
        except (TypeError, ValueError) as error:
            raise type(error)(f"p[{i}]: {error}") from None
    return list(p)


def form(inverted: bool) -> list[str]:
    """What `repr` shows of `inverted`: nothing where it is True, the default."""
    return [] if inverted else ["inverted=False"]


def checked_stream(stream: Stream | None) -> Stream | None:
    """Refuse seeds: each call would drop the same."""
    if stream is not None and not isinstance(stream, Stream):
        raise TypeError(f"stream must be a simdrop.Stream or None, not {type(stream).__name__}")
    return stream


def in_evaluation(layer: object) -> dict[str, Any]:
    """The attributes that decide what a layer computes in evaluation, in JSON's types.

    With ``inverted=False`` p and what follows it are among them: evaluation multiplies by the
    probability of being kept.
    """
    names = ["activation", "transform", "inverted"]
    if not getattr(layer, "inverted", True):
        names += ["p", "arguments"]
    return {name: _plain(getattr(layer, name)) for name in names if hasattr(layer, name)}


def _plain(value: Any) -> Any:
    """A value in JSON's types, the same in every process: callables become their names."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | np.number):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Values):  # a schedule
        return repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
