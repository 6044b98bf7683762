"""What pickles name: functions that make an object again, at a path that never moves.

The classes are imported when they are needed, since their modules import this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simdrop import (
        AlphaDropoutContext,
        Draw,
        GaussianDropoutContext,
        GaussianNoiseContext,
        Mask,
        StoredMask,
        Stream,
    )
    from simdrop.submatrix import Kept


def restore_draw(key: bytes, draw: int, shape: tuple[int, ...], shared_axes: Any) -> Draw:
    from simdrop._core.draw import Draw

    return Draw(key, draw, shape, shared_axes=shared_axes)


def restore_mask(
    key: bytes, draw: int, p: Any, shape: tuple[int, ...], shared_axes: Any, scale: bool
) -> Mask:
    from simdrop._core.mask import Mask

    return Mask(key, draw, p, shape, shared_axes=shared_axes, scale=scale)


def restore_stored(bits: bytes, p: float, shape: tuple[int, ...], scale: bool) -> StoredMask:
    from simdrop._core.stored import StoredMask

    return StoredMask(bits, p, shape, scale=scale)


def restore_gaussian_dropout(
    key: bytes, draw: int, p: float, shape: tuple[int, ...], shared_axes: Any
) -> GaussianDropoutContext:
    from simdrop._core.gaussian import GaussianDropoutContext

    return GaussianDropoutContext(key, draw, p, shape, shared_axes=shared_axes)


def restore_gaussian_noise(
    key: bytes, draw: int, std: float, shape: tuple[int, ...], shared_axes: Any
) -> GaussianNoiseContext:
    from simdrop._core.gaussian import GaussianNoiseContext

    return GaussianNoiseContext(key, draw, std, shape, shared_axes=shared_axes)


def restore_alpha_dropout(
    key: bytes, draw: int, p: float, shape: tuple[int, ...], shared_axes: Any
) -> AlphaDropoutContext:
    from simdrop._core.alpha import AlphaDropoutContext

    return AlphaDropoutContext(key, draw, p, shape, shared_axes=shared_axes)


def restore_fused(name: str, mask: Mask, dtype: Any, kept: tuple[Any, ...]) -> Any:
    """A context of simdrop.fused."""
    from simdrop._core import fused

    return fused.restored(getattr(fused, name), mask, dtype, kept)


def restore_kept(mask: Mask | StoredMask) -> Kept:
    from simdrop._core.submatrix import Kept

    return Kept(mask)


def restore_window(whole: Any, start: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A window of a draw, a mask, or whatever else has windows."""
    return whole.window(start, shape)


def restore_stream(state: Any) -> Stream:
    from simdrop._core.stream import Stream

    stream = Stream.__new__(Stream)
    stream.state = state
    return stream
