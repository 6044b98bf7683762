"""The page on MNIST is made from the runs, and a run that is done is not made again."""

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

from . import mnist, mnist_page, mnist_results
from .mnist_results import Epoch, Net, Run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A few digits, so that a preset trains in no time."""
    x, y = load_digits(return_X_y=True)
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=x[:300], y_train=y[:300], x_test=x[300:400], y_test=y[300:400])
    return path


def main(monkeypatch: pytest.MonkeyPatch, data: Path, *words: str) -> int:
    folder = data.parent
    files = ["--data", str(data), "--output", str(folder), "--page", str(folder / "page.md")]
    monkeypatch.setattr(sys, "argv", ["mnist", *files, *words])
    return mnist.main()


def write(monkeypatch: pytest.MonkeyPatch, data: Path, *words: str) -> str:
    """The page of short runs of small nets."""
    assert main(monkeypatch, data, "--epochs", "5", "--hidden", "16", *words) == 0
    return (data.parent / "page.md").read_text(encoding="utf-8")


def row(page: str, first: str) -> list[str]:
    """The cells of the line that begins with this one."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \|.*$", page, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def net(losses: list[float], errors: list[float | None] | None = None) -> Net:
    curve = map(Epoch, range(1, len(losses) + 1), losses, errors or [None] * len(losses))
    return Net("16", len(losses), 0.01, 60.0, "a CPU", tuple(curve))


def test_the_table_is_of_the_runs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "mnist-none", "mnist-maxnorm"
    page = write(monkeypatch, data, "--seeds", "3", "--presets", *names)
    runs = mnist_results.load(data.parent)
    for name in names:
        nets = [net for run in runs if re.match(rf"{name}-\d-", run) for net in runs[run].values()]
        assert len(nets) == 3
        wrong = [100 * net.test_error for net in nets]
        expected = f"{np.mean(wrong):.3f} %", f"{min(wrong):.2f} %", f"{max(wrong):.2f} %"
        assert row(page, f"`{name}`")[1:7] == ["16", *expected, "3", "5"]
    assert (data.parent / "page.png").read_bytes()[:4] == b"\x89PNG"
    assert "Iterations" not in page
    assert not list((data.parent / "unfinished").iterdir())


def test_only_what_is_missing_is_run(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    train = mnist.train
    monkeypatch.setattr(mnist, "train", lambda *given: made.append(given) or train(*given))
    for seeds, wanted in (("1", 1), ("2", 1), ("2", 0)):
        made.clear()
        write(monkeypatch, data, "--presets", "mnist-dropout", "--seeds", seeds)
        assert len(made) == wanted
    monkeypatch.setitem(PRESETS, "mnist-dropout", PRESETS["mnist-dropout"] | {"lr": 0.01})
    write(monkeypatch, data, "--presets", "mnist-dropout", "--seeds", "2")
    assert len(made) == 2
    assert len(mnist_results.load(data.parent)) == 4


def test_an_interrupted_run_is_resumed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--presets", "mnist-dropout", "--seeds", "1"
    command, trained = mnist.run_command, []

    def killed(line: list[str]) -> int:
        """Train, and end before the results are written."""
        command(line)
        results = Path(line[line.index("--results") + 1])
        trained.append(json.loads(results.read_text(encoding="utf-8")))
        results.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mnist, "run_command", killed)
        write(monkeypatch, data, *words)
    assert len(list((data.parent / "unfinished").glob("*.npz"))) == 1

    from_json = mnist_results.from_json
    monkeypatch.setattr(
        mnist_results, "from_json", lambda *given: trained.append(given[0]) or from_json(*given)
    )
    write(monkeypatch, data, *words)
    interrupted, resumed = trained
    assert resumed == interrupted  # the seconds, too, which another training would not repeat
    assert not list((data.parent / "unfinished").iterdir())


def test_results_that_were_not_recorded_yet_are_not_made_again(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "--presets", "mnist-none", "--seeds", "1"

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mnist_results, "save", killed)
        write(monkeypatch, data, *words)
    monkeypatch.setattr(mnist, "train", killed)
    assert "`mnist-none`" in write(monkeypatch, data, *words)


def test_a_failed_run_ends_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "mnist-none", PRESETS["mnist-none"] | {"lr": 1e30})
    assert main(monkeypatch, data, "--presets", "mnist-none") == 1
    assert not (data.parent / "page.md").exists()


def test_without_data_missing_runs_are_skipped(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data.unlink()
    assert main(monkeypatch, data) == 0
    assert "Skipped: 27 runs are missing" in capsys.readouterr().out
    assert not (data.parent / "page.md").exists()


def test_a_quick_look_has_a_folder_of_its_own(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mnist", "--data", str(data), "--epochs", "5"])
    with pytest.raises(SystemExit):
        mnist.main()
    assert "--epochs needs --output" in capsys.readouterr().err


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    pair = {"without": net([0.3, 0.2], [0.04, 0.03]), "with": net([0.4, 0.3], [0.05, 0.02])}
    runs: dict[str, Run] = {"a-0-12345678": {"with": net([0.5, 0.25])}, "b-0-12345678": pair}
    mnist_results.save(tmp_path, runs)
    assert mnist_results.load(tmp_path) == runs
    mnist_results.save(tmp_path, dict(list(runs.items())[:1]))
    nets = tmp_path / mnist_results.NETS
    nets.write_text(nets.read_text(encoding="utf-8").replace("12345678", "87654321"))
    with pytest.raises(ValueError, match="no curve of a-0-87654321, with"):
        mnist_results.load(tmp_path)


@pytest.mark.parametrize(
    ("epochs", "after_first"), [(8, []), (12, [11, 12]), (360, range(18, 361, 18))]
)
def test_curves_of_one_net_are_thinned(epochs: int, after_first: list[int]) -> None:
    history = [{"training_loss": 1 / n, "validation_error": None} for n in range(1, epochs + 1)]
    thin = mnist_results.curve(history, thin=True)
    first = range(1, min(epochs, mnist_results.FIRST) + 1)
    assert [epoch.number for epoch in thin] == [*first, *after_first]
    assert thin[2].training_loss == 0.3333
    assert len(mnist_results.curve(history, thin=False)) == epochs


def test_iterations_are_read_off_the_validation_errors(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write(monkeypatch, data, "--presets", "mnist-iterations", "--seeds", "2")
    assert "mnist-none" not in page and "Iterations to converge" in page
    runs = mnist_results.load(data.parent)
    (nets,) = (runs[name] for name in runs if name.startswith("mnist-iterations-1-"))
    epochs = []
    for name in ("without", "with"):
        errors = [epoch.validation_error for epoch in nets[name].curve]
        smooth = [np.median((errors[:1] + errors + errors[-1:])[i : i + 3]) for i in range(5)]
        epochs.append(next(i for i in range(5) if smooth[i] <= 1.1 * min(smooth)) + 1)
        assert f"{100 * min(smooth):.2f} %" in row(page, "1")
    assert row(page, "1")[3:5] == [str(n) for n in epochs]
    assert row(page, "1")[5] == f"{epochs[1] / epochs[0]:.1f}"
    assert (data.parent / "page-iterations.png").exists()


def test_iterations_are_read_off_the_training_losses() -> None:
    # A lucky epoch does not count: 0.01 stands between larger losses.
    runs = [
        {
            "without": net([0.3, 0.1, 0.1, 0.05, 0.05, 0.04]),
            "with": net([0.3, 0.3, 0.3, 0.1, 0.1, 0.01]),
        },
        {
            "without": net([0.3, 0.3, 0.1, 0.01, 0.05, 0.05]),
            "with": net([0.3, 0.3, 0.3, 0.3, 0.1, 0.1]),
        },
    ]
    page = mnist_page.losses(runs)
    assert row(page, "0.1") == ["0.1", "2.5", "4.5", "1.8"]
    # In the second run the net with dropout never gets there.
    assert "| 0.05" not in page and "| 0.01" not in page


def test_the_first_epoch_at_most() -> None:
    errors = np.array([0.5, 0.2, 0.3, 0.1])
    first = [mnist_page.first_at_most(errors, limit) for limit in (0.5, 0.2, 0.15, 0.05)]
    assert first == [1, 2, 4, None]


@pytest.mark.skipif(not mnist.RESULTS.exists(), reason="source distributions have no results")
def test_the_committed_page_is_made_from_the_committed_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["mnist", "--page", str(tmp_path / "mnist.md")])
    assert mnist.main() == 0
    committed = (mnist.ROOT / "docs/benchmarks/mnist.md").read_text(encoding="utf-8")
    assert (tmp_path / "mnist.md").read_text(encoding="utf-8") == committed
