"""The report of a training: every number whole at any width, notes on the data, results as JSON."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command import SMALL, plain, settings, trained

from simdrop import nn
from simdrop.cli import data, records, report, sweep, tables
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def test_final_errors_are_those_of_the_training_and_test_sets(small):
    images = data.load(small)
    runs, rows = trained(images, settings(hidden=(2,)))
    for run in runs:
        result = report.measure(run, images, rows)
        x, y = images.x_train[rows.train], images.y_train[rows.train]
        assert result.train_error == pytest.approx(run.net.error(x, y))
        assert result.test_error == pytest.approx(run.net.error(images.x_test, images.y_test))
        assert result.train_error != result.test_error


def test_classes_that_are_not_0_1_2_are_shown(small, capsys):
    with np.load(small) as arrays:
        arrays = dict(arrays)
    words = ["--data", small, "--hidden", "4", "--epochs", "1"]
    sweep_words = ["sweep", *words, "--folds", "2", "--p", "0.5", "--p-input", "0", "--results"]
    shown = []
    for number, names in enumerate([(0, 1, 2), (-1, 1, 7), ("cat", "dog", "a\nb"), np.eye(3)]):
        labels = {y: np.array(names)[arrays[y]] for y in ("y_train", "y_test")}
        np.savez(small, **arrays | labels)
        for command_words in (["train", *words], [*sweep_words, f"{number}.jsonl"]):
            assert main(command_words) == 0
            lines = capsys.readouterr().out.splitlines()
            shown.append([line for line in lines if line.startswith(("Classes", "Labels"))])
    one_hot = "Labels: the positions of the 1s in y_train and y_test, one-hot rows of 3 numbers."
    wanted = [[], ["Classes: -1, 1, 7."], [r"Classes: 'a\nb', 'cat', 'dog'."], [one_hot]]
    assert shown == [lines for lines in wanted for _ in range(2)]


def test_many_classes_are_not_all_shown(capsys):
    signature = nn.Signature(tuple(range(1, 101)))
    report.print_classes(data.Data("many", *[np.zeros((0, 1))] * 4, signature))
    out = capsys.readouterr().out
    assert out == f"Classes: {', '.join(map(str, range(1, 21)))} and 80 more.\n"


def test_digits_of_p_are_not_rounded_away(small, capsys):
    """Six digits are not enough to tell two probabilities apart, or to use the best one."""
    words = ["--data", small, "--hidden", "4", "--epochs", "1"]
    assert main(["train", *words, "--p", "0.123456789"]) == 0
    assert "dropout p = 0.123456789, 0.1 on the input" in capsys.readouterr().out
    p = ["--p", "0.12345678,0.12345679", "--p-input", "0.3333333333333333"]
    assert main(["sweep", *words, "--folds", "2", *p]) == 0
    out = capsys.readouterr().out
    assert "fold 2/2, p 0.12345679, input 0.3333333333333333: error" in out
    assert re.search(r"^ 0.12345678 +\d", out, re.M) and re.search(r"^ 0.12345679 +\d", out, re.M)
    assert re.search(r"Best: --p 0.1234567[89] --p-input 0.3333333333333333, validation", out)


def numbers(text):
    """The numbers in a text, in order of size."""
    return sorted(re.findall(r"\d[\d.]*(?<!\.)", text))


def test_numbers_are_whole_at_every_width(small, capsys, monkeypatch):
    """No terminal: all of a row in one line, whatever COLUMNS says. A terminal: nothing wider."""
    images = data.load(small)
    runs, rows = trained(images, settings(hidden=(2,)))
    results = [[report.measure(run, images, rows)] for run in runs]
    ps, p_inputs = (0.0, 0.25, 0.5), (0.0, 0.1, 0.123456, 0.2, 0.3)
    axes = sweep.Axes(ps, p_inputs, (0.05,), ((8,),))
    errors = {cell: dict.fromkeys((0, 1), cell.p / 3 + cell.p_input / 7) for cell in axes.cells()}
    errors[records.Cell(0.25, 0.1, 0.05, (8,))] = {0: None}

    def shown():
        report.print_report(results, images, rows)
        tables.print_table(sweep.Grid(axes, 2, errors).table())
        return plain(capsys.readouterr().out)

    monkeypatch.setenv("COLUMNS", "40")
    piped = shown()
    assert any(
        re.fullmatch(r" with dropout( +\d+\.\d\d %){3} +\d+\.\d{3} *", line)
        for line in piped.splitlines()
    )
    assert any(len(re.findall(r"\d ± 0\.00 %", line)) == 5 for line in piped.splitlines())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for width in range(20, 201):
        monkeypatch.setenv("COLUMNS", str(width))
        out = shown()
        assert "…" not in out
        assert [line for line in out.splitlines() if len(line.rstrip()) > width] == []
        # A turned table says the names of its columns again for each row.
        assert not Counter(numbers(piped)) - Counter(numbers(out))
        assert set(numbers(out)) == set(numbers(piped))


def test_results_are_those_of_the_table(small, capsys):
    words = ["--data", small, *SMALL, "--seed", "4", "--results", "r.json"]
    assert main(["train", *words]) == 0
    out = capsys.readouterr().out
    results = json.loads(Path("r.json").read_text())
    assert results["settings"]["seed"] == 4 and results["data"] == "small"
    for name, run in results["runs"].items():
        row = next(line for line in out.splitlines() if line.startswith(f" {name} "))
        for part in ("train", "validation", "test"):
            assert f"{100 * run[f'{part}_error']:.2f} %" in row
        assert run["epochs"] == len(run["history"]) == 3
        assert run["test_examples_wrong"] == round(60 * run["test_error"])
        assert run["seconds"] == sum(epoch["seconds"] for epoch in run["history"])
    assert list(results["runs"]) == ["without", "with"]
