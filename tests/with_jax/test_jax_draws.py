"""Where masks come from in JAX: keys, streams, draws and addresses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_masks import KEY

import simdrop as sd
import simdrop.jax as sj


def test_addresses():
    stream = sd.Stream(0)
    first, second = sj.address(stream), sj.address(stream)
    assert (first.shape, first.dtype, stream.draw) == ((6,), np.uint32, 2)
    assert first[:4].tobytes() == stream.key == second[:4].tobytes()
    assert (first[4:].tolist(), second[4:].tolist()) == ([0, 0], [1, 0])
    mask = sd.Mask(KEY, 2**40 + 5, 0.5, (3,))
    np.testing.assert_array_equal(sj.address(mask)[4:], [5, 256])
    np.testing.assert_array_equal(sj.address(mask), sj.address(sd.Draw(KEY, 2**40 + 5, 9)))


def test_wrong_addresses():
    mask = sd.Mask(KEY, 0, 0.5, (4, 4))
    with pytest.raises(ValueError, match="is a window, which has no address"):
        sj.address(mask.window((0, 0), (2, 4)))
    with pytest.raises(TypeError, match="must be a simdrop.Stream or Draw, not int"):
        sj.address(5)


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_of_jax(make, impl):
    with jax.default_prng_impl(impl):
        key, x = make(5), jnp.ones((4, 5))
        bits = jax.random.bits(key, (4,), jnp.uint32)
        expected = sd.Mask(bits.tobytes(), 0, 0.3, (4, 5)).apply(np.ones((4, 5), np.float32))
        np.testing.assert_array_equal(sj.dropout(key, x, 0.3), expected)
        np.testing.assert_array_equal(jax.jit(sj.dropout, static_argnums=2)(key, x, 0.3), expected)


def test_streams_draw_as_in_numpy():
    x, ours, numpys = np.ones(50, np.float32), sd.Stream(0), sd.Stream(0)
    for p in (0.5, 0.0, 1.0, 0.1):
        np.testing.assert_array_equal(sj.dropout(ours, x, p), sd.dropout(x, p, rng=numpys)[0])
        assert ours.draw == numpys.draw
    sj.dropout(ours, x, training=False)
    assert ours.draw == numpys.draw


def test_streams_outside_of_compiled_functions():
    """grad, jvp and vmap run Python at each call, so that each call draws."""
    x, stream = jnp.ones(64), sd.Stream(0)
    for function in (
        jax.grad(lambda x: sj.dropout(stream, x).sum()),
        lambda x: jax.jvp(lambda x: sj.dropout(stream, x), (x,), (x,))[1],
        jax.vmap(lambda x: sj.dropout(stream, x)),
        lambda x: jax.vjp(lambda x: sj.dropout(stream, x), x)[1](x)[0],
    ):
        before = stream.draw
        y = function(jnp.ones((1, 64)) if before == 2 else x)
        assert stream.draw == before + 1
        mask = sd.Mask(stream.key, before, 0.5, 64)
        np.testing.assert_array_equal(y.reshape(64), mask.apply(np.ones(64)))


@pytest.mark.parametrize(
    "traced",
    [
        jax.jit,
        lambda f: jax.jit(jax.grad(lambda x: f(x).sum())),
        lambda f: jax.grad(jax.jit(lambda x: f(x).sum())),
        jax.checkpoint,
        lambda f: lambda x: jax.lax.scan(lambda c, x: (c, f(x)), 0, x),
        lambda f: jax.jit(jax.vmap(f)),
        lambda f: jax.jit(lambda x: f(jnp.ones(3)) + x),
    ],
)
def test_streams_in_traced_functions(traced):
    stream = sd.Stream(0)
    for drawn in (lambda x: sj.dropout(stream, x), lambda x: sj.dropout(sj.address(stream), x)):
        with pytest.raises(ValueError, match=r"Pass simdrop.jax.address\(stream\) to the function"):
            traced(drawn)(jnp.ones(3))
    assert stream.draw == 0


def test_draws_themselves():
    mask = sd.Stream(1).mask((4, 5), 0.25, shared_axes=1, scale=False)
    x = np.arange(20, dtype=np.float32).reshape(4, 5)
    fitting = {"p": 0.25, "shared_axes": -1, "scale": False}
    np.testing.assert_array_equal(sj.dropout(mask, x, **fitting), mask.apply(x))
    jitted = jax.jit(lambda x: sj.dropout(mask, x, **fitting))
    np.testing.assert_array_equal(jitted(x), mask.apply(x))
    draw = sd.Draw(mask.key, mask.draw, (4, 5), shared_axes=1)
    np.testing.assert_array_equal(sj.dropout(draw, x, **fitting), mask.apply(x))
    for other, name in [
        ({"p": 0.5}, "p = 0.25, but the call has 0.5"),
        ({"shared_axes": 0}, "shared_axes"),
        ({"scale": True}, "scaled = False"),
    ]:
        with pytest.raises(ValueError, match=f"the Mask has {name}"):
            sj.dropout(mask, x, **fitting | other)
    with pytest.raises(ValueError, match=r"shape = \(4, 5\), but the call has \(5, 5\)"):
        sj.dropout(draw, np.ones((5, 5)), **fitting)
    several = sd.Mask(KEY, 0, np.full(5, 0.25), (4, 5))
    with pytest.raises(ValueError, match="the Mask has p = "):
        sj.dropout(several, x, 0.25)


def test_compiled_functions_draw_by_their_keys():
    traces = []

    @jax.jit
    def f(key, x):
        traces.append(1)
        return sj.dropout(key, x)

    x = jnp.ones(100)
    masks = [f(jax.random.key(seed), x).tobytes() for seed in (0, 1, 0)]
    stream = sd.Stream(0)
    more = [f(sj.address(stream), x).tobytes() for _ in range(3)]
    assert masks[0] == masks[2] != masks[1] and len({*masks, *more}) == 5
    assert len(traces) == 2  # keys, and addresses
