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


# Of -2 log(1 + t) / t in even and odd powers, of sin(s pi / 4) / s and (cos(s pi / 4) - 1) / s^2.
EVEN = "-0x1p+1 -0x1.553e46p-1 -0x1.62e4e6p-2 0x1.4463ccp+0 0x1.46c31ap+2"
ODD = "0x1.00002ep+0 0x1.0236dp-1 0x1.69dd4cp-1 0x1.0601ecp+2 0x1.c69642p+1"
SINE = "0x1.921fb6p-1 -0x1.4abbbap-4 0x1.465e92p-9 -0x1.2d9304p-15"
COSINE = "-0x1.3bd3ccp-2 0x1.03c1eap-6 -0x1.55cb88p-12 0x1.db5fa8p-19"


def horner(coefficients, x):
    """A polynomial in float32, the constant coefficient first."""
    first, *others = [np.float32(float.fromhex(c)) for c in reversed(coefficients.split())]
    y = first
    for c in others:
        y = c + x * y
    return y


def normal_words(key, draw, tiles, plane=16):
    """The words of so many tiles from the first on, 64 each: radii's, and angles'."""
    words = keystream(key, draw, plane, 0, 256 * tiles).view("<u4").reshape(tiles, 64)
    return words[:, :32].astype(np.uint32), words[:, 32:].astype(np.uint32)


def normals(key, draw, n):
    """The first n normal numbers, float32, bit for bit."""
    f, tiles = np.float32, -(-n // 64)
    (radii, angles), (more, _) = (normal_words(key, draw, tiles, plane) for plane in (16, 17))
    tiny = radii < 2**16
    u = (radii | 1).view(np.int32).astype(f)
    wide = radii.astype(np.int64) << 32 | more | 1
    m, exponent = np.frexp(np.where(tiny, wide.astype(f), u))
    high = u < 0
    t = np.where(high, u * f(2.0**-32), m - f(1))
    e = np.where(high, 0, exponent - np.where(tiny, 64, 32)).astype(f)
    q = t * t
    log = t * (horner(EVEN, q) + t * horner(ODD, q))
    r = np.sqrt(log + e * f(float.fromhex("-0x1.62e43p+0")))
    s = (angles & 0x1FFFFFFF | 1).astype(f) * f(2.0**-29)
    q = s * s
    sine, cosine = r * (s * horner(SINE, q)), r * (f(1) + q * horner(COSINE, q))
    swap, down, left = (angles & bit != 0 for bit in (1 << 29, 1 << 30, 1 << 31))
    first, second = np.where(swap, sine, cosine), np.where(swap, cosine, sine)
    first, second = np.where(left, -first, first), np.where(down, -second, second)
    return np.concatenate([first, second], axis=1).ravel()[:n]
