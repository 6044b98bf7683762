"""The 16 bytes of a key, from what a user passes as `rng` or saved as a stream's state."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from simdrop._core.kernels import keystream
from simdrop._core.seedsequence import seed_bytes

KEY_BYTES = 16


def key_from(rng: Any) -> bytes:
    """The key of a new stream (SPEC 7: https://scientific-python.org/specs/spec-0007/)."""
    key = key_from_constant(rng)
    if key is not None:
        return key
    if isinstance(rng, np.random.BitGenerator):
        rng = np.random.Generator(rng)
    if isinstance(rng, np.random.Generator | np.random.RandomState):
        return rng.bytes(KEY_BYTES)
    raise TypeError(
        "rng must be None, an int, a sequence of ints, a NumPy SeedSequence, BitGenerator, "
        f"Generator or RandomState, or a simdrop Stream, not {rng!r}"
    )


def key_from_a_seed(seed: Any) -> bytes:
    """The key for what seeds a stream and has no state of its own, or an error."""
    key = key_from_constant(seed)
    if key is None:
        raise TypeError(
            "seed must be None, an int, a sequence of ints or a NumPy SeedSequence, not "
            f"{seed!r}: Generators and Streams are passed to functions, as rng"
        )
    return key


def key_from_constant(seed: Any) -> bytes | None:
    """The same, or None for what is no seed."""
    if isinstance(seed, int | np.integer):
        return key_from_seed(int(seed))
    if isinstance(seed, np.random.SeedSequence):
        return key_from_sequence(seed)
    if is_sequence(seed):
        try:
            return key_from_sequence(np.random.SeedSequence(seeds_of(seed)))
        except TypeError:
            pass  # not of ints
    return None


def key_from_system() -> bytes:
    return os.urandom(KEY_BYTES)


def is_sequence(rng: Any) -> bool:
    return isinstance(rng, Sequence | np.ndarray) and not isinstance(rng, str | bytes | bytearray)


def seeds_of(rng: Any) -> Any:
    """A sequence of ints, nested or not, as SeedSequence takes it; TypeError if it has others."""
    if isinstance(rng, np.ndarray):
        rng = rng.tolist()
    return [seeds_of(seed) for seed in rng] if is_sequence(rng) else operator.index(rng)


@lru_cache(maxsize=256)  # a seed each call is common, and hashing it takes as long as a small mask
def key_from_seed(seed: int) -> bytes:
    if seed < 0:
        raise ValueError(f"{seed} was given as a seed, but seeds must not be negative")
    return seed_bytes(seed)


def key_from_sequence(sequence: np.random.SeedSequence) -> bytes:
    return sequence.generate_state(KEY_BYTES // 4, np.uint32).astype("<u4").tobytes()


def forked_key(key: bytes) -> bytes:
    """
    The key of a stream in a forked child, from its parent's and 119 bits of the operating system's.

    Nothing else is certain to tell siblings apart that were forked from one state: process ids are
    reused. It is a block of plane 255 other than block 0, which is for spawned children.
    """
    block = int.from_bytes(os.urandom(8), "little") | 1
    draw = int.from_bytes(os.urandom(7), "little")
    return keystream(key, draw, 255, block, 1).tobytes()


def checked_state(state: Any, version: int, draws: int) -> tuple[bytes, int, int]:
    """Key, draw and spawned of a stream's state, or an error that says what is wrong with it."""
    if not isinstance(state, Mapping):
        raise TypeError(f"a stream's state is a dict, not {type(state).__name__}")
    wanted = {"stream", "key", "draw", "spawned"}
    if set(state) != wanted:
        raise ValueError(f"a stream's state has {sorted(wanted)}, not {sorted(map(str, state))}")
    if state["stream"] != version:
        raise ValueError(f"stream version {state['stream']!r} is not the one here, {version}")
    if not isinstance(state["key"], str):
        raise TypeError(f"key must be a str of 32 hexadecimal digits, not {state['key']!r}")
    try:
        key = bytes.fromhex(state["key"])
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES or len(state["key"]) != 2 * KEY_BYTES:
        raise ValueError(f"key must be 32 hexadecimal digits, not {state['key']!r}")
    for name in ("draw", "spawned"):
        number = state[name]
        if not isinstance(number, int | np.integer) or isinstance(number, bool):
            raise TypeError(f"{name} must be an int, not {number!r}")
        if not 0 <= number <= draws:
            raise ValueError(f"{name} = {number}, but must be in [0, 2**56]")
    return key, int(state["draw"]), int(state["spawned"])
