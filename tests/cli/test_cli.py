"""The command line: what it prints and writes, and the one line and exit code of each failure."""

import argparse
import importlib
import importlib.metadata
import itertools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import simdrop
from simdrop import _files
from simdrop._core import kernels
from simdrop.cli import (
    data,
    grid,
    loop,
    options,
    plot,
    progress,
    report,
    sources,
    tables,
    train,
)
from simdrop.cli.main import main
from simdrop.config import config

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
QUICK = ["--hidden", "8", "--epochs", "3"]
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # these nets are tiny

# A shell's background job, as which the tests may run, ignores Ctrl-C, and so would its children.
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from simdrop.cli.main import main
sys.exit(main())
"""


# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def small(corners):
    """The path of an .npz file with 120 + 60 points."""
    return corners(120, 60)


@pytest.fixture
def no_training(monkeypatch):
    """Make it an AssertionError to come as far as the training."""

    def make_runs(images, settings):
        raise AssertionError("training was about to start")

    monkeypatch.setattr(loop, "make_runs", make_runs)


def one_error_line(capsys):
    """The message of the only line on standard error, with nothing on standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("simdrop: error: ") and err.count("\n") == 1 and err.endswith("\n")
    return err.removeprefix("simdrop: error: ").rstrip()


def start(*words, code=START, **keywords):
    """Start the command in a process of its own."""
    keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | keywords
    environment = os.environ | ONE_THREAD | keywords.pop("env", {})
    return subprocess.Popen([sys.executable, "-c", code, *words], env=environment, **keywords)


def finish(process):
    """Its exit code, standard output and standard error."""
    try:
        out, err = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def without_seconds(text):
    """Output without what may differ between two runs: time left, and the column of seconds."""
    text = re.sub(r"[\d:]+ left", "left", text)
    return re.sub(r"%\s+\S+ *$", "%", text, flags=re.MULTILINE)


def settings(**changes):
    """The settings of the command's defaults, with changes."""
    parser = argparse.ArgumentParser()
    options.add_options(parser)
    chosen = parser.parse_args([])
    vars(chosen).update({"hidden": (8,), "epochs": 3} | changes)
    return options.settings_from(chosen)


def trained(images, chosen):
    """Both runs and the rows, after training."""
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    for _ in loop.train(runs, images, rows, chosen):
        pass
    return runs, rows


# What a training run prints and writes


def test_digits_give_lines_a_table_and_a_picture(capsys, folder):
    assert main(["train", "--hidden", "32", "--epochs", "2", "--batch-size", "100"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    title = "Handwritten digits, net 64-32-10 (relu), dropout p = 0.5, 0.1 on the input"
    assert lines[0] == title
    labels = ("without dropout", "with dropout")
    turns = [f"epoch {epoch}/2, {label}" for epoch in (1, 2) for label in labels]
    form = r"(.*): loss \d\.\d{4}, validation error \d+\.\d\d %, \d:\d\d left"
    assert [re.fullmatch(form, line)[1] for line in lines[1:5]] == turns
    assert lines[4].endswith(" 0:00 left")

    rows = [line.split() for line in lines[5:]]
    wanted = ["train", "error", "validation", "error", "test", "error", "seconds/epoch"]
    assert wanted in rows
    wrong = []
    for label in labels:
        row = next(row for row in rows if row[:2] == label.split())
        train_error, validation_error, test_error, seconds = (
            float(n) for n in row[2::2][:3] + row[-1:]
        )
        assert 0.0005 <= seconds < 60
        assert f"validation error {validation_error:.2f} %" in lines[3 + labels.index(label)]
        # Below chance, 90 %, after as little training as this.
        assert max(train_error, validation_error, test_error) < 80
        wrong.append(round(test_error / 100 * 899))
    assert "Trained on 718 examples, validated on 180, tested on 899:" in lines
    assert f"{wrong[0]} test examples are wrong without dropout, {wrong[1]} with it." in lines
    assert lines[-1] == "Curves: 'simdrop-train.png'"
    assert max(map(len, lines)) <= 80

    assert [file.name for file in folder.iterdir()] == ["simdrop-train.png"]
    content = Path("simdrop-train.png").read_bytes()
    assert content.startswith(PNG_SIGNATURE)
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (1500, 750)
    import matplotlib.image

    pixels = matplotlib.image.imread("simdrop-train.png")[..., :3]
    for colour in plot.COLOURS.values():  # both nets' curves are there
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert np.isclose(pixels, rgb, atol=0.02).all(axis=-1).sum() > 500


def test_the_same_seed_gives_the_same_numbers(small, capsys):
    outputs, pictures = [], []
    for seed in ("5", "5", "6"):
        assert main(["train", "--data", small, *QUICK, "--seed", seed]) == 0
        outputs.append(without_seconds(capsys.readouterr().out))
        pictures.append(Path("simdrop-train.png").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]
    assert pictures[0] == pictures[1] != pictures[2]


def test_idx_folder_gives_the_same_run_as_npz(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    names += ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte")
    shapes = ((40, 2, 3), (40,), (20, 2, 3), (20,))
    highs = (256, 3, 256, 3)
    (tmp_path / "set").mkdir()
    arrays = {}
    for array, name, shape, high in zip(data.ARRAYS, names, shapes, highs, strict=True):
        arrays[array] = rng.integers(0, high, shape, np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
        (tmp_path / "set" / name).write_bytes(header + arrays[array].tobytes())
    np.savez(tmp_path / "set.npz", **arrays)
    outputs = []
    for path in (tmp_path / "set", tmp_path / "set.npz"):
        assert main(["train", "--data", str(path), *QUICK]) == 0
        outputs.append(without_seconds(capsys.readouterr().out))
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("set, net 6-8-3 (relu)")


def test_quiet_prints_the_table_alone(small, capsys):
    assert main(["train", "--data", small, *QUICK]) == 0
    loud = without_seconds(capsys.readouterr().out)
    assert main(["train", "--data", small, *QUICK, "--quiet"]) == 0
    quiet = without_seconds(capsys.readouterr().out)
    assert "epoch 1/3" in loud and "epoch 1/3" not in quiet
    assert loud.endswith(quiet) and "with dropout" in quiet


def test_classes_that_are_not_0_1_2_are_shown(small, capsys):
    with np.load(small) as arrays:
        arrays = dict(arrays)
    words = ["--data", small, "--hidden", "4", "--epochs", "1", "--quiet"]
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
    images = data.Data("many", *[np.zeros((0, 1))] * 4, labels=tuple(range(1, 101)))
    report.print_notes(images)
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
    images = sources.load(small)
    runs, rows = trained(images, settings(hidden=(2,)))
    results = [report.measure(run, images, rows) for run in runs]
    ps, p_inputs = (0.0, 0.25, 0.5), (0.0, 0.1, 0.123456, 0.2, 0.3)
    errors = {(p, q): [p / 3 + q / 7] * 2 for p in ps for q in p_inputs}
    errors[0.25, 0.1] = [None]

    def shown():
        report.print_report(results, images, rows)
        tables.print_table(grid.table(errors, ps, p_inputs, 2))
        return plain(capsys.readouterr().out)

    monkeypatch.setenv("COLUMNS", "40")
    piped = shown()
    assert any(
        re.fullmatch(r" with dropout( +\d+\.\d\d %){3} +\d+\.\d{3} *", line)
        for line in piped.splitlines()
    )
    assert any(len(re.findall(r"\d\.\d\d %", line)) == 5 for line in piped.splitlines())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for width in range(20, 201):
        monkeypatch.setenv("COLUMNS", str(width))
        out = shown()
        assert "…" not in out
        assert [line for line in out.splitlines() if len(line.rstrip()) > width] == []
        # A turned table says the names of its columns again for each row.
        assert not Counter(numbers(piped)) - Counter(numbers(out))
        assert set(numbers(out)) == set(numbers(piped))


@pytest.mark.parametrize(
    "name, start_of_file",
    [
        ("curves.PNG", PNG_SIGNATURE),
        ("curves.pdf", b"%PDF"),
        ("curves.svg", b"<?xml"),
        ("a $\\frac b.c.png", PNG_SIGNATURE),
    ],
)
def test_suffix_gives_the_format_and_an_old_file_is_replaced(small, folder, name, start_of_file):
    Path(name).write_text("an old file")
    assert main(["train", "--data", small, *QUICK, "--out", name]) == 0
    assert Path(name).read_bytes().startswith(start_of_file)
    assert [file.name for file in folder.iterdir()] == [name]


def test_data_with_a_name_of_formulas(small, folder):
    """A dollar in a title is not the start of a formula, which would fail after the training."""
    path = Path(small).rename(Path(small).with_name("$\\nonsense{$.npz"))
    assert main(["train", "--data", str(path), *QUICK]) == 0
    assert Path("simdrop-train.png").is_file()


def test_picture_in_the_place_a_link_points_to(small, tmp_path, folder):
    (tmp_path / "elsewhere").mkdir()
    Path("link.png").symlink_to(tmp_path / "elsewhere" / "real.png")
    assert main(["train", "--data", small, *QUICK, "--out", "link.png"]) == 0
    assert Path("link.png").is_symlink()
    assert (tmp_path / "elsewhere" / "real.png").read_bytes().startswith(PNG_SIGNATURE)


def test_picture_has_the_permissions_of_any_new_file(small):
    mask = os.umask(0o027)
    try:
        assert main(["train", "--data", small, *QUICK]) == 0
    finally:
        os.umask(mask)
    assert Path("simdrop-train.png").stat().st_mode & 0o777 == 0o640


def test_loss_of_zero_can_be_drawn():
    run = loop.Run("without dropout", None, None, [loop.Epoch(0.0, 0.0, 0.0, 0.0, 1.0)])
    result = report.Result(run, 0.0, 0.0)
    figure = plot.draw([result, result], "perfect")
    plot.save(figure, Path("perfect.png"))
    assert Path("perfect.png").read_bytes().startswith(PNG_SIGNATURE)


def test_python_m_simdrop(small):
    words = [sys.executable, "-m", "simdrop", "train", "--data", small, *QUICK]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "epoch 3/3, with dropout: loss" in done.stdout
    assert "\x1b" not in done.stdout  # plain lines, for it is no terminal
    assert Path("simdrop-train.png").is_file()


# The training itself


def test_both_nets_start_alike_and_differ_in_dropout(small):
    images = sources.load(small)
    without, with_dropout = loop.make_runs(images, settings(p=0.4, p_input=0.3, seed=3))
    for a, b in zip(without.net.parameters(), with_dropout.net.parameters(), strict=True):
        assert a.value.tobytes() == b.value.tobytes()
    probabilities = [
        [layer.p for layer in run.net.layers if hasattr(layer, "p")]
        for run in (without, with_dropout)
    ]
    assert probabilities == [[0, 0], [0.3, 0.4]]


def test_both_nets_see_the_same_batches(small):
    """With nothing to drop, they are one net twice."""
    (without, with_dropout), _ = trained(sources.load(small), settings(p=0.0, p_input=0.0))
    for a, b in zip(without.history, with_dropout.history, strict=True):
        assert a.training_loss == b.training_loss and a.validation_error == b.validation_error
    (without, with_dropout), _ = trained(sources.load(small), settings())
    assert without.history[-1].training_loss != with_dropout.history[-1].training_loss


def test_every_example_once_an_epoch_in_batches_of_nearly_equal_size(small, monkeypatch):
    images = sources.load(small)
    chosen = settings(batch_size=40, epochs=2, seed=1)
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    batches = []
    step = runs[0].net.train_step
    monkeypatch.setattr(
        runs[0].net,
        "train_step",
        lambda x, y, optimizer: batches.append(x) or step(x, y, optimizer),
    )
    assert len(list(loop.train(runs, images, rows, chosen))) == 2 * 2 * (3 + 1)
    assert [len(batch) for batch in batches] == [32, 32, 32] * 2
    epochs = np.vstack(batches[:3]), np.vstack(batches[3:])
    assert epochs[0].tolist() != epochs[1].tolist()
    wanted = sorted(images.x_train[rows.train].tolist())
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist()) == wanted


def test_options_reach_the_optimizer_and_the_rate_falls(small, monkeypatch):
    images = sources.load(small)
    chosen = settings(
        lr=0.4, momentum=0.7, nesterov=True, l2=0.01, max_norm=2.5, epochs=4, batch_size=1000
    )
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    for run in runs:
        assert (run.optimizer.momentum, run.optimizer.nesterov) == (0.7, True)
        assert (run.optimizer.l2, run.optimizer.max_norm) == (0.01, 2.5)
    rates = [run.optimizer.lr for run, ended in loop.train(runs, images, rows, chosen) if ended]
    assert rates == pytest.approx([0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1])


def test_a_constant_rate_stays(small):
    images, chosen = sources.load(small), settings(lr=0.4, lr_schedule="constant", epochs=3)
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    assert {run.optimizer.lr for run, _ in loop.train(runs, images, rows, chosen)} == {0.4}


def test_dropout_is_on_in_every_batch(small):
    """The evaluation after each epoch switches it off."""
    images, chosen = sources.load(small), settings()
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    for run, epoch_ended in loop.train(runs, images, rows, chosen):
        assert {layer.training for layer in run.net.layers} == {not epoch_ended}
    assert len(runs[1].history) == 3


def test_final_errors_are_those_of_the_training_and_test_sets(small):
    images = sources.load(small)
    runs, rows = trained(images, settings(hidden=(2,)))
    for run in runs:
        result = report.measure(run, images, rows)
        x, y = images.x_train[rows.train], images.y_train[rows.train]
        assert result.train_error == pytest.approx(run.net.error(x, y))
        assert result.test_error == pytest.approx(run.net.error(images.x_test, images.y_test))
        assert result.train_error != result.test_error


def test_curves_are_measured_without_dropout_on_the_right_rows(small):
    images = sources.load(small)
    runs, rows = trained(images, settings())
    for run in runs:
        x, y = images.x_train[rows.validation], images.y_train[rows.validation]
        assert run.history[-1].validation_error == pytest.approx(run.net.error(x, y))
        run.net.eval()
        assert run.history[-1].validation_loss == pytest.approx(run.net.loss(x, y), rel=1e-5)
        x, y = images.x_train[rows.train], images.y_train[rows.train]
        assert run.history[-1].training_error == pytest.approx(run.net.error(x, y))
        assert run.history[-1].training_loss == pytest.approx(run.net.loss(x, y), rel=1e-5)


def test_evaluation_in_parts_is_that_of_the_whole(small, monkeypatch):
    images = sources.load(small)
    (run, _), _ = trained(images, settings())
    whole = loop.evaluate(run.net, images.x_train, images.y_train)
    monkeypatch.setattr(loop, "CHUNK", 50)  # 50, 50 and 20
    parts = loop.evaluate(run.net, images.x_train, images.y_train)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5) and parts[1] == whole[1]


def test_test_set_changes_nothing_but_the_test_error(small, capsys):
    lines = []
    for _ in range(2):
        assert main(["train", "--data", small, *QUICK]) == 0
        lines.append(without_seconds(capsys.readouterr().out).splitlines())
        with np.load(small) as arrays:
            changed = dict(arrays)
        changed["x_test"] = changed["x_test"][::-1]
        np.savez(small, **changed)
    before, after = lines
    assert before[:7] == after[:7]  # the title and three epochs of both nets
    assert before != after


def test_epochs_by_default():
    for data_given, kind in ((None, "digits"), (Path("a.npz"), "data")):
        chosen = argparse.Namespace(data=data_given, preset=None)
        assert options.settings_from(chosen).epochs == options.EPOCHS[kind]


# The display in a terminal


def in_terminal(*words, stop_at=None, code=START, columns=100, **environment):
    """Run the command in a pseudo-terminal; press Ctrl-C once `stop_at` is on it.

    Gives the exit code, all that was written to the terminal, and standard error.
    """
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(
        *words, code=code, stdin=theirs, stdout=theirs, env={"TERM": "xterm-256color"} | environment
    )
    # Its end stays open here until all is read: closing it may throw away what is on the way.
    seen, deadline = b"", time.monotonic() + 600  # only against hanging
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if select.select([ours], [], [], 0.2)[0]:
            seen += os.read(ours, 65536)
            if stop_at is not None and stop_at in seen.decode(errors="ignore"):
                process.send_signal(signal.SIGINT)
                stop_at = None
        elif ended:
            break
    code, _, err = finish(process)
    os.close(theirs)
    os.close(ours)
    return code, seen.decode(), err


SHOW_CURSOR, HIDE_CURSOR, CURSOR_UP = "\x1b[?25h", "\x1b[?25l", "\x1b[1A"


def plain(text):
    """Without the terminal's control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_live_display_in_a_terminal(small):
    code, seen, err = in_terminal("train", "--data", small, "--hidden", "8", "--epochs", "400")
    assert (code, err) == (0, "")
    frames = seen.split(CURSOR_UP)  # it goes up to draw over what is there
    assert len(frames) > 1  # how many depends on the machine's speed: one each tenth of a second
    assert seen.index(HIDE_CURSOR) < seen.index("time left") < seen.index(SHOW_CURSOR)
    lines = [line.rstrip() for line in plain(frames[-1]).splitlines()]
    last = "\n".join(lines)
    assert re.search(r"^without dropout +━+ +400/400 +\d\.\d{4} +\d+\.\d\d %$", last, re.M)
    assert re.search(r"^with dropout +━+ +400/400 +\d\.\d{4} +\d+\.\d\d %$", last, re.M)
    assert "done" in lines and "Curves: 'simdrop-train.png'" in lines
    for heading in ("epoch", "training loss", "validation error", "time left"):
        assert heading in plain(seen)
    assert Path("simdrop-train.png").is_file()


@pytest.mark.parametrize("columns", [20, 40])
def test_live_display_in_a_narrow_terminal(small, columns):
    words = ["train", "--data", small, "--hidden", "8", "--epochs", "60"]
    code, seen, err = in_terminal(*words, columns=columns)
    assert (code, err) == (0, "")
    last = plain(seen.split(CURSOR_UP)[-1])
    assert "…" not in seen and max(len(line) for line in last.splitlines()[:-1]) <= columns
    for net in ("without dropout", "with dropout"):
        form = (
            rf"{net}\s+epoch\s+60/60\s+training loss\s+\d\.\d{{4}}\s+validation error\s+\d+\.\d\d %"
        )
        assert re.search(form, last)
    assert numbers(last)


@pytest.mark.parametrize("columns", [40, 100])
def test_sweep_in_a_terminal(small, columns):
    words = ["sweep", "--data", small, "--hidden", "4", "--epochs", "1", "--folds", "2"]
    code, seen, err = in_terminal(*words, "--p-input", "0,0.1,0.2,0.3", columns=columns)
    assert (code, err) == (0, "") and "…" not in seen
    end = plain(seen)[plain(seen).rindex("time left") :]  # the table of the end
    for p in ("0", "0.25", "0.5", "0.75"):
        if columns == 40:
            assert re.search(rf"^p {p}\r\n(  input [\d.]+ +\d+\.\d\d %\r\n){{4}}", end, re.M)
        else:
            assert re.search(rf"^ {p} ( +\d+\.\d\d %){{4}} *\r$", end, re.M)


def test_info_in_a_narrow_terminal(monkeypatch):
    """Its lines are broken between words."""
    for name, value in ONE_THREAD.items():  # as in the terminal: `info` prints the threads
        monkeypatch.setenv(name, value)
    words = [word for line in config().items() for word in " ".join(line).split()]
    for columns in (20, 40, 60, 80, 120):
        code, seen, err = in_terminal("info", columns=columns)
        assert (code, err) == (0, "")
        assert max(map(len, seen.splitlines())) <= max(columns, max(map(len, words)))
        assert " ".join(seen.split()).replace(":", "") == " ".join(words).replace(":", "")


def test_ctrl_c_in_a_terminal_gives_the_cursor_back(small, folder):
    code, seen, err = in_terminal(
        "train", "--data", small, "--epochs", "1000000", stop_at="time left"
    )
    assert (code, err) == (130, "simdrop: interrupted\n")
    assert seen.rindex(SHOW_CURSOR) > seen.rindex(HIDE_CURSOR)
    assert list(folder.iterdir()) == []


def test_terminal_that_cannot_move_its_cursor_gets_lines(small):
    code, seen, err = in_terminal("train", "--data", small, *QUICK, TERM="dumb")
    assert (code, err) == (0, "")
    assert "\x1b" not in seen and "epoch 3/3, with dropout: loss" in seen


def test_time_left(small, monkeypatch):
    runs = loop.make_runs(sources.load(small), settings())
    now = 1000.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    display = progress.Silent(runs, "title", epochs=10, steps=100)
    runs[0].batches, runs[1].batches = 30, 20  # a quarter of all
    for seconds, wanted in ((20, "1:00"), (25, "1:15"), (1300, "1:05:00")):
        now = 1000.0 + seconds
        assert display.time_left() == wanted
    runs[0].batches = runs[1].batches = 100
    assert display.time_left() == "0:00"


# What ends it early: exit code 2, one line, no file


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "no command given; wanted train, sweep or info (see simdrop --help)"),
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
            "test_cli.py' is not an .npz file; wanted one, or a folder",
        ),
    ],
)
def test_bad_input(words, message, small, folder, capsys, no_training):
    Path("taken.png").mkdir()
    if words[:1] == ["train"] and "--data" not in words:
        words = [*words, "--data", small]
    assert main(words) == 2
    assert message in one_error_line(capsys)
    assert [file.name for file in folder.iterdir()] == ["taken.png"]


TOO_LONG = "f" * 300
OPTIONS = [
    ("train", "--data"),
    ("train", "--out"),
    ("train", "--results"),
    ("train", "--checkpoint"),
    ("train", "--resume", "--checkpoint"),
    ("sweep", "--data"),
    ("sweep", "--out"),
    ("sweep", "--results"),
]
FAULTS = {
    "a loop of links": ("loop.png", "Too many levels of symbolic links|is not a file"),
    "a name that is too long": (TOO_LONG + ".png", "File name too long"),
    "a null character": ("a\0.png", "embedded null"),
    "a folder": ("folder.png", "Is a directory|is not a file|has none of the IDX files"),
    "no permission": ("locked/a.png", "Permission denied"),
    "a pipe": ("pipe.png", "not a (regular )?file|neither a file nor a folder"),
    "a device": ("device.png", "not a (regular )?file|neither a file nor a folder"),
    "a file as a folder": ("file/a.png", "Not a directory"),
    "a folder that is not there": ("no/a.png", "No such file or directory"),
}


@pytest.fixture
def paths(monkeypatch):
    """A folder with paths that cannot be used, and a user who may not enter one of them."""
    # Not in pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        monkeypatch.chdir(folder)
        Path("loop.png").symlink_to("loop.png")
        Path("folder.png").mkdir()
        Path("locked").mkdir(0)
        os.mkfifo("pipe.png")
        Path("device.png").symlink_to("/dev/zero")
        Path("file").touch()
        root = os.geteuid() == 0  # who may do anything
        if root:
            os.seteuid(65534)
        yield sorted(os.listdir())
        if root:
            os.seteuid(0)
        Path("locked").chmod(0o700)
        monkeypatch.undo()


@pytest.fixture
def no_hanging():
    """An AssertionError instead of waiting for someone to open the other end of a pipe."""

    def hang(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("no_hanging")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_path_that_cannot_be_used(words, fault, small, capsys, monkeypatch, request):
    images = sources.load(small)
    if "--data" not in words:
        monkeypatch.setattr(sources, "load", lambda path: images)
    monkeypatch.setattr(loop, "train", None)  # none of them comes as far
    before = request.getfixturevalue("paths")
    path, message = FAULTS[fault]
    assert main([*words, path]) == 2
    line = one_error_line(capsys)
    assert re.search(message, line) and repr(path) in line
    assert "--data" in words or words[-1] in line
    assert sorted(os.listdir()) == before


@pytest.mark.usefixtures("no_hanging")
@pytest.mark.parametrize("fault", ["loop", "pipe", "folder"])
def test_folder_with_a_file_that_cannot_be_read(fault, folder, capsys):
    path = folder / "train-images-idx3-ubyte"
    {"loop": lambda: path.symlink_to(path), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[
        fault
    ]()
    (folder / "train-labels-idx1-ubyte").touch()
    assert main(["train", "--data", "."]) == 2
    assert "'.' has no file train-images-idx3-ubyte (or .gz)" in one_error_line(capsys)
    assert main(["train", "--data", path.name]) == 2
    assert path.name in one_error_line(capsys)


def test_training_is_what_good_input_comes_to(small, no_training):
    """Without this, `no_training` could let bad input through unseen."""
    with pytest.raises(AssertionError, match="training was about to start"):
        main(["train", "--data", small])


@pytest.mark.parametrize("fault", ["truncated", "nan"])
def test_bad_data_in_a_process_of_its_own(small, folder, fault):
    with np.load(small) as arrays:
        arrays = dict(arrays)
    if fault == "nan":
        arrays["x_test"][3, 1] = np.nan
    np.savez(small, **arrays)
    if fault == "truncated":
        Path(small).write_bytes(Path(small).read_bytes()[:-30])
    code, out, err = finish(start("train", "--data", small))
    assert (code, out) == (2, "")
    messages = {
        "truncated": "is a damaged .npz file",
        "nan": "x_test holds nan in example 3; wanted finite numbers",
    }
    assert err.startswith("simdrop: error: ") and err.count("\n") == 1
    assert messages[fault] in err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "module, package", [("matplotlib", "matplotlib"), ("rich", "rich"), ("sklearn", "scikit-learn")]
)
def test_missing_package(module, package, folder):
    code = f"import sys\nsys.modules[{module!r}] = None\n" + START
    code, out, err = finish(start("train", "--epochs", "1", code=code))
    assert (code, out) == (2, "")
    assert err == f'simdrop: error: this command needs {package}: pip install "simdrop[train]"\n'
    assert list(folder.iterdir()) == []


def test_data_of_ones_own_does_not_need_scikit_learn(small):
    code = "import sys\nsys.modules['sklearn'] = None\n" + START
    code, _, err = finish(start("train", "--data", small, *QUICK, code=code))
    assert (code, err) == (0, "")


def test_module_that_is_missing_for_another_reason_is_not_hidden(small, monkeypatch):
    def run(chosen):
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr(train, "run", run)
    with pytest.raises(ModuleNotFoundError, match="other"):
        main(["train", "--data", small])


@pytest.mark.parametrize("too_much", [["--lr", "1e6"], ["--lr", "1e308"], ["--l2", "1e300"]])
def test_divergence(small, folder, capsys, too_much):
    assert main(["train", "--data", small, "--quiet", *too_much]) == 1
    form = (
        r"the net with(out)? dropout diverged in epoch \d+: its loss is (nan|inf); a smaller --lr"
    )
    assert re.match(form, one_error_line(capsys))
    assert list(folder.iterdir()) == []


def test_a_slow_machine_draws_without_a_warning(small, folder, capsys, monkeypatch):
    """Matplotlib warns of a place for the legend that took it more than a second to find."""
    seconds = itertools.count(step=10)
    monkeypatch.setattr(
        "matplotlib.legend.time", SimpleNamespace(perf_counter=lambda: next(seconds))
    )
    assert main(["train", "--data", small, *QUICK, "--quiet"]) == 0
    assert (folder / "simdrop-train.png").is_file() and capsys.readouterr().err == ""


def test_divergence_ends_the_training_at_once(small, capsys, monkeypatch):
    losses = iter([0.5, float("nan")])
    monkeypatch.setattr(loop.nn.MLP, "train_step", lambda *_: next(losses))
    assert main(["train", "--data", small, "--batch-size", "10"]) == 1
    out, err = capsys.readouterr()
    assert "epoch" not in out and "without dropout diverged in epoch 1: its loss is nan" in err


def test_divergence_that_shows_only_on_the_validation_set(small, capsys, monkeypatch):
    evaluate = loop.evaluate

    def diverged(net, x, y, rows=None):
        loss, error = evaluate(net, x, y, rows)
        return (np.inf if len(rows) == 24 else loss), error

    monkeypatch.setattr(loop, "evaluate", diverged)
    assert main(["train", "--data", small, *QUICK, "--quiet"]) == 1
    assert "without dropout diverged in epoch 1: its loss is inf" in one_error_line(capsys)


@pytest.mark.parametrize(
    "reason, wanted",
    [
        (["Unable to allocate 7.3 TiB"], "not enough memory: Unable to allocate 7.3 TiB"),
        ([], "not enough memory"),  # Python's own
    ],
)
def test_too_little_memory(small, folder, capsys, monkeypatch, reason, wanted):
    def make_runs(images, settings):
        raise MemoryError(*reason)

    monkeypatch.setattr(loop, "make_runs", make_runs)
    assert main(["train", "--data", small]) == 2
    assert one_error_line(capsys) == wanted


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_picture_that_cannot_be_written_at_the_end(small, folder, capsys, monkeypatch, fails):
    """The numbers are printed all the same; the old picture stays, and nothing else."""
    Path("simdrop-train.png").write_bytes(b"old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.os, fails, full)
    assert main(["train", "--data", small, *QUICK]) == 2
    monkeypatch.undo()
    out, err = capsys.readouterr()
    assert "test examples are wrong without dropout" in out and "Curves" not in out
    message = "simdrop: error: --out 'simdrop-train.png' cannot be written: No space left on device"
    assert err.startswith(message) and err.count("\n") == 1
    assert [file.name for file in folder.iterdir()] == ["simdrop-train.png"]
    assert (folder / "simdrop-train.png").read_bytes() == b"old"


# Ctrl-C, and readers that go away


def test_ctrl_c(small, folder):
    process = start("train", "--data", small, "--epochs", "1000000")
    assert process.stdout.readline().startswith(b"small, net")
    assert process.stdout.readline().startswith(b"epoch ")
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert (code, err) == (130, "simdrop: interrupted\n")
    assert list(folder.iterdir()) == []


def test_ctrl_c_while_the_picture_is_written(small, folder, capsys, monkeypatch):
    def interrupted(path, target):
        assert Path(path).read_bytes().startswith(PNG_SIGNATURE)
        raise KeyboardInterrupt

    monkeypatch.setattr(_files.os, "replace", interrupted)
    assert main(["train", "--data", small, *QUICK]) == 130
    assert capsys.readouterr().err == "simdrop: interrupted\n"
    assert list(folder.iterdir()) == []


def test_broken_pipe(small, folder):
    process = start("train", "--data", small, "--epochs", "1000000")
    assert process.stdout.readline().startswith(b"small, net")
    process.stdout.close()
    code, _, err = finish(process)
    assert (code, err) == (1, "")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", [["info"], ["--help"], ["--version"], ["train", "--help"]])
def test_broken_pipe_before_the_first_line(words):
    ours, theirs = os.pipe()
    os.close(ours)
    process = start(*words, stdout=theirs, env={"PYTHONUNBUFFERED": ""})
    os.close(theirs)
    code, _, err = finish(process)
    assert err == "" and code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [["info"], ["train", "--data", "small.npz"]])
def test_standard_output_on_a_full_disk(words, small):
    Path(small).rename("small.npz")
    with open("/dev/full", "w") as full:
        code, _, err = finish(start(*words, stdout=full))
    wanted = "simdrop: error: standard output cannot be written: No space left on device\n"
    assert (code, err) == (1, wanted)


def test_standard_output_that_is_closed(small):
    code = f"import os, sys; os.close(1); os.execv({sys.executable!r}, [{sys.executable!r}, '-c', "
    code += f"{START!r}, *sys.argv[1:]])"
    code, _, err = finish(start("train", "--data", small, *QUICK, "--out", "a.png", code=code))
    assert (code, err) == (0, "")
    assert Path("a.png").read_bytes().startswith(PNG_SIGNATURE)


def test_standard_output_that_is_ascii(small):
    process = start(
        "train", "--data", small, *QUICK, "--out", "ü.png", env={"PYTHONIOENCODING": "ascii"}
    )
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "Curves: '\\xfc.png'" in out and "with dropout" in out
    assert Path("ü.png").is_file()


# The rest of the command line


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"simdrop {simdrop.__version__}\n"


def test_help(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "train a net without and with dropout" in out and "  simdrop info " in out
    assert main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert "simdrop train --data mnist.npz --epochs 10" in out
    parser = argparse.ArgumentParser()
    options.add_options(parser)
    for action in parser._actions:
        assert action.help and action.option_strings[-1] in out


def test_info_is_show_config(capsys):
    simdrop.show_config()
    wanted = capsys.readouterr().out
    assert main(["info"]) == 0
    assert capsys.readouterr().out == wanted != ""


def test_info_imports_nothing_of_the_training():
    code = """
import sys
from simdrop.cli.main import main
assert main(["info"]) == 0
for name in ("matplotlib", "rich", "sklearn", "simdrop.nn", "simdrop.cli.loop"):
    assert name not in sys.modules, name
"""
    code, _, err = finish(start(code=code))
    assert (code, err) == (0, "")


@pytest.mark.parametrize("words", [("info",), ("train", "--epochs", "1"), ("--help",)])
def test_an_instruction_set_that_is_not_there(words):
    code, out, err = finish(start(*words, env={"SIMDROP_ISA": "nonesuch"}))
    here = ", ".join(kernels.instruction_sets())
    wanted = "ValueError: SIMDROP_ISA: instruction set 'nonesuch' is not available; "
    wanted += f"this CPU and build have {here}"
    assert (code, out, err.splitlines()[-1]) == (1, "", wanted)


def test_an_instruction_set_that_is_there():
    code, out, err = finish(start("info", env={"SIMDROP_ISA": "portable"}))
    assert (code, err) == (0, "") and "portable" in out.split("chosen:")[1].splitlines()[0]


def test_the_program_is_installed():
    (program,) = importlib.metadata.entry_points(group="console_scripts", name="simdrop")
    assert program.value == "simdrop.cli.main:main"
    assert program.load() is main


@pytest.mark.parametrize("given", ["many", "0", "-2"])
@pytest.mark.parametrize("command", ["info", "train"])
def test_threads_that_are_no_number(command, given, monkeypatch, capsys):
    monkeypatch.setenv("SIMDROP_NUM_THREADS", given)
    assert main([command]) == 2
    wanted = f"SIMDROP_NUM_THREADS must be a positive integer, not {given!r}"
    assert one_error_line(capsys) == wanted
