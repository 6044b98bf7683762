"""Options: what they accept, the settings they make, presets, help."""

import argparse
import dataclasses
import json
from pathlib import Path

import pytest
from command import SMALL, chosen, one_error_line
from hypothesis import given
from hypothesis import strategies as st

from simdrop.cli import loop, options
from simdrop.cli.main import main
from simdrop.cli.options import PRESETS

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def no_training(monkeypatch):
    """Make it an AssertionError to come as far as the training."""

    def make_runs(images, settings):
        raise AssertionError("training was about to start")

    monkeypatch.setattr(loop, "make_runs", make_runs)


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "no command given; wanted train, predict, sweep or info (see simdrop --help)"),
        (["trian"], "invalid choice: 'trian'"),
        (["info", "extra"], "unrecognized arguments: extra"),
        (["train", "--dat", "x"], "unrecognized arguments: --dat x"),
        (["train", "one\ntwo"], "unrecognized arguments: one two"),
        (["train", "--p"], "argument --p: expected one argument"),
        (["train", "--p", "nan"], "argument --p: wanted a number from 0 to 1, got 'nan'"),
        (["train", "--p", "1.01"], "argument --p: wanted a number from 0 to 1, got '1.01'"),
        (["train", "--p", "-0.1"], "argument --p: wanted a number from 0 to 1, got '-0.1'"),
        (["train", "--p", "half"], "argument --p: wanted a number from 0 to 1, got 'half'"),
        (["train", "--p-input", "2"], "argument --p-input: wanted a number from 0 to 1, got '2'"),
        (["train", "--p-input", "nan"], "--p-input: wanted a number from 0 to 1, got 'nan'"),
        (["train", "--hidden", ""], "each hidden layer, such as 1024,1024, each from 1 to 1000000"),
        (["train", "--hidden", "12,"], "argument --hidden: wanted the units of each hidden layer"),
        (["train", "--hidden", "0"], "argument --hidden: wanted the units of each hidden layer"),
        (["train", "--hidden=-4,5"], "argument --hidden: wanted the units of each hidden layer"),
        (["train", "--hidden", "8.5"], "argument --hidden: wanted the units of each hidden layer"),
        (["train", "--hidden", "9" * 5000], "argument --hidden: wanted the units of each hidden"),
        (["train", "--activation", "step"], "argument --activation: invalid choice: 'step'"),
        (["train", "--epochs", "0"], "argument --epochs: wanted a whole number from 1, got '0'"),
        (
            ["train", "--epochs", "1.5"],
            "argument --epochs: wanted a whole number from 1, got '1.5'",
        ),
        (["train", "--batch-size", "0"], "argument --batch-size: wanted a whole number from 1"),
        (["train", "--lr", "-1"], "argument --lr: wanted a number above 0, got '-1'"),
        (["train", "--lr", "0"], "argument --lr: wanted a number above 0, got '0'"),
        (["train", "--lr", "inf"], "argument --lr: wanted a number above 0, got 'inf'"),
        (["train", "--momentum", "1"], "argument --momentum: wanted a number from 0 to below 1"),
        (["train", "--momentum", "0", "--nesterov"], "wanted a momentum above 0"),
        (["train", "--l2", "-1"], "argument --l2: wanted a number from 0, got '-1'"),
        (["train", "--l2", "nan"], "argument --l2: wanted a number from 0, got 'nan'"),
        (["train", "--max-norm", "0"], "argument --max-norm: wanted a number above 0, got '0'"),
        (["train", "--validation", "-1"], "--validation: wanted a number from 0 to below 1, got"),
        (["train", "--validation", "1"], "--validation: wanted a number from 0 to below 1, got"),
        (["train", "--validation", "0.001"], "leaves 120 to train on and 0 to validate on; wanted"),
        (["train", "--validation", "0.999"], "leaves 0 to train on and 120 to validate on; wanted"),
        (["train", "--seed", "-1"], "argument --seed: wanted a whole number from 0, got '-1'"),
        (["train", "--out", "x.txt"], "--out 'x.txt' has the suffix '.txt'; wanted one of ."),
        (["train", "--out", "x"], "--out 'x' has the suffix ''; wanted one of"),
        (["train", "--out", ".png"], "--out '.png' has the suffix ''; wanted one of"),
        (["train", "--out", "x.pgf"], "--out 'x.pgf' has the suffix '.pgf'; wanted one of"),
        (["train", "--out", "no/x.png"], "--out 'no/x.png' cannot be written: No such file or dir"),
        (["train", "--out", "/proc/x.png"], "--out '/proc/x.png' cannot be written: No such file"),
        (["train", "--out", "f" * 300 + ".png"], "cannot be written: File name too long"),
        (["train", "--out", "a\0.png"], "cannot be written: embedded null byte"),
        (["train", "--out", "taken.png"], "--out 'taken.png' cannot be written: Is a directory"),
        (["train", "--data", "nowhere"], "'nowhere' cannot be read: No such file or directory"),
        (
            ["train", "--data", "."],
            "'.' has none of the IDX files looked for, gzipped (.gz) or not: those of MNIST",
        ),
        (
            ["train", "--data", __file__],
            "test_options.py' is not an .npz file; wanted one, a folder",
        ),
    ],
)
def test_bad_input(words, message, small, folder, capsys, no_training):
    Path("taken.png").mkdir()
    if words[:1] == ["train"] and "--data" not in words:
        words = [*words, "--data", small]
    assert main(words) == 2
    assert message in one_error_line(capsys, silent=True)
    assert [file.name for file in folder.iterdir()] == ["taken.png"]


def test_training_is_what_good_input_comes_to(small, no_training):
    """Without this, `no_training` could let bad input through unseen."""
    with pytest.raises(AssertionError, match="training was about to start"):
        main(["train", "--data", small])


def test_epochs_by_default():
    for data_given, kind in ((None, "digits"), (Path("a.npz"), "data")):
        chosen = argparse.Namespace(data=data_given, preset=None)
        assert options.settings_from(chosen).epochs == options.EPOCHS[kind]


def test_presets_and_what_overrides_them():
    plain = chosen("--preset", "mnist-maxnorm")
    assert (plain.hidden, plain.only, plain.p, plain.p_input) == ((1024,) * 3, "with", 0.5, 0.2)
    assert plain.max_norm is not None
    words = ["--preset", "mnist-maxnorm", "--max-norm", "none", "--p", "0.3", "--only", "both"]
    other = chosen(*words, "--epochs", "2", "--batch-size", "10")
    assert (other.max_norm, other.p, other.only, other.epochs) == (None, 0.3, "both", 2)
    assert (other.batch_size, other.optimizer, other.lr) == (10, plain.optimizer, plain.lr)
    # Another optimizer has a rate of its own.
    sgd = chosen("--preset", "mnist-maxnorm", "--optimizer", "sgd", "--nesterov")
    assert (sgd.lr, sgd.momentum, sgd.nesterov) == (0.05, 0.9, True)
    assert (plain.lr, plain.momentum, sgd.max_norm) == (0.001, 0.0, plain.max_norm)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(small, name):
    """On small nets: none has settings that do not go together."""
    assert chosen("--preset", name).epochs == PRESETS[name]["epochs"]
    words = ["--data", small, "--preset", name, *SMALL, "--quiet", "--results", "r.json"]
    assert main(["train", *words]) == 0
    results = json.loads(Path("r.json").read_text())
    only = PRESETS[name]["only"]
    assert set(results["runs"]) == ({"without", "with"} if only == "both" else {only})
    wanted = PRESETS[name] | {"hidden": [8], "epochs": 3, "batch_size": 20}
    assert {key: results["settings"][key] for key in wanted} == wanted


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_help_names_every_setting_and_fits_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    of_train = {"only", "validation"}  # a sweep has one net in each cell and validates on folds
    names = {field.name for field in dataclasses.fields(options.Settings)}
    for name in names - (of_train if command == "sweep" else set()):
        assert f"  {options.option(name)}" in out


@given(st.floats(allow_nan=False))
def test_numbers_are_spelled_with_all_their_digits(number):
    assert float(options.spelled(number)) == number


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, "0"),
        (0.5, "0.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "1e-07"),
        ((8, 8), "8,8"),
        ([0.0, 0.25], "0,0.25"),
        (True, "yes"),
        (None, "none"),
        ("relu", "relu"),
    ],
)
def test_settings_are_spelled_as_they_are_typed(value, text):
    assert options.spelled(value) == text
