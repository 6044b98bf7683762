"""The page on MNIST says what the runs came to, and a run that is done is not made again."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from simdrop.cli.options import PRESETS

from . import papers


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Few digits, so that a preset trains in no time."""
    x, y = load_digits(return_X_y=True)
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x[:300], y_train=y[:300], x_test=x[300:400], y_test=y[300:400])
    return path


def write(data: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    folder = data.parent
    words = "--data", str(data), "--runs", str(folder / "runs"), *words
    words += "--page", str(folder / "page.md"), "--epochs", "5", "--hidden", "16"
    monkeypatch.setattr(sys, "argv", ["papers", *words])
    assert papers.main() == 0
    return (folder / "page.md").read_text(encoding="utf-8")


def row(page: str, first: str) -> list[str]:
    """The cells of the line that begins with this one."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \|.*$", page, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_is_of_the_runs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "mnist-none", "mnist-maxnorm"
    page = write(data, monkeypatch, "--seeds", "3", "--presets", *names)
    for name in names:
        files = sorted((data.parent / "runs").glob(f"{name}-?-*.json"))
        assert len(files) == 3
        runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        assert [run["settings"]["seed"] for run in runs] == [0, 1, 2]
        wrong = [net["test_examples_wrong"] for run in runs for net in run["runs"].values()]
        # Of 100 examples: counts are percent.
        expected = f"{np.mean(wrong):.3f} %", f"{min(wrong):.2f} %", f"{max(wrong):.2f} %"
        assert row(page, f"`{name}`")[1:7] == ["16", *expected, "3", "5"]
    assert (data.parent / "page.png").read_bytes()[:4] == b"\x89PNG"
    assert "Iterations" not in page
    assert not list((data.parent / "runs").glob("*.npz"))


def test_only_what_is_missing_is_run(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    run = papers.run
    monkeypatch.setattr(papers, "run", lambda *given: made.append(given[1].name) or run(*given))
    for seeds, wanted in (("1", 1), ("2", 1), ("2", 0)):
        made.clear()
        write(data, monkeypatch, "--presets", "mnist-dropout", "--seeds", seeds)
        assert len(made) == wanted
    monkeypatch.setitem(PRESETS, "mnist-dropout", PRESETS["mnist-dropout"] | {"lr": 0.01})
    write(data, monkeypatch, "--presets", "mnist-dropout", "--seeds", "2")
    assert len(made) == 2


def test_a_failed_run_ends_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "mnist-none", PRESETS["mnist-none"] | {"lr": 1e30})
    monkeypatch.setattr(sys, "argv", ["papers", "--data", str(data), "--presets", "mnist-none"])
    sys.argv += ["--runs", str(data.parent / "runs"), "--page", str(data.parent / "page.md")]
    assert papers.main() == 1
    assert not (data.parent / "page.md").exists()


def test_without_data_it_is_skipped(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["papers", "--data", str(data) + "absent"])
    assert papers.main() == 0
    assert "Skipped" in capsys.readouterr().out


def test_iterations_are_read_off_the_validation_errors(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write(data, monkeypatch, "--presets", "mnist-iterations", "--seeds", "2")
    assert "mnist-none" not in page and "Iterations to converge" in page
    (file,) = (data.parent / "runs").glob("mnist-iterations-1-*.json")
    nets = json.loads(file.read_text(encoding="utf-8"))["runs"]
    epochs = []
    for name in ("without", "with"):
        errors = [epoch["validation_error"] for epoch in nets[name]["history"]]
        smooth = [np.median((errors[:1] + errors + errors[-1:])[i : i + 3]) for i in range(5)]
        epochs.append(next(i for i in range(5) if smooth[i] <= 1.1 * min(smooth)) + 1)
        assert f"{100 * min(smooth):.2f} %" in row(page, "1")
    assert row(page, "1")[3:5] == [str(n) for n in epochs]
    assert row(page, "1")[5] == f"{epochs[1] / epochs[0]:.1f}"
    assert (data.parent / "page-iterations.png").exists()


def test_iterations_are_read_off_the_training_losses() -> None:
    def run(without: list[float], with_: list[float]) -> dict[str, Any]:
        nets = {"without": without, "with": with_}
        return {
            "runs": {
                name: {"history": [{"training_loss": loss} for loss in losses]}
                for name, losses in nets.items()
            }
        }

    # A lucky epoch does not count: 0.01 stands between larger losses.
    runs = [
        run([0.3, 0.1, 0.1, 0.05, 0.05, 0.04], [0.3, 0.3, 0.3, 0.1, 0.1, 0.01]),
        run([0.3, 0.3, 0.1, 0.01, 0.05, 0.05], [0.3, 0.3, 0.3, 0.3, 0.1, 0.1]),
    ]
    page = papers.losses(runs)
    assert row(page, "0.1") == ["0.1", "2.5", "4.5", "1.8"]
    # In the second run the net with dropout never gets there.
    assert "| 0.05" not in page and "| 0.01" not in page


def test_the_first_epoch_at_most() -> None:
    errors = np.array([0.5, 0.2, 0.3, 0.1])
    first = [papers.first_at_most(errors, limit) for limit in (0.5, 0.2, 0.15, 0.05)]
    assert first == [1, 2, 4, None]
