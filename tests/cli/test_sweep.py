"""simdrop sweep: cross-validation that goes on where it stopped, its table, its heat map."""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import one_error_line
from datasets import edited
from hypothesis import given
from hypothesis import strategies as st

from simdrop.cli import data, loop, options, plot, records, sweep
from simdrop.cli.main import main

QUICK = ["--hidden", "8", "--epochs", "2", "--folds", "3", "--p", "0,0.5", "--p-input", "0,0.2"]
RESULTS = Path("simdrop-sweep.jsonl")


# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def small(corners):
    """The path of an .npz file with 40 + 20 points."""
    return corners(40, 20)


def cell(p, p_input):
    return records.Cell(p, p_input, 0.05, (8,))


def axes(p, p_input):
    return sweep.Axes(p, p_input, (0.05,), ((8,),))


def grid_errors(errors):
    """Of cells by p and p_input: the error of each fold."""
    return {
        cell(*where): folds if isinstance(folds, dict) else dict(enumerate(folds))
        for where, folds in errors.items()
    }


def run(path, *words):
    return main(["sweep", "--data", path, *QUICK, *words])


def results():
    """The lines of the results, without seconds and checksums."""
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key not in ("seconds", "sha256")}
        for line in lines
    ]


def test_a_line_for_each_net_a_table_and_a_heat_map(small, capsys):
    assert run(small) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "small, net 3-8-3 (relu), 3 folds"
    head, *trained = results()
    assert head["settings"]["folds"] == 3 and "p" not in head["settings"]
    cells = [(0.0, 0.0), (0.0, 0.2), (0.5, 0.0), (0.5, 0.2)]
    wanted = [(fold, *cell) for fold in range(3) for cell in cells]
    assert [(line["fold"], line["p"], line["p_input"]) for line in trained] == wanted
    assert lines[1].startswith("Inputs: ")
    for line, shown in zip(trained, lines[2:14], strict=True):
        start = f"fold {line['fold'] + 1}/3, p {line['p']:g}, input {line['p_input']:g}: "
        assert shown.startswith(f"{start}error {100 * line['error']:.2f} %, 0:0")
    errors = {c: [x["error"] for x in trained if (x["p"], x["p_input"]) == c] for c in cells}
    shown = {
        c: f"{100 * np.mean(e):.2f} ± {100 * np.std(e, ddof=1):.2f} %" for c, e in errors.items()
    }
    rows = [line.split() for line in lines]
    for p in (0.0, 0.5):
        assert [f"{p:g}", *f"{shown[p, 0.0]} {shown[p, 0.2]}".split()] in rows
    best = min(cells, key=lambda cell: np.mean(errors[cell]))
    start = f"Best: --p {best[0]:g} --p-input {best[1]:g}, validation error "
    assert start + shown[best] in lines
    assert lines[-1] == "Results: 'simdrop-sweep.jsonl', heat map: 'simdrop-sweep.png'"
    assert Path("simdrop-sweep.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir()) == ["simdrop-sweep.jsonl", "simdrop-sweep.png"]


def test_an_error_is_that_of_a_net_trained_on_the_other_folds(small):
    assert run(small, "--p", "0.5", "--p-input", "0.2", "--seed", "3") == 0
    images = data.load(small)
    words = ["--data", small, "--hidden", "8", "--epochs", "2", "--seed", "3"]
    parser = argparse.ArgumentParser()
    options.add_sweep_options(parser)
    fixed = {"p": 0.5, "p_input": 0.2, "hidden": (8,), "only": "with", "validation": 0.0}
    settings = options.settings_from(parser.parse_args(words), **fixed)
    for line in results()[1:]:
        rows = data.fold(images, 3, 3, line["fold"])
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

    parts = [data.fold(Images, seed, folds, fold) for fold in range(folds)]
    assert sorted(np.concatenate([part.validation for part in parts])) == list(range(40))
    for part in parts:
        assert sorted([*part.train, *part.validation]) == list(range(40))
        assert len(part.validation) in (40 // folds, -(-40 // folds))


@pytest.mark.parametrize("stop", [0, 1, 7, 11])
@pytest.mark.parametrize("unfinished", [b"", b'{"p": 0.5, "p_in'])
def test_a_sweep_goes_on_where_it_stopped(small, capsys, monkeypatch, stop, unfinished):
    assert run(small) == 0
    wanted = results()
    table = capsys.readouterr().out.split("left\n")[-1]
    RESULTS.unlink()
    train_one = sweep.train_one

    def interrupted(*arguments):
        if len(results()) > stop:
            raise KeyboardInterrupt
        return train_one(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "train_one", interrupted)
        assert run(small) == 130
    assert results() == wanted[: stop + 1]
    with RESULTS.open("ab") as file:
        file.write(unfinished)  # of a process that was killed
    capsys.readouterr()
    assert run(small) == 0
    out = capsys.readouterr().out
    assert out.count("fold ") == 12 - stop and out.endswith(table)
    assert results() == wanted
    assert run(small, "--quiet") == 0
    assert capsys.readouterr().out == table and results() == wanted


def test_other_probabilities_are_added_to_the_file(small, capsys):
    assert run(small) == 0
    assert run(small, "--p", "0.5,0.25") == 0
    capsys.readouterr()
    assert len(results()) == 1 + 12 + 6
    assert run(small, "--p", "0.25", "--p-input", "0", "--quiet") == 0
    assert "input 0.2" not in capsys.readouterr().out and len(results()) == 19


def test_other_settings_are_an_error(small, capsys):
    assert run(small) == 0
    before = RESULTS.read_bytes()
    capsys.readouterr()
    assert run(small, "--l2", "0.01", "--folds", "4") == 2
    assert one_error_line(capsys) == (
        "--results 'simdrop-sweep.jsonl' is from another sweep: --l2 was 0 and is 0.01; --folds "
        "was 3 and is 4"
    )
    with edited(small) as arrays:
        arrays["x_train"][0, 0] += 1
    assert run(small) == 2
    assert "the data differ in x_train" in one_error_line(capsys)
    assert RESULTS.read_bytes() == before


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not the results file of a sweep, or is damaged in line 1; wanted"),
        (
            b"not json\n",
            "is not the results file of a sweep, or is damaged in line 1; wanted",
        ),
        (b"[]\n", "is not the results file of a sweep, or is damaged in line 1; wanted"),
        (
            b'{"simdrop sweep": 3}\n',
            "is not the results file of a sweep, or is damaged in line 1; wanted",
        ),
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


def test_results_go_where_a_link_points_to(small, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    RESULTS.symlink_to(tmp_path / "elsewhere" / "real.jsonl")
    assert run(small) == 0
    wanted = results()
    assert RESULTS.is_symlink() and len(wanted) == 13
    assert run(small) == 0 and results() == wanted


@pytest.mark.parametrize(
    "words, message",
    [
        (["--p", "0.5,2"], "argument --p: wanted a number from 0 to 1, got '2'"),
        (["--p-input", ""], "argument --p-input: wanted a number from 0 to 1, got ''"),
        (["--folds", "1"], "argument --folds: wanted a whole number from 2, got '1'"),
        (["--folds", "41"], "--folds 41 of 40 training examples; wanted fewer"),
        (["--results", "no/r"], "--results 'no/r' cannot be written: No such file or directory"),
        (["--results", "taken"], "--results 'taken' cannot be written: Is a directory"),
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
    wanted = results()
    lines = RESULTS.read_bytes().splitlines(keepends=True)
    RESULTS.write_bytes(b"".join(lines[:5]))
    capsys.readouterr()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        if fails == "fsync":
            patch.setattr(records.os, "fsync", full)
        else:  # of the next line the system takes ten bytes
            size = RESULTS.stat().st_size + 10
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            assert run(small) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = "--results 'simdrop-sweep.jsonl' cannot be written: No space left on device"
    assert one_error_line(capsys) == message
    assert RESULTS.read_bytes() == b"".join(lines[:5])
    assert run(small) == 0 and results() == wanted


def test_nets_that_diverge_are_shown_as_such(small, capsys):
    assert run(small, "--lr", "1e308") == 0
    out = capsys.readouterr().out
    assert out.count("diverged") >= 12 and "All diverged: its inputs reach" in out
    assert all(line["error"] is None for line in results()[1:])
    assert Path("simdrop-sweep.png").read_bytes().startswith(b"\x89PNG")


def test_table_of_what_is_done_so_far():
    errors = grid_errors({(0, 0): [0.1, 0.2], (0.5, 0): {1: 0.1}, (0.5, 0.5): {0: None}})
    grid = sweep.Grid(axes((0.0, 0.5), (0.0, 0.5)), 2, errors)
    assert grid.best() == cell(0.5, 0.0)
    missing = [((0.0, 0.5), 0), ((0.5, 0.0), 0), ((0.0, 0.5), 1), ((0.5, 0.5), 1)]
    assert grid.missing() == [(cell(*where), fold) for where, fold in missing]
    table = grid.table()
    assert table.headings == ["p", "input 0", "input 0.5"]
    cells = [[str(cell) for cell in row] for row in table.rows]
    assert cells == [["0", "15.00 ± 7.07 %", "-"], ["0.5", "10.00 % (1/2)", "diverged (1/2)"]]


def test_the_best_of_equal_means_has_the_smallest_p():
    errors = grid_errors({(0, 0): [0.5], (0, 0.2): [0.25], (0.5, 0): [0.25], (0.5, 0.2): [0.25]})
    grid = sweep.Grid(axes((0.0, 0.5), (0.0, 0.2)), 1, errors)
    assert grid.best() == cell(0.0, 0.2)
    assert grid.ties(cell(0.0, 0.2)) == [cell(0.5, 0.0), cell(0.5, 0.2)]


def test_ties_are_cells_within_the_standard_error_of_the_paired_differences():
    errors = grid_errors(
        {
            (0, 0): [0.10, 0.30, 0.20],
            (0, 0.2): [0.12, 0.29, 0.22],  # 0.01 worse, with a standard error of 0.01
            (0.5, 0): [0.11, 0.31, 0.21],  # 0.01 worse on each fold
            (0.5, 0.2): {0: 0.1, 1: None, 2: 0.2},
        }
    )
    grid = sweep.Grid(axes((0.0, 0.5), (0.0, 0.2)), 3, errors)
    assert grid.best() == cell(0, 0) and grid.ties(cell(0, 0)) == [cell(0, 0.2)]
    styles = {str(text): text.style for row in grid.table().rows for text in row[1:]}
    assert styles == {
        "20.00 ± 10.00 %": "bold green",
        "21.00 ± 8.54 %": "green",
        "21.00 ± 10.00 %": "",
        "diverged": "",
    }


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("0:0.8:0.2", (0, 0.2, 0.4, 0.6, 0.8)),
        ("0.1:0.3:0.1,0.9", (0.1, 0.2, 0.3, 0.9)),
        ("0:1:0.4", (0, 0.4, 0.8)),
        ("0.5:0.5:1,0.5", (0.5,)),
        ("0.001:1:x10", (0.001, 0.01, 0.1, 1)),
    ],
)
def test_ranges(text, wanted):
    assert options.probabilities(text) == wanted


@pytest.mark.parametrize(
    "text", ["0:1", "1:0:0.1", "0:1:0", "0:1:-1", "0:1:x10", "0.1:1:x1", "0:2:1", "0:1:1e-9", "::"]
)
def test_ranges_that_are_none(small, capsys, text):
    assert run(small, "--p", text) == 2
    assert one_error_line(capsys).startswith("argument --p: ")


def test_a_sweep_over_rates_and_sizes(small, capsys):
    words = ["--lr", "0.01:0.1:x10", "--hidden", "8", "4,4", "--p", "0.5", "--p-input", "0"]
    assert run(small, *words) == 0
    out = capsys.readouterr().out
    trained = [(line["lr"], tuple(line["hidden"]), line["fold"]) for line in results()[1:]]
    sizes = [(rate, hidden) for rate in (0.01, 0.1) for hidden in ((8,), (4, 4))]
    assert trained == [(*size, fold) for fold in range(3) for size in sizes]
    assert out.startswith("small, net 3-8-3 or 3-4-4-3 (relu), 3 folds\n")
    assert "fold 3/3, p 0.5, input 0, lr 0.1, hidden 4,4: error " in out
    assert re.search(
        r"^Best: --p 0.5 --p-input 0 --lr \S+ --hidden \S+, validation error", out, re.M
    )
    assert run(small, *words, "--quiet") == 0 and len(results()) == 13
    heads = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert {"p", "0.5", "Best:"} <= heads


def test_ctrl_c_says_how_to_go_on(small, capsys, monkeypatch):
    train_one = sweep.train_one

    def interrupted(data, options, where, fold):
        if fold == 1:
            raise KeyboardInterrupt
        return train_one(data, options, where, fold)

    monkeypatch.setattr(sweep, "train_one", interrupted)
    assert run(small) == 130
    assert capsys.readouterr().err == (
        "simdrop: interrupted; 4 of 12 nets were trained, and the same command trains the others: "
        "their results are in 'simdrop-sweep.jsonl'\n"
    )


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=9),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=9),
    st.integers(2, 10),
)
def test_colours_span_more_than_the_noise(means, deviations, folds):
    low, high = plot.colour_limits(means, deviations, folds)
    assert low == min(means) and high >= max(means)
    error = np.median(deviations) / np.sqrt(folds)
    assert high - low >= plot.NOISE * error * (1 - 1e-9) and high > low


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
        timeout=600,
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "\x1b[1A" in done.stdout and "(1/3)" in done.stdout and "time left 0:00" in done.stdout
    assert "fold 1/3" not in done.stdout and "Best: --p" in done.stdout
