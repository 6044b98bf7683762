"""Pictures: in the format of their suffix, whole or not at all."""

import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from command import PNG_SIGNATURE, QUICK

from simdrop import _files
from simdrop.cli import loop, plot, report, tasks
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


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
    run = loop.Run("without dropout", None, None, 0, [loop.Epoch(0.0, 0.0, 0.0, 0.0, 1.0)])
    result = report.Result(run, 0.0, 0.0)
    figure = plot.curves([[result], [result]], "perfect", tasks.CLASSIFICATION)
    plot.save(figure, Path("perfect.png"))
    assert Path("perfect.png").read_bytes().startswith(PNG_SIGNATURE)


def test_a_slow_machine_draws_without_a_warning(small, folder, capsys, monkeypatch):
    """Matplotlib warns of a place for the legend that took it more than a second to find."""
    seconds = itertools.count(step=10)
    monkeypatch.setattr(
        "matplotlib.legend.time", SimpleNamespace(perf_counter=lambda: next(seconds))
    )
    assert main(["train", "--data", small, *QUICK, "--quiet"]) == 0
    assert (folder / "simdrop-train.png").is_file() and capsys.readouterr().err == ""


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
    assert "Misclassified test examples: " in out and "Curves" not in out
    message = "simdrop: error: --out 'simdrop-train.png' cannot be written: No space left on device"
    assert err.startswith(message) and err.count("\n") == 1
    assert [file.name for file in folder.iterdir()] == ["simdrop-train.png"]
    assert (folder / "simdrop-train.png").read_bytes() == b"old"


def test_ctrl_c_while_the_picture_is_written(small, folder, capsys, monkeypatch):
    def interrupted(path, target):
        assert Path(path).read_bytes().startswith(PNG_SIGNATURE)
        raise KeyboardInterrupt

    monkeypatch.setattr(_files.os, "replace", interrupted)
    assert main(["train", "--data", small, *QUICK]) == 130
    assert capsys.readouterr().err == "simdrop: interrupted\n"
    assert list(folder.iterdir()) == []
