"""The training loop: nets that differ only in dropout take turns, an epoch each."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import nn
from .data import Data, Rows, hold_out
from .errors import DivergedError
from .options import Settings
from .ranks import ALONE, Alone
from .tasks import CLASSIFICATION

EVALUATED = 10_000  # training examples, at most, on which the training curves are measured
CHUNK = 2_000  # examples evaluated at a time, which bounds the memory


@dataclass(frozen=True)
class Epoch:
    """What was measured after an epoch, with dropout off: losses, and errors of the task."""

    training_loss: float
    training_error: float
    validation_loss: float | None  # None without a validation set
    validation_error: float | None
    seconds: float  # of the training alone


@dataclass
class Run:
    """A net in training: its measurements so far, and its position in the current epoch."""

    label: str  # the first word is its name in --only
    net: nn.MLP
    optimizer: nn.Optimizer
    seed: int
    history: list[Epoch] = field(default_factory=list)
    batches: int = 0  # done since the start of the training
    seconds: float = 0.0  # spent training in the current epoch

    @property
    def name(self) -> str:
        """ "without" or "with"."""
        return self.label.split()[0]

    @property
    def key(self) -> str:
        """What it is called in a checkpoint with several seeds."""
        return f"{self.name}-{self.seed}"

    @property
    def seconds_an_epoch(self) -> float:
        """The median over the epochs, which one slow epoch does not change."""
        return float(np.median([epoch.seconds for epoch in self.history]))


@dataclass(frozen=True)
class Trial:
    """The nets that are trained with one seed, and the rows that it holds out."""

    settings: Settings
    rows: Rows
    runs: tuple[Run, ...]


def make_trials(data: Data, settings: Settings, seeds: int) -> tuple[Trial, ...]:
    """A trial for each of so many seeds, from that of the settings on."""
    trials = []
    for seed in range(settings.seed, settings.seed + seeds):
        chosen = replace(settings, seed=seed)
        rows = hold_out(data, settings.validation, seed)
        trials.append(Trial(chosen, rows, make_runs(data, chosen)))
    return tuple(trials)


def make_runs(data: Data, settings: Settings) -> tuple[Run, ...]:
    """The net without and with dropout, or the one that `settings.only` names.

    Both start from the same seed and so with the same weights; the data give the numbers of inputs
    and outputs.
    """
    sizes = (data.x_train.shape[1], *settings.hidden, data.outputs)

    def run(label: str, p: float, p_input: float) -> Run:
        net = nn.MLP(
            sizes,
            activation=settings.activation,
            p=p,
            p_input=p_input,
            dropout=settings.dropout,
            loss=data.task.loss,
            activity_l1=settings.activity_l1,
            rng=settings.seed,
        )
        return Run(label, net, _optimizer(net, settings), settings.seed)

    runs = []
    if settings.only != "with":
        runs.append(run("without dropout", 0.0, 0.0))
    if settings.only != "without":
        runs.append(run("with dropout", settings.p, settings.p_input))
    return tuple(runs)


def _optimizer(net: nn.MLP, settings: Settings) -> nn.Optimizer:
    regularization: dict[str, Any] = {
        name: getattr(settings, name) for name in ("l2", "l1", "max_norm")
    }
    if settings.optimizer == "adam":
        return nn.Adam(net.parameters(), settings.lr, **regularization)
    return nn.SGD(
        net.parameters(),
        settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        **regularization,
    )


def train_all(
    trials: tuple[Trial, ...], data: Data, team: Alone = ALONE
) -> Iterator[tuple[Run, bool]]:
    """`train` with one seed after the other."""
    for trial in trials:
        yield from train(trial.runs, data, trial.rows, trial.settings, team)


def train(
    runs: tuple[Run, ...], data: Data, rows: Rows, settings: Settings, team: Alone = ALONE
) -> Iterator[tuple[Run, bool]]:
    """Train all nets on the same batches in the same order, starting from their current positions.

    The learning rate is `settings.lr` in the first epoch; with `settings.lr_schedule` "linear" it
    falls to zero after the last. At each yield `runs` holds the whole state of the training, and
    can be saved. Each of several ranks computes its rows of each batch, and yields the same.

    Yields
    ------
    run : Run
        The one that has just trained on a batch or completed an epoch.
    epoch_ended : bool
        If true, `run.history` has a new last entry.

    Raises
    ------
    DivergedError
        As soon as a loss is infinite or NaN.
    RanksError
        If the weights of two ranks differ after an epoch.
    """
    shuffle = np.random.default_rng([settings.seed, 1])
    sample = rows.train[:EVALUATED]
    for epoch in range(settings.epochs):
        # Of nearly equal size: the noisy gradient of a tiny last batch would undo others' progress.
        batches = np.array_split(shuffle.permutation(rows.train), batches_an_epoch(rows, settings))
        for run in runs:
            if len(run.history) > epoch:  # before the checkpoint
                continue
            falls = settings.lr_schedule == "linear"
            run.optimizer.lr = settings.lr * (1 - falls * epoch / settings.epochs)
            run.net.train()
            for batch in batches[run.batches - epoch * len(batches) :]:
                began = time.perf_counter()
                own = batch[team.rows(len(batch))]
                x, y = data.x_train[own], data.y_train[own]
                loss = team.train_step(run.net, x, y, run.optimizer, len(batch))
                run.seconds += time.perf_counter() - began
                _check_loss(loss, run, epoch, data)
                run.batches += 1
                yield run, False
            team.check_weights(run.net)
            training = evaluate(run.net, data, "train", sample, team)
            validation: tuple[float | None, float | None] = None, None
            if len(rows.validation):
                validation = evaluate(run.net, data, "train", rows.validation, team)
            run.history.append(Epoch(*training, *validation, seconds=run.seconds))
            run.seconds = 0.0
            for mean in (training[0], validation[0]):
                if mean is not None:
                    _check_loss(mean, run, epoch, data)
            yield run, True


def batches_an_epoch(rows: Rows, settings: Settings) -> int:
    """The number of batches in an epoch, none of them larger than `settings.batch_size`."""
    return -(-len(rows.train) // settings.batch_size)


def evaluate(
    net: nn.MLP,
    data: Data,
    part: str = "train",
    rows: NDArray[np.intp] | None = None,
    team: Alone = ALONE,
) -> tuple[float, float]:
    """The mean loss, and the error: the fraction of examples that are misclassified, or the root
    mean square error in the target's unit.

    Dropout is off, and the net is left in evaluation mode. `part` is "train" or "test", and `rows`
    are those of it to measure on, by default all. Each of several ranks measures some of them.
    """
    net.eval()
    x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
    rows = np.arange(len(y)) if rows is None else rows
    own = rows[team.rows(len(rows))]
    loss, wrong = 0.0, 0.0
    for start in range(0, len(own), CHUNK):
        chunk = own[start : start + CHUNK]
        output, target = net(x[chunk]), y[chunk]
        loss += net.criterion.fn(output, target) * len(chunk)
        predicted = net.criterion.predict(output)
        if data.task is CLASSIFICATION:
            wrong += float(np.count_nonzero(predicted != target))
        else:
            apart = (predicted.astype(np.float64) - target) * data.signature.target_scaling.divisor
            wrong += float((apart**2).mean(axis=1).sum())
    loss, wrong = team.sums(loss, wrong)
    mean = wrong / len(rows)
    return loss / len(rows), mean if data.task is CLASSIFICATION else math.sqrt(mean)


def advice(data: Data) -> str:
    """What to do when a loss diverges."""
    rate = "a smaller --lr (or --momentum), or --max-norm, helps"
    scaling = data.signature.scaling.kind
    if scaling == "standard":
        return rate
    least, most = data.signature.span
    return (
        f"its inputs reach from {least:g} to {most:g} (--scale {scaling}): try --scale "
        f"standard; else {rate}"
    )


def _check_loss(loss: float, run: Run, epoch: int, data: Data) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the net {run.label} diverged in epoch {epoch + 1}: its loss is {loss}; {advice(data)}"
        )
