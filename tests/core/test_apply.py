"""Applying a mask: bit for bit against the oracle, for every dtype, layout, address and `out`, and
every error."""

import functools
import gc
import itertools
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

import simdrop as sd

KEY = bytes(range(100, 116))
DRAW = 2**33 + 1
LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097, 10007]
KERNEL_DTYPES = [np.float32, np.float64]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.dtype(code) for code in "efdFD"] + [BFLOAT16]
INTEGERS = [np.dtype(code) for code in "?bBhHiIlLqQ"]
POISON = 0xCA

FORMS = {
    "apply": lambda mask, x, **out: mask.apply(x, **out),
    "backward": lambda mask, x, **out: mask.backward(x, **out),
    "dropout_backward": lambda mask, x, **out: sd.dropout_backward(x, mask, **out),
}


@pytest.fixture(params=FORMS)
def form(request):
    """Each way to apply a mask."""
    return FORMS[request.param]


def make_mask(shape, p=0.3, **more):
    return sd.Mask(KEY, DRAW, p, shape, **more)


def expect(x, p=0.3, shared_axes=(), scale=True):
    return oracle.apply(x, KEY, DRAW, p, shared_axes, scale)


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
    """The bytes of an array in C order and native byte order; every NaN of 16 bits is the same
    one."""
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
    """n elements of poison at a chosen offset in a 64-byte line, with canaries on both sides."""

    def __init__(self, n, dtype, offset=0):
        size = n * np.dtype(dtype).itemsize
        self.memory = np.full(size + 512, POISON, np.uint8)
        start = -self.memory.ctypes.data % 64 + 128 + offset
        self.array = self.memory[start : start + size].view(dtype)
        assert self.array.size == n and (n == 0 or self.array.ctypes.data % 64 == offset)
        self.outside = np.ones(self.memory.size, bool)
        self.outside[start : start + size] = False

    def intact(self):
        return (self.memory[self.outside] == POISON).all()

    def untouched(self):
        return (self.memory == POISON).all()


# --- The kernels: contiguous float32 and float64 ---


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize(
    "p", [0, 1, 0.5, 0.1, 0.3, 1 / 3, 1 / 256, 255 / 256, 1e-4, 1 - 2**-53, 5e-324]
)
def test_every_form_is_the_oracles(instruction_set, form, dtype, p):
    for n in LENGTHS:
        x = values((n,), dtype, n)
        before = x.tobytes()
        expected = expect(x, p)
        y = form(make_mask((n,), p), x)
        assert type(y) is np.ndarray and not np.shares_memory(x, y)
        assert_same(y, expected)
        assert x.tobytes() == before
        guarded = Guarded(n, dtype)
        assert form(make_mask((n,), p), x, out=guarded.array) is guarded.array
        assert_same(guarded.array, expected)
        assert guarded.intact()


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_every_address(instruction_set, dtype):
    """x and out at each place in a cache line, independently: nothing outside is read into y or
    written."""
    offsets = range(0, 64, np.dtype(dtype).itemsize)
    for n in (*LENGTHS[:-1], 16384 + 1029):
        mask, x = make_mask((n,)), values((n,), dtype, n)
        expected = expect(x).tobytes()
        inputs = []
        for offset in offsets:
            inputs.append(Guarded(n, dtype, offset))
            inputs[-1].array[:] = x
        for x_guarded, offset in itertools.product(inputs, offsets):
            out = Guarded(n, dtype, offset)
            mask.apply(x_guarded.array, out=out.array)
            assert out.array.tobytes() == expected
            assert out.intact()
        assert all(guarded.intact() for guarded in inputs)
        for guarded in inputs:
            mask.apply(guarded.array, out=guarded.array)
            assert guarded.array.tobytes() == expected
            assert guarded.intact()


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages as Linux does")
def test_nothing_outside_is_read_or_written(instruction_set, run_python):
    """Arrays that end where memory ends: one byte more, read or written, kills the process."""
    script = """if True:
        import ctypes, mmap
        import numpy as np, simdrop as sd

        libc, page = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE

        def fenced(inner):
            memory = mmap.mmap(-1, (inner + 2) * page)
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            for place in (address, address + (inner + 1) * page):
                assert libc.mprotect(ctypes.c_void_p(place), page, 0) == 0
            return np.frombuffer(memory, np.uint8, inner * page, page)

        x_memory, out_memory = fenced(16), fenced(16)
        for dtype in (np.float32, np.float64):
            for n in (*range(1, 300), 4095, 4096, 4097, 8000):
                size = n * np.dtype(dtype).itemsize
                mask = sd.Mask(bytes(16), 1, 0.3, (n,))
                expected = mask.apply(np.ones(n, dtype))
                for ends in (slice(None, size), slice(-size, None)):
                    x, out = x_memory[ends].view(dtype), out_memory[ends].view(dtype)
                    x[:] = 1
                    mask.apply(x, out=out)
                    assert np.array_equal(out, expected)
                    mask.apply(x, out=x)
                    assert np.array_equal(x, expected)
        print("survived")"""
    run = run_python(script, SIMDROP_ISA=instruction_set)
    assert run.stdout.strip() == "survived", (run.returncode, run.stderr)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_every_small_length(instruction_set, dtype):
    x = values((600,), dtype)
    for n in range(600):
        out = Guarded(n, dtype, 8)
        make_mask((n,)).apply(x[:n], out=out.array)
        assert_same(out.array, expect(x[:n]))
        assert out.intact()


@functools.cache
def large_keep(p):
    """The oracle's decisions for large arrays, which it takes longer over than the library."""
    return oracle.keep(KEY, DRAW, p, (10_000_019,))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize("p", [0.5, 0.3])
def test_large_arrays(instruction_set, one_thread, dtype, p):
    """Above the 16 MiB from which stores bypass the cache."""
    n = 10_000_019 if dtype == np.float32 else 5_000_003
    x = np.resize(values((100_003,), dtype), n)
    expected = np.where(large_keep(p)[:n], oracle.times(x, 1 / (1 - p)), dtype(0))
    mask = make_mask((n,), p)
    assert_same(mask.apply(x), expected)
    for offset in (0, 8, 56):
        out = Guarded(n, dtype, offset)
        mask.apply(x, out=out.array)
        assert_same(out.array, expected)
        assert out.intact()
    assert_same(mask.apply(x, out=x), expected)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_inf_and_nan_are_dropped_to_zero(instruction_set, form, dtype):
    """Bug elsewhere: inf times 0 gave NaN. Dropped is +0 whatever was there; kept is x * scale to
    the bit."""
    special = values((10007,), dtype)
    assert np.isnan(special).any() and np.isinf(special).any()
    for p in (0.5, 0.3, 1):
        for number in (np.inf, -np.inf, np.nan, -np.nan, -1.0, -0.0):
            y = form(make_mask((10007,), p), np.full(10007, number, dtype))
            kept = make_mask((10007,), p).keep()
            assert not y[~kept].view(f"u{y.itemsize}").any()
            assert (
                y[kept].tobytes()
                == oracle.times(
                    np.full(kept.sum(), number, dtype), 1 / (1 - p) if p < 1 else 0
                ).tobytes()
            )
        assert_same(form(make_mask((10007,), p), special), expect(special, p))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_scale_false(instruction_set, form, dtype):
    x = values((10007,), dtype)
    for p in (0, 0.3, 1):
        y = form(make_mask((10007,), p, scale=False), x)
        assert_same(y, expect(x, p, scale=False))
        assert_same(y, np.where(oracle.keep(KEY, DRAW, p, (10007,)), x, dtype(0)))


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_scale_is_rounded_to_the_dtype_before_it_multiplies(instruction_set, dtype):
    """One multiplication in the array's own dtype, in every lane and tail."""
    x = np.random.default_rng(3).random(10007).astype(dtype)
    for p in (0.1, 0.3, 1 / 3, 0.7, 0.9):
        kept = oracle.keep(KEY, DRAW, p, x.shape)
        y = make_mask(x.shape, p).apply(x)
        np.testing.assert_array_equal(y[kept], x[kept] * dtype(1 / (1 - p)))


def test_no_floating_point_warnings(instruction_set):
    """Neither of overflow in what is kept nor of infinities in what is dropped: the kernels give
    none, and every dtype does as they do."""
    for dtype in FLOATS:
        x, out = values((1000,), dtype), np.empty(1000, dtype)
        assert np.isinf(oracle.times(x[np.isfinite(x)], 2)).any()
        with np.errstate(all="raise"):
            for p in (0.5, 0.3, 1):
                make_mask((1000,), p).apply(x)
                make_mask((1000,), p).apply(x, out=out)


def test_nothing_leaks():
    x = values((5000,), np.float32)
    strided = values((10_000,), np.float16)[::2]
    stream = sd.Stream(0)

    def work():
        for array in (x, strided):
            y, mask = sd.dropout(array, 0.3, rng=stream, shared_axes=())
            mask.backward(array, out=y)
            for form in (mask.keep, mask.packbits, mask.indices, mask.__array__, mask.__reduce__):
                form()
            for wrong in (np.empty(3, array.dtype), np.empty(array.shape, int), [1]):
                try:
                    mask.apply(array, out=wrong)
                except (ValueError, TypeError):
                    continue
                raise AssertionError("not refused")
        sd.dropout(x.reshape(50, 100), 0.3, rng=7, shared_axes=(0,), out=x.reshape(50, 100))
        stream.spawn(1)

    def memory_after(calls):
        for _ in range(calls):
            work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    references = sys.getrefcount(x), sys.getrefcount(strided), sys.getrefcount(stream)
    tracemalloc.start()
    try:
        before = memory_after(100)
        assert memory_after(500) - before < 60_000  # a Mask a call would be more
    finally:
        tracemalloc.stop()
    assert references == (sys.getrefcount(x), sys.getrefcount(strided), sys.getrefcount(stream))


@pytest.mark.parametrize("axes", [a for n in range(4) for a in itertools.combinations(range(3), n)])
@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_shared_axes(instruction_set, form, dtype, axes):
    for shape in ((7, 33, 131), (300, 2, 17), (2, 1, 1)):
        x = values(shape, dtype)
        for p in (0.3, 0.5):
            mask = make_mask(shape, p, shared_axes=axes)
            assert_same(form(mask, x), expect(x, p, axes))
            guarded = Guarded(x.size, dtype)
            form(mask, x, out=guarded.array.reshape(shape))
            assert_same(guarded.array.reshape(shape), expect(x, p, axes))
            assert guarded.intact()
            out = x.copy()
            assert_same(form(mask, out, out=out), expect(x, p, axes))


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_large_shared_axes(instruction_set, axes):
    x = values((1009, 3001), np.float32)
    mask = make_mask(x.shape, 0.3, shared_axes=axes)
    assert_same(mask.apply(x), expect(x, 0.3, axes))


def test_threads_apply_one_mask(instruction_set):
    """A mask has no state: many threads may apply it at once."""
    mask = make_mask((100_003,))
    arrays = [values((100_003,), np.float32, seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for x, y in zip(arrays, pool.map(mask.apply, arrays), strict=True):
                assert_same(y, expect(x))


# --- Every dtype and layout ---


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_float_dtype(form, dtype):
    for n in (0, 1, 17, 1000):
        for p in (0, 0.5, 0.3, 1 / 3, 0.9, 1):
            x = values((n,), dtype, n)
            y = form(make_mask((n,), p), x)
            assert type(y) is np.ndarray
            assert_same(y, expect(x, p))
            assert_same(form(make_mask((n,), p, scale=False), x), expect(x, p, scale=False))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_every_integer_dtype(form, dtype):
    for n in (0, 1, 17, 1000):
        for p in (0, 0.5, 0.3, 1):
            x = values((n,), dtype, n)
            y = form(make_mask((n,), p, scale=False), x)
            assert type(y) is np.ndarray
            assert_same(y, expect(x, p, scale=False))


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16], ids=str)
def test_16_bit_floats_multiply_in_float32_and_round_once(dtype):
    """All 65,536 values, at a scale that a 16-bit float cannot hold."""
    x = np.arange(65536, dtype=np.uint16).view(dtype)
    with np.errstate(all="ignore"):
        x = x[~np.isnan(x)]
    for p in (0.1, 0.3, 0.45, 0.7):
        kept = oracle.keep(KEY, DRAW, p, x.shape)
        y = make_mask(x.shape, p).apply(x)
        with np.errstate(all="ignore"):
            once = (x.astype(np.float32) * np.float32(1 / (1 - p))).astype(dtype)
            twice = x * np.asarray(1 / (1 - p), dtype)
        assert (once != twice)[kept].any()
        np.testing.assert_array_equal(y.view(np.uint16)[kept], once.view(np.uint16)[kept])
        assert not y.view(np.uint16)[~kept].any()


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers_are_kept_or_dropped_whole(dtype):
    """And scaled by a real number, so an infinite part does not make the other a NaN."""
    x = np.full(1000, complex(np.inf, 1), dtype)
    y = make_mask((1000,), 0.5).apply(x)
    kept = oracle.keep(KEY, DRAW, 0.5, (1000,))
    assert (y.real[kept] == np.inf).all() and (y.imag[kept] == 2).all()
    assert (y[~kept] == 0).all()


@pytest.mark.parametrize(
    "dtype", [BFLOAT16, np.float16, np.float32, np.float64, np.complex64], ids=str
)
def test_the_mask_does_not_depend_on_the_dtype(dtype):
    """Bug elsewhere: a uniform drawn in bfloat16 biased the rate."""
    ones = np.ones(400_000, dtype)
    for p in (1e-3, 0.1, 0.999):
        y, mask = sd.dropout(ones, p, rng=0)
        np.testing.assert_array_equal(y != 0, sd.Mask(mask.key, 0, p, ones.shape).keep())
        np.testing.assert_array_equal(
            y != 0, oracle.keep(oracle.key_from_seed(0), 0, p, ones.shape)
        )


def test_p_is_not_cast_to_an_integer_type():
    """Bug elsewhere: p was cast to the array's integer type and became 0."""
    for dtype in INTEGERS:
        y, _ = sd.dropout(np.ones(1000, dtype), 0.5, rng=0, scale=False)
        assert 400 < np.count_nonzero(y) < 600


dtypes = st.sampled_from(FLOATS + INTEGERS)


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


shapes = st.lists(st.integers(0, 6), max_size=4).map(tuple)
probabilities = st.sampled_from([0, 0.5, 0.3, 1 / 3, 1])


@given(shape=shapes, dtype=dtypes, p=probabilities, data=st.data())
def test_any_layout(shape, dtype, p, data):
    x = data.draw(views(shape, dtype))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    scale = dtype.kind not in "biu" and data.draw(st.booleans())
    before = bits(x)
    mask = make_mask(shape, p, shared_axes=axes, scale=scale)
    expected = expect(x, p, axes, scale)
    for y in (mask.apply(x), mask.backward(x), sd.dropout_backward(x, mask)):
        assert type(y) is np.ndarray and y.dtype.isnative and y.flags.aligned and y.flags.writeable
        assert_same(y, expected)
        assert not np.may_share_memory(x, y)
    assert bits(x) == before


@given(shape=shapes, dtype=dtypes, p=probabilities, data=st.data())
def test_any_layout_of_out(shape, dtype, p, data):
    x = data.draw(views(shape, dtype))
    out = data.draw(views(shape, dtype, readonly_ok=False))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    scale = dtype.kind not in "biu" and data.draw(st.booleans())
    mask = make_mask(shape, p, shared_axes=axes, scale=scale)
    expected = expect(x, p, axes, scale)
    base = out
    while isinstance(base.base, np.ndarray):
        base = base.base
    reachable = base_bytes_of(out, base)
    untouched = base.tobytes()
    assert mask.apply(x, out=out) is out
    assert bits(out) == bits(expected)
    after = np.frombuffer(base.tobytes(), np.uint8)
    np.testing.assert_array_equal(after[~reachable], np.frombuffer(untouched, np.uint8)[~reachable])


def base_bytes_of(view, base):
    """Which bytes of a flat uint8 array belong to a view of it, bool."""
    marked = np.zeros(base.nbytes, np.uint8)
    shadow = np.ndarray(
        (*view.shape, view.itemsize),
        np.uint8,
        marked,
        view.ctypes.data - base.ctypes.data if view.size else 0,
        (*view.strides, 1),
    )
    shadow[...] = 1
    return marked.astype(bool)


@given(
    dtype=st.sampled_from([*KERNEL_DTYPES, np.float16, np.complex64, np.dtype(">f4")]),
    n=st.integers(0, 40),
    x_step=st.sampled_from([1, 1, 2, -1, -2]),
    out_step=st.sampled_from([1, 1, 2, -1, -2]),
    x_start=st.integers(0, 30),
    out_start=st.integers(0, 30),
    shift=st.sampled_from([0, 0, 0, 1, 4]),
)
def test_overlapping_out_gives_what_a_copy_would(
    dtype, n, x_step, out_step, x_start, out_start, shift
):
    """Two views of one buffer, with any steps, up to a few elements or some bytes apart."""
    dtype = np.dtype(dtype)

    def two_views(buffer):
        x = buffer[: 160 * dtype.itemsize].view(dtype)[x_start : x_start + 2 * n]
        out = buffer[shift : shift + 160 * dtype.itemsize].view(dtype)
        out = out[out_start : out_start + 2 * n]
        return x[::x_step][:n], out[::out_step][:n]

    buffer = np.zeros(160 * dtype.itemsize + 8, np.uint8)
    buffer[: 160 * dtype.itemsize].view(dtype)[:] = values((160,), dtype.newbyteorder("="))
    other = buffer.copy()
    x, out = two_views(buffer)
    expected = expect(x)
    two_views(other)[1][...] = expected
    assert make_mask((n,)).apply(x, out=out) is out
    np.testing.assert_array_equal(buffer, other)


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
def test_large_overlapping_out(instruction_set, dtype):
    for n in (4097, 1_000_003):
        original = np.resize(values((100_003,), dtype), n + 8192)
        expected = np.where(large_keep(0.5)[:n], oracle.times(original, 2)[4096:][:n], dtype(0))
        for distance in (-4096, -64, -17, -1, 0, 1, 5, 16, 64, 4096):
            memory = original.copy()
            x = memory[4096 : 4096 + n]
            out = memory[4096 + distance : 4096 + distance + n]
            make_mask((n,), 0.5).apply(x, out=out)
            assert_same(out, expected)


def test_overlapping_out_in_two_dimensions():
    for dtype in (np.float32, np.float64, np.complex64):
        square = values((60, 60), dtype)
        for pair in (
            lambda a: (a, a.T),
            lambda a: (a, a[::-1]),
            lambda a: (a[::-1], a),
            lambda a: (a[:-1], a[1:]),
            lambda a: (a[1:], a[:-1]),
            lambda a: (a[:, :-1], a[:, 1:]),
            lambda a: (a[:30], a[30:]),
        ):
            memory = square.copy()
            x, out = pair(memory)
            expected = expect(x)
            assert make_mask(x.shape).apply(x, out=out) is out
            assert_same(out, expected)


def test_interleaved_out():
    """Axes that step into each other's spans, yet no two elements at one address."""
    x = values((3, 2), np.float64)
    memory = np.full(8, 7.0)
    out = as_strided(memory, (3, 2), (16, 24))
    assert make_mask((3, 2)).apply(x, out=out) is out
    assert_same(out, expect(x))
    assert memory[[1, 6]].tolist() == [7, 7]


def test_result_has_the_input_s_order():
    """As ufuncs do: the memory order of the axes is the input's."""
    for dtype in (np.dtype(np.float32), np.dtype(np.float16), np.dtype(">f8")):
        cube = values((3, 4, 5), dtype.newbyteorder("=")).astype(dtype)
        for order in itertools.permutations(range(3)):
            for x in (cube.transpose(order), cube[:, ::2, ::-1].transpose(order)):
                y = make_mask(x.shape).apply(x)
                assert y.strides == np.multiply(x, dtype.type(1)).strides
                assert_same(y, expect(x))
    fortran = np.asfortranarray(values((30, 40), np.float64))
    y, _ = sd.dropout(fortran, rng=0)
    assert y.flags.f_contiguous and not y.flags.c_contiguous


def test_zero_strides():
    row = values((7,), np.float32)
    for x in (
        np.broadcast_to(row, (5, 7)),
        np.broadcast_to(row, (5, 7)).T,
        np.broadcast_to(row[0], (9,)),
    ):
        y = make_mask(x.shape).apply(x)
        assert_same(y, expect(x))
        assert 0 not in y.strides and y.flags.writeable


def test_zero_dimensions():
    kept = {bool(sd.Mask(KEY, draw, 0.5, ()).keep()) for draw in range(20)}
    assert kept == {True, False}
    for draw in range(20):
        for dtype in (np.float32, np.float64, np.float16, np.complex64):
            mask = sd.Mask(KEY, draw, 0.5, ())
            x = np.array(3, dtype)
            y = mask.apply(x)
            assert type(y) is np.ndarray and y.shape == () and y.dtype == dtype
            assert y == (6 if mask.keep() else 0)
            out = np.full((), 9, dtype)
            assert mask.apply(x, out=out) is out and out == y
            assert type(mask.apply(dtype(3))) is np.ndarray  # a NumPy scalar is converted


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_empty(shape, dtype):
    y, mask = sd.dropout(np.empty(shape, dtype), rng=0)
    assert type(y) is np.ndarray and y.shape == shape and y.dtype == dtype
    assert mask.keep().shape == shape and len(mask.packbits()) == 0 and len(mask.indices()) == 0
    out = np.empty(shape, dtype)
    assert mask.apply(y, out=out) is out


class Subclass(np.ndarray):
    """An array that would notice if it were treated as one of its own kind."""

    def __array_finalize__(self, other):
        self.tag = "subclass"

    def __array_wrap__(self, *arguments):
        raise AssertionError("the result is to be a base array")


def test_subclasses_give_base_arrays():
    plain = values((50,), np.float32)
    for x in (plain.view(Subclass), plain[::-1].view(Subclass)):
        y, mask = sd.dropout(x, 0.3, rng=0)
        assert type(y) is np.ndarray and type(mask.apply(x)) is np.ndarray
        assert_same(y, oracle.apply(np.asarray(x), mask.key, 0, 0.3))


def test_memory_mapped_files(tmp_path):
    x = values((1000,), np.float32)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r+")
    y = make_mask((1000,)).apply(mapped)
    assert type(y) is np.ndarray
    assert_same(y, expect(x))
    assert make_mask((1000,)).apply(mapped, out=mapped) is mapped
    assert_same(np.fromfile(tmp_path / "x", np.float32), expect(x))


def test_array_likes_are_converted():
    class Like:
        def __array__(self, dtype=None, copy=None):
            return np.arange(4, dtype=np.float32)

    for x in ([0.0, 1.0, 2.0, 3.0], (0.0, 1.0, 2.0, 3.0), [[0.5, 1.5]], 2.5, Like()):
        expected = oracle.apply(np.asarray(x), oracle.key_from_seed(0), 0, 0.5)
        y, mask = sd.dropout(x, rng=0)
        assert type(y) is np.ndarray
        assert_same(y, expected)
        assert_same(mask.backward(x), expected)
    assert_same(
        sd.dropout([1, 2, 3], rng=0, scale=False)[0],
        np.array([1, 2, 3]) * sd.Mask(oracle.key_from_seed(0), 0, 0.5, (3,)).keep(),
    )


def test_read_only_input():
    for dtype in (np.float32, np.float16):
        x = values((1000,), dtype)
        x.flags.writeable = False
        assert_same(make_mask((1000,)).apply(x), expect(x))


# --- dropout ---


@pytest.mark.parametrize("dtype", KERNEL_DTYPES)
@pytest.mark.parametrize("p", [0.5, 0.3, 1 / 3, 1])
def test_dropout(instruction_set, dtype, p):
    """Bugs elsewhere: the mask returned was not the one applied; the backward pass had another
    one."""
    for n in LENGTHS:
        x = values((n,), dtype, n)
        before = x.tobytes()
        stream = sd.Stream(n)
        for draw in range(2):
            y, mask = sd.dropout(x, p, rng=stream)
            assert mask == sd.Mask(stream.key, draw, p, (n,))
            assert_same(y, oracle.apply(x, stream.key, draw, p))
            np.testing.assert_array_equal(mask.keep(), oracle.keep(stream.key, draw, p, (n,)))
            assert_same(sd.dropout_backward(x, mask), y)
        # Bug elsewhere: dropout wrote into its input and broke the step before it.
        assert x.tobytes() == before


def test_dropout_of_shared_axes():
    x = values((4, 5, 6), np.float32)
    for axes in ((0,), (1, 2), (-1,), range(1, x.ndim)):
        y, mask = sd.dropout(x, 0.5, rng=0, shared_axes=axes)
        positive = tuple(axis % 3 for axis in axes)
        assert_same(y, oracle.apply(x, oracle.key_from_seed(0), 0, 0.5, positive))
        assert mask.shared_axes == positive


def test_backward_does_not_look_at_the_values():
    """Bug elsewhere: the backward pass read the mask off y != 0 and failed where x was 0."""
    x = np.zeros(1000, np.float32)
    y, mask = sd.dropout(x, 0.3, rng=0)
    assert not y.any()
    expected = oracle.apply(np.ones(1000, np.float32), oracle.key_from_seed(0), 0, 0.3)
    assert_same(sd.dropout_backward(np.ones(1000, np.float32), mask), expected)


def test_backward_of_another_dtype_and_layout():
    x = values((30, 40), np.float32)
    _, mask = sd.dropout(x, 0.3, rng=0)
    key = oracle.key_from_seed(0)
    for dtype in FLOATS:
        for dy in (values((30, 40), dtype), values((40, 30), dtype).T):
            assert_same(mask.backward(dy), oracle.apply(dy, key, 0, 0.3))


def test_backward_is_the_gradient():
    """Dropout is linear with a diagonal matrix: <dy, f(x)> = <f'(dy), x>."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 50, 60))
    y, mask = sd.dropout(x, 0.3, rng=0)
    np.testing.assert_allclose(
        (dy * y).sum(), (sd.dropout_backward(dy, mask) * x).sum(), rtol=1e-12
    )


@pytest.mark.parametrize(
    "arguments", [{"p": 0}, {"p": 0.5, "training": False}, {"p": 1, "training": False}]
)
def test_nothing_to_drop_returns_x_itself(arguments):
    """Bug elsewhere: p = 0 still dropped."""
    for x in (
        values((3, 4), np.float32),
        values((3, 4), np.float16),
        values((3, 4), np.complex128).T,
        values((3, 4), np.float64).astype(">f8"),
        values((), np.float64),
        values((0,), np.float32),
    ):
        before = bits(x)
        y, mask = sd.dropout(x, rng=0, **arguments)
        assert y is x and bits(x) == before
        assert mask.shape == x.shape and mask.keep().all() and mask.keep().shape == x.shape
        assert mask.scale == 1.0
        assert_same(mask.backward(x), np.array(x, x.dtype.newbyteorder("=")))
        out = np.full_like(x, 9)
        y, mask = sd.dropout(x, rng=0, out=out, **arguments)
        assert y is out and mask.keep().all()
        assert bits(out) == before
        assert sd.dropout(x, rng=0, out=x, **arguments)[0] is x and bits(x) == before
    y, mask = sd.dropout([1.0, np.nan], rng=0, **arguments)
    assert type(y) is np.ndarray
    assert_same(y, np.array([1.0, np.nan]))


def test_nothing_to_drop_of_integers():
    x = np.arange(5)
    for arguments in ({"p": 0}, {"training": False}):
        assert sd.dropout(x, rng=0, scale=False, **arguments)[0] is x


def test_p_1():
    """Bug elsewhere: the layer could not take p = 1. All are dropped, and nothing divides by
    zero."""
    for dtype in FLOATS:
        x = values((1000,), dtype)
        y, mask = sd.dropout(x, 1, rng=0)
        assert not any(y.tobytes())
        assert not any(mask.backward(x).tobytes())
        assert mask.scale == 0.0


def test_dropout_in_place():
    for dtype in FLOATS:
        x = values((1001,), dtype)
        expected = oracle.apply(x, oracle.key_from_seed(0), 0, 0.3)
        y, _ = sd.dropout(x, 0.3, rng=0, out=x)
        assert y is x
        assert_same(x, expected)


def test_out_of_the_other_byte_order():
    for code in ("f2", "f4", "f8", "c8", "c16"):
        x = values((100,), np.dtype(code))
        for x_order, out_order in itertools.product("<>", repeat=2):
            given_x = x.astype(x_order + code)
            out = np.zeros(100, out_order + code)
            assert make_mask((100,)).apply(given_x, out=out) is out
            assert out.dtype == np.dtype(out_order + code)
            assert_same(out.astype("=" + code), expect(x))


# --- Errors ---


def dropout_with_seed(mask, x, **out):
    return sd.dropout(x, mask.p, rng=0, shared_axes=mask.shared_axes, **out)


ALL_FORMS = {**FORMS, "dropout": dropout_with_seed}


@pytest.fixture(params=ALL_FORMS)
def any_form(request):
    """Each function that takes x and out."""
    return ALL_FORMS[request.param]


@pytest.mark.parametrize("p", [0, 0.3, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_wrong_out(any_form, dtype, p):
    """The error says so, and neither out nor x has changed."""
    x = values((4, 6), dtype)
    before = bits(x)
    read_only = np.full((4, 6), 7, dtype)
    read_only.flags.writeable = False
    one_row = as_strided(np.full(6, 7, dtype), (4, 6), (0, x.itemsize))
    one_element = as_strided(np.full(1, 7, dtype), (4, 6), (0, 0))
    sliding = as_strided(np.full(24, 7, dtype), (4, 6), (x.itemsize, x.itemsize))
    halves = as_strided(np.full(24, 7, dtype), (4, 6), (6 * x.itemsize, x.itemsize // 2))
    halves[...] = 7
    wrong = {
        "float32" if dtype == np.float16 else "float16": TypeError,
        "float64": TypeError,
        "complex64": TypeError,
        "int32": TypeError,
        "uint16": TypeError,
        "O": TypeError,
    }
    cases = [(np.full((4, 6), 7, code), error) for code, error in wrong.items()]
    shapes = [(6, 4), (24,), (4, 5), (5, 6), (1, 6), (4, 6, 1), (1, 4, 6), (4, 1), (), (0, 6)]
    cases += [(np.full(shape, 7, dtype), ValueError) for shape in shapes]
    cases += [(out, ValueError) for out in (read_only, one_row, one_element, sliding, halves)]
    for out, error in cases:
        as_it_was = out.tobytes()
        with pytest.raises(error) as caught:
            any_form(make_mask((4, 6), p), x, out=out)
        assert "out" in str(caught.value)
        assert out.tobytes() == as_it_was
    for out in ([[0.0] * 6] * 4, 5, "out", object(), (np.empty((4, 6), dtype),), memoryview(x)):
        with pytest.raises(TypeError) as caught:
            any_form(make_mask((4, 6), p), x, out=out)
        assert "out" in str(caught.value)
    assert bits(x) == before


def test_wrong_out_when_not_training():
    x = values((4, 6), np.float32)
    for out, error in (
        (np.full((6, 4), 7, np.float32), ValueError),
        (np.full((4, 6), 7, np.float64), TypeError),
        ([1], TypeError),
    ):
        with pytest.raises(error):
            sd.dropout(x, training=False, out=out)
        assert type(out) is list or (out == 7).all()


@pytest.mark.parametrize("shape", [(6, 4), (24,), (4, 5), (1, 6), (6,), (4, 1), (), (4, 6, 1)])
def test_x_of_another_shape_than_the_mask(form, shape):
    for dtype in (np.float32, np.float16):
        out = np.full(shape, 7, dtype)
        for more in ({}, {"out": out}):
            with pytest.raises(ValueError) as caught:
                form(make_mask((4, 6)), np.ones(shape, dtype), **more)
            assert str(shape) in str(caught.value) and "(4, 6)" in str(caught.value)
        assert (out == 7).all()


@pytest.mark.parametrize(
    "x",
    [
        np.ones(3, np.longdouble),
        np.ones(3, np.clongdouble),
        np.array([1, "a", None], object),
        np.array(["a", "b", "c"]),
        np.array([b"a", b"b", b"c"]),
        np.array(["2020", "2021", "2022"], "M8[Y]"),
        np.array([1, 2, 3], "m8[s]"),
        np.zeros(3, [("a", np.float32)]),
        np.zeros(3, "V4"),
        np.zeros(3, ml_dtypes.float8_e4m3fn),
        ["a", "b", "c"],
    ],
    ids=lambda x: str(getattr(x, "dtype", "list")),
)
def test_dtypes_that_cannot_be_scaled(x):
    check_refused(x, scale=True)


@pytest.mark.parametrize("code", ["O", "clongdouble", "U5", "S17", "V0", "V40", "f8,O"])
def test_dtypes_that_cannot_be_masked(code):
    for scale in (True, False):
        check_refused(np.zeros(3, code), scale)


def check_refused(x, scale):
    for p in (0.5, 1):
        with pytest.raises(TypeError):
            sd.dropout(x, p, rng=0, scale=scale)
        with pytest.raises(TypeError):
            make_mask((3,), p, scale=scale).apply(x)
        with pytest.raises(TypeError):
            make_mask((3,), p, scale=scale).backward(x)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_need_scale_false(dtype):
    x = np.ones(3, dtype)
    for call in (
        lambda: sd.dropout(x, rng=0),
        lambda: make_mask((3,)).apply(x),
        lambda: make_mask((3,)).backward(x),
        lambda: sd.dropout_backward(x, make_mask((3,))),
    ):
        with pytest.raises(TypeError, match="scale=False"):
            call()


def test_ragged_lists():
    with pytest.raises((ValueError, TypeError)):
        sd.dropout([[1.0], [1.0, 2.0]], rng=0)


@pytest.mark.parametrize("mask", [None, np.ones(3, bool), 0.5, (KEY, DRAW)])
def test_backward_with_something_else_than_a_mask(mask):
    with pytest.raises(TypeError):
        sd.dropout_backward(np.ones(3), mask)


def test_options_are_keyword_only():
    x = np.ones(3)
    with pytest.raises(TypeError):
        sd.dropout(x, 0.5, 0)
    with pytest.raises(TypeError):
        make_mask((3,)).apply(x, np.empty(3))
    with pytest.raises(TypeError):
        make_mask((3,)).backward(x, np.empty(3))
    with pytest.raises(TypeError):
        sd.dropout_backward(x, make_mask((3,)), np.empty(3))
