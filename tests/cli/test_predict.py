"""simdrop predict: from a checkpoint to a table, for whatever data a net was trained on."""

import csv
from pathlib import Path

import numpy as np
import pytest
from command import SMALL, one_error_line
from datasets import edited

from simdrop import nn
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")

OUT = Path("simdrop-predict.csv")


def rows(path=OUT):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def trained(small, capsys):
    assert main(["train", "--data", small, *SMALL, "--checkpoint", "run.npz", "--quiet"]) == 0
    return small


def test_errors_are_those_of_the_training(trained, capsys):
    table = capsys.readouterr().out
    for name in ("with", "without"):
        assert main(["predict", "run.npz", "--data", trained, "--net", name]) == 0
        wrong = sum(int(row["prediction"]) != i % 3 for i, row in enumerate(rows()))
        assert f"{wrong} {name}" in table
        error = f"Error: {100 * wrong / 60:.2f} %, {wrong} of 60 are wrong."
        assert capsys.readouterr().out.splitlines() == [
            f"Predictor({name!r}, 3-8-3, inputs scaled: none, predicts 3 classes)",
            "Predicted 60 rows: 'simdrop-predict.csv'",
            error,
        ]


def test_monte_carlo(trained, capsys):
    words = ["predict", "run.npz", "--data", trained, "--mc", "20"]
    assert main(words) == 0
    first = OUT.read_bytes()
    assert "Predicted 60 rows with 20 passes each" in capsys.readouterr().out
    found = rows()
    names = ["prediction", "p(0)", "p(1)", "p(2)", "entropy", "mutual_information"]
    assert list(found[0]) == names
    with np.load(trained) as arrays:
        wanted = nn.open("run.npz").predict_mc(arrays["x_test"], 20, rng=0)
    entropy = [float(row["entropy"]) for row in found]
    np.testing.assert_allclose(entropy, wanted.entropy, rtol=1e-5)
    assert main(words) == 0 and OUT.read_bytes() == first
    assert main([*words, "--seed", "1"]) == 0 and OUT.read_bytes() != first


def test_examples_alone(trained, capsys):
    """Without what is right, in each format that holds arrays."""
    assert main(["predict", "run.npz", "--data", trained]) == 0
    wanted = OUT.read_bytes()
    with np.load(trained) as arrays:
        np.savez("x.npz", x=arrays["x_test"])
        np.savez("test.npz", x_test=arrays["x_test"], x_train=arrays["x_train"][:, :2])
        np.save("any.npy", arrays["x_test"])
    Path("folder").mkdir()
    with np.load(trained) as arrays:
        np.save("folder/x.npy", arrays["x_test"])
    capsys.readouterr()
    for name in ("x.npz", "test.npz", "any.npy", "folder"):
        assert main(["predict", "run.npz", "--data", name]) == 0
        assert OUT.read_bytes() == wanted
        assert "Error" not in capsys.readouterr().out


def test_the_net_of_the_digits(capsys):
    words = ["--hidden", "8", "--epochs", "1", "--seeds", "2", "--seed", "7"]
    assert main(["train", *words, "--checkpoint", "d.npz"]) == 0
    assert main(["predict", "d.npz", "--quiet"]) == 0 and len(rows()) == 899
    assert main(["predict", "d.npz", "--net", "without-8"]) == 0
    assert "Predictor('without-8', 64-8-10, inputs scaled: unit" in capsys.readouterr().out
    assert main(["predict", "d.npz", "--net", "with"]) == 2
    assert "has no net 'with'; it has without-7, with-7, without-8, " in one_error_line(capsys)


def test_regression(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = 1000 + 50 * x @ [1.0, -2.0, 0.5]
    np.savez("line.npz", x=x, y=y)
    words = ["--hidden", "16", "--p", "0.05", "--p-input", "0", "--epochs", "30"]
    assert main(["train", "--data", "line.npz", *words, "--checkpoint", "r.npz"]) == 0
    out = capsys.readouterr().out
    assert "Task: regression, for y_train holds fractions (--task)." in out
    assert "validation RMSE" in out and "Misclassified" not in out
    np.savez("new.npz", x=x, y=y)
    assert main(["predict", "r.npz", "--data", "new.npz", "--mc", "5"]) == 0
    found = rows()
    assert list(found[0]) == ["prediction", "std"]
    apart = np.array([float(row["prediction"]) for row in found]) - y
    rmse = np.sqrt(np.mean(apart**2))
    assert rmse < 50 and f"RMSE: {rmse:.4g}." in capsys.readouterr().out
    assert all(float(row["std"]) >= 0 for row in found)
    y = np.stack([y, -y], axis=1)
    np.savez("two.npz", x=x, y=y)
    assert main(["train", "--data", "two.npz", *words, "--checkpoint", "two.ckpt"]) == 0
    assert main(["predict", "two.ckpt", "--data", "two.npz", "--mc", "2"]) == 0
    assert list(rows()[0]) == ["prediction_0", "prediction_1", "std_0", "std_1"]
    capsys.readouterr()
    assert main(["predict", "two.ckpt", "--data", "two.npz"]) == 0
    both = np.array([[float(row[f"prediction_{i}"]) for i in (0, 1)] for row in rows()])
    rmse = np.sqrt(np.mean((both - y) ** 2))
    assert f"RMSE: {rmse:.4g}." in capsys.readouterr().out


def test_inputs_in_another_unit_are_noted(trained, capsys):
    with edited(trained) as arrays:
        arrays["x_test"] = arrays["x_test"] * 255
    capsys.readouterr()
    assert main(["predict", "run.npz", "--data", trained]) == 0
    assert "Note: these inputs reach from -" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["nowhere.npz"], "'nowhere.npz' cannot be read: No such file"),
        (["small.npz"], "'small.npz' is an .npz file, but no checkpoint"),
        (["run.npz", "--net", "both"], "'run.npz' has no net 'both'; it has without, with"),
        (["run.npz", "--data", "nowhere.npz"], "'nowhere.npz' cannot be read"),
        (["run.npz", "--data", "wide.npz"], "x has shape (5, 4), but must be (rows, 3)"),
        (["run.npz", "--data", "text.npz"], "x_train holds <U1; wanted integers or floats"),
        (["run.npz", "--data", "nan.npz"], "x holds a number in row 2 that is not finite"),
        (["run.npz", "--data", "t.csv"], "it is a table, but the net was trained on arrays"),
        (["run.npz", "--data", "bad.npy"], "it cannot be read: "),
        (["run.npz", "--out", "no/o"], "--out 'no/o' cannot be written: No such file"),
        (["run.npz", "--mc", "0"], "argument --mc: wanted a whole number from 1, got '0'"),
        ([], "the following arguments are required: CHECKPOINT"),
    ],
)
def test_bad_input(trained, folder, capsys, words, message):
    Path(trained).rename("small.npz")
    np.savez("wide.npz", x=np.zeros((5, 4)))
    np.savez("text.npz", x=np.full((5, 3), "a"))
    x = np.zeros((5, 3))
    x[2] = np.nan
    np.savez("nan.npz", x=x)
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("bad.npy").write_bytes(b"\x93NUMPY\1\0")
    capsys.readouterr()
    before = set(folder.iterdir())
    assert main(["predict", *words]) == 2
    assert message in one_error_line(capsys, silent=True)
    assert set(folder.iterdir()) == before
