"""The example programs: what they print is what their text says, and their gradients are right."""

import importlib.util
import itertools
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simdrop as sd

pytest.importorskip("sklearn")
pyplot = pytest.importorskip("matplotlib.pyplot")
EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name):
    """The example as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name):
    """What the program prints: its table, as the numbers of each row by the row's name."""
    # The matrices are small: threads of BLAS would only wait for each other.
    environment = os.environ | {"PYTHONWARNINGS": "error", "OPENBLAS_NUM_THREADS": "1"}
    environment["MPLBACKEND"] = "template"  # draws nothing
    program = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    table, text = done.stdout.split("\n\n")
    assert text.strip() and all(len(line) <= 100 for line in done.stdout.splitlines())
    rows = [re.split(r"\s{2,}", line) for line in table.splitlines()[1:]]
    assert len({len(line) for line in table.splitlines()}) == 1  # aligned
    return {name: [float(number.rstrip("%")) for number in numbers] for name, *numbers in rows}


def check_page(name, *numbers, tolerance):
    """Those of examples/README.md; another BLAS rounds otherwise, which training makes larger."""
    page = (EXAMPLES / "README.md").read_text()
    (row,) = re.findall(rf"^\| \[{name}\.py\].*$", page, re.MULTILINE)
    written = [float(number) for number in re.findall(r"\d+\.\d+", row.split("|")[3])]
    assert written == pytest.approx(numbers, abs=tolerance)


ATTENTION, CHAR_RNN, RBM = load("attention"), load("char_rnn"), load("rbm")


# --- what the programs print ---


def test_training_loop():
    rows = run("training_loop")
    without, dropout = rows["without dropout"], rows["with dropout"]
    assert (
        without[0] == 0 and without[1] == 20
    )  # by heart, the fifth of the labels that is wrong too
    assert dropout[0] > 15 and dropout[1] < 10
    assert dropout[2] < 0.85 * without[2]
    check_page("training_loop", without[2], dropout[2], tolerance=1.5)


def test_char_rnn():
    rows = run("char_rnn")
    without, locked, both = (
        rows["without dropout"],
        rows["locked dropout"],
        rows["locked dropout, zoneout"],
    )
    (least,) = rows["knowing the grammar"]
    assert without[0] < least  # by heart: one that knows the grammar cannot
    assert least < both[1] < without[1] - 0.1 and least < locked[1] < without[1] - 0.1
    check_page("char_rnn", without[1], locked[1], both[1], least, tolerance=0.03)


def test_rbm():
    rows = run("rbm")
    without, dropout = rows["without dropout"], rows["with dropout"]
    assert without[0] < dropout[0] < dropout[1] < without[1] - 1
    assert dropout[2] < 0.8 * without[2] and dropout[3] < 0.8 * without[3]
    assert dropout[4] < 1 < without[4]
    check_page("rbm", without[1], dropout[1], without[3], dropout[3], tolerance=0.8)


def test_attention():
    rows = run("attention")
    wrong, wrong_dropout = (
        rows["a fifth wrong, without dropout"],
        rows["a fifth wrong, with dropout"],
    )
    right, right_dropout = rows["all right, without dropout"], rows["all right, with dropout"]
    assert wrong[0] < 10 < wrong_dropout[0] < 20
    assert wrong_dropout[1] < 0.8 * wrong[1]
    assert right[1] - 1 < right_dropout[1] < 5 and right[1] < 5
    check_page("attention", wrong[1], wrong_dropout[1], right[1], right_dropout[1], tolerance=1.5)


def test_uncertainty():
    rows = run("uncertainty")
    errors, entropies, information = zip(*rows.values(), strict=True)
    assert errors[0] < 1 and errors[-1] > 20
    assert list(errors) == sorted(errors) and list(information) == sorted(information)
    page = (EXAMPLES.parent / "docs/how-to/uncertainty.md").read_text()
    for name, numbers in rows.items():
        (row,) = re.findall(rf"^\| {name} \|(.*)$", page, re.MULTILINE)
        written = [float(number) for number in re.findall(r"\d+\.\d+", row)]
        assert written[0] == pytest.approx(numbers[0], abs=5)
        assert written[1:] == pytest.approx(numbers[1:], abs=0.05)


def test_family(monkeypatch):
    monkeypatch.setattr(pyplot, "show", lambda: None)
    try:
        names = runpy.run_path(str(EXAMPLES / "family.py"))
        assert len(pyplot.get_fignums()) == 8
    finally:
        pyplot.close("all")
    assert list(names["gone"]) == ["blue"]  # in the title of a picture


@pytest.mark.parametrize("at", [-5.0, 5.0])
def test_the_band_is_wider_away_from_the_points(at, monkeypatch):
    example = load("uncertainty")
    monkeypatch.setattr(example, "SAMPLES", 100)
    train = example.train
    monkeypatch.setattr(example, "train", lambda net, x, y, *_: train(net, x, y, 200, 40))
    _, _, grid, found = example.regression()
    among = example.places(grid)["among the points"]
    assert found.std[np.abs(grid[:, 0] - at).argmin()] > 1.5 * found.std[among].mean()


@pytest.mark.parametrize("name", ["training_loop", "char_rnn", "rbm", "attention"])
def test_every_training_is_the_same(name, monkeypatch):
    example = load(name)
    monkeypatch.setattr(example, "EPOCHS", 1)
    taught = {
        "training_loop": lambda: example.digits()[0][:2],
        "char_rnn": lambda: example.side_by_side(example.text(1000, seed=0)[0]),
        "rbm": lambda: example.digits()[:1],
        "attention": lambda: example.digits(0.2)[0],
    }[name]

    def weights(*p):
        found = example.train(*taught(), *p)
        return [*(found.values() if isinstance(found, dict) else found)]

    p = {"training_loop": (True,), "char_rnn": (0.5, 0.1)}.get(name, (0.5,))
    first = weights(*p)
    assert all(map(np.array_equal, first, weights(*p)))
    assert not any(map(np.array_equal, first, weights(*np.zeros(len(p)))))


# --- the nets' gradients ---


def check_gradients(loss, weights, gradients, rng):
    """Central differences of the loss, along a random direction of each weight in turn."""
    assert list(gradients) != [] and set(gradients) == set(weights)
    for name, w in weights.items():
        direction, step, before = rng.standard_normal(w.shape), 1e-6, w.copy()
        w[...] = before + step * direction
        above = loss()
        w[...] = before - step * direction
        below = loss()
        w[...] = before
        along = np.vdot(direction, gradients[name])
        assert (above - below) / (2 * step) == pytest.approx(along, rel=1e-5, abs=1e-7), name


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 0.9]), st.integers(1, 5))
def test_attention_gradients(seed, p, images):
    rng = np.random.default_rng(seed)
    weights = ATTENTION.new_weights(rng, np.float64)
    weights["bias"] += rng.standard_normal(weights["bias"].shape)
    x, y = rng.random((images, 8, 8)), rng.integers(10, size=images)

    def loss_and_gradients():
        return ATTENTION.loss_and_gradients(weights, x, y, p, sd.Stream(seed))  # one draw's masks

    check_gradients(lambda: loss_and_gradients()[0], weights, loss_and_gradients()[1], rng)


@settings(max_examples=10)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_char_rnn_gradients(seed, p, p_zoneout, steps, batch):
    rng = np.random.default_rng(seed)
    weights = CHAR_RNN.new_weights(rng, hidden=6, dtype=np.float64)
    for name in ("bias", "out_bias"):
        weights[name] += rng.standard_normal(weights[name].shape)
    x, y = rng.integers(len(CHAR_RNN.ALPHABET), size=(2, steps, batch))
    h = rng.standard_normal((batch, 6))

    def forward():
        return CHAR_RNN.forward(weights, x, h, p, p_zoneout, sd.Stream(seed), training=True)

    def loss():
        return -np.log(np.take_along_axis(forward()[0], y[..., None], axis=-1)).mean()

    q, kept = forward()
    check_gradients(loss, weights, CHAR_RNN.backward(weights, q, y, kept), rng)


# --- the text and the machine ---


def test_the_grammars_bits(monkeypatch):
    monkeypatch.setattr(
        CHAR_RNN, "GRAMMAR", {"sentence": ["{a}{a}"], "a": ["x ", "y ", "z ", "q "]}
    )
    written, bits = CHAR_RNN.text(101, seed=0)
    assert len(written) == 104 and set(written[::2]) == set("xyzq") and bits == 1


def test_side_by_side():
    written = CHAR_RNN.text(1000, seed=3)[0]
    x, following = CHAR_RNN.side_by_side(written)
    letters = np.array(CHAR_RNN.ALPHABET)
    assert "".join(letters[x.T.ravel()]) == written[: x.size]
    assert "".join(letters[following.T.ravel()]) == written[1 : x.size + 1]


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 0.5]))
def test_free_energy_and_pseudo_likelihood(seed, p):
    """Against sums over all states of a machine of 3 pixels and 4 hidden units, and all masks."""
    rng = np.random.default_rng(seed)
    W, a, b = weights = rng.standard_normal((3, 4)), rng.standard_normal(3), rng.standard_normal(4)
    images, hidden = (np.array([*itertools.product([0.0, 1.0], repeat=n)]) for n in (3, 4))

    def log_sum(v, keep):  # over states of the hidden units that are kept; the others are 0
        h = hidden[(hidden <= keep).all(axis=1)]
        return v @ a + np.log(np.exp(h @ b + v @ W @ h.T).sum())

    chances = (1 - p) ** hidden.sum(axis=1) * p ** (4 - hidden.sum(axis=1))
    energies = [
        -sum(c * log_sum(v, r) for c, r in zip(chances, hidden, strict=True)) for v in images
    ]
    assert RBM.free_energy(weights, images, p) == pytest.approx(np.array(energies))

    cube = np.exp(-np.array(energies)).reshape(2, 2, 2)
    logs = sum(np.log2(cube / cube.sum(axis=i, keepdims=True)) for i in range(3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RBM, "PIXELS", 3)
        assert RBM.pseudo_likelihood(weights, images, p) == pytest.approx(logs.mean())
