"""What the documentation says: every Python block of its pages runs, every example holds."""

import doctest
import pathlib
import re

import numpy as np
import oracle
import pytest

import simdrop as sd
import simdrop._core.dropout
import simdrop._core.stream
from simdrop import fused
from simdrop._core import kernels
from simdrop.cli import data
from simdrop.cli.data import idx
from simdrop.cli.options import PRESETS

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
    names = {}
    exec(python_blocks("docs/stream.md")[0], names)
    for p in (0, 0.1, 0.5, 1 / 3, 1):
        kept = names["keep"](oracle.key_from_seed(0), 3, p, 1000)
        np.testing.assert_array_equal(kept, oracle.keep(oracle.key_from_seed(0), 3, p, (1000,)))


def test_the_normal_numbers_of_the_stream():
    names = {}
    exec(python_blocks("docs/stream.md")[1], names)
    for n in (0, 65, 1_000_000):
        z = names["normals"](oracle.key_from_seed(0), 3, n)
        assert z.tobytes() == oracle.normals(oracle.key_from_seed(0), 3, n).tobytes()


def test_the_page_about_masks():
    names = {}
    for block in python_blocks("docs/masks.md"):
        exec(block, names)
    assert isinstance(names["mask"], sd.Mask)


def test_the_page_about_training_names_all_data():
    page = (ROOT / "docs/training.md").read_text().split("## Never lose a run")[0]
    for names in data.SPELLINGS.values():
        assert f"| {', '.join(f'`{name}`' for name in names)} |" in page
    emnist = idx.IdxSet("EMNIST", "emnist-SPLIT-")
    for idx_set in (idx.MNIST, emnist, idx.QMNIST):
        assert ", ".join(f"`{file}`" for file in idx_set.files.values()) in page
    splits = [f"`{split}`" for split in idx.SPLITS]
    assert f"{', '.join(splits[:-1])} or {splits[-1]}" in page


def test_the_page_about_uncertainty():
    names = {}
    for block in python_blocks("docs/uncertainty.md"):
        exec(block, names)
    assert names["found"].mean.shape == (200, 3) and names["unsure"].shape == (10,)


def test_the_page_about_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in python_blocks("docs/training.md"):
        exec(block, names)
    assert names["epoch"] == 2 and names["optimizer"].steps == 3
    page = (ROOT / "docs/training.md").read_text()
    assert all(f"`{name}`" in page for name in PRESETS)


def test_the_check_of_the_stream():
    page = (ROOT / "docs/stream.md").read_text()
    assert sd.Stream(0).key.hex() in page
    assert kernels.keystream(sd.Stream(0).key, 0, 0, 0, 1).tobytes().hex() in page
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


def test_the_errors_on_mnist_are_those_of_the_runs():
    readme = (ROOT / "README.md").read_text()
    (sentence,) = re.findall(r"On MNIST, without .*?mnist\.md\)", readme, re.DOTALL)
    errors = {}
    for row in re.findall(r"^\| `mnist-.*", (ROOT / "docs/mnist.md").read_text(), re.MULTILINE):
        name, _, mean, *_ = (cell.strip(" `%") for cell in row.strip("|").split("|"))
        errors[name] = float(mean)
    written = [float(percent) for percent in re.findall(r"([\d.]+) %", sentence)]
    named = [errors[f"mnist-{name}"] for name in ("none", "maxnorm", "batchwise")]
    assert written == pytest.approx(named, abs=0.005)


def test_the_page_of_transforms():
    blocks = python_blocks("docs/transforms.md")
    assert len(blocks) == 3
    names = {}
    for block in blocks:
        exec(block, names)
    np.testing.assert_array_equal(names["dx"] == 0, names["y"] == 0)
    assert names["net"].stream.draw == 5 and names["h"].any()
    page = (ROOT / "docs/transforms.md").read_text()
    for name in {one.__name__ for one in FAMILY} - {"expectation", "monte_carlo", "weight_scaling"}:
        assert f"`{name}(" in page or f"`schedule.{name}(" in page


FAMILY = [sd.drop_path, sd.drop_block, sd.embedding_dropout, sd.locked_dropout, sd.zoneout]
FAMILY += [sd.drop_connect, sd.drop_connect_matmul]
FAMILY += [sd.schedule.linear, sd.schedule.cosine, sd.schedule.curriculum]
FAMILY += [sd.theory.expectation, sd.theory.monte_carlo, sd.theory.weight_scaling]
CONTEXTS = [sd.DropBlockContext, sd.EmbeddingDropoutContext]
CONTEXTS += [sd.DropConnectMatmulContext, sd.ZoneoutContext]

FUNCTIONS = [sd.dropout, sd.dropout_backward, sd.apply_packed]
FUSED = [fused.bias_dropout, fused.dropout_add, fused.relu_dropout]
NOISE = [sd.gaussian_dropout, sd.gaussian_noise, sd.alpha_dropout]
NOISE += [sd.GaussianDropoutContext, sd.GaussianNoiseContext, sd.AlphaDropoutContext]
FUSED += [fused.BiasDropoutContext, fused.DropoutAddContext, fused.ReluDropoutContext]


@pytest.mark.parametrize(
    "thing",
    [sd.Draw, sd.Mask, sd.StoredMask, sd.Stream, *FUNCTIONS, *FUSED, *NOISE, *FAMILY, *CONTEXTS],
    ids=lambda thing: thing.__name__,
)
def test_docstrings(thing):
    assert thing.__doc__
    for name in dir(thing) if isinstance(thing, type) else ():
        if not name.startswith("_"):
            assert getattr(thing, name).__doc__ or re.search(rf"\b{name}\b", thing.__doc__), name
    for test in doctest.DocTestFinder(recurse=False).find(thing, globs={"np": np, "simdrop": sd}):
        assert doctest.DocTestRunner().run(test).failed == 0
