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


# z in octave e, from 16 to 30, of t; -2 log(1 + t) / t in even and odd powers; z of r - 7.
PIECES = """
0x1.04e09p+2 -0x1.3da6ccp-3 0x1.91b426p-5 -0x1.5af2dcp-6 0x1.53924ep-7 -0x1.a242d2p-8 0x1.e4fc08p-9
0x1.f4baep+1 -0x1.49a8d6p-3 0x1.9f36e4p-5 -0x1.6613b8p-6 0x1.5e254ep-7 -0x1.aef102p-8 0x1.f36efep-9
0x1.dee15cp+1 -0x1.57180cp-3 0x1.ae1eecp-5 -0x1.724c96p-6 0x1.69ba62p-7 -0x1.bccc66p-8 0x1.01999p-8
0x1.c81a78p+1 -0x1.66417cp-3 0x1.beab9p-5 -0x1.7fcc9cp-6 0x1.767bacp-7 -0x1.cc04dap-8 0x1.0a3e8ap-8
0x1.b0465p+1 -0x1.778acp-3 0x1.d12c1ep-5 -0x1.8ece52p-6 0x1.849d3p-7 -0x1.dcd526p-8 0x1.13c6ap-8
0x1.973d58p+1 -0x1.8b7cf6p-3 0x1.e60502p-5 -0x1.9f9b2cp-6 0x1.945fcep-7 -0x1.ef8638p-8 0x1.1e59acp-8
0x1.7ccd7ap+1 -0x1.a2d62ep-3 0x1.fdb696p-5 -0x1.b2906p-6 0x1.a61558p-7 -0x1.0239cap-7 0x1.2a297ap-8
0x1.60b5d2p+1 -0x1.bea6bep-3 0x1.0c72fp-4 -0x1.c82582p-6 0x1.ba2638p-7 -0x1.0e08aep-7 0x1.3775p-8
0x1.429fdp+1 -0x1.e084cp-3 0x1.1c331ap-4 -0x1.e0f58p-6 0x1.d1190cp-7 -0x1.1b7a48p-7 0x1.468cc4p-8
0x1.2213b8p+1 -0x1.05767p-2 0x1.2e9ee2p-4 -0x1.fdca66p-6 0x1.eb9ceep-7 -0x1.2aef2ap-7 0x1.57d8d4p-8
0x1.fcc812p+0 -0x1.2103fep-2 0x1.4445a6p-4 -0x1.0fd67ap-5 0x1.054b3ep-6 -0x1.3ce55ap-7 0x1.6be0ccp-8
0x1.ad0a6p+0 -0x1.46b642p-2 0x1.5d6ee2p-4 -0x1.24004cp-5 0x1.1796f4p-6 -0x1.52017ap-7 0x1.835602p-8
0x1.516928p+0 -0x1.7e613p-2 0x1.786e4p-4 -0x1.3c8ad4p-5 0x1.2d643cp-6 -0x1.6b193p-7 0x1.9f1ec4p-8
0x1.c6380ep-1 -0x1.db8fdap-2 0x1.87e9c8p-4 -0x1.5e5cf2p-5 0x1.4692aep-6 -0x1.897812p-7 0x1.c04df4p-8
0x1.46495cp-2 -0x1.518f86p-1 0x1.1bb5fp-4 -0x1.d4deb6p-5 0x1.34cfd2p-6 -0x1.ce4b7cp-7 0x1.d2de5p-8
"""
EVEN = "-0x1p+1 -0x1.553e46p-1 -0x1.62e4e6p-2 0x1.4463ccp+0 0x1.46c31ap+2"
ODD = "0x1.00002ep+0 0x1.0236dp-1 0x1.69dd4cp-1 0x1.0601ecp+2 0x1.c69642p+1"
TAIL = (
    "0x1.a5605p+2 0x1.0a498ap+0 -0x1.23e9ccp-8 0x1.116e6ap-11 "
    "-0x1.04b71cp-14 0x1.fbfd8cp-18 -0x1.36fc92p-20 0x1.46dd44p-23"
)


def floats(text):
    return [np.float32(float.fromhex(c)) for c in text.split()]


def horner(coefficients, x):
    """A polynomial in float32, the constant coefficient first."""
    first, *others = reversed(floats(coefficients))
    y = first
    for c in others:
        y = c + x * y
    return y


def normal_words(key, draw, n, plane=16):
    """The words of the first n elements."""
    return keystream(key, draw, plane, 0, 4 * n).view("<u4").astype(np.uint32)


def normals_of(words, more):
    """The normal numbers of words, and of those that follow them where they are tiny."""
    f = np.float32
    signed = words.view(np.int32)
    size = np.abs((signed | 1).astype(f))
    m, exponent = np.frexp(size)
    pieces = np.array([floats(row) for row in PIECES.split("\n") if row] + [[0] * 7], f)
    c = pieces[np.maximum(exponent - 17, 0)].T
    t = m * f(2) - f(1.5)
    z = c[6]
    for k in range(5, -1, -1):  # exact in float64, so rounded once
        z = (z.astype(np.float64) * t + c[k]).astype(f)
    tiny = size < 2**16
    wide = np.abs((signed.astype(np.int64) << 32 | more | 1)[tiny])
    m, exponent = np.frexp(wide.astype(f))
    t = m - f(1)
    q = t * t
    log = t * (horner(EVEN, q) + t * horner(ODD, q))
    r = np.sqrt(log + (exponent - 64).astype(f) * f(float.fromhex("-0x1.62e43p+0")))
    z[tiny] = horner(TAIL, r - f(7))
    return np.where(signed < 0, -z, z)


def normals(key, draw, n):
    """The first n normal numbers, float32, bit for bit."""
    return normals_of(*(normal_words(key, draw, n, plane) for plane in (16, 17)))
