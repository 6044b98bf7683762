"""Dropout under the transforms of JAX, and on several devices."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from jax.test_util import check_grads
from jax_masks import ADDRESS, KEY, addresses_of, masks_of

import simdrop.jax as sj


def test_gradients_by_differences():
    def f(x):
        return jnp.sin(sj.dropout(ADDRESS, jnp.cos(x), 0.3))

    check_grads(jax.jit(f), (jnp.linspace(-1, 1, 20),), order=2, atol=2e-2, rtol=2e-2)


def test_second_derivatives():
    x = jnp.linspace(-1, 1, 8)
    hessian = jax.hessian(lambda x: (sj.dropout(ADDRESS, x) ** 3).sum())(x)
    kept = np.asarray(oracle.keep(KEY, 7, 0.5, (8,)), np.float32)
    np.testing.assert_allclose(hessian, np.diag(kept * 48 * np.asarray(x)), rtol=1e-6)


def test_nothing_of_the_size_of_a_mask_is_saved():
    x = jnp.ones((100, 10))
    for key in (ADDRESS, jax.random.key(0)):
        _, vjp = jax.vjp(lambda x, key=key: sj.dropout(key, x), x)
        assert all(leaf.size <= 6 for leaf in jax.tree.leaves(vjp))


def test_gradients_of_integers():
    x = jnp.arange(6)
    y, tangent = jax.jvp(
        lambda x: sj.dropout(ADDRESS, x, scale=False), (x,), (np.zeros(6, jax.dtypes.float0),)
    )
    assert (y.dtype, tangent.dtype) == (x.dtype, jax.dtypes.float0)


def test_checkpoint():
    """The mask is the same when the forward pass is computed again."""

    def loss(x, key):
        return (sj.dropout(key, jnp.tanh(x)) ** 2).sum()

    x = jnp.linspace(-1, 1, 100)
    for key in (jax.random.key(0), jnp.asarray(ADDRESS)):
        for gradient in (jax.grad(jax.checkpoint(loss)), jax.jit(jax.grad(jax.checkpoint(loss)))):
            np.testing.assert_allclose(gradient(x, key), jax.grad(loss)(x, key), rtol=1e-5)


def test_vmap_of_keys():
    ones, addresses = jnp.ones((3, 4, 5)), addresses_of(3)
    y = jax.vmap(sj.dropout, (0, None))(addresses, ones[0])
    np.testing.assert_array_equal(y, masks_of(addresses, (4, 5)))
    keys = jax.random.split(jax.random.key(0), 3)
    each = [sj.dropout(key, ones[0]) for key in keys]
    np.testing.assert_array_equal(jax.vmap(sj.dropout)(keys, ones), each)


def test_vmap_in_vmap_with_fewer_keys():
    addresses, ones = addresses_of(6).reshape(2, 3, 6), jnp.ones((2, 3, 4, 5))
    each = masks_of(addresses.reshape(6, 6), (4, 5)).reshape(2, 3, 4, 5)
    inner = jax.vmap(jax.vmap(sj.dropout), (None, 0))(addresses[0], ones)
    np.testing.assert_array_equal(inner, np.broadcast_to(each[0], each.shape))
    outer = jax.vmap(jax.vmap(sj.dropout, (None, 0)))(addresses[:, 0], ones)
    np.testing.assert_array_equal(outer, np.broadcast_to(each[:, :1], each.shape))


@pytest.mark.parametrize("out", [0, 1, 2])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_vmap_along_other_axes(at, out):
    addresses = addresses_of(3)
    ones = jnp.ones((3, 4, 5))
    f = jax.jit(jax.vmap(sj.dropout, (1, at), out))
    y = f(addresses.T, jnp.moveaxis(ones, 0, at))
    np.testing.assert_array_equal(jnp.moveaxis(y, out, 0), masks_of(addresses, (4, 5)))


def test_gradients_of_examples():
    addresses, x = addresses_of(3), jnp.ones((3, 8))
    dx = jax.vmap(jax.grad(lambda x, a: (sj.dropout(a, x) ** 2).sum()))(x, addresses)
    np.testing.assert_array_equal(dx, 4 * masks_of(addresses, (8,)))
    jacobian = jax.jacrev(lambda x: sj.dropout(addresses[0], x))(x[0])
    np.testing.assert_array_equal(jacobian, np.diag(masks_of(addresses[:1], (8,))[0]))


def test_scan():
    addresses, x = addresses_of(4), jnp.ones(20)

    @jax.jit
    def run(keys):
        return jax.lax.scan(lambda c, key: (c, sj.dropout(key, x)), 0, keys)[1]

    np.testing.assert_array_equal(run(addresses), masks_of(addresses, (20,)))
    keys = jax.random.split(jax.random.key(0), 4)
    assert len({y.tobytes() for y in run(keys)}) == 4
    np.testing.assert_array_equal(run(keys)[2], sj.dropout(keys[2], x))


def test_shapes_are_known_before_anything_is_computed():
    shape = jax.eval_shape(sj.dropout, ADDRESS, jax.ShapeDtypeStruct((3, 4), jnp.bfloat16))
    assert (shape.shape, shape.dtype) == ((3, 4), jnp.bfloat16)


def test_devices():
    """Sharded arrays have the mask of the whole; in shard_map, shards are arrays of their own."""
    mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("i")
    x = jax.device_put(jnp.ones((4, 10)), jax.sharding.NamedSharding(mesh, spec))
    whole = masks_of(ADDRESS[None], (4, 10))[0]
    np.testing.assert_array_equal(jax.jit(sj.dropout)(ADDRESS, x), whole)

    def step(key, x):
        return jax.grad(lambda x: (sj.dropout(key, x) ** 2).sum())(x)

    none = jax.sharding.PartitionSpec()
    replicated = jax.shard_map(step, mesh=mesh, in_specs=(none, spec), out_specs=spec)
    part = masks_of(ADDRESS[None], (2, 10))[0]
    y = jax.jit(replicated)(jnp.asarray(ADDRESS), x)
    np.testing.assert_array_equal(y, 4 * np.concatenate([part, part]))
    each = jax.shard_map(
        lambda a, x: sj.dropout(a[0], x), mesh=mesh, in_specs=(spec, none), out_specs=spec
    )
    addresses = addresses_of(2)
    y = jax.jit(each)(addresses, jnp.ones((2, 10)))
    np.testing.assert_array_equal(y, np.concatenate(masks_of(addresses, (2, 10))))


def test_pmap():
    addresses = addresses_of(2)
    y = jax.pmap(sj.dropout)(addresses, jnp.ones((2, 10)))
    np.testing.assert_array_equal(y, masks_of(addresses, (10,)))
