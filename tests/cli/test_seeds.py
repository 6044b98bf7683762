"""--seeds: several trainings are what as many commands give; their mean and spread; extending."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import SMALL, one_error_line, without_seconds
from hypothesis import given
from hypothesis import strategies as st

from simdrop.cli import report
from simdrop.cli.main import main
from simdrop.cli.tasks import CLASSIFICATION, REGRESSION
from simdrop.nn import checkpoint as nets

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def results(name="r.json"):
    return json.loads(Path(name).read_text())


def test_each_seed_is_a_training_of_its_own(small, capsys):
    words = ["train", "--data", small, *SMALL, "--results", "r.json"]
    assert main([*words, "--seed", "4", "--seeds", "3"]) == 0
    out = capsys.readouterr().out
    together = results()
    errors = {"without": [], "with": []}
    for seed in (4, 5, 6):
        assert main([*words, "--seed", str(seed)]) == 0
        for name, one in results()["runs"].items():
            run = together["runs"][f"{name}-{seed}"]
            errors[name].append(run["test_error"])
            for both in (run, one):
                del both["seconds"]
                for epoch in both["history"]:
                    del epoch["seconds"]
            assert run == one
    assert re.search(r"^seed 3/3, epoch 3/3, with dropout: loss ", out, re.M)
    assert len(re.findall("^seed", out, re.M)) == 6
    for name, found in errors.items():
        mean, deviation = np.mean(found), np.std(found, ddof=1)
        shown = f"{100 * mean:.2f} ± {100 * deviation:.2f} %"
        (row,) = (line for line in out.splitlines() if line.startswith(f" {name} dropout"))
        assert shown in row
        summary = together["summary"][name]
        assert summary == {
            "test_error_mean": pytest.approx(mean),
            "test_error_std": pytest.approx(deviation),
        }
    assert "Errors are the mean ± the standard deviation of 3 seeds." in out
    assert "paired differences)" in out


class Fake:
    def __init__(self, error):
        self.test_error = error


def verdict(without, dropped, task=CLASSIFICATION):
    return report.verdict(list(map(Fake, without)), list(map(Fake, dropped)), task)


def test_verdicts():
    of = "points (mean ± standard error of 3 paired differences)"
    low, high = [0.10, 0.12, 0.11], [0.20, 0.21, 0.22]
    assert (
        verdict(high, low)
        == f"Dropout lowers the test error by 10.00 ± 0.58 {of}, with 3 of 3 seeds."
    )
    assert (
        verdict(low, high)
        == f"Dropout raises the test error by 10.00 ± 0.58 {of}, with 3 of 3 seeds."
    )
    noise = verdict([0.1, 0.2, 0.3], [0.11, 0.17, 0.31])
    assert noise == f"Dropout changes the test error by -0.33 ± 1.33 {of}: noise."
    assert verdict([3.0, 4.0], [1.0, 2.1], REGRESSION) == (
        "Dropout lowers the test RMSE by 1.9 ± 0.05 (mean ± standard error of 2 paired "
        "differences), with 2 of 2 seeds."
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=9))
def test_a_verdict_agrees_with_the_numbers(pairs):
    without, dropped = zip(*pairs, strict=True)
    apart = np.subtract(dropped, without) * 100
    said = verdict(without, dropped)
    if "lowers" in said or "raises" in said:
        assert (np.mean(apart) < 0) == ("lowers" in said)
        assert abs(np.mean(apart)) > 2 * np.std(apart, ddof=1) / np.sqrt(len(pairs)) * (1 - 1e-9)
    else:
        assert said.endswith(": noise.")


def weights(path, name):
    arrays = nets.read(path).arrays
    return [arrays[key].tobytes() for key in sorted(arrays) if key.startswith(f"{name}/")]


def test_more_seeds_extend_a_checkpoint(small, capsys):
    words = ["train", "--data", small, *SMALL, "--checkpoint"]
    assert main([*words, "all.npz", "--seeds", "3"]) == 0
    assert main([*words, "some.npz"]) == 0
    assert main([*words, "some.npz", "--resume", "--seeds", "2"]) == 0
    capsys.readouterr()
    assert main([*words, "some.npz", "--resume", "--seeds", "3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "Resuming from 'some.npz': 6 of 9 epochs of 3 seeds without dropout, 6 of 9 epochs of 3 "
        "seeds with dropout are done; extended by 1 seed\n"
    )
    for name in ("without-0", "with-0", "without-2", "with-2"):
        assert weights("some.npz", name) == weights("all.npz", name)
    assert main([*words, "some.npz", "--resume", "--seeds", "3"]) == 0
    assert "extended" not in capsys.readouterr().out
    assert main([*words, "some.npz", "--resume", "--seeds", "2"]) == 2
    assert "has nets of other seeds, without-2, with-2; wanted a --seeds" in one_error_line(capsys)
    assert main([*words, "some.npz", "--resume"]) == 2
    assert "has nets of other seeds, without-0, " in capsys.readouterr().err


def test_more_epochs_extend_a_checkpoint(small, capsys):
    """With a constant rate the result is that of a training of so many epochs at once."""
    words = ["train", "--data", small, "--hidden", "8", "--lr-schedule", "constant"]
    assert main([*words, "--epochs", "5", "--checkpoint", "five.npz"]) == 0
    words += ["--checkpoint", "run.npz", "--resume", "--epochs"]
    assert main([*words, "2"]) == 0
    capsys.readouterr()
    assert main([*words, "5"]) == 0
    out = capsys.readouterr().out
    assert "2 of 5 epochs with dropout are done; extended from 2 to 5 epochs\n" in out
    for name in ("without", "with"):
        assert weights("run.npz", name) == weights("five.npz", name)
    assert main([*words, "4"]) == 2
    assert "is from another training: --epochs was 5 and is 4" in one_error_line(capsys)
    assert main([*words, "5"]) == 0
    again = without_seconds(capsys.readouterr().out)
    assert again.endswith(without_seconds(out[out.index("Trained on") :]))
