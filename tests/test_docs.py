"""What the documentation says: every block of code in its pages runs, every example holds."""

import doctest
import importlib
import inspect
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import oracle
import pytest

import simdrop as sd
from simdrop._core import kernels
from simdrop.cli.data import arrays, idx
from simdrop.cli.options import PRESETS

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
RESULTS = ROOT / "bench/results/results.md"
sys.path.insert(0, str(DOCS / "_ext"))

from public import public_names  # noqa: E402

needs_results = pytest.mark.skipif(
    not RESULTS.exists(), reason="source distributions have no results"
)

# Pages that need a framework run in the tests of its adapter.
ELSEWHERE = {
    "docs/how-to/autograd.md": "with_autograd/test_primitives.py",
    "docs/how-to/dask.md": "with_dask/test_dask.py",
    "docs/how-to/distributed.md": "with_mpi/test_mpi_ranks.py",
    "docs/how-to/jax.md": "with_jax/test_jax_page.py",
    "docs/how-to/pytorch.md": "with_torch/test_page.py",
}
MADE = {DOCS / "gallery", DOCS / "reference/generated"}  # by `make docs`
PAGES = {
    str(page.relative_to(ROOT)): page
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    if MADE.isdisjoint(page.parents)
}
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def text_of(page):
    return PAGES[page].read_text(encoding="utf-8")


def run(page):
    """All blocks of a page, one after the other, in one namespace, which is returned."""
    names = {}
    for kind, block in BLOCK.findall(text_of(page)):
        if kind == "python":
            exec(compile(block, page, "exec"), names)
        else:
            parsed = doctest.DocTestParser().get_doctest(block, names, page, page, 0)
            assert parsed.examples, "a block of `pycon` has no prompt"
            output = []
            runner = doctest.DocTestRunner()
            runner.run(parsed, out=output.append, clear_globs=False)
            assert runner.failures == 0, "".join(output)
            names.update(parsed.globs)
    return names


# --- pages run ---


@pytest.mark.filterwarnings("ignore:not converged after:UserWarning")  # examples train briefly
@pytest.mark.parametrize("page", PAGES)
def test_code_of_pages(page, tmp_path, monkeypatch):
    if page in ELSEWHERE:
        assert page in (ROOT / "tests" / ELSEWHERE[page]).read_text(encoding="utf-8")
        return
    if "sklearn" in "".join(block for _, block in BLOCK.findall(text_of(page))):
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    run(page)


def test_no_block_is_overlooked():
    for page in PAGES:
        text = text_of(page)
        fences = re.findall(r"^ *(?:```|~~~) *\{?(?:py\w*|code-block)\b.*$", text, re.MULTILINE)
        assert len(fences) == len(BLOCK.findall(text)), page
        assert not re.findall(r"^ +>>> ", text, re.MULTILINE), page


def test_readme_example():
    names = run("README.md")
    np.testing.assert_array_equal(names["y"] == 0, ~names["mask"].keep())
    np.testing.assert_array_equal(names["dx"], names["mask"].apply(names["dy"]))


def test_the_stream_in_a_dozen_lines():
    keep, normals = (run("docs/reference/stream.md")[name] for name in ("keep", "normals"))
    for p in (0, 0.1, 0.5, 1 / 3, 1):
        kept = keep(oracle.key_from_seed(0), 3, p, 1000)
        np.testing.assert_array_equal(kept, oracle.keep(oracle.key_from_seed(0), 3, p, (1000,)))
    for n in (0, 65, 1_000_000):
        z = normals(oracle.key_from_seed(0), 3, n)
        assert z.tobytes() == oracle.normals(oracle.key_from_seed(0), 3, n).tobytes()


def test_the_check_of_the_stream():
    page = text_of("docs/reference/stream.md")
    assert sd.Stream(0).key.hex() in page
    assert kernels.keystream(sd.Stream(0).key, 0, 0, 0, 1).tobytes().hex() in page
    for p in (0.1, 0.3):
        drops = " ".join(map(str, np.flatnonzero(~sd.Stream(0).mask(64, p).keep())))
        assert f"p = {p} drops {drops}" in page.replace("\n", " ")


def test_the_page_about_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("docs/how-to/checkpoints.md")
    assert names["epoch"] == 2 and names["optimizer"].steps == 3


def test_the_page_about_uncertainty():
    names = run("docs/how-to/uncertainty.md")
    assert names["found"].mean.shape == (200, 3) and names["unsure"].shape == (10,)


def test_the_page_of_formulas():
    names = run("docs/reference/transforms.md")
    np.testing.assert_array_equal(names["dx"] == 0, names["y"] == 0)
    assert names["net"].stream.draw == 5 and names["h"].any()
    page = text_of("docs/reference/transforms.md")
    transforms = [name for name in NAMES["simdrop"] if name.endswith("dropout") or "drop_" in name]
    for name in {*transforms, "zoneout", "gaussian_noise"}:
        assert f"`{name}(" in page
    assert all(f"`schedule.{name}(" in page for name in NAMES["simdrop.schedule"])


# --- pages say what the code says ---


def test_the_page_about_data_has_all_names():
    page = text_of("docs/how-to/data.md")
    for names in arrays.SPELLINGS.values():
        assert f"| {', '.join(f'`{name}`' for name in names)} |" in page
    emnist = idx.IdxSet("EMNIST", "emnist-SPLIT-")
    for idx_set in (idx.MNIST, emnist, idx.QMNIST):
        assert ", ".join(f"`{file}`" for file in idx_set.files.values()) in page
    splits = [f"`{split}`" for split in idx.SPLITS]
    assert f"{', '.join(splits[:-1])} or {splits[-1]}" in page


def test_the_command_line_has_all_presets():
    page = text_of("docs/reference/command-line.md")
    assert all(f"`{name}`" in page for name in PRESETS)


@needs_results
def test_the_table_of_times_is_the_benchmarks():
    (table,) = re.findall(
        r"^\| elements \| simdrop \|.*\n(?:\|.*\n)+", text_of("README.md"), re.MULTILINE
    )
    assert table in RESULTS.read_text()


@needs_results
def test_the_page_of_benchmarks_has_every_table():
    titles = re.findall(r"^## (.*)$", RESULTS.read_text(encoding="utf-8"), re.MULTILINE)
    shown = re.findall(r"^```\{results\}\n(.*?)\n?```$", text_of("docs/benchmarks/index.md"), re.M)
    assert sorted(title for title in shown if title) == sorted(titles)


def test_the_errors_on_mnist_are_those_of_the_runs():
    (sentence,) = re.findall(r"On MNIST, .*?mnist\.md\)", text_of("README.md"), re.DOTALL)
    errors = {}
    for row in re.findall(r"^\| `mnist-.*", text_of("docs/benchmarks/mnist.md"), re.MULTILINE):
        name, _, mean, *_ = (cell.strip(" `%") for cell in row.strip("|").split("|"))
        errors[name] = float(mean)
    written = [float(percent) for percent in re.findall(r"([\d.]+) %", sentence)]
    named = [errors[f"mnist-{name}"] for name in ("none", "maxnorm", "batchwise")]
    assert written == pytest.approx(named, abs=0.005)


# --- the reference ---

NAMES = public_names()


def referenced():
    """The names in the lists of the reference pages, by module."""
    found = {}
    for page in (DOCS / "reference").glob("*.rst"):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith(".. currentmodule:: "):
                module = line.split()[-1]
            elif re.fullmatch(r"   \w+", line):
                found.setdefault(module, []).append(line.strip())
    return found


def test_every_public_name_is_in_the_reference():
    listed = referenced()
    assert {module: sorted(names) for module, names in listed.items()} == {
        module: sorted(names) for module, names in NAMES.items()
    }


def test_public_names_are_those_of_the_modules():
    for module in ("simdrop", "simdrop.nn", "simdrop.fused", "simdrop.submatrix"):
        every = importlib.import_module(module).__all__
        assert set(NAMES[module]) == {*every} - {"schedule", "theory"}
    found = importlib.import_module("simdrop.theory"), importlib.import_module("simdrop.schedule")
    assert all(callable(getattr(one, name)) for one in found for name in NAMES[one.__name__])


DOCUMENTED = [
    getattr(importlib.import_module(module), name)
    for module in ("simdrop", "simdrop.fused", "simdrop.schedule", "simdrop.theory")
    for name in NAMES[module]
    if name != "BitGenerator"  # what it inherits is NumPy's
]
DOCUMENTED += [getattr(sd.submatrix, name) for name in NAMES["simdrop.submatrix"]]
DOCUMENTED += [getattr(sd.nn, name) for name in NAMES["simdrop.nn"]]


@pytest.mark.parametrize("thing", DOCUMENTED, ids=lambda thing: thing.__qualname__)
def test_docstrings(thing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # examples may write files
    assert thing.__doc__
    for name in dir(thing) if isinstance(thing, type) else ():
        if not name.startswith("_"):
            of_bases = "".join(base.__doc__ or "" for base in thing.__mro__[:-1])
            assert inspect.getdoc(getattr(thing, name)) or re.search(rf"\b{name}\b", of_bases), name
    for test in doctest.DocTestFinder(recurse=False).find(thing, globs={"np": np, "simdrop": sd}):
        assert doctest.DocTestRunner().run(test).failed == 0


# --- interactive pages ---

NODE = shutil.which("node")


def from_node(script, function, *arguments):
    """What a function of an interactive page returns."""
    call = "const [f, a] = JSON.parse(require('fs').readFileSync(0));"
    call += f"const m = require({json.dumps(str(DOCS / '_static' / script))});"
    call += "console.log(JSON.stringify(a.map((one) => m[f](...one))))"
    text = json.dumps([function, arguments])
    done = subprocess.run([NODE, "-e", call], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def uniforms(draw, n):
    """As docs/_ext/generated.py writes them into pages."""
    planes = [
        kernels.keystream(sd.Stream(0).key, draw, plane, 0, -(-n // 16)) for plane in range(8)
    ]
    return [bytes(int(plane[e]) for plane in planes).hex() for e in range(n)]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_page_of_two_neurons():
    rng = np.random.default_rng(0)
    nets = [([0.5, -2.0], [3.0, 1.0], False), ([0.5, -2.0], [3.0, 1.0], True)]
    nets += [(*rng.uniform(-3, 3, (2, 2)).round(1).tolist(), bool(k % 2)) for k in range(20)]
    cases = [
        ({"w": w, "x": x, "relu": relu}, p)
        for w, x, relu in nets
        for p in (0, 0.01, 0.25, 0.5, 0.99, 1)
    ]
    elements, n = uniforms(0, 1000), 200
    exact = from_node("two-neurons.js", "expectation", *cases)
    scaled = from_node("two-neurons.js", "weightScaling", *cases)
    masks = from_node("two-neurons.js", "sampledMasks", *((elements, p, n) for _, p in cases))
    sampled = from_node(
        "two-neurons.js",
        "monteCarlo",
        *((*case, kept) for case, kept in zip(cases, masks, strict=True)),
    )
    for (net, p), of_all, of_mean, kept, of_some in zip(
        cases, exact, scaled, masks, sampled, strict=True
    ):

        def f(masked, net=net):
            z = masked @ np.array(net["w"])
            return np.maximum(z, 0) if net["relu"] else z

        mean, variance = sd.theory.expectation(f, net["x"], p)
        assert (of_all["mean"], of_all["variance"]) == pytest.approx((mean, variance), abs=1e-12)
        assert of_mean == pytest.approx(sd.theory.weight_scaling(f, net["x"], p), abs=1e-12)
        np.testing.assert_array_equal(kept, sd.Stream(0).mask((n, 2), p).keep())
        found = sd.theory.monte_carlo(f, net["x"], p, n, rng=sd.Stream(0))
        assert (of_some["mean"], of_some["error"]) == pytest.approx(found, abs=1e-12)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_page_of_nested_masks():
    ps = [0, 0.001, 0.1, 0.25, 1 / 3, 0.5, 0.999, 1]
    elements = uniforms(1, 1024)
    found = from_node("nested-masks.js", "dropped", *((elements, p) for p in ps))
    for p, drops in zip(ps, found, strict=True):
        mask = sd.Mask(sd.Stream(0).key, 1, p, (32, 32))
        np.testing.assert_array_equal(np.flatnonzero(~mask.keep().ravel()), drops)
    assert from_node("nested-masks.js", "planes", *([p] for p in (0, 1, 0.5, 0.001))) == [
        0,
        0,
        1,
        8,
    ]
