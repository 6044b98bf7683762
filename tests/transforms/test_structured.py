"""Samples, blocks and words: against plain formulations, their moments, gradients and errors."""

import copy
import pickle

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64, np.complex128]


def normal(shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def same(a, b):
    """Equal, NaN where NaN is; NumPy does not know that of bfloat16."""
    np.testing.assert_array_equal(a.astype(np.complex128), b.astype(np.complex128))


def differences(f, x, step=1e-6):
    """d f / d x, by central differences."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        gradient[i] = (f(above) - f(below)) / (2 * step)
    return gradient


def blocks(corners_keep, size, shape):
    """Which elements are kept, block by block."""
    keep = np.ones(shape, bool)
    for *where, i, j in np.argwhere(~corners_keep):
        keep[(*where, slice(i, i + size), slice(j, j + size))] = False
    return keep


# --- Whole samples ---


@pytest.mark.parametrize("shape", [(5,), (7, 3), (4, 3, 2, 2), (0, 3), (3, 0)])
def test_drop_path_shares_all_axes_but_the_first(shape):
    x = normal(shape, np.float32)
    y, mask = sd.drop_path(x, 0.4, rng=3)
    same = sd.Stream(3).mask(shape, 0.4, shared_axes=range(1, len(shape)))
    assert mask == same
    np.testing.assert_array_equal(y, same.apply(x))
    np.testing.assert_array_equal(mask.backward(x), y)


def test_drop_path_moments():
    """E[y] = x, Var[y] = x**2 p / (1 - p), covariance that within a sample and 0 between two."""
    n, p = 5_000_000, 0.3
    y, _ = sd.drop_path(np.ones((n, 2), np.float32), p, rng=1)
    variance = p / (1 - p)
    assert abs(y[:, 0].mean(dtype=np.float64) - 1) < 5 * (variance / n) ** 0.5
    np.testing.assert_array_equal(y[:, 0], y[:, 1])  # so covariance is variance
    assert abs(y[:, 0].var(dtype=np.float64) / variance - 1) < 0.005
    centred = y[:, 0].astype(np.float64) - 1
    assert abs((centred[1:] * centred[:-1]).mean()) < 5 * variance / n**0.5


def test_drop_path_without_scale_in_evaluation_and_into_out():
    x = normal((50, 3))
    y, mask = sd.drop_path(x, 0.5, rng=0, scale=False)
    np.testing.assert_array_equal(y[mask.keep()], x[mask.keep()])
    stream = sd.Stream(0)
    assert sd.drop_path(x, 0.5, rng=stream, training=False)[0] is x
    assert stream.draw == 0
    assert sd.drop_path(x, 0.5, rng=0, out=x)[0] is x
    np.testing.assert_array_equal(x, 2 * y)


# --- Blocks ---


@st.composite
def images(draw):
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    size = draw(st.integers(1, min(height, width)))
    leading = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    shared = tuple(i for i in range(len(leading)) if draw(st.booleans()))
    return (*leading, height, width), size, shared


@given(images(), st.floats(0, 1), st.integers(0, 2**32), st.sampled_from(FLOATS), st.booleans())
def test_drop_block_is_blocks_from_corners(image, p, seed, dtype, scale):
    shape, size, shared = image
    x = normal(shape, dtype, 1)
    x[..., 0, 0] = np.nan
    y, ctx = sd.drop_block(x, p, size, shared_axes=shared, rng=seed, scale=scale)
    height, width = shape[-2:]
    places = (*shape[:-2], height - size + 1, width - size + 1)
    gamma = p * (height * width / (size**2 * places[-2] * places[-1]))
    assert 0 <= gamma <= p
    keep = blocks(oracle.keep(oracle.key_from_seed(seed), 0, gamma, places, shared), size, shape)
    np.testing.assert_array_equal(ctx.keep(), keep)
    factor = (keep.size / keep.sum() if keep.any() else 0) if scale and gamma else 1
    if keep.size:
        assert ctx.scale == pytest.approx(factor, rel=1e-15)
    expected = np.zeros(shape, dtype)
    expected[keep] = oracle.times(x[keep], ctx.scale)
    same(y, expected)
    assert not np.signbit(y.real[~keep]).any()
    same(ctx.backward(x), y)
    assert ctx.shape == shape


def test_drop_block_of_one_element_is_dropout():
    x = normal((3, 4, 5), np.float32)
    _, ctx = sd.drop_block(x, 0.3, 1, rng=7)
    assert ctx.corners == sd.dropout(x, 0.3, rng=7)[1]
    np.testing.assert_array_equal(ctx.keep(), ctx.corners.keep())


def test_drop_block_moments():
    """An element that n corners reach is kept with (1 - gamma)**n; two, with those of either."""
    n, height, width, size, p = 120_000, 9, 10, 3, 0.2
    x = np.ones((n, height, width), np.float32)
    y, ctx = sd.drop_block(x, p, size, rng=4, scale=False)
    gamma = ctx.corners.p
    assert gamma == pytest.approx(p / 9 * 90 / (7 * 8))
    reach = np.zeros((height, width, 7, 8), bool)  # does a corner's block hold an element?
    for i, j in np.ndindex(7, 8):
        reach[i : i + size, j : j + size, i, j] = True
    reach = reach.reshape(height * width, -1).astype(int)
    counts = np.diag(reach @ reach.T)
    union = counts[:, None] + counts - reach @ reach.T
    mean, both = (1 - gamma) ** counts, (1 - gamma) ** union
    flat = y.reshape(n, -1)
    assert np.all(np.abs(flat.mean(axis=0) - mean) < 5 * (mean * (1 - mean) / n) ** 0.5)
    found = flat.T @ flat / n
    # A sample covariance's deviation is at most the root of the product of two variances over n.
    bound = 5 * (both * (1 - both) / n) ** 0.5 + 1e-7
    assert np.all(np.abs(found - both) < bound)
    np.testing.assert_array_equal(flat.var(axis=0) > 0, counts > 0)
    scaled, again = sd.drop_block(x, p, size, rng=4)
    assert again.scale == x.size / y.sum(dtype=np.float64)
    assert scaled.mean(dtype=np.float64) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("layout", ["Fortran", "strided", "swapped", "broadcast"])
def test_drop_block_of_any_layout(dtype, layout):
    plain = normal((2, 3, 6, 8), dtype)
    if layout == "Fortran":
        x = np.asfortranarray(plain)
    elif layout == "strided":
        x = np.repeat(plain, 2, axis=-1)[..., ::2]
    elif layout == "swapped":
        x = plain.astype(plain.dtype.newbyteorder()) if plain.dtype.kind in "fc" else plain
    else:
        x = plain = np.broadcast_to(plain[:1], plain.shape)
    y, ctx = sd.drop_block(x, 0.5, 2, rng=1)
    np.testing.assert_array_equal(y, sd.drop_block(plain, 0.5, 2, rng=1)[0])
    assert y.dtype == plain.dtype and y.dtype.isnative
    out = np.empty((2, 3, 6, 16), plain.dtype)[..., ::2]
    np.testing.assert_array_equal(ctx.apply(x, out=out), y)


def test_drop_block_into_x_and_into_what_overlaps_it():
    x = normal((3, 8, 8), np.float32)
    y, ctx = sd.drop_block(x, 0.4, 3, rng=2)
    block = np.zeros(x.size + 5, np.float32)
    first, second = block[: x.size].reshape(x.shape), block[5:].reshape(x.shape)
    first[...] = x
    np.testing.assert_array_equal(ctx.apply(first, out=second), y)
    assert ctx.apply(x, out=x) is x
    np.testing.assert_array_equal(x, y)


def test_drop_block_masks_integers_without_scale():
    x = np.arange(1, 65).reshape(8, 8)
    y, ctx = sd.drop_block(x, 0.5, 2, rng=0, scale=False)
    np.testing.assert_array_equal(y, x * ctx.keep())
    assert ctx.scale == 1


def test_drop_block_keeps_all_at_0_and_in_evaluation():
    x, stream = normal((2, 8, 8)), sd.Stream(0)
    y, ctx = sd.drop_block(x, 0.5, 3, rng=stream, training=False)
    assert y is x and stream.draw == 0 and ctx.keep().all() and ctx.scale == 1
    np.testing.assert_array_equal(ctx.backward(x), x)
    assert sd.drop_block(x, 0, 3, rng=stream)[0] is x
    assert stream.draw == 1
    out = np.empty_like(x)
    assert sd.drop_block(x, 0, 3, rng=stream, out=out)[0] is out
    np.testing.assert_array_equal(out, x)
    everything, ctx = sd.drop_block(x, 1, 8, rng=0)  # of one place, where a block always is
    assert not everything.any() and ctx.scale == 0


@pytest.mark.parametrize("shared_axes", [(), (1,)])
def test_drop_block_backward_is_the_derivative(shared_axes):
    x, dy = normal((2, 3, 5, 4)), normal((2, 3, 5, 4), seed=1)
    _, ctx = sd.drop_block(x, 0.3, 2, rng=0, shared_axes=shared_axes)
    assert 0 < ctx.keep().sum() < x.size

    def loss(x):
        return float((sd.drop_block(x, 0.3, 2, rng=0, shared_axes=shared_axes)[0] * dy).sum())

    np.testing.assert_allclose(ctx.backward(dy), differences(loss, x), atol=1e-8)


def test_drop_block_is_the_same_on_every_instruction_set(instruction_set):
    x = normal((4, 3, 13, 17), np.float32)
    ctx = sd.drop_block(x, 0.2, 4, rng=9)[1]
    kept = oracle.keep(oracle.key_from_seed(9), 0, ctx.corners.p, ctx.corners.shape)
    np.testing.assert_array_equal(ctx.keep(), blocks(kept, 4, x.shape))


def test_drop_block_values():
    x = normal((3, 8, 8))
    ctx = sd.drop_block(x, 0.4, 3, rng=2)[1]
    from_text = eval(repr(ctx), vars(sd))
    for other in (pickle.loads(pickle.dumps(ctx)), copy.deepcopy(ctx), from_text):
        assert other == ctx and hash(other) == hash(ctx)
    assert ctx != sd.drop_block(x, 0.4, 3, rng=3)[1] and ctx != ctx.corners
    for change in (lambda: setattr(ctx, "scale", 1), lambda: delattr(ctx, "scale")):
        with pytest.raises(AttributeError, match="cannot be changed"):
            change()
    for values in ((ctx.corners,), (ctx.corners, 3, 1.0, 0)):
        with pytest.raises(TypeError, match="DropBlockContext takes corners, block_size, scale"):
            sd.DropBlockContext(*values)
    with pytest.raises(TypeError, match="DropBlockContext takes"):
        sd.DropBlockContext(ctx.corners, 3, scales=1.0)


# --- Words ---


@given(
    st.lists(st.integers(0, 6), max_size=20),
    st.floats(0, 1),
    st.integers(0, 2**32),
    st.sampled_from(FLOATS),
)
def test_words_are_dropped_wherever_they_stand(indices, p, seed, dtype):
    weight = normal((7, 3), dtype)
    weight[0] = np.inf
    whole, mask = sd.embedding_dropout(weight, p, rng=seed)
    y, ctx = sd.embedding_dropout(weight, p, indices=indices, rng=seed)
    assert ctx.mask == mask
    np.testing.assert_array_equal(mask.keep()[:, :1], mask.keep()[:, 1:2])
    np.testing.assert_array_equal(y, whole[np.array(indices, int)])
    assert y.dtype == weight.dtype
    dy = normal(y.shape, np.float64, 2)
    expected = np.zeros((7, 3))
    np.add.at(expected, np.array(indices, int), dy)
    np.testing.assert_allclose(ctx.backward(dy), mask.apply(expected), rtol=1e-12, atol=1e-12)


@given(
    st.lists(st.integers(0, 6), max_size=20),
    st.lists(st.floats(0, 1), min_size=7, max_size=7),
    st.integers(0, 2**32),
    st.sampled_from(FLOATS),
    st.sampled_from([(), (3,), (2, 3), (7,)]),
    st.booleans(),
)
def test_each_word_has_a_probability_of_its_own(indices, p, seed, dtype, features, scale):
    """Against the oracle's decisions and the formula, with indices and without."""
    weight, p = normal((7, *features), dtype), np.array(p)
    kept = np.array(
        [oracle.keep(oracle.key_from_seed(seed), 0, q, (7,))[w] for w, q in enumerate(p)]
    )
    with np.errstate(divide="ignore"):
        factor = np.where(p < 1, 1 / (1 - p), 0) if scale else np.ones(7)
    column = (7, *(1 for _ in features))
    kept, factor = kept.reshape(column), factor.reshape(column)
    if weight.dtype.itemsize == 2:  # multiplied in float32, rounded once
        product = weight.astype(np.float32) * factor.astype(np.float32)
    else:
        product = weight * factor.astype(weight.real.dtype)
    expected = np.where(kept, product, 0).astype(dtype)
    for given_p in (p, p.reshape(column)):
        whole, mask = sd.embedding_dropout(weight, given_p, rng=seed, scale=scale)
        np.testing.assert_array_equal(whole, expected)
        y, ctx = sd.embedding_dropout(weight, given_p, indices=indices, rng=seed, scale=scale)
        assert ctx.mask == mask
        np.testing.assert_array_equal(y, expected[np.array(indices, int)])
        dy = normal(y.shape, np.float64, 2)
        summed = np.zeros((7, *features))
        np.add.at(summed, np.array(indices, int), dy)
        right = np.where(kept, summed * factor, 0)
        np.testing.assert_allclose(ctx.backward(dy), right, rtol=1e-12, atol=1e-12)
        again = pickle.loads(pickle.dumps(ctx))
        np.testing.assert_array_equal(again.backward(dy), ctx.backward(dy))


def test_one_probability_in_an_array_is_that_of_all_words():
    weight, indices = normal((5, 2)), [4, 0, 0]
    y, _ = sd.embedding_dropout(weight, 0.5, indices=indices, rng=1)
    for p in (np.array([0.5]), np.array([[0.5]]), np.array(0.5), np.full(5, 0.5)):
        np.testing.assert_array_equal(sd.embedding_dropout(weight, p, indices=indices, rng=1)[0], y)


@pytest.mark.parametrize("indices", [None, [0, 1]])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("p", "message"),
    [
        (np.full(4, 0.5), "shape"),
        (np.full((1, 2), 0.5), "shape"),
        (np.full((5, 2), 0.5), "shape"),
        (np.array([0, 0, 0.5, 0, 1.5]), "1.5"),
        (np.array([0, 0, np.nan, 0, 1]), "nan"),
    ],
)
def test_probabilities_that_are_not_of_words_are_refused(indices, training, p, message):
    stream = sd.Stream(0)
    with pytest.raises(ValueError, match=message):
        sd.embedding_dropout(normal((5, 2)), p, indices=indices, rng=stream, training=training)
    assert stream.draw == 0


def test_embedding_dropout_by_word_in_evaluation():
    weight, p = normal((5, 2)), np.linspace(0, 1, 5)
    y, ctx = sd.embedding_dropout(weight, p, indices=[4, 1], training=False)
    np.testing.assert_array_equal(y, weight[[4, 1]])
    np.testing.assert_array_equal(ctx.backward(y)[[4, 1]], y)


def test_embedding_dropout_backward_is_the_derivative():
    weight, indices = normal((5, 2)), np.array([[0, 1, 1], [4, 0, 1]])
    dy = normal((2, 3, 2), seed=1)
    _, ctx = sd.embedding_dropout(weight, 0.4, indices=indices, rng=2)
    assert 0 < ctx.mask.keep()[[0, 1, 4], 0].sum() < 3

    def loss(weight):
        return float((sd.embedding_dropout(weight, 0.4, indices=indices, rng=2)[0] * dy).sum())

    expected = differences(loss, weight)
    out = np.full_like(weight, np.nan)
    assert ctx.backward(dy, out=out) is out
    np.testing.assert_allclose(out, expected, atol=1e-8)
    assert not out[[2, 3]].any()


@pytest.mark.parametrize("features", [(), (2,), (2, 3)])
@pytest.mark.parametrize("word", [0, 1])
def test_one_word(features, word):
    weight = np.ones((3, *features))
    y, ctx = sd.embedding_dropout(weight, 0.5, indices=word, rng=0)
    expected = 2.0 if sd.Stream(0).mask(3, 0.5).keep()[word] else 0.0
    assert y.shape == features and np.all(y == expected)
    gradient = ctx.backward(np.ones(features))
    assert np.all(gradient[word] == expected) and np.count_nonzero(gradient) == np.count_nonzero(y)


def test_embedding_dropout_moments():
    n, p = 5_000_000, 0.1
    weight, indices = np.ones((n, 1), np.float32), np.repeat(np.arange(n), 2).reshape(n, 2)
    y, _ = sd.embedding_dropout(weight, p, indices=indices, rng=5)
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    variance = p / (1 - p)
    assert abs(y[:, 0].mean(dtype=np.float64) - 1) < 5 * (variance / n) ** 0.5
    assert abs(y[:, 0].var(dtype=np.float64) / variance - 1) < 0.005


def test_embedding_dropout_in_evaluation_and_copies():
    weight, stream = normal((5, 2)), sd.Stream(0)
    indices = np.array([1, 3])
    y, ctx = sd.embedding_dropout(weight, 0.5, indices=indices, rng=stream, training=False)
    np.testing.assert_array_equal(y, weight[indices])
    assert stream.draw == 0
    indices[:] = 0  # the context has its own
    np.testing.assert_array_equal(ctx.backward(y)[[1, 3]], y)
    assert ctx.shape == (2, 2) and isinstance(ctx, sd.EmbeddingDropoutContext)
    again = pickle.loads(pickle.dumps(ctx))
    np.testing.assert_array_equal(again.backward(y), ctx.backward(y))
    out = np.empty((2, 2))
    assert sd.embedding_dropout(weight, 0.5, indices=[1, 3], rng=0, out=out)[0] is out
    assert ctx == ctx and ctx != again


# --- What is refused, before a draw is taken ---

IMAGE, WORDS = normal((2, 3, 6, 4)), normal((5, 2))
READ_ONLY = np.zeros((2, 3, 6, 4))
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("error", "call"),
    [
        *(
            (error, lambda s, f=f, p=p: f(s, p))
            for error, ps in ((ValueError, (np.nan, -0.1, 1.1)), (TypeError, ("0.5", None)))
            for p in ps
            for f in (
                lambda s, p: sd.drop_path(IMAGE, p, rng=s),
                lambda s, p: sd.drop_path(IMAGE, p, rng=s, training=False),
                lambda s, p: sd.drop_block(IMAGE, p, 2, rng=s),
                lambda s, p: sd.drop_block(IMAGE, p, 2, rng=s, training=False),
                lambda s, p: sd.embedding_dropout(WORDS, p, rng=s),
                lambda s, p: sd.embedding_dropout(WORDS, p, indices=[0], rng=s),
            )
        ),
        (ValueError, lambda s: sd.drop_path(1.0, 0.5, rng=s)),
        (TypeError, lambda s: sd.drop_path([1, 2], 0.5, rng=s)),
        (TypeError, lambda s: sd.drop_path(IMAGE, 0.5, rng=s, out=[0])),
        (ValueError, lambda s: sd.drop_path(IMAGE, 0.5, rng=s, out=READ_ONLY)),
        *((ValueError, lambda s, b=b: sd.drop_block(IMAGE, 0.5, b, rng=s)) for b in (-1, 0, 5)),
        *((TypeError, lambda s, b=b: sd.drop_block(IMAGE, 0.5, b, rng=s)) for b in (2.0, "2")),
        (ValueError, lambda s: sd.drop_block(np.ones(4), 0.5, 1, rng=s)),
        (ValueError, lambda s: sd.drop_block(np.ones((3, 0)), 0.5, 1, rng=s)),
        (ValueError, lambda s: sd.drop_block(IMAGE, 0.5, 2, shared_axes=(1, 2), rng=s)),
        (ValueError, lambda s: sd.drop_block(IMAGE, 0.5, 2, shared_axes=-1, rng=s)),
        (ValueError, lambda s: sd.drop_block(IMAGE, 0.5, 2, shared_axes=4, rng=s)),
        (TypeError, lambda s: sd.drop_block(np.ones((4, 4), int), 0.5, 2, rng=s)),
        (TypeError, lambda s: sd.drop_block(np.ones((4, 4), "g"), 0.5, 2, rng=s)),
        (TypeError, lambda s: sd.drop_block(IMAGE, 0.5, 2, rng=s, out=IMAGE.astype("f4"))),
        (ValueError, lambda s: sd.drop_block(IMAGE, 0.5, 2, rng=s, out=np.zeros(3))),
        (ValueError, lambda s: sd.drop_block(IMAGE, 0.5, 2, rng=s, out=READ_ONLY)),
        (ValueError, lambda s: sd.embedding_dropout(1.0, 0.5, rng=s)),
        (ValueError, lambda s: sd.embedding_dropout(1.0, 0.5, indices=[0], rng=s)),
        (TypeError, lambda s: sd.embedding_dropout(WORDS, 0.5, indices=[0.0], rng=s)),
        (IndexError, lambda s: sd.embedding_dropout(WORDS, 0.5, indices=[5], rng=s)),
        (IndexError, lambda s: sd.embedding_dropout(WORDS, 0.5, indices=[-1], rng=s)),
        (TypeError, lambda s: sd.embedding_dropout([[1]], 0.5, indices=[0], rng=s)),
        (ValueError, lambda s: sd.embedding_dropout(WORDS, 0.5, indices=[0], rng=s, out=WORDS)),
    ],
)
def test_bad_input_takes_no_draw(error, call):
    stream, before = sd.Stream(0), IMAGE.copy()
    with pytest.raises(error):
        call(stream)
    assert stream.draw == 0
    assert not READ_ONLY.any()
    np.testing.assert_array_equal(IMAGE, before)


def test_backward_refuses_other_shapes_and_types():
    _, block = sd.drop_block(IMAGE, 0.5, 2, rng=0)
    _, words = sd.embedding_dropout(WORDS, 0.5, indices=[0, 1], rng=0)
    for ctx, dy in ((block, IMAGE), (words, WORDS[:2])):
        with pytest.raises(ValueError, match="has shape"):
            ctx.backward(dy[:1])
        with pytest.raises(TypeError, match="scale=False"):
            ctx.backward(np.ones(dy.shape, int))
        with pytest.raises(TypeError, match="out"):
            ctx.backward(dy, out=0)
