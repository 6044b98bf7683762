"""What pickles name: functions that make an object again, at a path that never moves.

Classes are in `classes` by name, where their modules put them, so that nothing is imported here.
Those of modules that `import simdrop` leaves out have functions of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simdrop import BitGenerator, Mask, StoredMask, Stream
    from simdrop.submatrix import Kept

classes: dict[str, Any] = {}


def restore(kind: str, arguments: dict[str, Any]) -> Any:
    """An object by the name of its class and the arguments of the constructor."""
    return classes[kind](**arguments)


def restore_window(whole: Any, start: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A window of a draw, a mask, or whatever else has windows."""
    return whole.window(start, shape)


def restore_stream(state: Any) -> Stream:
    stream: Stream = classes["Stream"].__new__(classes["Stream"])
    stream.state = state
    return stream


def restore_fused(name: str, mask: Mask, dtype: Any, kept: tuple[Any, ...]) -> Any:
    """A context of simdrop.fused."""
    from simdrop._core import fused

    return fused.restored(getattr(fused, name), mask, dtype, kept)


def restore_kept(mask: Mask | StoredMask) -> Kept:
    from simdrop._core.submatrix import Kept

    return Kept(mask)


def restore_bit_generator(state: dict[str, Any], seed_seq: Any) -> BitGenerator:
    from simdrop._core.bitgenerator import restored

    return restored(state, seed_seq)
