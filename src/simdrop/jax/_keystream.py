"""Masks in jax.numpy, for devices without the extension: the bits of docs/stream.md in uint32."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 10  # of AES-128
COLUMNS = 4  # words of a block, and of a round key
BLOCK = 16  # bytes
DIGITS = 8  # of p, in base 256
DRAW_HIGH = 0xFFFFFF  # draws are numbered below 2^56: the high word has 24 bits, the plane the rest


def digits_of(p: float) -> list[int]:
    """p < 1 as eight digits in base 256, rounded to nearest; those at the end that are 0 left out."""
    digits = list(round(Fraction(p) * 256**DIGITS).to_bytes(DIGITS, "big"))
    while digits and digits[-1] == 0:
        digits.pop()
    return digits


def times_2(byte: int) -> int:
    """In GF(2^8), modulo x^8 + x^4 + x^3 + x + 1 (FIPS-197, section 4.2)."""
    return byte << 1 ^ (byte >> 7) * 0x11B


@cache
def tables() -> tuple[np.ndarray, np.ndarray]:
    """The S-box (FIPS-197, section 5.1.1), and what it and MixColumns make of a column's byte 0."""
    powers = [1]
    while len(powers) < 255:
        powers.append(times_2(powers[-1]) ^ powers[-1])  # of 3, which generates the group
    logarithm = {power: i for i, power in enumerate(powers)}
    box = []
    for byte in range(256):
        inverse = powers[-logarithm[byte] % 255] if byte else 0
        rotations = (inverse << i | inverse >> 8 - i for i in range(5))
        box.append(np.bitwise_xor.reduce([rotation & 0xFF for rotation in rotations]) ^ 0x63)
    mixed = [times_2(s) | s << 8 | s << 16 | (times_2(s) ^ s) << 24 for s in map(int, box)]
    return np.array(box, np.uint32), np.array(mixed, np.uint32)


def byte(word: jax.Array, i: int) -> jax.Array:
    return word >> np.uint32(8 * i) & np.uint32(0xFF)


def rotated(word: jax.Array, i: int) -> jax.Array:
    """Byte 0 becomes byte i."""
    return word << np.uint32(8 * i) | word >> np.uint32(32 - 8 * i) if i else word


def expanded(key: jax.Array) -> jax.Array:
    """The round keys (FIPS-197, section 5.2) of four words, as (11, 4) words."""
    box = jnp.asarray(tables()[0])
    words = list(key)
    constant = 1
    for i in range(COLUMNS, COLUMNS * (ROUNDS + 1)):
        word = words[-1]
        if i % COLUMNS == 0:
            turned = rotated(word, 3)
            parts = [box[byte(turned, k)] << np.uint32(8 * k) for k in range(4)]
            word = parts[0] | parts[1] | parts[2] | parts[3]
            word ^= np.uint32(constant)
            constant = times_2(constant)
        words.append(words[i - COLUMNS] ^ word)
    return jnp.stack(words).reshape(ROUNDS + 1, COLUMNS)


def encrypted(columns: list[jax.Array], key: jax.Array) -> list[jax.Array]:
    """AES-128 of blocks, given and returned as four arrays: the little-endian words of each."""
    box, mixed = map(jnp.asarray, tables())
    round_keys = expanded(key)
    # ShiftRows: byte k of column j comes from column j + k.
    places = [[(j + k) % COLUMNS for k in range(4)] for j in range(COLUMNS)]

    def one_round(i: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        new = []
        for j, sources in enumerate(places):
            word = round_keys[i, j]
            for k, source in enumerate(sources):
                word = word ^ rotated(mixed[byte(state[source], k)], k)
            new.append(word)
        return tuple(new)

    state = tuple(column ^ round_keys[0, j] for j, column in enumerate(columns))
    state = jax.lax.fori_loop(1, ROUNDS, one_round, state)
    last = []
    for j, sources in enumerate(places):
        word = round_keys[ROUNDS, j]
        for k, source in enumerate(sources):
            word = word ^ box[byte(state[source], k)] << np.uint32(8 * k)
        last.append(word)
    return last


def keystream(address: jax.Array, planes: int, n: int) -> jax.Array:
    """n bytes of each of the first planes of a draw, as (planes, n) uint32."""
    blocks = -(-n // BLOCK)
    shape = planes, blocks
    number = jnp.broadcast_to(jnp.arange(blocks, dtype=jnp.uint32), shape)
    plane = jnp.arange(planes, dtype=jnp.uint32)[:, None] << np.uint32(24)
    low = jnp.broadcast_to(address[4], shape)
    high = jnp.broadcast_to(address[5] & np.uint32(DRAW_HIGH) | plane, shape)
    columns = encrypted([number, jnp.zeros_like(number), low, high], address[:4])
    words = jnp.stack(columns, axis=-1)
    bytes_of_words = jnp.stack([byte(words, k) for k in range(4)], axis=-1)
    return bytes_of_words.reshape(planes, blocks * BLOCK)[:, :n]


def keep(address: jax.Array, p: float, n: int) -> jax.Array:
    """Whether each of the first n elements of a draw is kept, bool."""
    if p == 1:
        return jnp.zeros(n, bool)
    digits = digits_of(p)
    dropped = jnp.zeros(n, bool)
    if digits and n:
        planes = keystream(address, len(digits), n)
        for digit, plane in zip(reversed(digits), planes[::-1], strict=True):
            dropped = (plane < digit) | (plane == digit) & dropped
    return ~dropped
