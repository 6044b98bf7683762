"""Arrays for tests: special values, guarded memory, any layout, and comparison bit for bit."""

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

POISON = 0xCA
KERNEL_DTYPES = [np.float32, np.float64]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(code) for code in "efdFD"] + [BFLOAT16]
INTEGERS = [np.dtype(code) for code in "?bBhHiIlLqQ"]


def values(shape, dtype, seed=0):
    """Ordinary and special values: signed zeros, infinities, subnormals, quiet NaNs of both signs
    with payloads."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind in "?biu":
        return rng.integers(0, 2 if dtype.kind == "b" else 256, (*shape, dtype.itemsize), np.uint8)[
            ..., :
        ].view(dtype)[..., 0]
    if dtype.kind == "c":
        parts = values((*shape, 2), dtype.type(0).real.dtype, seed)
        return parts.view(dtype)[..., 0]
    x = np.asarray(rng.standard_normal(shape), np.float64)
    x *= 10.0 ** rng.integers(-3, 4, shape)
    x = x.astype(dtype)
    info = ml_dtypes.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, info.max, -info.max, info.tiny, info.smallest_subnormal]
    special = np.array([*special, -3 * float(info.smallest_subnormal), np.nan], dtype)
    integer = np.dtype(f"u{dtype.itemsize}").type
    nans = np.array([special[-1:].view(integer)[0] | payload for payload in (1, 5)], integer)
    nans = np.concatenate([nans, nans | integer(1 << (8 * dtype.itemsize - 1))]).view(dtype)
    special = np.concatenate([special, nans])
    return np.where(rng.random(shape) < 0.3, rng.choice(special, shape), x)


def bits(x):
    """The bytes of an array in C order and native byte order; every 16-bit NaN becomes the same
    NaN."""
    x = np.array(x, x.dtype.newbyteorder("="), order="C")
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        x[np.isnan(x)] = np.nan
    return x.tobytes()


def assert_same(y, expected):
    """The same dtype, shape and bits."""
    assert y.dtype == expected.dtype and y.shape == expected.shape
    if bits(y) != bits(expected):
        np.testing.assert_array_equal(y, expected)
        raise AssertionError("equal as numbers but not as bits: signed zeros or NaNs")


class Guarded:
    """An array of poison `offset` bytes into a 64-byte line, with canaries on both sides."""

    def __init__(self, shape, dtype, offset=0):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.memory = np.full(size + 512, POISON, np.uint8)
        start = -self.memory.ctypes.data % 64 + 128 + offset
        self.array = self.memory[start : start + size].view(dtype).reshape(shape)
        assert self.array.size == 0 or self.array.ctypes.data % 64 == offset
        self.outside = np.ones(self.memory.size, bool)
        self.outside[start : start + size] = False

    def intact(self):
        return (self.memory[self.outside] == POISON).all()

    def untouched(self):
        return (self.memory == POISON).all()


dtypes = st.sampled_from(FLOATS + INTEGERS)
shapes = st.lists(st.integers(0, 6), max_size=4).map(tuple)


@st.composite
def views(draw, shape, dtype, readonly_ok=True):
    """An array of a shape and dtype in any layout: order, steps, reversals, byte order, alignment,
    zero strides."""
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 1, 2, 3, -1, -2])) for _ in shape]
    zero = [readonly_ok and draw(st.integers(0, 9)) == 0 for _ in shape]
    if dtype != BFLOAT16 and draw(st.booleans()):
        dtype = dtype.newbyteorder()
    sizes = [1 if z else abs(step) * n for n, step, z in zip(shape, steps, zero, strict=True)]
    memory_shape = [sizes[axis] for axis in order]
    count = int(np.prod(memory_shape))
    offset = draw(st.sampled_from([0, 0, 0, 1, 2, 4]))
    memory = np.empty(count * dtype.itemsize + offset, np.uint8)
    base = memory[offset:].view(dtype).reshape(memory_shape)
    native = dtype.newbyteorder("=")
    base[...] = values(base.shape, native, draw(st.integers(0, 99))).astype(native)
    view = base.transpose(np.argsort(order))
    for axis, (step, z) in enumerate(zip(steps, zero, strict=True)):
        if not z:
            view = view[(slice(None),) * axis + (slice(None, None, step),)]
    return np.broadcast_to(view, shape) if any(zero) else view
