"""What the documentation says: every Python block of its pages runs, every example holds."""

import doctest
import pathlib
import re

import numpy as np
import oracle
import pytest

import simdrop as sd
import simdrop.mask
import simdrop.stream
import simdrop.transforms
from simdrop import fused

ROOT = pathlib.Path(__file__).parent.parent


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_readme_example():
    blocks = python_blocks("README.md")
    assert blocks
    names = {}
    for block in blocks:
        exec(block, names)
    np.testing.assert_array_equal(names["y"] == 0, ~names["mask"].keep())
    np.testing.assert_array_equal(names["dx"], names["mask"].apply(names["dy"]))


def test_the_stream_in_a_dozen_lines():
    (block,) = python_blocks("docs/stream.md")
    names = {}
    exec(block, names)
    for p in (0, 0.1, 0.5, 1 / 3, 1):
        kept = names["keep"](oracle.key_from_seed(0), 3, p, 1000)
        np.testing.assert_array_equal(kept, oracle.keep(oracle.key_from_seed(0), 3, p, (1000,)))


def test_the_page_about_masks():
    names = {}
    for block in python_blocks("docs/masks.md"):
        exec(block, names)
    assert isinstance(names["mask"], sd.Mask)


def test_the_check_of_the_stream():
    page = (ROOT / "docs/stream.md").read_text()
    assert sd.Stream(0).key.hex() in page
    assert simdrop.mask.keystream(sd.Stream(0).key, 0, 0, 0, 1).tobytes().hex() in page
    for p in (0.1, 0.3):
        drops = " ".join(map(str, np.flatnonzero(~sd.Stream(0).mask(64, p).keep())))
        assert f"p = {p} drops {drops}" in page.replace("\n", " ")


RESULTS = ROOT / "bench/results/results.md"


@pytest.mark.skipif(not RESULTS.exists(), reason="source distributions have no results")
def test_the_table_of_times_is_the_benchmarks():
    (table,) = re.findall(
        r"^\| elements \| simdrop \|.*\n(?:\|.*\n)+", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert table in RESULTS.read_text()


FUNCTIONS = [sd.dropout, sd.dropout_backward, sd.apply_packed]
FUSED = [fused.bias_dropout, fused.dropout_add, fused.relu_dropout]
FUSED += [fused.BiasDropout, fused.DropoutAdd, fused.ReluDropout]


@pytest.mark.parametrize(
    "thing",
    [sd.Mask, sd.PackedMask, sd.Stream, *FUNCTIONS, *FUSED],
    ids=lambda thing: thing.__name__,
)
def test_docstrings(thing):
    assert thing.__doc__
    for name in dir(thing) if isinstance(thing, type) else ():
        if not name.startswith("_"):
            assert getattr(thing, name).__doc__ or re.search(rf"\b{name}\b", thing.__doc__), name
    for test in doctest.DocTestFinder(recurse=False).find(thing, globs={"np": np, "simdrop": sd}):
        assert doctest.DocTestRunner().run(test).failed == 0
