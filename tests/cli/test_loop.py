"""The training loop: two nets on the same batches, measured without dropout on the right rows."""

import re

import numpy as np
import pytest
from command import QUICK, one_error_line, settings, trained

from simdrop.cli import data, loop
from simdrop.cli.main import main

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def test_both_nets_start_alike_and_differ_in_dropout(small):
    images = data.load(small)
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
    (without, with_dropout), _ = trained(data.load(small), settings(p=0.0, p_input=0.0))
    for a, b in zip(without.history, with_dropout.history, strict=True):
        assert a.training_loss == b.training_loss and a.validation_error == b.validation_error
    (without, with_dropout), _ = trained(data.load(small), settings())
    assert without.history[-1].training_loss != with_dropout.history[-1].training_loss


def test_every_example_once_an_epoch_in_batches_of_nearly_equal_size(small, monkeypatch):
    images = data.load(small)
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
    images = data.load(small)
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
    images, chosen = data.load(small), settings(lr=0.4, lr_schedule="constant", epochs=3)
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    assert {run.optimizer.lr for run, _ in loop.train(runs, images, rows, chosen)} == {0.4}


def test_dropout_is_on_in_every_batch(small):
    """The evaluation after each epoch switches it off."""
    images, chosen = data.load(small), settings()
    rows = data.hold_out(images, chosen.validation, chosen.seed)
    runs = loop.make_runs(images, chosen)
    for run, epoch_ended in loop.train(runs, images, rows, chosen):
        assert {layer.training for layer in run.net.layers} == {not epoch_ended}
    assert len(runs[1].history) == 3


def test_curves_are_measured_without_dropout_on_the_right_rows(small):
    images = data.load(small)
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
    images = data.load(small)
    (run, _), _ = trained(images, settings())
    whole = loop.evaluate(run.net, images)
    monkeypatch.setattr(loop, "CHUNK", 50)  # 50, 50 and 20
    parts = loop.evaluate(run.net, images)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5) and parts[1] == whole[1]


@pytest.mark.parametrize("too_much", [["--lr", "1e6"], ["--lr", "1e308"], ["--l2", "1e300"]])
def test_divergence(small, folder, capsys, too_much):
    assert main(["train", "--data", small, "--quiet", *too_much]) == 1
    form = (
        r"the net with(out)? dropout diverged in epoch \d+: its loss is (nan|inf); "
        r"its inputs reach from \S+ to \S+ \(--scale none\): try --scale standard; else a smaller"
    )
    assert re.match(form, one_error_line(capsys, silent=True))
    assert list(folder.iterdir()) == []


def test_divergence_ends_the_training_at_once(small, capsys, monkeypatch):
    losses = iter([0.5, float("nan")])
    monkeypatch.setattr(loop.nn.MLP, "train_step", lambda *_: next(losses))
    assert main(["train", "--data", small, "--batch-size", "10"]) == 1
    out, err = capsys.readouterr()
    assert "epoch" not in out and "without dropout diverged in epoch 1: its loss is nan" in err


def test_divergence_that_shows_only_on_the_validation_set(small, capsys, monkeypatch):
    evaluate = loop.evaluate

    def diverged(net, images, part="train", rows=None, *team):
        loss, error = evaluate(net, images, part, rows, *team)
        return (np.inf if len(rows) == 24 else loss), error

    monkeypatch.setattr(loop, "evaluate", diverged)
    assert main(["train", "--data", small, *QUICK, "--quiet"]) == 1
    assert "without dropout diverged in epoch 1: its loss is inf" in one_error_line(
        capsys, silent=True
    )
