"""What both ways of computing can do: the extension, and jax.numpy. All tests take `way`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax_masks import ADDRESS, KEY, addresses_of, assert_same_bits, masks_of, values

import simdrop as sd
import simdrop.jax as sj


def test_high_words_of_draws(way):
    draw = 2**56 - 3
    words = ADDRESS.copy()
    words[4:] = draw & 0xFFFFFFFF, draw >> 32
    ones = np.ones(200, np.float32)
    expected = sd.Mask(KEY, draw, 0.3, 200).apply(ones)
    np.testing.assert_array_equal(sj.dropout(words, ones, 0.3), expected)
    words[5] |= 0xFF000000  # beyond: left out
    np.testing.assert_array_equal(sj.dropout(words, ones, 0.3), expected)


@pytest.mark.parametrize("name", ["dropout", "drop_path", "locked_dropout"])
def test_as_numpy(way, name):
    x = values((6, 50), np.dtype(np.float32))
    compiled = jax.jit(lambda address, x: getattr(sj, name)(address, x, 0.3))
    ours, numpys = sd.Stream(3), sd.Stream(3)
    for _ in range(3):
        expected, _ = getattr(sd, name)(x, 0.3, rng=numpys)
        assert_same_bits(compiled(sj.address(ours), x), expected)


def test_gradients(way):
    mask, x = sd.Mask(KEY, 7, 0.3, (3, 20)), jnp.linspace(-1, 1, 60).reshape(3, 20)
    dy = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)

    @jax.jit
    def both(x, dy):
        def f(x):
            return sj.dropout(ADDRESS, x, 0.3)

        return *jax.jvp(f, (x,), (dy,)), *jax.vjp(f, x)[1](dy)

    y, tangent, dx = both(x, dy)
    assert_same_bits(y, mask.apply(np.asarray(x)))
    assert_same_bits(tangent, mask.apply(dy))
    assert_same_bits(dx, mask.backward(dy))


def test_vmap(way):
    ones, addresses = jnp.ones((3, 4, 5)), addresses_of(3)
    np.testing.assert_array_equal(
        jax.vmap(sj.dropout)(addresses, ones), masks_of(addresses, (4, 5))
    )
    shared = jax.vmap(sj.dropout, (None, 0))(addresses[0], ones)
    one = masks_of(addresses[:1], (4, 5))
    np.testing.assert_array_equal(shared, np.broadcast_to(one, (3, 4, 5)))


def test_vmap_in_vmap(way):
    """The inner axis of x is the outer one of addresses."""
    addresses, ones = addresses_of(6).reshape(2, 3, 6), jnp.ones((2, 3, 4, 5))
    each = masks_of(addresses.reshape(6, 6), (4, 5), shared_axes=0).reshape(2, 3, 4, 5)

    def f(address, x):
        return sj.dropout(address, x, shared_axes=0)

    turned = jax.vmap(jax.vmap(f), (1, 1))(addresses, ones)
    np.testing.assert_array_equal(turned, each.swapaxes(0, 1))
