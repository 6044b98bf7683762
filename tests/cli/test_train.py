"""simdrop train: what it prints and writes."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import ONE_THREAD, PNG_SIGNATURE, QUICK, SMALL, without_seconds
from datasets import edited

from simdrop.cli import data, plot
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def test_digits_give_lines_a_table_and_a_picture(capsys, folder):
    words = ["--hidden", "32", "--epochs", "2", "--batch-size", "100", "--seeds", "1"]
    assert main(["train", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    title = "Handwritten digits, net 64-32-10 (relu), dropout p = 0.5, 0.1 on the input"
    assert lines.pop(0) == title
    assert lines.pop(0) == (
        "Inputs: divided by 16, the largest magnitude in the training set (--scale auto chose "
        "unit: columns have one scale)."
    )
    labels = ("without dropout", "with dropout")
    turns = [f"epoch {epoch}/2, {label}" for epoch in (1, 2) for label in labels]
    form = r"(.*): loss \d\.\d{4}, validation error \d+\.\d\d %, \d:\d\d left"
    assert [re.fullmatch(form, line)[1] for line in lines[:4]] == turns
    assert lines[3].endswith(" 0:00 left")

    rows = [line.split() for line in lines[4:]]
    wanted = ["train", "error", "validation", "error", "test", "error", "seconds/epoch"]
    assert wanted in rows
    wrong = []
    for label in labels:
        row = next(row for row in rows if row[:2] == label.split())
        train_error, validation_error, test_error, seconds = (
            float(n) for n in row[2::2][:3] + row[-1:]
        )
        assert 0.0005 <= seconds < 60
        assert f"validation error {validation_error:.2f} %" in lines[2 + labels.index(label)]
        # Below chance, 90 %, after as little training as this.
        assert max(train_error, validation_error, test_error) < 80
        wrong.append(round(test_error / 100 * 899))
    assert "Trained on 718 examples, validated on 180, tested on 899." in lines
    assert f"Misclassified test examples: {wrong[0]} without dropout, {wrong[1]} with it." in lines
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


def test_data_with_a_name_of_formulas(small, folder):
    """A dollar in a title is not the start of a formula, which would fail after the training."""
    path = Path(small).rename(Path(small).with_name("$\\nonsense{$.npz"))
    assert main(["train", "--data", str(path), *QUICK]) == 0
    assert Path("simdrop-train.png").is_file()


def test_python_m_simdrop(small):
    words = [sys.executable, "-m", "simdrop", "train", "--data", small, *QUICK]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "epoch 3/3, with dropout: loss" in done.stdout
    assert "\x1b" not in done.stdout  # plain lines, for it is no terminal
    assert Path("simdrop-train.png").is_file()


def test_test_set_changes_nothing_but_the_test_error(small, capsys):
    lines = []
    for _ in range(2):
        assert main(["train", "--data", small, *QUICK]) == 0
        lines.append(without_seconds(capsys.readouterr().out).splitlines())
        with edited(small) as arrays:
            arrays["x_test"] = arrays["x_test"][::-1]
    before, after = lines
    assert before[:8] == after[:8]  # the title, a note and three epochs of both nets
    assert before != after


def test_training_on_all_examples(small, capsys):
    words = ["--data", small, *SMALL, "--validation", "0", "--only", "with", "--results", "r.json"]
    assert main(["train", *words]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "Trained on 120 examples, validated on 0, tested on 60." in out
    assert "without" not in out and "validation error 1" not in out
    run = json.loads(Path("r.json").read_text())["runs"]["with"]
    assert run["validation_error"] is None and run["history"][0]["validation_loss"] is None
    assert f"Misclassified test examples: {run['test_examples_wrong']} with dropout." in out
