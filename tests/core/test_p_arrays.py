"""p as an array: each sample or unit is dropped with exactly its own probability."""

import copy
import itertools
import pickle
from fractions import Fraction

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import fused

KEY = bytes(range(16))
DRAW = 2**40 + 3
EVAL = {"Mask": sd.Mask, "np": np}

PROBABILITIES = [
    *(0, 1, 0.5, 0.1, 0.3, 1 / 3, 1 / 256, 255 / 256, 1e-4, 1 - 2**-53, 2.0**-64, 2.0**-65),
    *(float(np.nextafter(0.5, 0)), float(np.nextafter(0.5, 1))),
]


def decided(shape, axes):
    return tuple(1 if axis in axes else n for axis, n in enumerate(shape))


def keep(p, shape, axes=()):
    """By the oracle's uniforms and exact thresholds, an element at a time."""
    decisions = decided(shape, axes)
    uniforms = oracle.uniforms(KEY, DRAW, 0, int(np.prod(decisions)))
    each = np.broadcast_to(p, decisions).ravel().tolist()
    thresholds = [round(Fraction(value) * 2**64) for value in each]
    kept = [int(u) >= t for u, t in zip(uniforms.tolist(), thresholds, strict=True)]
    return np.broadcast_to(np.array(kept, bool).reshape(decisions), shape).copy()


def applied(x, kept, p):
    """x / (1 - p) where kept, in each type's own arithmetic."""
    y = np.zeros(x.shape, x.dtype)
    each = np.broadcast_to(p, x.shape)
    for index in np.argwhere(kept):
        at = tuple(index)
        y[at] = oracle.times(x[at].reshape(1), 1 / (1 - each[at]))[0]
    return y


def assert_is(mask, expected):
    np.testing.assert_array_equal(mask.keep(), expected)
    np.testing.assert_array_equal(mask.packbits(), np.packbits(expected, bitorder="little"))
    np.testing.assert_array_equal(mask.indices(), np.flatnonzero(expected))


@st.composite
def cases(draw):
    """A shape, shared axes, and a p whose shape broadcasts to the decisions."""
    shape = tuple(draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)))
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1)))))
    p_shape = tuple(draw(st.sampled_from((1, n))) for n in decided(shape, axes))
    p_shape = p_shape[draw(st.integers(0, len(shape) - 1)) :]
    size = int(np.prod(p_shape))
    probability = st.sampled_from(PROBABILITIES) | st.floats(0, 1)
    values = draw(st.lists(probability, min_size=size, max_size=size))
    return shape, axes, np.array(values, float).reshape(p_shape)


@given(case=cases(), data=st.data())
def test_any_p_is_the_oracles(instruction_set, case, data):
    shape, axes, p = case
    if 0 in shape:  # where one decision for nothing is none
        axes = ()
        p = np.full((1,) * len(shape), 0.5)
    expected = keep(p, shape, axes)
    mask = sd.Mask(KEY, DRAW, p, shape, shared_axes=axes)
    assert_is(mask, expected)
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(mask.apply(x), applied(x, expected, p))
    np.testing.assert_array_equal(mask.apply(np.array(x, order="F")), applied(x, expected, p))
    start = tuple(data.draw(st.integers(0, n)) for n in shape)
    lengths = tuple(data.draw(st.integers(0, n - i)) for n, i in zip(shape, start, strict=True))
    block = tuple(slice(i, i + n) for i, n in zip(start, lengths, strict=True))
    window = mask.window(start, lengths)
    assert_is(window, expected[block])
    np.testing.assert_array_equal(window.apply(x[block]), mask.apply(x)[block])


@pytest.mark.parametrize("p_shape", [(1, 1500), (40, 1), (40, 1500), (1500,), (1, 1)], ids=str)
def test_longer_rows(instruction_set, p_shape):
    rng = np.random.default_rng(1)
    p = rng.random(p_shape)
    # Near uniforms' own digits, so that many elements tie in their first ones.
    p[rng.random(p_shape) < 0.5] = 77 / 256 + 1e-9
    assert_is(sd.Mask(KEY, DRAW, p, (40, 1500)), keep(p, (40, 1500)))


# --- Layouts and types of p ---


def eighths(shape, seed=6):
    """Probabilities that every type of floats holds, and that many elements tie with."""
    return np.random.default_rng(seed).integers(0, 9, shape) / 8


def keep_eighths(p, shape):
    """As keep: the first three bits of a uniform decide."""
    uniforms = oracle.uniforms(KEY, DRAW, 0, int(np.prod(shape))).reshape(shape)
    return uniforms >> np.uint64(61) >= (8 * p).astype(np.uint64)


P_LAYOUTS = {
    "C": lambda p: p,
    "Fortran": np.asfortranarray,
    "reversed": lambda p: p[(slice(None, None, -1),) * p.ndim].copy()[
        (slice(None, None, -1),) * p.ndim
    ],
    "reversed along the last axis": lambda p: p[..., ::-1].copy()[..., ::-1],
    "every other": lambda p: np.repeat(p, 2, axis=-1)[..., ::2],
    "every third backward": lambda p: np.repeat(p[..., ::-1], 3, axis=-1)[..., ::-3],
    "columns of a larger array": lambda p: np.pad(p, [(2, 1)] * p.ndim, constant_values=np.nan)[
        (slice(2, -1),) * p.ndim
    ],
    "another order of axes": lambda p: np.moveaxis(np.moveaxis(p, -1, 0).copy(), 0, -1),
    "broadcast": lambda p: np.broadcast_to(p[:1], p.shape),
    "broadcast along the last axis": lambda p: np.broadcast_to(p[..., :1], p.shape),
    "one number": lambda p: np.broadcast_to(p[(0,) * p.ndim], p.shape),
    "unaligned": lambda p: np.frombuffer(b"?" + p.tobytes(), p.dtype, offset=1).reshape(p.shape),
    "read-only": lambda p: np.frombuffer(p.tobytes(), p.dtype).reshape(p.shape),
    "byte-swapped": lambda p: p.astype(p.dtype.newbyteorder()),
    "a matrix": lambda p: p.view(type("Subclass", (np.ndarray,), {})),
}
P_TYPES = ["f8", "f4", "f2", "bfloat16"]
P_CASES = [((1100,), (1100,)), ((20, 130), (20, 130)), ((20, 130), (130,)), ((6, 7, 150), (7, 1))]
P_CASES += [((6, 7, 150), (6, 1, 150)), ((6, 7, 150), (6, 7, 150)), ((150, 20, 1), (20, 1))]


@pytest.mark.parametrize("layout", P_LAYOUTS)
def test_p_in_any_layout_and_type(instruction_set, layout):
    for (shape, p_shape), name in itertools.product(P_CASES, P_TYPES):
        if name != "f8" and len(shape) != 2:
            continue
        dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
        if layout == "byte-swapped" and name == "bfloat16":
            continue  # which has no other order
        p = P_LAYOUTS[layout](eighths(p_shape).astype(dtype))
        assert p.dtype == dtype or layout == "byte-swapped"
        before = p.copy()
        numbers = np.array(p.tolist(), float)
        expected = keep_eighths(numbers, shape)
        mask = sd.Mask(KEY, DRAW, p, shape)
        np.testing.assert_array_equal(mask.p, numbers)
        assert_is(mask, expected)
        assert mask == sd.Mask(KEY, DRAW, numbers, shape)
        x = np.random.default_rng(0).standard_normal(shape)
        y = np.zeros(shape)
        y[expected] = (x * (1 / (1 - np.broadcast_to(np.minimum(numbers, 7 / 8), shape))))[expected]
        np.testing.assert_array_equal(mask.apply(x), y)
        np.testing.assert_array_equal(sd.dropout(x, p, rng=4)[0], sd.dropout(x, numbers, rng=4)[0])
        start = tuple(n // 3 for n in shape)
        lengths = tuple(n - i - n // 5 for n, i in zip(shape, start, strict=True))
        block = tuple(slice(i, i + n) for i, n in zip(start, lengths, strict=True))
        window = mask.window(start, lengths)
        assert_is(window, expected[block])
        np.testing.assert_array_equal(window.apply(x[block]), y[block])
        assert p.tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", ">i4", "u8"])
@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_p_of_whole_numbers(instruction_set, dtype, step):
    """Each is dropped or kept for certain."""
    p = np.random.default_rng(8).integers(0, 2, 700 * abs(step)).astype(dtype)[::step]
    mask = sd.Mask(KEY, DRAW, p, (5, 700))
    assert_is(mask, np.broadcast_to(p == 0, (5, 700)))
    x = np.random.default_rng(0).standard_normal((5, 700)).astype(np.float32)
    np.testing.assert_array_equal(mask.apply(x), np.where(p == 0, x, 0))


@given(data=st.data())
def test_p_of_any_strides(data):
    """Steps of any sign, axes in any order, repeated axes, shared ones, and x in any order."""
    ndim = data.draw(st.integers(1, 3))
    lengths = [st.integers(1, 6)] * (ndim - 1) + [st.integers(1, 9) | st.integers(60, 140)]
    shape = tuple(data.draw(length) for length in lengths)
    axes = tuple(axis for axis in range(ndim) if data.draw(st.integers(0, 3)) == 0)
    p_shape = tuple(data.draw(st.sampled_from((n, n, n, 1))) for n in decided(shape, axes))
    steps = [data.draw(st.sampled_from([1, 1, 2, -1, -2])) for _ in shape]
    order = data.draw(st.permutations(range(ndim)))
    memory = np.full([p_shape[axis] * abs(steps[axis]) for axis in order], np.nan)
    p = memory.transpose(np.argsort(order))[tuple(slice(None, None, step) for step in steps)]
    p[...] = eighths(p_shape, data.draw(st.integers(0, 9))) * (127 / 128)  # 1 is tested above
    expected = keep(p, shape, axes)
    mask = sd.Mask(KEY, DRAW, p, shape, shared_axes=axes)
    assert_is(mask, expected)
    x = np.random.default_rng(1).standard_normal(shape)
    factors = 1 / (1 - np.broadcast_to(p, shape))
    for laid in (x, np.asfortranarray(x), x[::-1].copy()[::-1]):
        y = mask.apply(laid)
        np.testing.assert_array_equal(y, np.where(expected, x * factors, 0))


@pytest.mark.parametrize("plane", range(8))
def test_ties_are_settled_by_the_next_plane(instruction_set, plane):
    """p equal to a uniform's first digits keeps the element; one more in the last of those drops
    it; each element has its own."""
    uniforms = oracle.uniforms(KEY, DRAW, 0, 400_000)
    digit = np.uint64(1 << (56 - 8 * plane))
    low = uniforms < np.uint64(1 << min(63, 53 + 56 - 8 * plane))
    some = np.flatnonzero(low & (uniforms // digit % np.uint64(256) != 255))[:20]
    assert len(some) == 20
    n = int(some[-1]) + 1
    first = uniforms[some] // digit * digit
    for thresholds, kept in ((first, True), (first + digit, False)):
        p = np.full(n, 0.5)
        p[some] = thresholds.astype(np.float64) / 2**64
        assert (p[some] * 2**64 == thresholds.astype(np.float64)).all()
        mask = sd.Mask(KEY, DRAW, p, (n,))
        assert (mask.keep()[some] == kept).all()


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0, 2.0**-64])
def test_the_same_p_everywhere_is_that_p(instruction_set, p):
    """Masks are nested in p as with one number, because they are the same."""
    for p_shape in ((1,), (30, 1), (1, 70), (30, 70)):
        mask = sd.Mask(KEY, DRAW, np.full(p_shape, p), (30, 70))
        assert_is(mask, sd.Mask(KEY, DRAW, p, (30, 70)).keep())


def test_larger_p_drop_more():
    low = np.random.default_rng(2).random((1, 500))
    high = np.minimum(low + 0.1, 1)
    one = sd.Mask(KEY, DRAW, low, (100, 500)).keep()
    other = sd.Mask(KEY, DRAW, high, (100, 500)).keep()
    assert not (other & ~one).any() and (one & ~other).any()


def test_rates():
    p = np.linspace(0, 1, 11)[:, None]
    n = 100_000
    dropped = 1 - sd.Stream(3).mask((11, n), p).keep().mean(axis=1)
    assert (abs(dropped - p[:, 0]) <= 5 * np.sqrt(p * (1 - p) / n)[:, 0]).all()


TYPES = ["float16", "float32", "float64", "complex64", "complex128", "bfloat16", ">f4", ">c16"]


@pytest.mark.parametrize("p_shape", [(24, 1), (1, 65), (24, 65)], ids=str)
@pytest.mark.parametrize("name", TYPES)
def test_every_type_and_layout(instruction_set, name, p_shape):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    rng = np.random.default_rng(4)
    p = rng.random(p_shape)
    p.flat[0] = 1
    kept = keep(p, (24, 65))
    x = rng.standard_normal((24, 65))
    x = (x + 1j * rng.standard_normal(x.shape) if dtype.kind == "c" else x).astype(dtype)
    x[~kept] = np.nan  # what is dropped is never read as a number
    expected = applied(x.astype(dtype.newbyteorder("=")), kept, p)
    mask = sd.Mask(KEY, DRAW, p, (24, 65))
    wide = np.zeros((24, 130), dtype)
    for laid in (x, np.asfortranarray(x), x[::-1].copy()[::-1], np.repeat(x, 2, 1)[:, ::2]):
        for out in (None, wide[:, ::2], np.empty_like(x, order="F")):
            y = mask.apply(laid, out=out)
            assert out is None or y is out
            np.testing.assert_array_equal(
                np.ascontiguousarray(y.astype(expected.dtype)).view(np.uint8),
                expected.view(np.uint8),
            )
    again = x.copy()
    mask.apply(again, out=again)
    np.testing.assert_array_equal(again == 0, ~kept)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8", "M8[s]", "S3", "f4"])
def test_any_type_without_scaling(dtype):
    p = np.random.default_rng(5).random((1, 65))
    x = np.arange(1, 24 * 65 + 1).reshape(24, 65).astype(dtype)
    mask = sd.Mask(KEY, DRAW, p, x.shape, scale=False)
    expected = x.copy()
    expected.view(np.uint8).reshape(24, 65, -1)[~mask.keep()] = 0
    assert mask.apply(x).tobytes() == expected.tobytes() and mask.scale == 1.0


@pytest.mark.parametrize("order", ["C", "F"])
def test_threads_share_large_arrays(order, always_shared):
    p = np.random.default_rng(6).random((1, 2000))
    mask = sd.Stream(1).mask((2000, 2000), p)
    x = np.asarray(np.ones(mask.shape, np.float32), order=order)
    try:
        results = []
        for count in (1, 3):
            sd.set_num_threads(count)
            results.append(mask.apply(x))
            np.testing.assert_array_equal(results[-1] != 0, mask.keep())
        assert results[0].tobytes() == results[1].tobytes()
    finally:
        sd.set_num_threads(None)


def test_dropout_with_a_p_for_each_sample():
    x = np.ones((4, 1000), np.float32)
    p = np.array([[0], [0.25], [0.5], [1]])
    y, mask = sd.dropout(x, p, rng=0)
    assert mask == sd.Stream(0).mask(x.shape, p)
    assert (y[0] == 1).all() and not y[3].any()
    assert set(np.unique(y[1])) == {0, np.float32(4 / 3)}
    np.testing.assert_array_equal(sd.dropout_backward(x, mask), y)


def test_dropout_of_nothing():
    x = np.ones((4, 10))
    y, mask = sd.dropout(x, np.zeros((4, 1)), rng=0)
    assert y is x and mask.keep().all()
    y, mask = sd.dropout(x, np.full((4, 1), 0.5), rng=0, training=False)
    assert y is x and mask.keep().all()
    out = np.empty_like(x)
    y, _ = sd.dropout(x, np.zeros((4, 1)), rng=0, out=out)
    assert y is out and (y == 1).all()


# --- Values ---


def test_p_and_scale():
    p = np.array([[0, 0.5, 1.0]], np.float32)
    mask = sd.Mask(KEY, DRAW, p, (2, 3))
    assert mask.p.dtype == np.float64 and mask.p.shape == (1, 3)
    np.testing.assert_array_equal(mask.scale, [[1, 2, 0]])
    p[:] = 0.25
    np.testing.assert_array_equal(mask.p, [[0, 0.5, 1]])
    for array in (mask.p,):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    np.testing.assert_array_equal(mask.window((0, 1), (2, 2)).p, [[0.5, 1]])


def test_values():
    masks = [
        sd.Mask(KEY, DRAW, p, (3, 3))
        for p in (
            *(0.5, np.full(3, 0.5), np.full((1, 3), 0.5), np.full((3, 1), 0.5), np.full(1, 0.5)),
            *(np.array([0.1, 0.2, 1 / 3]), np.array([0.1, 0.2, np.nextafter(1 / 3, 0)])),
        )
    ]
    assert len(set(masks)) == len(masks)
    for mask in masks:
        other = sd.Mask(
            KEY, DRAW, np.array(mask.p) if isinstance(mask.p, np.ndarray) else 0.5, (3, 3)
        )
        copies = [other, copy.copy(mask), copy.deepcopy(mask), pickle.loads(pickle.dumps(mask))]
        for again in (*copies, eval(repr(mask), EVAL)):
            assert again == mask and hash(again) == hash(mask)
            np.testing.assert_array_equal(again.keep(), mask.keep())
    zero = sd.Mask(KEY, DRAW, np.zeros(3), (3, 3))
    assert zero == sd.Mask(KEY, DRAW, -np.zeros(3), (3, 3))
    empty = sd.Mask(KEY, DRAW, np.zeros((0, 3)), (0, 3))
    assert eval(repr(empty), EVAL) == empty
    assert len(repr(sd.Mask(KEY, DRAW, np.zeros(10_000), (10_000,)))) < 200


def test_a_pickle_is_small_where_p_is():
    assert len(pickle.dumps(sd.Mask(KEY, DRAW, np.full((1, 10), 0.3), (10_000, 10)))) < 600


# --- Errors ---


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.5, np.inf])
def test_out_of_range_names_the_value_and_its_place(bad):
    stream, x = sd.Stream(0), np.ones((2, 3))
    p = np.array([[0.5, bad, bad]])
    for call in (
        lambda: sd.Mask(KEY, DRAW, p, (2, 3)),
        lambda: stream.mask((2, 3), p),
        lambda: sd.dropout(x, p, rng=stream),
        lambda: sd.dropout(x, p, rng=stream, training=False),
    ):
        with pytest.raises(ValueError, match=rf"p = {bad} at index \(0, 1\)"):
            call()
    assert stream.draw == 0


@pytest.mark.parametrize("shape", [(2,), (3, 1), (1, 1, 1), (2, 3, 1), (0,)], ids=str)
def test_p_that_does_not_broadcast(shape):
    stream, x = sd.Stream(0), np.ones((2, 3))
    p = np.full(shape, 0.5)
    for call in (
        lambda: stream.mask((2, 3), p),
        lambda: sd.dropout(x, p, rng=stream),
        lambda: sd.dropout(x, p, rng=stream, training=False),
    ):
        with pytest.raises(ValueError, match="must broadcast"):
            call()
    with pytest.raises(ValueError, match=r"shared axes 1 is \(1, 3\)"):
        sd.Mask(KEY, DRAW, np.full((2, 1), 0.5), (2, 3), shared_axes=0)
    assert stream.draw == 0


@pytest.mark.parametrize("dtype", [complex, object, "S1", "M8[s]"])
def test_p_of_a_wrong_type(dtype):
    with pytest.raises(TypeError, match="array of real numbers"):
        sd.Mask(KEY, DRAW, np.zeros(3, dtype), (3,))


def test_fused_functions_take_one_p():
    x = np.ones((2, 3), np.float32)
    for p in (np.full(3, 0.5), np.full(1, 0.5)):
        with pytest.raises(TypeError, match="must be one number"):
            fused.dropout_add(x, x, p, rng=0)
