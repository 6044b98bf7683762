"""Masks in jax.numpy, for devices without the extension: the bits of the stream in uint32."""

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
    """p < 1 as up to eight digits in base 256, rounded to nearest; without zeros at the end."""
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


def joined(four: list[jax.Array]) -> jax.Array:
    """The word of four bytes."""
    first, second, third, fourth = (b << np.uint32(8 * k) for k, b in enumerate(four))
    return first | second | third | fourth


def rotated(word: jax.Array, i: int) -> jax.Array:
    """Byte 0 becomes byte i."""
    return word << np.uint32(8 * i) | word >> np.uint32(32 - 8 * i) if i else word


def expanded(key: jax.Array) -> jax.Array:
    """The round keys (FIPS-197, section 5.2) of four words, as (11, 4) words."""
    box = jnp.asarray(tables()[0])
    constants = [1]
    while len(constants) < ROUNDS:
        constants.append(times_2(constants[-1]))

    def next_key(last: jax.Array, constant: jax.Array) -> tuple[jax.Array, jax.Array]:
        first, second, third, fourth = last
        first ^= joined([box[byte(rotated(fourth, 3), k)] for k in range(4)]) ^ constant
        second ^= first
        third ^= second
        new = jnp.stack([first, second, third, fourth ^ third])
        return new, new

    _, others = jax.lax.scan(next_key, key, jnp.array(constants, jnp.uint32))
    return jnp.concatenate([key[None], others])


def encrypted(blocks: jax.Array, key: jax.Array) -> jax.Array:
    """AES-128 (FIPS-197, section 5.1) of blocks (4, planes, n), given by their words first."""
    box, mixed = map(jnp.asarray, tables())
    round_keys = expanded(key)[..., None, None]

    def shifted(state: jax.Array) -> list[jax.Array]:
        """Bytes 0 to 3 of columns after ShiftRows: byte k of column j was that of column j + k."""
        return [byte(jnp.roll(state, -k, axis=0), k) for k in range(4)]

    def one_round(i: jax.Array, state: jax.Array) -> jax.Array:
        new = round_keys[i]
        for k, part in enumerate(shifted(state)):
            new = new ^ rotated(mixed[part], k)
        return new

    state = jax.lax.fori_loop(1, ROUNDS, one_round, blocks ^ round_keys[0])
    return joined([box[part] for part in shifted(state)]) ^ round_keys[ROUNDS]


def keystream(address: jax.Array, planes: int, n: int) -> jax.Array:
    """n bytes of each of the first planes of a draw, as (planes, n) uint32."""
    blocks = -(-n // BLOCK)
    number = jnp.arange(blocks, dtype=jnp.uint32)
    plane = jnp.arange(planes, dtype=jnp.uint32)[:, None] << np.uint32(24)
    parts = number, jnp.zeros_like(number), address[4], address[5] & np.uint32(DRAW_HIGH) | plane
    counters = jnp.stack([jnp.broadcast_to(part, (planes, blocks)) for part in parts])
    words = jnp.moveaxis(encrypted(counters, address[:4]), 0, -1)
    split = jnp.stack([byte(words, k) for k in range(4)], axis=-1)
    return split.reshape(planes, blocks * BLOCK)[:, :n]


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
