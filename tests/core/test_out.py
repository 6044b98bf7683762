"""`out`: in any layout, overlapping x, and which arrays are refused."""

import itertools

import numpy as np
import oracle
import pytest
from applying import FORMS, expect, large_keep, make_mask, probabilities
from arrays import KERNEL_DTYPES, assert_same, bits, dtypes, shapes, values, views
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

import simdrop as sd


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


@st.composite
def strided(draw, shape, itemsize):
    """Strides and the first element's place, in bytes, of an array in 4,000 bytes."""
    steps = st.sampled_from([0, 1, 1, 2, 3, 4, 7, 12, 60, -1, -2, -5, -12]).map(
        lambda n: n * itemsize
    )
    strides = tuple(draw(steps) for _ in shape)
    spans = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    lowest, highest = -sum(min(span, 0) for span in spans), 4000 - itemsize
    highest -= sum(max(span, 0) for span in spans)
    assume(lowest <= highest)
    return strides, draw(st.integers(lowest, min(highest, lowest + 40 * itemsize)))


@settings(max_examples=300)
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    code=st.sampled_from(["f4", "f8", "f2", "c8"]),
    data=st.data(),
)
def test_any_strides_of_x_and_out_in_one_buffer(shape, code, data):
    """An error, and nothing written, if elements of out share a byte; else as if x were a copy."""
    dtype = np.dtype(code)
    (x_strides, x_start), (strides, start) = (
        data.draw(strided(shape, dtype.itemsize)) for _ in range(2)
    )
    buffer = np.resize(values((100,), dtype), 4000 // dtype.itemsize).view(np.uint8)
    before = buffer.copy()
    x = np.ndarray(shape, dtype, buffer, x_start, x_strides)
    out = np.ndarray(shape, dtype, buffer, start, strides)
    places = [start + np.dot(index, strides) for index in np.ndindex(shape)]
    overlaps = len(places) > 1 and np.diff(np.sort(places)).min() < dtype.itemsize
    if overlaps:
        with pytest.raises(ValueError, match="several elements at one address"):
            make_mask(shape).apply(x, out=out)
        np.testing.assert_array_equal(buffer, before)
        return
    expected = expect(x.copy())
    assert make_mask(shape).apply(x, out=out) is out
    np.ndarray(shape, dtype, before, start, strides)[...] = expected
    np.testing.assert_array_equal(buffer, before)


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


def test_out_of_the_other_byte_order():
    for code in ("f2", "f4", "f8", "c8", "c16"):
        x = values((100,), np.dtype(code))
        for x_order, out_order in itertools.product("<>", repeat=2):
            given_x = x.astype(x_order + code)
            out = np.zeros(100, out_order + code)
            assert make_mask((100,)).apply(given_x, out=out) is out
            assert out.dtype == np.dtype(out_order + code)
            assert_same(out.astype("=" + code), expect(x))


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
