"""simdrop sweep: cross-validation that goes on where it stopped, its table, its heat map."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simdrop.cli import main
from simdrop.train import grid, loop, options, picture, sources, sweep

QUICK = ["--hidden", "8", "--epochs", "2", "--folds", "3", "--p", "0,0.5", "--p-input", "0,0.2"]
RESULTS = Path("simdrop-sweep.jsonl")


# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def small(corners):
    """The path of an .npz file with 40 + 20 points."""
    return corners(40, 20)


def run(data, *words):
    return main(["sweep", "--data", data, *QUICK, *words])


def records():
    """The lines of the results, without the seconds."""
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    for line in lines[1:]:
        del line["seconds"]
    return lines


def one_error_line(capsys):
    out, err = capsys.readouterr()
    assert err.startswith("simdrop: error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err.removeprefix("simdrop: error: ").rstrip()


def test_a_line_for_each_net_a_table_and_a_heat_map(small, capsys):
    assert run(small) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "small, net 3-8-3 (relu), 3 folds"
    head, *trained = records()
    assert head["settings"]["folds"] == 3 and "p" not in head["settings"]
    cells = [(0.0, 0.0), (0.0, 0.2), (0.5, 0.0), (0.5, 0.2)]
    wanted = [(fold, *cell) for fold in range(3) for cell in cells]
    assert [(line["fold"], line["p"], line["p_input"]) for line in trained] == wanted
    for line, shown in zip(trained, lines[1:13], strict=True):
        start = f"fold {line['fold'] + 1}/3, p {line['p']:g}, input {line['p_input']:g}: "
        assert shown.startswith(f"{start}error {100 * line['error']:.2f} %, 0:0")
    means = {
        c: np.mean([x["error"] for x in trained if (x["p"], x["p_input"]) == c]) for c in cells
    }
    rows = [line.split() for line in lines]
    for p in (0.0, 0.5):
        row = [f"{p:g}"]
        for p_input in (0.0, 0.2):
            row += [f"{100 * means[p, p_input]:.2f}", "%"]
        assert row in rows
    best = min(cells, key=means.__getitem__)
    start = f"Best: --p {best[0]:g} --p-input {best[1]:g}, validation error "
    assert start + f"{100 * means[best]:.2f} %" in lines
    assert lines[-1] == "Results: 'simdrop-sweep.jsonl', heat map: 'simdrop-sweep.png'"
    assert Path("simdrop-sweep.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir()) == ["simdrop-sweep.jsonl", "simdrop-sweep.png"]


def test_an_error_is_that_of_a_net_trained_on_the_other_folds(small):
    assert run(small, "--p", "0.5", "--p-input", "0.2", "--seed", "3") == 0
    images = sources.load(small)
    words = ["--data", small, "--hidden", "8", "--epochs", "2", "--seed", "3"]
    parser = argparse.ArgumentParser()
    options.add_sweep_options(parser)
    fixed = {"p": 0.5, "p_input": 0.2, "only": "with", "validation": 0.0}
    settings = options.settings_from(parser.parse_args(words), **fixed)
    for line in records()[1:]:
        rows = sweep.rows_of(images, 3, 3, line["fold"])
        (trained,) = loop.make_runs(images, settings)
        assert trained.label == "with dropout"
        for _ in loop.train((trained,), images, rows, settings):
            pass
        x, y = images.x_train[rows.validation], images.y_train[rows.validation]
        assert line["error"] == pytest.approx(trained.net.error(x, y))


@given(st.integers(2, 40), st.integers(0, 5))
def test_every_example_is_validated_on_once(folds, seed):
    class Images:
        y_train = np.zeros(40)

    parts = [sweep.rows_of(Images, seed, folds, fold) for fold in range(folds)]
    assert sorted(np.concatenate([part.validation for part in parts])) == list(range(40))
    for part in parts:
        assert sorted([*part.train, *part.validation]) == list(range(40))
        assert len(part.validation) in (40 // folds, -(-40 // folds))


@pytest.mark.parametrize("stop", [0, 1, 7, 11])
@pytest.mark.parametrize("unfinished", [b"", b'{"p": 0.5, "p_in'])
def test_a_sweep_goes_on_where_it_stopped(small, capsys, monkeypatch, stop, unfinished):
    assert run(small) == 0
    wanted = records()
    table = capsys.readouterr().out.split("left\n")[-1]
    RESULTS.unlink()
    train_one = sweep.train_one

    def interrupted(*arguments):
        if len(records()) > stop:
            raise KeyboardInterrupt
        return train_one(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "train_one", interrupted)
        assert run(small) == 130
    assert records() == wanted[: stop + 1]
    with RESULTS.open("ab") as file:
        file.write(unfinished)  # of a process that was killed
    capsys.readouterr()
    assert run(small) == 0
    out = capsys.readouterr().out
    assert out.count("fold ") == 12 - stop and out.endswith(table)
    assert records() == wanted
    assert run(small, "--quiet") == 0
    assert capsys.readouterr().out == table and records() == wanted


def test_other_probabilities_are_added_to_the_file(small, capsys):
    assert run(small) == 0
    assert run(small, "--p", "0.5,0.25") == 0
    capsys.readouterr()
    assert len(records()) == 1 + 12 + 6
    assert run(small, "--p", "0.25", "--p-input", "0", "--quiet") == 0
    assert "input 0.2" not in capsys.readouterr().out and len(records()) == 19


def test_other_settings_are_an_error(small, capsys):
    assert run(small) == 0
    before = RESULTS.read_bytes()
    capsys.readouterr()
    assert run(small, "--lr", "0.01", "--folds", "4") == 2
    assert one_error_line(capsys) == (
        "--results 'simdrop-sweep.jsonl' is of another sweep: --lr was 0.05 and is 0.01; --folds "
        "was 3 and is 4"
    )
    with np.load(small) as arrays:
        changed = dict(arrays)
    changed["x_train"][0, 0] += 1
    np.savez(small, **changed)
    assert run(small) == 2
    assert "the data has other numbers in x_train" in one_error_line(capsys)
    assert RESULTS.read_bytes() == before


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not a file of a sweep; wanted a new name"),
        (b"not json\n", "is not a file of a sweep; wanted a new name"),
        (b"[]\n", "is not a file of a sweep; wanted a new name"),
        (b'{"simdrop sweep": 2}\n', "is not a file of a sweep; wanted a new name"),
        (None, "is damaged in line 3"),
    ],
)
def test_a_file_that_is_no_results(small, capsys, content, message):
    if content is None:
        assert run(small) == 0
        lines = RESULTS.read_bytes().splitlines(keepends=True)
        content = b"".join([*lines[:2], b"{}\n", *lines[2:]])
    RESULTS.write_bytes(content)
    capsys.readouterr()
    assert run(small) == 2
    assert message in one_error_line(capsys)
    assert RESULTS.read_bytes() == content


@pytest.mark.parametrize(
    "words, message",
    [
        (["--p", "0.5,2"], "argument --p: wanted a number from 0 to 1, got '2'"),
        (["--p-input", ""], "argument --p-input: wanted a number from 0 to 1, got ''"),
        (["--folds", "1"], "argument --folds: wanted a whole number from 2, got '1'"),
        (["--folds", "41"], "--folds 41 of 40 training examples; wanted fewer"),
        (["--results", "no/r"], "--results 'no/r' cannot be written: No such file or directory"),
        (["--results", "taken"], "--results 'taken' exists and is not a file"),
        (["--results", "a\0"], "cannot be written: embedded null byte"),
        (["--out", "a.txt"], "--out 'a.txt' has the suffix '.txt'; wanted one of"),
        (["--momentum", "0", "--nesterov"], "wanted a momentum above 0"),
        (["--data", "nowhere"], "'nowhere' cannot be read: No such file or directory"),
    ],
)
def test_bad_input(small, capsys, words, message):
    Path("taken").mkdir()
    assert run(small, *words) == 2
    assert message in one_error_line(capsys)
    assert os.listdir() == ["taken"]


@pytest.mark.parametrize("fails", ["fsync", "write"])
def test_a_disk_that_gets_full(small, capsys, monkeypatch, tmp_path, fails):
    assert run(small) == 0
    wanted = records()
    lines = RESULTS.read_bytes().splitlines(keepends=True)
    RESULTS.write_bytes(b"".join(lines[:5]))
    capsys.readouterr()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if fails == "fsync":
            patch.setattr(sweep.os, "fsync", full)
        else:
            patch.setattr(sweep, "_line", lambda record: Short(b'{"p": 0.5}\n'))
        assert run(small) == 1
    message = "--results 'simdrop-sweep.jsonl' cannot be written: No space left on device"
    assert one_error_line(capsys) == message
    assert RESULTS.read_bytes() == b"".join(lines[:5])
    assert run(small) == 0 and records() == wanted


class Short(bytes):
    """A line of which the system does not take all."""

    def __len__(self):
        return super().__len__() + 1


def test_nets_that_diverge_are_shown_as_such(small, capsys):
    assert run(small, "--lr", "1e308") == 0
    out = capsys.readouterr().out
    assert out.count("diverged") >= 12 and "All diverged: a smaller --lr" in out
    assert all(line["error"] is None for line in records()[1:])
    assert Path("simdrop-sweep.png").read_bytes().startswith(b"\x89PNG")


def test_table_of_what_is_done_so_far():
    errors = {(0.0, 0.0): [0.1, 0.2], (0.0, 0.5): [], (0.5, 0.0): [0.1], (0.5, 0.5): [None]}
    assert grid.best(errors) == (0.5, 0.0)
    rows = grid.table(errors, [0.0, 0.5], [0.0, 0.5], 2)
    assert rows.headings == ["p", "input 0", "input 0.5"]
    cells = [[str(cell) for cell in row] for row in rows.rows]
    assert cells == [["0", "15.00 %", "-"], ["0.5", "10.00 % (1/2)", "diverged (1/2)"]]
    picture.save(grid.draw(errors, [0.0, 0.5], [0.0, 0.5], "a $ title"), Path("a.png"))


def test_in_a_terminal(small):
    environment = os.environ | {"TERM": "xterm-256color", "OPENBLAS_NUM_THREADS": "1"}
    code = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'simdrop', *sys.argv[1:]]))"
    words = ["sweep", "--data", small, *QUICK]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "\x1b[1A" in done.stdout and "(1/3)" in done.stdout and "time left 0:00" in done.stdout
    assert "fold 1/3" not in done.stdout and "Best: --p" in done.stdout


def test_help(capsys):
    assert main(["sweep", "--help"]) == 0
    out = capsys.readouterr().out
    parser = argparse.ArgumentParser()
    options.add_sweep_options(parser)
    for action in parser._actions:
        assert action.help and action.option_strings[-1] in out
