"""Where a call draws from: a key of JAX, a Stream, a Draw, or an address."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simdrop._core.draw import Draw
from simdrop._core.mask import Mask
from simdrop._core.stream import Stream, next_draws

# Words of an address: four of the key, two of the number of the draw, low word first.
KEY_WORDS = 4
WORDS = 6


def address(rng: Stream | Draw) -> jax.Array:
    """
    The address of a draw as an array, which a compiled function can take as an argument.

    Parameters
    ----------
    rng : Stream or Draw
        A Stream takes its next draw; of a Draw, such as a Mask, key and number alone count.

    Returns
    -------
    jax.Array
        uint32, of shape (6,): the key's 16 bytes as four little-endian words, and the number of the
        draw as two, the low one first.

    Raises
    ------
    TypeError
        If `rng` is something else.
    ValueError
        If it is a window of a draw, which has no address of its own; or if it is a Stream in a
        function that JAX traces, where its draw would become a constant.

    Examples
    --------
    >>> import jax, simdrop
    >>> stream, dropout = simdrop.Stream(0), jax.jit(simdrop.jax.dropout)
    >>> dropout(simdrop.jax.address(stream), jax.numpy.ones(8))
    Array([0., 2., 2., 0., 0., 0., 2., 2.], dtype=float32)
    """
    if isinstance(rng, Stream):
        if is_traced():
            raise ValueError(
                "a Stream cannot be drawn from in a function that JAX traces (for jit, scan, "
                "checkpoint, ...): its draw would be a constant, and the mask the same in every "
                "call. Pass simdrop.jax.address(stream) to the function as an argument instead"
            )
        (draw,) = next_draws(rng, 1)
    elif isinstance(rng, Draw):
        draw = rng
        if draw.window((0,) * len(draw.shape), draw.shape) is not draw:
            raise ValueError(f"{draw!r} is a window, which has no address of its own")
    else:
        raise TypeError(f"rng must be a simdrop.Stream or Draw, not {type(rng).__name__}")
    words = np.empty(WORDS, np.uint32)
    words[:KEY_WORDS] = np.frombuffer(draw.key, "<u4")
    words[KEY_WORDS:] = draw.draw & 0xFFFFFFFF, draw.draw >> 32
    return jnp.asarray(words)


def address_of(
    key: Any, shape: tuple[int, ...], p: float, axes: tuple[int, ...], scale: bool
) -> jax.Array:
    """The address of a call's draw, from what the call was given as its key."""
    if isinstance(key, Draw):
        check_draw(key, shape, p, axes, scale)
    if isinstance(key, (Stream, Draw)):
        return address(key)
    if not isinstance(key, (jax.Array, np.ndarray)):
        raise TypeError(
            "key must be a key of jax.random, a simdrop.Stream, Mask or Draw, or what "
            f"simdrop.jax.address returns, not {type(key).__name__}"
        )
    if key.shape == (WORDS,) and key.dtype == np.uint32:
        return jnp.asarray(key)
    bits = jax.random.bits(key, (KEY_WORDS,), jnp.uint32)
    return jnp.concatenate([bits, jnp.zeros(WORDS - KEY_WORDS, jnp.uint32)])


def is_traced() -> bool:
    """Whether what is computed here becomes a part of a program, whatever it is computed from."""
    return isinstance(jax.lax.neg(np.float32(0)), jax.core.Tracer)


def check_draw(
    draw: Draw, shape: tuple[int, ...], p: float, axes: tuple[int, ...], scale: bool
) -> None:
    """An error for a Draw, or Mask, that says something else than the call."""
    given: dict[str, Any] = {"shape": shape, "shared_axes": axes}
    if isinstance(draw, Mask):
        given |= {"p": p, "scaled": scale}
    for name, value in given.items():
        own = getattr(draw, name)
        if not np.array_equal(own, value):
            raise ValueError(
                f"the {type(draw).__name__} has {name} = {own}, but the call has {value}; "
                "simdrop.jax.address takes its key and number alone"
            )
