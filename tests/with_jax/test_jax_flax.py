"""Flax's dropout modules, Linen's and NNX's, in their place."""

import inspect
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import simdrop.jax as sj

KEY = jax.random.key(3)
ONES = jnp.ones((4, 5, 6))

# A classification that a small net learns: whether points are inside a circle.
POINTS = jax.random.uniform(jax.random.key(0), (256, 2), minval=-1, maxval=1)
LABELS = (jnp.sum(POINTS**2, axis=1) < 0.6).astype(jnp.float32)


def loss_of(logits):
    return jnp.mean(jnp.logaddexp(0, logits) - LABELS * logits)


# --- Linen ---


def test_linen_module_is_flaxs():
    ours, theirs = sj.linen.Dropout, nn.Dropout
    assert repr(ours(0.3, broadcast_dims=(1,))) == repr(theirs(0.3, broadcast_dims=(1,)))
    assert issubclass(ours, theirs) and ours(0.3) == ours(0.3)
    assert inspect.signature(ours) == inspect.signature(theirs)
    for cls in ours, theirs:
        parameters = inspect.signature(cls.__call__).parameters
        assert list(parameters) == ["self", "inputs", "deterministic", "rng"]


def test_linen_draws_from_its_collection():
    drop = sj.linen.Dropout(0.5, broadcast_dims=(-1, 1), rng_collection="other")
    y = drop.apply({}, ONES, deterministic=False, rngs={"other": KEY})
    np.testing.assert_array_equal(y, jnp.broadcast_to(y[:, :1, :1], y.shape))
    assert set(np.unique(y)) == {0, 2}
    given = drop.apply({}, ONES, deterministic=False, rng=KEY)
    np.testing.assert_array_equal(given, sj.dropout(KEY, ONES, shared_axes=(1, 2)))


@pytest.mark.parametrize("module", [sj.linen.Dropout, nn.Dropout])
def test_linen_semantics(module):
    assert module(0.0).apply({}, ONES, deterministic=False) is ONES
    assert module(0.5).apply({}, ONES, deterministic=True) is ONES
    assert not module(1.0, deterministic=False).apply({}, ONES).any()
    with pytest.raises(nn.module.errors.InvalidRngError, match='needs PRNG for "dropout"'):
        module(0.5, deterministic=False).apply({}, ONES)
    for given, named in ((None, {}), (True, {"deterministic": False})):
        with pytest.raises(ValueError, match="deterministic"):
            module(0.5, deterministic=given).apply({}, ONES, **named)


def test_a_linen_model_learns():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            for _ in range(2):
                x = nn.relu(nn.Dense(32)(x))
                x = sj.linen.Dropout(0.1)(x, deterministic=not train)
            return nn.Dense(1)(x)[:, 0]

    net = Net()
    parameters = net.init(jax.random.key(1), POINTS, train=False)
    rngs = [jax.random.fold_in(KEY, i) for i in range(2)]
    layers = [net.apply(parameters, POINTS, train=True, rngs={"dropout": key}) for key in rngs]
    assert not np.array_equal(*layers)

    @jax.jit
    def step(parameters, key):
        def loss(parameters):
            return loss_of(net.apply(parameters, POINTS, train=True, rngs={"dropout": key}))

        gradient = jax.grad(loss)(parameters)
        return jax.tree.map(lambda w, g: w - 0.5 * g, parameters, gradient)

    before = loss_of(net.apply(parameters, POINTS, train=False))
    for i in range(300):
        parameters = step(parameters, jax.random.fold_in(KEY, i))
    assert loss_of(net.apply(parameters, POINTS, train=False)) < before / 3


# --- NNX ---


def test_nnx_module_is_flaxs():
    ours, theirs = sj.nnx.Dropout, nnx.Dropout
    assert issubclass(ours, theirs)
    assert inspect.signature(ours.__init__) == inspect.signature(theirs.__init__)
    for cls in ours, theirs:
        parameters = inspect.signature(cls.__call__).parameters
        assert list(parameters) == ["self", "inputs", "deterministic", "rngs"]
    escapes = r"\x1b\[\d+m"
    assert re.sub(escapes, "", repr(ours(0.3))) == re.sub(escapes, "", repr(theirs(0.3)))


def test_nnx_draws_from_its_rngs():
    drop = sj.nnx.Dropout(0.5, rngs=nnx.Rngs(0), broadcast_dims=(1,))
    first, second = drop(ONES), drop(ONES)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, jnp.broadcast_to(first[:, :1], first.shape))
    expected = sj.dropout(KEY, ONES, shared_axes=1)
    np.testing.assert_array_equal(drop(ONES, rngs=KEY), expected)
    key = nnx.Rngs(dropout=5).dropout()
    for rngs in nnx.Rngs(dropout=5), nnx.Rngs(dropout=5).dropout:
        np.testing.assert_array_equal(drop(ONES, rngs=rngs), sj.dropout(key, ONES, shared_axes=1))


@pytest.mark.parametrize("module", [sj.nnx.Dropout, nnx.Dropout])
def test_nnx_semantics(module):
    assert module(0.0)(ONES) is ONES
    assert module(0.5, deterministic=True)(ONES) is ONES
    assert module(0.5)(ONES, deterministic=True) is ONES
    assert not module(1.0)(ONES).any()
    with pytest.raises(ValueError, match="No `deterministic` argument was provided to Dropout"):
        module(0.5, deterministic=None)(ONES)
    with pytest.raises(ValueError, match="no `rngs` argument was provided to Dropout"):
        module(0.5)(ONES)
    with pytest.raises(TypeError, match="rngs must be a Rngs, RngStream or jax.Array"):
        module(0.5)(ONES, rngs=5)
    with pytest.raises(TypeError, match="rngs must be a Rngs, RngStream or None"):
        module(0.5, rngs=5)
    drop = module(0.5, rngs=nnx.Rngs(0))
    drop.eval()
    assert drop(ONES) is ONES
    drop.train()
    assert (drop(ONES) == 0).any()


def test_an_nnx_model_learns():
    rngs = nnx.Rngs(0)
    net = nnx.Sequential(
        nnx.Linear(2, 32, rngs=rngs),
        nnx.relu,
        sj.nnx.Dropout(0.1, rngs=rngs),
        nnx.Linear(32, 32, rngs=rngs),
        nnx.relu,
        sj.nnx.Dropout(0.1, rngs=rngs),
        nnx.Linear(32, 1, rngs=rngs),
    )

    @nnx.jit
    def step(net):
        gradient = nnx.grad(lambda net: loss_of(net(POINTS)[:, 0]))(net)
        parameters = nnx.state(net, nnx.Param)
        nnx.update(net, jax.tree.map(lambda w, g: w - 0.5 * g, parameters, gradient))

    assert not np.array_equal(net(POINTS), net(POINTS))
    net.eval()
    before = loss_of(net(POINTS)[:, 0])
    net.train()
    for _ in range(300):
        step(net)
    net.eval()
    assert loss_of(net(POINTS)[:, 0]) < before / 3


# --- Without Flax ---


@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_without_flax(run_python, name):
    code = f"""
import sys, simdrop.jax
sys.modules["flax"] = None  # not installed
print(simdrop.jax.dropout.__name__)
try:
    simdrop.jax.{name}
except ImportError as error:
    print(error)
"""
    expected = f"dropout\nsimdrop.jax.{name} needs Flax: pip install flax\n"
    assert run_python(code).stdout == expected


def test_other_names():
    with pytest.raises(AttributeError, match=r"module 'simdrop.jax' has no attribute 'dropuot'"):
        sj.dropuot  # noqa: B018
    assert {*sj.__all__, "linen", "nnx"} <= set(dir(sj))
