"""DropConnect: weights masked for a batch and for each sample, against masks made as arrays."""

import pickle
import tracemalloc

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd


def case(batch, n_in, n_out, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((batch, n_in), (n_in, n_out), (batch, n_out))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def test_drop_connect_is_dropout_of_the_weights():
    W, dy = case(5, 6, 5)[1:]
    y, mask = sd.drop_connect(W, 0.3, rng=2)
    kept = oracle.keep(oracle.key_from_seed(2), 0, 0.3, W.shape)
    np.testing.assert_array_equal(y, np.where(kept, W * (1 / 0.7), 0))
    np.testing.assert_array_equal(mask.backward(W), y)
    assert sd.drop_connect(W, 0.3, training=False)[0] is W
    unscaled = sd.drop_connect(W, 0.3, rng=2, scale=False, out=np.empty_like(W))[0]
    np.testing.assert_array_equal(unscaled, np.where(kept, W, 0))


sizes = st.integers(0, 7)


@given(sizes, sizes, sizes, st.floats(0, 1), st.integers(0, 2**32), st.booleans(), st.booleans())
def test_matmul_has_a_mask_for_each_sample(batch, n_in, n_out, p, seed, scale, single):
    dtype, tolerance = (np.float32, 1e-4) if single else (np.float64, 1e-12)
    x, W, dy = case(batch, n_in, n_out, dtype)
    y, ctx = sd.drop_connect_matmul(x, W, p, rng=seed, scale=scale)
    keep = oracle.keep(oracle.key_from_seed(seed), 0, p, (batch, n_in, n_out))
    factor = keep * (1 / (1 - p) if scale and p < 1 else 1.0)
    np.testing.assert_array_equal(ctx.mask.keep(), keep)
    bound = dict(rtol=tolerance, atol=tolerance * max(1, factor.max(initial=0)))
    np.testing.assert_allclose(y, np.einsum("bi,bij,ij->bj", x, factor, W), **bound)
    dx, dW = ctx.backward(dy)
    np.testing.assert_allclose(dx, np.einsum("bj,bij,ij->bi", dy, factor, W), **bound)
    np.testing.assert_allclose(dW, np.einsum("bi,bij,bj->ij", x, factor, dy), **bound)
    assert {y.dtype, dx.dtype, dW.dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("scale", [True, False])
def test_backward_is_the_derivative(scale):
    x, W, dy = case(3, 4, 5)
    _, ctx = sd.drop_connect_matmul(x, W, 0.4, rng=1, scale=scale)

    def loss():
        return float((sd.drop_connect_matmul(x, W, 0.4, rng=1, scale=scale)[0] * dy).sum())

    for value, gradient in zip((x, W), ctx.backward(dy), strict=True):
        for i in np.ndindex(value.shape):
            before, step = value[i], 1e-6
            value[i] = before + step
            above = loss()
            value[i] = before - step
            slope = (above - loss()) / (2 * step)
            value[i] = before
            assert gradient[i] == pytest.approx(slope, abs=1e-7)


def test_moments():
    """E[y] = x W, Var[y_j] = p / (1 - p) sum (x_i W_ij)**2, none between outputs or samples."""
    batch, n_in, n_out, p = 100_000, 20, 5, 0.3  # ten million decisions
    _, W, _ = case(1, n_in, n_out)
    x = np.tile(np.linspace(-1, 1, n_in), (batch, 1))
    y, _ = sd.drop_connect_matmul(x, W, p, rng=0)
    centred, variance = y - x[0] @ W, p / (1 - p) * x[0] ** 2 @ W**2
    assert np.all(np.abs(centred.mean(axis=0)) < 5 * (variance / batch) ** 0.5)
    covariance = centred.T @ centred / batch
    bound = 5 * np.sqrt(np.outer(variance, variance) / batch)
    assert np.all(np.abs(covariance - np.diag(variance)) < np.sqrt(2) * bound)
    between = centred[1:].T @ centred[:-1] / batch
    assert np.all(np.abs(between) < bound)
    assert np.all(bound.diagonal() < 0.05 * variance)


def test_dropped_weights_have_no_part():
    """NaN times zero would be NaN."""
    x, W, dy = case(50, 2, 2)
    W[0, 0] = np.nan
    y, ctx = sd.drop_connect_matmul(x, W, 0.5, rng=0)
    kept = ctx.mask.keep()[:, 0, 0]
    np.testing.assert_array_equal(np.isnan(y[:, 0]), kept)
    np.testing.assert_array_equal(np.isnan(ctx.backward(dy)[0][:, 0]), kept)
    y, ctx = sd.drop_connect_matmul(x, W, 1, rng=0)
    assert not y.any() and not any(gradient.any() for gradient in ctx.backward(dy))


@pytest.mark.parametrize(
    ("n_in", "n_out", "samples"), [(200, 300, 4), (600, 500, 1), (30, 40, 218)]
)
def test_memory_is_that_of_a_chunk(n_in, n_out, samples):
    x, W, dy = case(1000, n_in, n_out, np.float32)
    tracemalloc.start()
    try:
        y, ctx = sd.drop_connect_matmul(x, W, 0.5, rng=0)
        forward = tracemalloc.get_traced_memory()[1]
        gradients = ctx.backward(dy)
        backward = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    results = y.nbytes + sum(one.nbytes for one in gradients)
    assert forward < (samples + 1) * W.nbytes + results
    assert backward < (samples + 3) * W.nbytes + 2 * results  # the masks are 1000 W


def test_evaluation_is_the_plain_product():
    x, W, dy = case(3, 4, 5)
    stream = sd.Stream(0)
    for p, training in ((0.5, False), (0, True)):
        y, ctx = sd.drop_connect_matmul(x, W, p, rng=stream, training=training)
        np.testing.assert_array_equal(y, x @ W)
        dx, dW = ctx.backward(dy)
        np.testing.assert_array_equal(dx, dy @ W.T)
        np.testing.assert_array_equal(dW, x.T @ dy)
    assert stream.draw == 1


def test_layouts_out_and_pickles():
    x, W, dy = case(3, 4, 5)
    y, ctx = sd.drop_connect_matmul(x, W, 0.5, rng=0)
    dx, dW = ctx.backward(dy)
    forms = (
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a.astype(">f8"),
    )
    for form in forms:
        out = form(np.full_like(y, np.nan))
        found, again = sd.drop_connect_matmul(form(x), form(W), 0.5, rng=0, out=out)
        assert found is out
        np.testing.assert_allclose(found, y, rtol=1e-14)
        outs = form(np.full_like(x, np.nan)), form(np.full_like(W, np.nan))
        found = again.backward(form(dy), out=outs)
        assert found[0] is outs[0] and found[1] is outs[1]
        np.testing.assert_allclose(found[0], dx, rtol=1e-14)
        np.testing.assert_allclose(found[1], dW, rtol=1e-14)
    again = pickle.loads(pickle.dumps(ctx))
    np.testing.assert_array_equal(again.backward(dy)[1], dW)
    assert ctx != again and ctx == ctx and ctx.x is x and ctx.W is W


def test_the_same_on_every_instruction_set(instruction_set):
    x, W, dy = case(3, 70, 30, np.float32)
    y, ctx = sd.drop_connect_matmul(x, W, 0.3, rng=4)
    keep = oracle.keep(oracle.key_from_seed(4), 0, 0.3, (3, 70, 30))
    masked = np.where(keep, W * np.float32(1 / 0.7), 0).astype(np.float32)
    expected = np.stack([x[b] @ masked[b] for b in range(3)])
    np.testing.assert_array_equal(y, expected)


X, W, DY = case(2, 3, 4)
BOTH = np.zeros(X.size + W.size - 1)  # an element too few for gradients of both


@pytest.mark.parametrize(
    ("error", "call"),
    [
        *(
            (error, lambda s, p=p, t=t: sd.drop_connect_matmul(X, W, p, rng=s, training=t))
            for error, p in ((ValueError, np.nan), (ValueError, 2), (TypeError, "1"))
            for t in (True, False)
        ),
        (ValueError, lambda s: sd.drop_connect(W, -0.1, rng=s)),
        (TypeError, lambda s: sd.drop_connect(W.astype(int), 0.1, rng=s)),
        (TypeError, lambda s: sd.drop_connect_matmul(X.astype("f2"), W.astype("f2"), 0.5, rng=s)),
        (TypeError, lambda s: sd.drop_connect_matmul(X, W.astype("f4"), 0.5, rng=s)),
        (TypeError, lambda s: sd.drop_connect_matmul(X.astype(int), W, 0.5, rng=s)),
        (ValueError, lambda s: sd.drop_connect_matmul(X[0], W, 0.5, rng=s)),
        (ValueError, lambda s: sd.drop_connect_matmul(X, W[0], 0.5, rng=s)),
        (ValueError, lambda s: sd.drop_connect_matmul(X, W.T, 0.5, rng=s)),
        (ValueError, lambda s: sd.drop_connect_matmul(X, W, 0.5, rng=s, out=X)),
        (TypeError, lambda s: sd.drop_connect_matmul(X, W, 0.5, rng=s, out=[0])),
        (ValueError, lambda s: sd.drop_connect_matmul(X, np.ones((3, 3)), 0.5, rng=s, out=X)),
    ],
)
def test_bad_input_takes_no_draw(error, call):
    stream, before = sd.Stream(0), X.copy()
    with pytest.raises(error):
        call(stream)
    assert stream.draw == 0
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("error", "dy", "out"),
    [
        (ValueError, DY[:1], (None, None)),
        (TypeError, DY.astype("f4"), (None, None)),
        (ValueError, DY, (None,)),
        (ValueError, DY, (None, None, None)),
        (ValueError, DY, (X, None)),
        (ValueError, DY, (None, W)),
        (ValueError, DY, (None, X)),
        (ValueError, DY, (BOTH[: X.size].reshape(X.shape), BOTH[-W.size :].reshape(W.shape))),
        (TypeError, DY, (0, None)),
        (TypeError, DY, None),
    ],
)
def test_backward_refuses(error, dy, out):
    before = [X.copy(), W.copy()]
    with pytest.raises(error):
        sd.drop_connect_matmul(X, W, 0.5, rng=0)[1].backward(dy, out=out)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(W, before[1])
