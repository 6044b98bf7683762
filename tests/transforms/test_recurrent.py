"""States and time steps: zoneout and locked dropout against plain formulations."""

import pickle

import ml_dtypes
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import simdrop as sd

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64, np.complex128]


def states(shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(2, *shape))
    if np.dtype(dtype).kind == "c":
        h = h + 1j * rng.normal(size=h.shape)
    return h.astype(dtype)


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8).tobytes()


@pytest.mark.parametrize("time_axis", [0, 1, -1])
def test_locked_dropout_shares_the_time_axis(time_axis):
    x = np.random.default_rng(0).normal(size=(4, 5, 6))
    y, mask = sd.locked_dropout(x, 0.3, time_axis=time_axis, rng=1)
    kept = oracle.keep(oracle.key_from_seed(1), 0, 0.3, x.shape, (time_axis % 3,))
    np.testing.assert_array_equal(y, np.where(kept, x * (1 / 0.7), 0))
    np.testing.assert_array_equal(mask.backward(x), y)
    assert sd.locked_dropout(x, 0.3, rng=1, training=False)[0] is x


def test_locked_dropout_moments():
    """Var[y] = p / (1 - p), at all times the same, and none between two elements."""
    n, p = 5_000_000, 0.4
    y, _ = sd.locked_dropout(np.ones((2, n), np.float32), p, rng=1)
    np.testing.assert_array_equal(y[0], y[1])
    variance = p / (1 - p)
    centred = y[0].astype(np.float64) - 1
    assert abs(centred.mean()) < 5 * (variance / n) ** 0.5
    assert abs((centred**2).mean() / variance - 1) < 0.005
    assert abs((centred[1:] * centred[:-1]).mean()) < 5 * variance / n**0.5


shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)


@given(shapes, st.floats(0, 1), st.integers(0, 2**32), st.sampled_from(FLOATS))
def test_zoneout_is_a_choice_bit_for_bit(shape, p, seed, dtype):
    h_prev, h = states(shape, dtype)
    if h.size:
        h.reshape(-1)[0], h_prev.reshape(-1)[-1] = np.nan, -np.inf
    y, ctx = sd.zoneout(h_prev, h, p, rng=seed)
    keep = oracle.keep(oracle.key_from_seed(seed), 0, p, shape)
    assert bits(y) == bits(np.where(keep, h, h_prev))
    assert y.dtype == h.dtype and ctx == sd.ZoneoutContext(
        sd.Stream(seed).mask(shape, p, scale=False), p, True
    )
    dh_prev, dh = ctx.backward(h)
    zero = np.zeros((), dtype)
    assert bits(dh) == bits(np.where(keep, h, zero))
    assert bits(dh_prev) == bits(np.where(keep, zero, h))


@given(shapes, st.floats(0, 1), st.sampled_from(FLOATS))
def test_zoneout_in_evaluation_is_the_mean(shape, p, dtype):
    h_prev, h = states(shape, dtype)
    stream = sd.Stream(0)
    y, ctx = sd.zoneout(h_prev, h, p, rng=stream, training=False)
    assert stream.draw == 0 and y.dtype == h.dtype
    wide = np.complex128 if np.dtype(dtype).kind == "c" else np.float64
    eps = float(ml_dtypes.finfo(dtype).eps)
    expected = p * h_prev.astype(wide) + (1 - p) * h.astype(wide)
    np.testing.assert_allclose(y.astype(wide), expected, rtol=eps, atol=4 * eps)
    for gradient, weight in zip(ctx.backward(h), (p, 1 - p), strict=True):
        assert gradient.dtype == h.dtype
        expected = weight * h.astype(wide)
        np.testing.assert_allclose(gradient.astype(wide), expected, rtol=2 * eps, atol=eps)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [0, 1])
def test_zoneout_is_exact_at_0_and_1(p, training):
    h_prev, h = states((6,))
    (h if p else h_prev)[:] = np.nan  # has no part in it
    y, ctx = sd.zoneout(h_prev, h, p, rng=0, training=training)
    np.testing.assert_array_equal(y, h_prev if p else h)
    dy = np.full(6, np.inf)
    gradients = ctx.backward(dy)
    np.testing.assert_array_equal(gradients[1 - p], dy)
    assert not gradients[p].any()


def test_zoneout_moments():
    """E[y] = p h_prev + (1 - p) h, Var[y] = p (1 - p) (h - h_prev)**2, no covariance."""
    n, p = 10_000_000, 0.15
    h_prev, h = np.full(n, -1, np.float32), np.full(n, 2, np.float32)
    y, _ = sd.zoneout(h_prev, h, p, rng=3)
    mean, variance = p * -1 + (1 - p) * 2, p * (1 - p) * 9
    centred = y.astype(np.float64) - mean
    assert abs(centred.mean()) < 5 * (variance / n) ** 0.5
    assert abs((centred**2).mean() / variance - 1) < 0.003
    assert abs((centred[1:] * centred[:-1]).mean()) < 5 * variance / n**0.5
    expected = sd.zoneout(h_prev[:1], h[:1], p, training=False)[0][0]
    assert expected == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_zoneout_backward_is_the_derivative(training):
    h_prev, h = states((3, 5))
    dy, step = np.random.default_rng(1).normal(size=h.shape), 1e-6
    _, ctx = sd.zoneout(h_prev, h, 0.4, rng=0, training=training)

    def loss(a, b):
        return float((sd.zoneout(a, b, 0.4, rng=0, training=training)[0] * dy).sum())

    for which, gradient in enumerate(ctx.backward(dy)):
        for i in np.ndindex(h.shape):
            moved = np.zeros((2, *h.shape))
            moved[(which, *i)] = step
            slope = loss(h_prev + moved[0], h + moved[1]) - loss(h_prev - moved[0], h - moved[1])
            assert gradient[i] == pytest.approx(slope / (2 * step), abs=1e-8)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", FLOATS)
def test_zoneout_of_any_layout_and_into_its_arguments(dtype, training):
    h_prev, h = states((4, 6), dtype)
    y, ctx = sd.zoneout(h_prev, h, 0.5, rng=0, training=training)
    swapped = h.astype(h.dtype.newbyteorder()) if h.dtype.kind in "fc" else h
    forms = [np.asfortranarray(h), np.repeat(h, 2, axis=1)[:, ::2], h[::-1].copy()[::-1], swapped]
    for form in forms:
        for pair in ((h_prev, form), (np.asfortranarray(h_prev), form)):
            found = sd.zoneout(*pair, 0.5, rng=0, training=training)[0]
            assert bits(found) == bits(y) and found.dtype.isnative
    for which in (0, 1):
        pair = [h_prev.copy(), h.copy()]
        assert sd.zoneout(*pair, 0.5, rng=0, training=training, out=pair[which])[0] is pair[which]
        assert bits(pair[which]) == bits(y)
    block = np.zeros(30, dtype)
    for first, second in ((block[:24], block[5:29]), (block[5:29], block[:24])):
        for which in (0, 1):
            pair = [h_prev.copy(), h.copy()]
            pair[which] = first.reshape(4, 6)
            pair[which][...] = (h_prev, h)[which]
            out = second.reshape(4, 6)
            sd.zoneout(*pair, 0.5, rng=0, training=training, out=out)
            assert bits(out) == bits(y)
    expected = ctx.backward(h)
    dy = h.copy()
    other = np.empty_like(h)
    for out in ((dy, other), (other, dy), (dy, None), (None, None)):
        dy[...] = h
        found = ctx.backward(dy, out=out)
        assert [bits(one) for one in found] == [bits(one) for one in expected]
        assert all(one is given for one, given in zip(found, out, strict=True) if given is not None)


def test_zoneout_is_the_same_on_every_instruction_set(instruction_set):
    h_prev, h = states((1000,), np.float32)
    keep = oracle.keep(oracle.key_from_seed(5), 0, 0.3, h.shape)
    assert bits(sd.zoneout(h_prev, h, 0.3, rng=5)[0]) == bits(np.where(keep, h, h_prev))


def test_zoneout_context_is_a_value():
    ctx = sd.zoneout(np.zeros(3), np.ones(3), 0.5, rng=0)[1]
    again = pickle.loads(pickle.dumps(ctx))
    assert again == ctx and hash(again) == hash(ctx)
    with pytest.raises(AttributeError, match="cannot be changed"):
        ctx.p = 0.1


H = np.ones((2, 3))
READ_ONLY = np.zeros((2, 3))
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("error", "call"),
    [
        *(
            (error, lambda s, p=p, t=t: sd.zoneout(H, H, p, rng=s, training=t))
            for error, p in ((ValueError, np.nan), (ValueError, 1.5), (TypeError, "1"))
            for t in (True, False)
        ),
        *(
            (error, lambda s, p=p: sd.locked_dropout(H, p, rng=s))
            for error, p in ((ValueError, np.nan), (ValueError, -1), (TypeError, None))
        ),
        (ValueError, lambda s: sd.locked_dropout(H, 0.5, time_axis=2, rng=s)),
        (TypeError, lambda s: sd.locked_dropout(H, 0.5, time_axis="0", rng=s)),
        (ValueError, lambda s: sd.zoneout(H, H[:1], 0.5, rng=s)),
        (ValueError, lambda s: sd.zoneout(H[0], H, 0.5, rng=s)),
        (TypeError, lambda s: sd.zoneout(H, H.astype(np.float32), 0.5, rng=s)),
        (TypeError, lambda s: sd.zoneout(H.astype(int), H.astype(int), 0.5, rng=s)),
        (TypeError, lambda s: sd.zoneout(H, H, 0.5, rng="seed")),
        (TypeError, lambda s: sd.zoneout(H, H, 0.5, rng=s, out=[0])),
        (TypeError, lambda s: sd.zoneout(H, H, 0.5, rng=s, out=H.astype(np.float32))),
        (ValueError, lambda s: sd.zoneout(H, H, 0.5, rng=s, out=READ_ONLY)),
        (ValueError, lambda s: sd.zoneout(H, H, 0.5, rng=s, out=np.zeros(3))),
    ],
)
def test_bad_input_takes_no_draw(error, call):
    stream = sd.Stream(0)
    with pytest.raises(error):
        call(stream)
    assert stream.draw == 0
    assert H.all() and not READ_ONLY.any()


@pytest.mark.parametrize(
    ("error", "dy", "out"),
    [
        (ValueError, H[0], (None, None)),
        (TypeError, H.astype(int), (None, None)),
        (ValueError, H, (None,)),
        (ValueError, H, (READ_ONLY, None)),
        (TypeError, H, (None, [0])),
        (ValueError, H, (np.zeros(3), None)),
        (ValueError, H, (H, H)),
        (TypeError, H, np.zeros((2, *H.shape))),
    ],
)
def test_backward_refuses(error, dy, out):
    ctx = sd.zoneout(H, H, 0.5, rng=0)[1]
    with pytest.raises(error):
        ctx.backward(dy, out=out)
    assert H.all()
