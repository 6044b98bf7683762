"""What every function does with its arguments: subclasses of arrays, empty ones, overlaps, and
NumPy's integers."""

import inspect
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simdrop as sd
from simdrop import fused
from simdrop._core import kernels

P = 0.5


def bits_of(x):
    return np.packbits(np.arange(x.size) % 3 > 0, bitorder="little")


def apply_packed(x, *, out=None, **options):
    shape = np.asarray(x).shape
    mask = sd.StoredMask(bits_of(np.empty(shape)), P, shape)
    return sd.apply_packed(x, bits_of(np.empty(shape)), P, out=out), mask


def array_p(x, *, rng, **options):
    p = np.linspace(0, 1, np.asarray(x).size).reshape(np.asarray(x).shape)
    return sd.dropout(x, p, rng=rng, **options)


def zoneout(x, **options):
    return sd.zoneout(np.ones(np.asarray(x).shape, np.asarray(x).dtype), x, **options)


def zoneout_previous(x, **options):
    return sd.zoneout(x, np.ones(np.asarray(x).shape, np.asarray(x).dtype), **options)


def bias_dropout(x, **options):
    columns = np.asarray(x).shape[-1]
    return fused.bias_dropout(x, np.ones(columns, np.asarray(x).dtype), P, **options)


def dropout_add(x, **options):
    return fused.dropout_add(x, np.ones(np.asarray(x).shape, np.asarray(x).dtype), P, **options)


# Every function of the form y, ctx = f(x, rng=, out=), in all of its ways to a result.
TRANSFORMS = {
    "dropout": partial(sd.dropout, p=P),
    "dropout, p = 0": partial(sd.dropout, p=0),
    "dropout in evaluation": partial(sd.dropout, training=False),
    "dropout, not scaled": partial(sd.dropout, scale=False),
    "dropout, shared": partial(sd.dropout, shared_axes=0),
    "dropout, array p": array_p,
    "gaussian_dropout": partial(sd.gaussian_dropout, p=P),
    "gaussian_dropout, p = 0": partial(sd.gaussian_dropout, p=0),
    "gaussian_dropout in evaluation": partial(sd.gaussian_dropout, training=False),
    "gaussian_dropout, shared": partial(sd.gaussian_dropout, shared_axes=0),
    "gaussian_noise": partial(sd.gaussian_noise, std=1),
    "gaussian_noise, std = 0": partial(sd.gaussian_noise, std=0),
    "gaussian_noise in evaluation": partial(sd.gaussian_noise, std=1, training=False),
    "gaussian_noise, shared": partial(sd.gaussian_noise, std=1, shared_axes=0),
    "alpha_dropout": partial(sd.alpha_dropout, p=P),
    "alpha_dropout, p = 0": partial(sd.alpha_dropout, p=0),
    "alpha_dropout in evaluation": partial(sd.alpha_dropout, training=False),
    "alpha_dropout, shared": partial(sd.alpha_dropout, shared_axes=0),
    "drop_path": partial(sd.drop_path, p=P),
    "drop_block": partial(sd.drop_block, p=P, block_size=1),
    "drop_block, p = 0": partial(sd.drop_block, p=0, block_size=1),
    "drop_connect": partial(sd.drop_connect, p=P),
    "locked_dropout": partial(sd.locked_dropout, p=P),
    "embedding_dropout": partial(sd.embedding_dropout, p=P),
    "zoneout": partial(zoneout, p=P),
    "zoneout, p = 0": partial(zoneout, p=0),
    "zoneout, p = 1": partial(zoneout, p=1),
    "zoneout in evaluation": partial(zoneout, p=P, training=False),
    "zoneout of h_prev": partial(zoneout_previous, p=P),
    "zoneout of h_prev, p = 1": partial(zoneout_previous, p=1),
    "zoneout of h_prev in evaluation": partial(zoneout_previous, p=P, training=False),
    "apply_packed": apply_packed,
    "relu_dropout": partial(fused.relu_dropout, p=P),
    "bias_dropout": bias_dropout,
    "bias_dropout, relu": partial(bias_dropout, activation="relu"),
    "bias_dropout, tanh": partial(bias_dropout, activation="tanh"),
    "dropout_add": dropout_add,
}
every_transform = pytest.mark.parametrize("name", TRANSFORMS)


def dtypes_of(name):
    """Of what floats and complex numbers a function takes."""
    if "relu" in name or "bias" in name or "add" in name:
        return ["f4", "f8"]
    if "gaussian" in name or "alpha" in name:
        return ["f2", "f4", "f8"]
    return ["f2", "f4", "f8", "c8", "c16"]


def values(shape, dtype="f4"):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def gradient(ctx, dy, out=None):
    """The gradient of the right shape and type, of one or two."""
    pair = isinstance(inspect.signature(ctx.backward).parameters["out"].default, tuple)
    result = ctx.backward(dy) if out is None else ctx.backward(dy, out=(out, None) if pair else out)
    return result[0] if isinstance(result, tuple) else result


# --- Subclasses ---


class Lying(np.ndarray):
    """A view that says that it is larger than its memory."""

    shape = property(lambda self: (1 << 20,))


@every_transform
def test_a_masked_array_is_refused(name):
    """Its mask would be lost without a word."""
    shape = (4, 6)
    x = values(shape)
    masked = np.ma.masked_array(x, x > 0)
    transform = TRANSFORMS[name]
    with pytest.raises(TypeError, match=r"masked array.*\.filled"):
        transform(masked, rng=0)
    out = np.ma.masked_array(np.full(shape, 7, "f4"), x > 0)
    with pytest.raises(TypeError, match=r"masked array.*\.filled"):
        transform(x, rng=0, out=out)
    y, ctx = transform(x, rng=0)
    with pytest.raises(TypeError, match=r"masked array.*\.filled"):
        gradient(ctx, masked)
    with pytest.raises(TypeError, match=r"masked array.*\.filled"):
        gradient(ctx, x, out)
    assert (out.data == 7).all()


def test_masked_arrays_elsewhere():
    masked = np.ma.masked_array(np.full(4, 0.5), [True, False, False, False])
    x = np.ones(4)
    for call in (
        lambda: sd.dropout(x, masked),
        lambda: sd.Mask(bytes(16), 0, masked, 4),
        lambda: sd.Mask.from_keep(masked > 0),
        lambda: sd.StoredMask(np.ma.masked_array([1], True, dtype=np.uint8), 0.5, 4),
        lambda: sd.apply_packed(x, np.ma.masked_array([1], True, dtype=np.uint8)),
        lambda: sd.zoneout(masked, x, 0.5),
        lambda: sd.zoneout(x, masked, 0.5),
        lambda: sd.drop_connect_matmul(masked[None], np.ones((4, 2)), 0.5),
        lambda: sd.drop_connect_matmul(x[None], np.ma.masked_array(np.ones((4, 2))), 0.5),
        lambda: sd.embedding_dropout(
            np.ones((4, 2)), 0.5, indices=np.ma.masked_array([0, 1], [True, False])
        ),
        lambda: fused.bias_dropout(np.ones((2, 4)), masked),
        lambda: fused.dropout_add(x, masked),
        lambda: sd.theory.expectation(lambda v: v.sum(-1), masked, 0.5),
        lambda: sd.theory.expectation(lambda v: v.sum(-1), x, masked),
    ):
        with pytest.raises(TypeError, match="masked array"):
            call()


@every_transform
def test_an_out_of_a_subclass_is_returned_itself(name, tmp_path):
    x = values((4, 6))
    expected, ctx = TRANSFORMS[name](x, rng=0)
    out = np.memmap(tmp_path / "out", np.float32, "w+", shape=x.shape)
    y, _ = TRANSFORMS[name](x, rng=0, out=out)
    assert y is out
    np.testing.assert_array_equal(np.asarray(out), expected)
    out[...] = 7
    assert gradient(ctx, x, out) is out
    np.testing.assert_array_equal(np.asarray(out), gradient(ctx, x))


@every_transform
def test_a_subclass_that_lies_about_its_shape(name):
    """Its memory has another length: only that counts."""
    x = values((4, 6))
    expected, ctx = TRANSFORMS[name](x, rng=0)
    y, _ = TRANSFORMS[name](x.copy().view(Lying), rng=0)
    np.testing.assert_array_equal(y, expected)
    guarded = np.full((6, 6), 7, "f4")
    out = guarded[1:5].view(Lying)
    assert TRANSFORMS[name](x, rng=0, out=out)[0] is out
    np.testing.assert_array_equal(guarded[1:5], expected)
    assert (guarded[[0, 5]] == 7).all()
    gradient(ctx, x.view(Lying), out)
    np.testing.assert_array_equal(guarded[1:5], gradient(ctx, x))
    assert (guarded[[0, 5]] == 7).all()
    with pytest.raises(ValueError, match="shape"):
        TRANSFORMS[name](np.zeros((1 << 10, 1 << 10), "f4"), rng=0, out=out)


def test_other_arrays_that_lie_about_their_shape():
    bits = np.zeros(2, np.uint8).view(Lying)
    with pytest.raises(ValueError, match=r"bits have shape \(2,\)"):
        sd.StoredMask(bits, 0.5, 8 << 20)
    with pytest.raises(ValueError, match=r"bits have shape \(2,\)"):
        sd.apply_packed(np.ones(8 << 20, np.int8), bits, scale=False)
    keep = np.ones(3, np.bool_).view(Lying)
    assert sd.Mask.from_keep(keep).shape == (3,)
    assert sd.Mask(bytes(16), 0, np.full(3, 0.5).view(Lying), 3).keep().shape == (3,)


# --- Empty arrays ---


@every_transform
@pytest.mark.parametrize(
    "shape", [(0,), (0, 5), (5, 0), (0, 0), (2, 0, 3), (0, 2, 3), (2, 3, 0)], ids=str
)
def test_empty_arrays(name, shape):
    if "block" in name and (len(shape) < 2 or 0 in shape[-2:]):
        with pytest.raises(ValueError, match="block_size|two axes"):
            TRANSFORMS[name](np.empty(shape), rng=0)
        return
    for dtype in dtypes_of(name):
        x = np.empty(shape, dtype)
        for options in ({}, {"out": np.empty(shape, dtype)}):
            y, ctx = TRANSFORMS[name](x, rng=0, **options)
            assert y.shape == shape and y.dtype == x.dtype
            assert gradient(ctx, y).shape == shape


AXES = [(), 0, 1, -1, (0, 1), (0, 2), (0, 1, 2)]


@pytest.mark.parametrize("shared_axes", AXES, ids=str)
@pytest.mark.parametrize("shape", [(0, 5, 4), (5, 0, 4), (5, 4, 0), (0, 5, 0), (0, 0, 0)], ids=str)
@pytest.mark.parametrize(
    "transform",
    [sd.dropout, sd.gaussian_dropout, partial(sd.gaussian_noise, std=1.0), sd.alpha_dropout],
)
def test_empty_arrays_with_shared_axes(transform, shape, shared_axes):
    for dtype in ("f2", "f4", "f8"):
        for options in ({}, {"out": np.empty(shape, dtype)}, {"training": False}):
            y, m = transform(np.empty(shape, dtype), shared_axes=shared_axes, rng=0, **options)
            assert y.shape == shape and m.backward(y).shape == shape
            for method in ("keep", "normals"):
                assert getattr(m, method, m.apply)(*([y] * (not hasattr(m, method)))).shape == shape
            window = getattr(m, "window", None)
            if window is not None:
                assert window((0, 0, 0), shape).apply(y).shape == shape


@pytest.mark.parametrize("out", [None, "given"])
def test_empty_products(out):
    for batch, n_in, n_out in [(0, 3, 2), (4, 0, 2), (4, 3, 0), (0, 0, 0)]:
        x, W = np.empty((batch, n_in)), np.empty((n_in, n_out))
        y, ctx = sd.drop_connect_matmul(
            x, W, 0.5, rng=0, out=None if out is None else np.empty((batch, n_out))
        )
        assert y.shape == (batch, n_out) and not y.any()
        dx, dW = ctx.backward(y)
        assert dx.shape == x.shape and dW.shape == W.shape and not dx.any() and not dW.any()
    for words, shape in [((0,), (3, 2)), ((2, 0), (3, 2)), ((2,), (3, 0)), ((0,), (0, 2))]:
        indices = np.zeros(words, int)
        y, ctx = sd.embedding_dropout(np.empty(shape), 0.5, indices=indices, rng=0)
        assert y.shape == (*words, *shape[1:]) and ctx.backward(y).shape == shape


# --- An `out` that overlaps x ---


def strided(memory, dtype, n, offset, stride):
    """n elements of a type in bytes of memory, the first at an offset, forward or backward."""
    return np.ndarray(n, dtype, memory, offset, (stride,))


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if "block" not in name])
@settings(max_examples=40)
@given(data=st.data())
def test_an_out_that_overlaps_is_as_if_copied_first(name, data):
    """Forward and backward, also where nothing changes: any strides, shifted by half elements."""
    dtype = np.dtype(data.draw(st.sampled_from(dtypes_of(name))))
    n = data.draw(st.integers(2, 70))
    half = dtype.itemsize // 2
    memory = np.full(2000 * half, 11, np.uint8)
    views = []
    for _ in range(2):
        step = half * data.draw(st.sampled_from([-5, -4, -3, -2, 2, 3, 4, 5]))
        first = half * data.draw(st.integers(600, 640))
        views.append((first, step))
    (x_at, x_step), (out_at, out_step) = views
    x = strided(memory, dtype, n, x_at, x_step)
    x[...] = values(n, dtype)
    out = strided(memory, dtype, n, out_at, out_step)
    before = memory.copy()
    expected, ctx = TRANSFORMS[name](x.copy(), rng=0)
    wanted = before.copy()
    strided(wanted, dtype, n, out_at, out_step)[...] = expected
    y, _ = TRANSFORMS[name](x, rng=0, out=out)
    assert y is out
    np.testing.assert_array_equal(memory, wanted)
    memory[...] = before
    expected = gradient(ctx, x.copy())
    wanted = before.copy()
    strided(wanted, dtype, n, out_at, out_step)[...] = expected
    if "add" in name and np.may_share_memory(x, out):
        with pytest.raises(ValueError, match="overlaps dy"):
            gradient(ctx, x, out)
        return
    gradient(ctx, x, out)
    np.testing.assert_array_equal(memory, wanted)


@every_transform
@pytest.mark.parametrize("shift", [-7, -6, -1, 0, 1, 6, 7])
def test_an_out_of_two_axes_that_overlaps(name, shift):
    rows, columns = 5, 6
    for dtype in dtypes_of(name):
        for x_order, out_order in (("C", "C"), ("C", "F"), ("F", "C")):
            memory = values(100, dtype)
            x = memory[30 : 30 + rows * columns].reshape((rows, columns), order=x_order)
            at = 30 + shift
            out = memory[at : at + rows * columns].reshape((rows, columns), order=out_order)
            assert np.shares_memory(x, out)
            expected, _ = TRANSFORMS[name](x.copy(), rng=0)
            outside = np.delete(memory, np.s_[at : at + rows * columns])
            y, _ = TRANSFORMS[name](x, rng=0, out=out)
            assert y is out
            np.testing.assert_array_equal(out, expected)
            np.testing.assert_array_equal(
                np.delete(memory, np.s_[at : at + rows * columns]), outside
            )


@pytest.mark.parametrize("type_", [np.int64, np.uint8, np.int8])
def test_ints_may_be_numpys(type_):
    """What NumPy's own functions return is taken wherever an int is."""
    x, images = np.ones((4, 6)), np.ones((2, 3, 8, 8))
    mask = sd.Mask(bytes(16), 3, 0.5, (5, 6))

    def results(type_):
        stream = sd.Stream(type_(3))
        children = stream.spawn(type_(2))
        stream.state = stream.state | {"draw": type_(5), "spawned": type_(1), "stream": type_(1)}
        yield stream.state, [child.key for child in children], sd.Stream([type_(3), type_(4)]).key
        yield sd.Mask(bytes(16), type_(3), 0.5, (type_(2), type_(3)), shared_axes=type_(1))
        yield sd.Mask(bytes(16), type_(3), 0.5, type_(5), shared_axes=[type_(0)])
        yield mask.window((type_(1), type_(2)), (type_(2), type_(3)))
        yield kernels.keystream(bytes(16), type_(1), type_(2), type_(0), type_(3)).tobytes()
        yield sd.StoredMask(b"\3", 0.5, type_(5))
        yield sd.GaussianNoiseContext(bytes(16), type_(0), 1, (type_(3), type_(2)))
        yield sd.drop_block(images, 0.1, type_(3), shared_axes=type_(1), rng=type_(0))[1]
        yield sd.dropout(x, 0.5, shared_axes=type_(0), rng=type_(0))[1]
        yield sd.locked_dropout(x, 0.5, time_axis=type_(1), rng=type_(0))[1]
        yield sd.theory.monte_carlo(lambda rows: rows.sum(1), [1, 2], 0.5, type_(9), rng=type_(1))

    assert list(results(type_)) == list(results(int))
