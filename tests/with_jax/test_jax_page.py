"""What docs/how-to/jax.md and the docstrings say."""

import doctest
import pathlib
import re

import jax.numpy as jnp
import numpy as np

import simdrop as sd
import simdrop.jax
from simdrop.jax import _draws, _functions

PAGE = pathlib.Path(__file__).parents[2] / "docs/how-to/jax.md"


def test_blocks_run():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    stream = sd.Stream(0)
    expected = [stream.mask(8).apply(np.ones(8)) for _ in range(5)]
    np.testing.assert_array_equal(names["ys"], expected)
    assert names["y"].shape == (8, 1) and jnp.isfinite(names["w"]).all()


def test_the_table_has_every_name():
    table = " ".join(re.findall(r"^\|.*\|$", PAGE.read_text(), re.MULTILINE))
    assert all(f"`{name}(" in table for name in simdrop.jax.__all__)
    assert "`linen.Dropout`" in table and "`nnx.Dropout`" in table


def test_examples():
    for module in (_draws, _functions):
        found = doctest.testmod(module)
        assert found.attempted and not found.failed
