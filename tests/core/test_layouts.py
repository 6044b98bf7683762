"""Every type in every layout, at the sizes where the walk over an array changes its ways."""

import itertools
import os

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _args

KEY = bytes(range(16))


def expected(mask, x):
    """x * scale where kept, else 0, in NumPy."""
    if mask.scaled:
        real = np.float64 if x.real.dtype.itemsize == 8 else np.float32
        if x.dtype.kind == "c":
            scaled = np.empty(x.shape, x.dtype.newbyteorder("="))
            scaled.real, scaled.imag = x.real * real(mask.scale), x.imag * real(mask.scale)
        else:
            scaled = (x.astype(real) * real(mask.scale)).astype(x.dtype.newbyteorder("="))
    else:
        scaled = x
    return np.where(mask.keep(), scaled, np.zeros((), scaled.dtype))


def values(shape, dtype, seed=0):
    """Any bytes for types that are not scaled, and ordinary numbers for those that are."""
    generator = np.random.default_rng(seed)
    if dtype.kind in "fc" or dtype.name == "bfloat16":
        x = generator.standard_normal(shape).astype(dtype)
        if dtype.kind == "c":
            x.imag = generator.standard_normal(shape)
        return x
    size = int(np.prod(shape)) * dtype.itemsize
    return generator.integers(1, 100, size, np.uint8).view(dtype).reshape(shape)


def check(mask, x, out=None):
    y = mask.apply(x, out=out)
    assert y.tobytes() == expected(mask, x).astype(y.dtype).tobytes()
    return y


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "rows of a larger array": lambda x: np.pad(x, [(0, 0)] * (x.ndim - 1) + [(3, 5)])[..., 3:-5],
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "every other, Fortran": lambda x: np.asfortranarray(np.repeat(x, 2, axis=0))[::2],
    "reversed": lambda x: x[(slice(None, None, -1),) * x.ndim].copy()[
        (slice(None, None, -1),) * x.ndim
    ],
    "first axis innermost": lambda x: np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0),
    "middle axis outermost": lambda x: np.moveaxis(np.moveaxis(x, 1, 0).copy(), 0, 1),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}
SHAPES = [
    *[(600, 700), (13, 1500), (1500, 13), (1030, 5), (40, 40, 41), (3, 5, 600, 2), (64, 3, 64)],
    *[
        (4500, 9),
        (3, 9000),
        (3, 300, 70),
        (2, 130, 9, 33),
    ],  # more rows or columns than a panel; short rows
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_float32_layouts(instruction_set, layout, shape):
    x = LAYOUTS[layout](values(shape, np.dtype(np.float32)))
    for p in (0.5, 0.3):
        y = check(sd.Mask(KEY, 1, p, shape), x)
        assert (
            np.abs(y.strides).argsort().tolist()
            == np.abs(np.positive(x).strides).argsort().tolist()
        )


ODD = ["S1", "S3", "V5", "V7", "U1", "S9", "V12", "S15", "M8[s]"]
PLAIN = ["?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16", "g", *ODD]
SCALED = ["f2", "f4", "f8", "c8", "c16", ml_dtypes.bfloat16]


@pytest.mark.parametrize("scale", [True, False])
def test_types_in_layouts(instruction_set, scale):
    for code, (name, layout) in itertools.product(SCALED if scale else PLAIN, LAYOUTS.items()):
        dtype = np.dtype(code)
        if name == "other byte order" and dtype.kind in "VSU?" or code == "i1":
            layout = LAYOUTS["Fortran"]
        for shape in ((70, 150), (30, 7, 11)):
            x = layout(values(shape, dtype))
            check(sd.Mask(KEY, 2, 0.3, shape, scale=scale), x)


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_in_another_order_and_byte_order(instruction_set, order):
    for shape in SHAPES:
        for code in ("<f4", ">f4"):
            x = LAYOUTS["first axis innermost"](values(shape, np.dtype(np.float32)))
            out = np.full(shape, 7, code, order=order)
            assert check(sd.Mask(KEY, 3, 0.3, shape), x, out) is out


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)], ids=str)
def test_shared_axes_in_layouts(instruction_set, axes):
    for shape in ((30, 20, 300), (300, 20, 30), (70, 66, 1)):
        for layout in LAYOUTS.values():
            x = layout(values(shape, np.dtype(np.float32)))
            check(sd.Mask(KEY, 4, 0.3, shape, shared_axes=axes), x)


@pytest.mark.parametrize("layout", ["first axis innermost", "reversed", "rows of a larger array"])
def test_long_rows_that_repeat(instruction_set, layout):
    """Rows of more decisions than are kept at a time, and of about as many as are put together."""
    for shape in ((3, 262_145), (2, 3, 70_000), (70, 2048), (70, 2049), (9, 40, 130), (2100, 2)):
        x = LAYOUTS[layout](values(shape, np.dtype(np.float32)))
        for axis in range(x.ndim):
            check(sd.Mask(KEY, 4, 0.3, shape, shared_axes=axis), x)


@given(st.integers(1, 5000), st.integers(1, 60), st.integers(1, 3), st.booleans(), st.booleans())
def test_any_row_that_repeats(n, times, samples, stored, backward):
    shape = (samples, times, n)
    x = values(shape, np.dtype(np.float32))
    if backward:
        x = LAYOUTS["reversed"](x)
    p = np.full((samples, 1, 1), 0.3) if stored else 0.3
    mask = sd.Mask(KEY, 6, p, shape, shared_axes=1)
    check(mask if not stored else sd.Mask.from_keep(mask.keep()), x)
    decided = sd.Mask(KEY, 6, 0.3, shape, shared_axes=1, scale=False)
    row = decided.apply(np.ones((samples, times, n), np.float32))[:, :1]
    assert (decided.apply(x) == np.where(row, x, 0)).all()


@pytest.mark.parametrize("offset", [0, 1, 16])
def test_large_arrays_past_the_caches(instruction_set, one_thread, offset):
    """Stored masks and rows that repeat, from lines of memory on and not."""
    for rows, n in ((70, 60_001), (4300, 1000)):
        x, out = (values((rows * n + offset,), np.dtype(np.float32), i)[offset:] for i in range(2))
        x, out = x.reshape(rows, n), out.reshape(rows, n)
        mask = sd.Mask(KEY, 7, 0.3, x.shape, shared_axes=0)
        for each in (mask, sd.Mask.from_keep(mask.keep())):
            check(each, x, out)


@pytest.mark.parametrize("code", ["c8", "c16"])
def test_large_complex_arrays_half_an_element_off(instruction_set, one_thread, code):
    """No element of theirs begins a line, so they are not written past the caches."""
    dtype = np.dtype(code)
    shape = (70, (17 << 20) // dtype.itemsize // 70)
    x = np.arange(1, np.prod(shape) + 1, dtype=dtype).reshape(shape)
    memory = np.zeros(x.nbytes + 128, np.uint8)
    half = -memory.ctypes.data % 64 + dtype.itemsize // 2
    y = memory[half : half + x.nbytes].view(dtype).reshape(shape)
    assert y.flags.aligned
    whole = sd.Mask(KEY, 7, 0.5, shape)
    shared = sd.Mask(KEY, 7, 0.5, shape, shared_axes=0)
    for mask in (whole, shared, sd.Mask.from_keep(whole.keep(), 0.5)):
        for turn in (1, -1):
            mask.apply(x, out=y[::turn, ::turn])
            np.testing.assert_array_equal(y[::turn, ::turn], np.where(mask.keep(), 2 * x, 0))
            y[...] = x[::turn, ::turn]
            view = y[::turn, ::turn]
            mask.apply(view, out=view)
            np.testing.assert_array_equal(view, np.where(mask.keep(), 2 * x, 0))
        assert not memory[:half].any() and not memory[half + x.nbytes :].any()


@given(st.data())
def test_any_view(data):
    """Strides of any sign and size, axes in any order, of x and of out."""
    dtype = np.dtype(data.draw(st.sampled_from(["f4", "f8", "f2", "c8", "i1", "u8", "S3"])))
    ndim = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.lists(st.integers(1, 40), min_size=ndim, max_size=ndim)))

    def view(fill):
        steps = [data.draw(st.sampled_from([1, 1, 1, 2, 3, -1, -2])) for _ in shape]
        order = data.draw(st.permutations(range(ndim)))
        base = np.zeros([shape[axis] * abs(steps[axis]) for axis in order], dtype)
        array = base.transpose(np.argsort(order))
        array = array[tuple(slice(None, None, step) for step in steps)]
        array = array[tuple(slice(0, n) for n in shape)]
        array[...] = fill
        return array

    x = view(values(shape, dtype))
    out = view(values(shape, dtype, 1))
    axes = tuple(axis for axis in range(ndim) if data.draw(st.booleans()) and ndim > 1)
    mask = sd.Mask(
        KEY, 5, data.draw(st.sampled_from([0, 0.5, 0.3, 1])), shape,
        shared_axes=axes, scale=dtype.kind in "fc",
    )  # fmt: skip
    check(mask, x, out)
    check(mask, x)


def test_more_than_2_to_the_31_elements():
    """A 32-bit offset would wrap (FlagGems PR 23)."""
    n = 2**31 + 4099
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 4 * n:
        pytest.skip("needs 8 GiB of free memory")
    x = np.ones(n, np.int8)
    mask = sd.Mask(KEY, 6, 0.3, n, scale=False)
    mask.apply(x, out=x)
    for start in (0, 2**31 - 5000, n - 5000):
        np.testing.assert_array_equal(x[start : start + 5000], mask._keep_flat(start, start + 5000))


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_a_pair_is_refused_iff_it_shares_memory(first, second, read, needed):
    """Four numbers each, anywhere in one array; what is read counts where it is read afterwards."""
    memory = np.zeros(16)
    a, b, c = (memory[i : i + 4] for i in (first, second, read))
    shared = abs(first - second) < 4
    if needed:
        shared |= abs(first - read) < 4 or abs(second - read) < 4
    later = {"dy": c} if needed else None
    likes = {"x": np.ones(4), "W": np.ones(4)}
    for one in ((None, None), (None, b), (a, None)):
        if not needed:
            _args.checked_pair(one, likes, later)
    if not shared:
        _args.checked_pair((a, b), likes, later)
    else:
        with pytest.raises(ValueError, match="shares memory with"):
            _args.checked_pair((a, b), likes, later)


def test_what_is_no_pair_is_named():
    likes = {"x": np.ones(4), "W": np.ones((4, 2))}
    with pytest.raises(TypeError, match="must be a pair of arrays or None, not ndarray"):
        _args.checked_pair(np.ones((2, 4)), likes)
    with pytest.raises(ValueError, match="gradients of x and of W, not of 3"):
        _args.checked_pair((None, None, None), likes)
    with pytest.raises(ValueError, match="out has shape"):
        _args.checked_pair((None, np.ones(4)), likes)
    x = np.ones(4)
    with pytest.raises(ValueError, match="gradient of x shares memory with W"):
        _args.checked_pair((x, None), likes, {"W": x})
