"""The bits of each way of computing, by the oracle: the extension, and jax.numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax_masks import (
    ADDRESS,
    FLOATS,
    KEY,
    OTHERS,
    assert_same_bits,
    dtype_named,
    needs_extension,
    values,
)

import simdrop.jax as sj
from simdrop.jax import _keystream, _primitive


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@st.composite
def cases(draw):
    shape = draw(st.sampled_from([(), (0,), (1,), (17,), (3, 0, 2), (5, 33), (2, 3, 4, 5)]))
    axes = draw(st.sets(st.integers(0, len(shape) - 1))) if shape else ()
    scale = draw(st.booleans())
    dtype = draw(st.sampled_from(FLOATS if scale else FLOATS + OTHERS))
    p = draw(st.sampled_from([0.1, 0.5, 1 / 3, 2**-70, 1 - 2**-53, 1.0]))
    return shape, tuple(axes), scale, dtype_named(dtype), p


@needs_extension
@given(cases())
@settings(max_examples=60)
def test_bits_of_the_extension(x64, case):
    shape, axes, scale, dtype, p = case
    x = values(shape, dtype)
    y = sj.dropout(jnp.asarray(ADDRESS), x, p, shared_axes=axes, scale=scale)
    assert_same_bits(y, oracle.apply(x, KEY, 7, p, axes, scale))


@pytest.mark.parametrize(("p", "n"), [(0.5, 0), (0.5, 1), (1 / 3, 1000), (2**-70, 40), (1.0, 40)])
def test_decisions_in_jax_numpy(p, n):
    kept = jax.jit(lambda address: _keystream.keep(address, p, n))(ADDRESS)
    np.testing.assert_array_equal(kept, oracle.keep(KEY, 7, p, (n,)))


@pytest.mark.parametrize("axes", ["d", "s", "dsd", "ssd", "dds"])
def test_axes_in_jax_numpy(axes):
    shape = (4, 5, 6)[: len(axes)]
    shared = [i for i, kind in enumerate(axes) if kind == "s"]
    keep = jax.jit(lambda address: _primitive.kept(shape, address, 0.5, axes))(ADDRESS)
    np.testing.assert_array_equal(
        np.broadcast_to(keep, shape), oracle.keep(KEY, 7, 0.5, shape, shared)
    )


@pytest.mark.parametrize("name", FLOATS + OTHERS)
def test_types_in_jax_numpy(x64, name):
    dtype = dtype_named(name)
    x, keep = values((3, 40), dtype), oracle.keep(KEY, 7, 1 / 3, (3, 40))
    for scaled in (True, False) if name in FLOATS else (False,):
        selected = jax.jit(lambda x, keep, s=scaled: _primitive.selected(keep, x, 1 / 3, s))
        assert_same_bits(selected(x, keep), oracle.apply(x, KEY, 7, 1 / 3, (), scaled))


def test_half_a_byte():
    """XLA may pack such elements, so that jax.numpy computes."""
    x = jnp.arange(40).astype(jnp.int4)
    y = sj.dropout(ADDRESS, x, scale=False)
    np.testing.assert_array_equal(
        y.astype(jnp.int32), np.where(oracle.keep(KEY, 7, 0.5, (40,)), x.astype(jnp.int32), 0)
    )


@needs_extension
def test_subnormal_numbers_are_kept():
    """XLA's threads flush them."""
    x = np.full(100, 1e-40, np.float32)
    y = np.asarray(jax.jit(sj.dropout)(ADDRESS, x))
    assert_same_bits(y, oracle.apply(x, KEY, 7, 0.5))
    assert y.max() > 0
