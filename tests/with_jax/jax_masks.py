"""What the tests of `simdrop.jax` compare with."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import simdrop as sd
import simdrop.jax as sj
from simdrop.jax import _extension

KEY = bytes(range(16))
ADDRESS = np.array([*np.frombuffer(KEY, "<u4"), 7, 0], np.uint32)  # draw 7

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
OTHERS = ("bool", "int8", "uint8", "int16", "uint32", "int64", "float8_e5m2", "float8_e4m3fn")

needs_extension = pytest.mark.skipif(
    not _extension.is_registered(), reason="this build has no extension for JAX"
)


def dtype_named(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def values(shape, dtype, special=True):
    """Normal numbers, and what is special among floats."""
    x = np.random.default_rng(0).standard_normal(shape) * 10
    if special and dtype.kind not in "biu":
        for i, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            x.reshape(-1)[i::7] = value
    with np.errstate(all="ignore"):
        return (x > 0 if dtype.kind == "b" else x).astype(dtype)


def assert_same_bits(found, expected):
    """Also of zeros; NaN is NaN."""
    found = np.asarray(found)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if found.dtype.kind == "c":
        found, expected = (
            np.ascontiguousarray(a)[..., None].view(a.real.dtype) for a in (found, expected)
        )
    with np.errstate(all="ignore"):
        nan = expected != expected
        np.testing.assert_array_equal(found != found, nan)
    as_bytes = [np.where(nan, np.zeros((), a.dtype), a).tobytes() for a in (found, expected)]
    assert as_bytes[0] == as_bytes[1]


def masks_of(addresses, shape, p=0.5, **named):
    """What the masks of some addresses make of ones."""
    words = np.asarray(addresses)
    return np.stack(
        [
            sd.Mask(w[:4].astype("<u4").tobytes(), int(w[4]), p, shape, **named).apply(
                np.ones(shape, np.float32)
            )
            for w in words
        ]
    )


def addresses_of(n):
    stream = sd.Stream(0)
    return jnp.stack([sj.address(stream) for _ in range(n)])
