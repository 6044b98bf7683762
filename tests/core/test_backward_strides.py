"""Arrays that run backward in memory, in x and `out` alike: the kernels follow them forward and the
mask backward. The oracle decides."""

import itertools

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd

KEY = bytes(range(16))
DRAW = 2**40 + 3
POISON = 0xCA
SCALED = [np.dtype(code) for code in ("f2", ml_dtypes.bfloat16, "f4", "f8", "c8", "c16")]
PLAIN = [np.dtype(code) for code in ("?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16")]
PLAIN += [np.dtype(code) for code in ("S1", "S3", "V5", "S9", "V16", "M8[s]")]
# Rows around the shortest that is followed backward, words of bits, and the chunks they come in.
LENGTHS = [1, 2, 47, 48, 49, 63, 64, 65, 111, 112, 127, 128, 129, 191, 960, 975, 1000]
LENGTHS += [1023, 1024, 1025, 1087, 1088, 1089, 2047, 2048, 2049, 3100, 8191, 8192, 8257, 20_000]


def values(shape, dtype, seed=0):
    """Ordinary numbers for types that are scaled, any bytes but 0 for others."""
    generator = np.random.default_rng(seed)
    size = int(np.prod(shape))
    if dtype in SCALED:
        x = generator.standard_normal((size, 2)).astype(dtype)
        x = x[:, 0] + x[:, 1] * dtype.type(1j) if dtype.kind == "c" else x[:, 0]
        return np.ascontiguousarray(x).reshape(shape)
    high = 2 if dtype.kind == "b" else 100
    x = generator.integers(1, high, size * dtype.itemsize, np.uint8).view(dtype)
    return x.reshape(shape)


class Backward:
    """A view that runs backward along some axes, of rows `gap` elements apart, inside of poison."""

    def __init__(self, content, axes, gap=0, offset=0):
        shape, dtype = content.shape, content.dtype
        padded = (*shape[:-1], shape[-1] + gap) if shape else ()
        size = int(np.prod(padded))
        self.memory = np.full((size + 256) * dtype.itemsize, POISON, np.uint8)
        start = -self.memory.ctypes.data % 64 + (64 + offset) * dtype.itemsize
        block = self.memory[start : start + size * dtype.itemsize].view(dtype).reshape(padded)
        inside = np.zeros(self.memory.size, bool)
        flags = inside[start : start + size * dtype.itemsize].reshape(*padded, dtype.itemsize)
        flags[..., : shape[-1], :] = True
        self.outside = ~inside
        turn = tuple(slice(None, None, -1 if axis in axes else 1) for axis in range(len(shape)))
        self.view = block[..., : shape[-1]][turn]
        self.view[...] = content

    def intact(self):
        return bool((self.memory[self.outside] == POISON).all())


def expected(x, kept, scale):
    y = np.zeros(x.shape, x.dtype.newbyteorder("="))
    y[kept] = x[kept] if scale == 1 else oracle.times(x[kept], scale)
    return y


def same(y, wanted):
    return y.dtype == wanted.dtype and y.tobytes() == wanted.tobytes()


def check(mask, kept, x, axes, gap=0, offset=0, scale=None):
    """In place, into an array that runs as x does, into new ones, and where only one runs
    backward."""
    wanted = expected(x, kept, mask.scale if scale is None else scale)
    source = Backward(x, axes, gap, offset)
    assert same(mask.apply(source.view), wanted)
    target = Backward(x, axes, gap, offset + 1)
    assert mask.apply(source.view, out=target.view) is target.view
    assert same(target.view, wanted) and target.intact()
    assert same(source.view, x) and source.intact()
    forward = Backward(x, ())
    assert same(mask.apply(source.view, out=forward.view), wanted) and forward.intact()
    assert same(mask.apply(x, out=target.view), wanted) and target.intact()
    mask.apply(source.view, out=source.view)
    assert same(source.view, wanted) and source.intact()


@pytest.mark.parametrize("dtype", SCALED, ids=str)
def test_every_scaled_type_and_length(instruction_set, dtype):
    kept = oracle.keep(KEY, DRAW, 0.3, (max(LENGTHS),))
    x = values(max(LENGTHS), dtype)
    for n in LENGTHS:
        check(sd.Mask(KEY, DRAW, 0.3, n), kept[:n], x[:n], (0,), offset=n % 5)


@pytest.mark.parametrize("dtype", PLAIN, ids=str)
def test_every_plain_type(instruction_set, dtype):
    kept = oracle.keep(KEY, DRAW, 0.3, (3100,))
    x = values(3100, dtype)
    for n in (47, 48, 49, 65, 1000, 1089, 3100):
        check(sd.Mask(KEY, DRAW, 0.3, n, scale=False), kept[:n], x[:n], (0,), offset=n % 3)


@pytest.mark.parametrize("p", [0, 0.5, 1 / 3, 1 - 2**-20, 1])
def test_every_p(instruction_set, p):
    n = 5000
    kept = oracle.keep(KEY, DRAW, p, (n,))
    check(sd.Mask(KEY, DRAW, p, n), kept, values(n, np.dtype("f4")), (0,))


def axes_of(shape):
    """Every choice of one axis or more."""
    axes = range(len(shape))
    return [a for n in range(1, len(shape) + 1) for a in itertools.combinations(axes, n)]


SHAPES = [(7, 48), (30, 65), (9, 47), (3, 1500), (70, 130), (5, 3, 100), (3, 40, 50), (2, 3, 4, 60)]


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_some_or_all_axes(instruction_set, shape, gap):
    kept = oracle.keep(KEY, DRAW, 0.3, shape)
    for i, axes in enumerate(axes_of(shape)):
        for dtype in (np.dtype("f4"), np.dtype("c16")):
            check(sd.Mask(KEY, DRAW, 0.3, shape), kept, values(shape, dtype), axes, gap, i % 3)


@pytest.mark.parametrize("shape", [(70, 50), (4, 60, 50), (130, 3, 70)], ids=str)
def test_axes_in_any_order_in_memory(instruction_set, shape):
    """Columns before rows, and all of them backward: the mask follows none of them."""
    kept = oracle.keep(KEY, DRAW, 0.3, shape)
    x = values(shape, np.dtype("f4"))
    mask = sd.Mask(KEY, DRAW, 0.3, shape)
    wanted = expected(x, kept, mask.scale)
    for order in itertools.permutations(range(len(shape))):
        for axes in axes_of(shape):
            turn = tuple(slice(None, None, -1 if a in axes else 1) for a in range(len(shape)))
            memory = np.empty([shape[axis] for axis in order], np.float32)
            view = memory.transpose(np.argsort(order))[turn]
            view[...] = x
            assert same(mask.apply(view), wanted)
            assert same(mask.apply(view, out=view), wanted)


@pytest.mark.parametrize("shape", [(40, 100), (3, 50, 70), (20, 60, 5), (300, 10, 48)], ids=str)
def test_shared_axes(instruction_set, shape):
    x = values(shape, np.dtype("f4"))
    for shared in axes_of(shape):
        kept = oracle.keep(KEY, DRAW, 0.3, shape, shared)
        mask = sd.Mask(KEY, DRAW, 0.3, shape, shared_axes=shared)
        for axes in axes_of(shape):
            check(mask, kept, x, axes)
            check(sd.Mask.from_keep(kept, 0.3), kept, x, axes, scale=mask.scale)


@pytest.mark.parametrize("n", [48, 1000, 2048, 2049, 4097, 262_144, 262_145, 270_000])
def test_rows_that_repeat(instruction_set, n):
    """A row's bits are drawn once for all its steps; more than 2**18 of them in parts."""
    shape = (3, n) if n > 5000 else (70, n)
    kept = oracle.keep(KEY, DRAW, 0.3, shape, (0,))
    mask = sd.Mask(KEY, DRAW, 0.3, shape, shared_axes=0)
    for axes in ((1,), (0, 1)):
        check(mask, kept, values(shape, np.dtype("f4")), axes)
        check(mask, kept, values(shape, np.dtype("f4")), axes, gap=5)


@pytest.mark.parametrize("gap", [0, 7])
def test_windows(instruction_set, gap):
    """Rows that begin anywhere in a word of the mask's bits."""
    shape = (9, 1300)
    kept = oracle.keep(KEY, DRAW, 0.3, shape)
    x = values(shape, np.dtype("f4"))
    mask = sd.Mask(KEY, DRAW, 0.3, shape)
    for start, lengths in (
        *[((1, i), (1, 200)) for i in (0, 1, 13, 62, 63, 64, 65)],
        *[((2, 5), (3, n)) for n in (48, 59, 64, 123, 1024, 1083, 1295)],
        ((0, 0), (9, 1299)),
        ((3, 0), (4, 1300)),
        ((0, 700), (9, 48)),
    ):
        block = tuple(slice(i, i + n) for i, n in zip(start, lengths, strict=True))
        for axes in axes_of(shape):
            check(mask.window(start, lengths), kept[block], x[block].copy(), axes, gap)


@pytest.mark.parametrize("shape", [(48,), (1000,), (5000,), (30, 65), (3, 40, 50)], ids=str)
def test_stored_masks(instruction_set, shape):
    kept = np.random.default_rng(3).random(shape) < 0.6
    mask = sd.Mask.from_keep(kept, 0.4)
    for dtype in SCALED:
        for axes in axes_of(shape):
            check(mask, kept, values(shape, dtype), axes, gap=2)


@pytest.mark.parametrize("p_shape", [(1, 300), (20, 1), (20, 300), (300,)], ids=str)
def test_an_array_of_p(instruction_set, p_shape):
    p = np.random.default_rng(4).random(p_shape)
    mask = sd.Mask(KEY, DRAW, p, (20, 300))
    uniforms = oracle.uniforms(KEY, DRAW, 0, 6000).reshape(20, 300)
    kept = uniforms >= np.broadcast_to(p * 2**64, (20, 300)).astype(np.uint64)
    x = values((20, 300), np.dtype("f8"))
    wanted = np.zeros(x.shape)
    wanted[kept] = (x * (1 / (1 - np.broadcast_to(p, x.shape))))[kept]
    for axes in axes_of(x.shape):
        source = Backward(x, axes)
        assert same(mask.apply(source.view), wanted)
        mask.apply(source.view, out=source.view)
        assert same(source.view, wanted) and source.intact()


@pytest.mark.parametrize("threads", [1, 3])
def test_large_arrays(instruction_set, threads, always_shared):
    """Past the caches, and by threads, each of which has a part."""
    size = (17 << 20) // 16 + 77
    try:
        sd.set_num_threads(threads)
        for shape, shared in (((size,), ()), ((1100, size // 1100), ()), ((40, size // 40), (0,))):
            kept = oracle.keep(KEY, DRAW, 0.5, shape, shared)
            x = np.arange(1, kept.size + 1, dtype="c16").reshape(shape)
            mask = sd.Mask(KEY, DRAW, 0.5, shape, shared_axes=shared)
            view = Backward(x, range(len(shape)), offset=threads)
            mask.apply(view.view, out=view.view)
            assert same(view.view, np.where(kept, 2 * x, 0)) and view.intact()
    finally:
        sd.set_num_threads(None)


@given(st.data())
def test_any_block_backward(data):
    """Any lengths, gaps, axes, shared axes, window and type."""
    ndim = data.draw(st.integers(1, 3))
    lengths = [st.integers(1, 12)] * (ndim - 1) + [st.integers(1, 200) | st.integers(900, 1200)]
    whole = tuple(data.draw(length) for length in lengths)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in whole)
    shape = tuple(data.draw(st.integers(1, n - i)) for n, i in zip(whole, start, strict=True))
    shared = tuple(a for a in range(ndim) if ndim > 1 and data.draw(st.booleans()))
    dtype = data.draw(st.sampled_from(SCALED + PLAIN))
    scale = dtype in SCALED and data.draw(st.booleans())
    p = data.draw(st.sampled_from([0, 0.5, 0.3, 1]))
    block = tuple(slice(i, i + n) for i, n in zip(start, shape, strict=True))
    kept = oracle.keep(KEY, DRAW, p, whole, shared)[block].copy()
    mask = sd.Mask(KEY, DRAW, p, whole, shared_axes=shared, scale=scale).window(start, shape)
    if data.draw(st.booleans()):
        mask = sd.Mask.from_keep(kept, p, scale=scale)
    axes = data.draw(st.sampled_from(axes_of(shape)))
    gap, offset = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 17))
    check(mask, kept, values(shape, dtype), axes, gap, offset)
