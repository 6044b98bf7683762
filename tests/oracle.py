"""Stream version 1, written a second time: AES from `cryptography`, the rest in a few lines of
NumPy. It decides."""

from fractions import Fraction

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def aes(key, blocks):
    """AES-128 of each 16-byte block."""
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)


def key_from_seed(seed):
    """The 16-byte key of an integer seed, or of a sequence of them."""
    return np.random.SeedSequence(seed).generate_state(4, np.uint32).astype("<u4").tobytes()


def spawned_key(key, child):
    """The key of a stream's child number `child`, counted from 0."""
    return aes(key, bytes(8) + (child | 255 << 56).to_bytes(8, "little"))


def keystream(key, draw, plane, start, stop):
    """Keystream bytes `start` to `stop` of one plane of one draw, uint8."""
    first, last = start // 16, -(-stop // 16)
    counters = np.empty((last - first, 2), "<u8")
    counters[:, 0] = np.uint64(first) + np.arange(last - first, dtype=np.uint64)
    counters[:, 1] = draw | plane << 56
    stream = np.frombuffer(aes(key, counters.tobytes()), np.uint8)
    return stream[start - 16 * first : stop - 16 * first]


def uniforms(key, draw, start, stop):
    """The uniforms of elements `start` to `stop` as integers out of 2**64 (planes 0 to 7),
    uint64."""
    u = np.zeros(stop - start, np.uint64)
    for plane in range(8):
        u = u << np.uint64(8) | keystream(key, draw, plane, start, stop)
    return u


def dropped(key, draw, p, start, stop):
    """Whether U_e < p for elements `start` to `stop`, with p's digits after the eighth rounded to
    nearest, bool."""
    threshold = round(Fraction(p) * 2**64)
    if threshold == 2**64:
        return np.ones(stop - start, bool)
    return uniforms(key, draw, start, stop) < np.uint64(threshold)


def keep(key, draw, p, shape, shared_axes=()):
    """The keep mask of a whole shape, bool."""
    decisions = tuple(1 if axis in shared_axes else n for axis, n in enumerate(shape))
    size = int(np.prod(decisions))
    kept = ~dropped(key, draw, p, 0, size)
    return np.broadcast_to(kept.reshape(decisions), shape).copy()


def times(x, scale):
    """x * scale as each dtype does it: complex by parts, 16-bit floats in float32 and rounded
    once."""
    with np.errstate(all="ignore"):
        if x.dtype.kind == "c":
            real = x.real.dtype
            return (x[..., None].view(real) * real.type(scale)).view(x.dtype)[..., 0]
        if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
            return (x.astype(np.float32) * np.float32(scale)).astype(x.dtype)
        return x * x.dtype.type(scale)


def apply(x, key, draw, p, shared_axes=(), scale=True):
    """Dropout of an array of any dtype, as a C-contiguous array of native byte order."""
    x = np.array(x, x.dtype.newbyteorder("="), order="C")
    kept = keep(key, draw, p, x.shape, shared_axes)
    y = np.zeros(x.shape, x.dtype)
    y[kept] = times(x[kept], (1 / (1 - p) if p < 1 else 0) if scale else 1)
    return y
