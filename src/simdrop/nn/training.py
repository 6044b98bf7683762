"""The loop of `Network.fit`: epochs of batches, what is measured after each, and its display."""

from __future__ import annotations

import math
import operator
import time
import warnings
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from simdrop import _html
from simdrop._core.bitgenerator import BitGenerator
from simdrop._core.stream import Stream
from simdrop._progress import Display, clock

from .checks import checked_rows, dense, shares
from .history import Epoch, History, written
from .losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from .optimizers import Adam, Optimizer
from .parameter import Array

if TYPE_CHECKING:
    from simdrop._core.stream import Rng

    from .network import Network

Callback = Callable[[History], object]
Validation = float | tuple[ArrayLike, ArrayLike] | None

CHUNK = 2048  # rows measured at a time, so that memory is bounded
MOST_LINES = 20  # of a display that cannot stay in place
LARGE = 100  # inputs and targets from which on an error suggests to scale them


class Samples(NamedTuple):
    """Rows of x, with their targets and weights; which of them are meant."""

    x: Any  # ndarray or a sparse array of rows
    y: Array
    weight: Array | None
    rows: Array

    def take(self, rows: Array) -> tuple[Any, Array, Array | None]:
        """x, y and the weights of some of the rows."""
        return self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows]

    def share(self, rows: Array) -> float:
        """What some of the rows weigh."""
        return len(rows) if self.weight is None else float(self.weight[rows].sum())


def fit(
    net: Network,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    batch_size: int,
    optimizer: Optimizer | None,
    validation: Validation,
    callback: Callback | None,
    sample_weight: ArrayLike | None,
    rng: Rng,
    progress: bool,
) -> History:
    """`Network.fit`, whose docstring says what this does."""
    epochs = _positive("epochs", epochs)
    batch_size = _positive("batch_size", batch_size)
    optimizer = _checked_optimizer(net, optimizer)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, not {type(callback).__name__}")
    training = _samples(net, x, y, sample_weight)
    held_out = _held_out(net, validation, len(training.rows))
    shuffle = np.random.Generator(BitGenerator(Stream(rng)))
    if isinstance(held_out, int):
        training, held_out = _split(training, held_out, shuffle)

    history = net.history = History(optimizer)
    batches = -(-len(training.rows) // batch_size)
    watch = _Watch(net, history, epochs, batches, len(training.rows), progress)
    try:
        with watch.display:
            for _ in range(epochs):
                began = time.perf_counter()
                # What is not finite is reported once, as an error.
                with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                    loss = _train(net.train(), training, optimizer, batches, shuffle, watch)
                    net.eval()
                    measured = _measure(net, held_out, len(history) + 1)
                history._add(Epoch(loss, *measured, time.perf_counter() - began))
                watch.epoch_ended()
                if callback is not None and _is_true(callback(history)):
                    history.stopped = "callback"
                    break
            watch.training_ended()
    except KeyboardInterrupt:
        history.stopped = "interrupted"
        warnings.warn(
            f"training was interrupted after {len(history)} of {epochs} epochs", stacklevel=3
        )
    finally:
        net.eval()
    return history


def _train(
    net: Network,
    samples: Samples,
    optimizer: Optimizer,
    batches: int,
    shuffle: np.random.Generator,
    watch: _Watch,
) -> float:
    """Train on each row once; return the mean of their batches' losses, each before its update."""
    total = 0.0
    # Of nearly equal size: the noisy gradient of a tiny last batch would undo others' progress.
    for rows in np.array_split(shuffle.permutation(samples.rows), batches):
        share = samples.share(rows)
        if share:  # without weight there is no gradient
            batch = samples.take(rows)
            loss = net.loss(*batch)
            if not math.isfinite(loss):
                raise FloatingPointError(_diverged(net, loss, batch, optimizer, watch))
            net.backward()
            optimizer.step()
            net.advance()
            total += share * loss
        watch.batch_ended()
    return total / samples.share(samples.rows)


def _measure(
    net: Network, samples: Samples | None, epoch: int
) -> tuple[float | None, float | None]:
    """The mean loss, and for labels the fraction of wrong ones, in evaluation mode."""
    if samples is None:
        return None, None
    loss, wrong = 0.0, 0.0
    has_labels = net.criterion in (SoftmaxCrossEntropy, BinaryCrossEntropy)
    for start in range(0, len(samples.rows), CHUNK):
        x, y, weight = samples.take(samples.rows[start : start + CHUNK])
        output = net(x)
        weight = np.ones(len(y)) if weight is None else weight
        loss += float(np.dot(weight, net.criterion.each(output, y)))
        if has_labels:
            is_wrong = (net.criterion.predict(output) != y).reshape(len(y), -1)
            wrong += float(np.dot(weight, is_wrong.mean(axis=1)))
    share = samples.share(samples.rows)
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the validation loss is {loss} after epoch {epoch}: are all validation rows finite, "
            "and scaled as those of training?"
        )
    return loss / share, wrong / share if has_labels else None


# --- Arguments ---


def _positive(name: str, value: int) -> int:
    number = operator.index(value)
    if number < 1:
        raise ValueError(f"{name} must be 1 or more, got {value}")
    return number


def _checked_optimizer(net: Network, optimizer: Optimizer | None) -> Optimizer:
    if optimizer is None:
        return Adam(net.parameters())
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an nn.Optimizer or None, not {type(optimizer).__name__}"
        )
    own = {id(parameter) for parameter in net.parameters()}
    if own.isdisjoint(id(parameter) for parameter in optimizer.parameters):
        raise ValueError(
            "optimizer has no parameter of this net, which would learn nothing: make it from "
            "net.parameters(), again for each new net"
        )
    return optimizer


def _samples(
    net: Network, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> Samples:
    """All rows of x and y, checked."""
    rows = checked_rows(x, net.n_in)
    if hasattr(rows, "tocsr"):  # of which rows can be taken
        rows = rows.tocsr()
    target = net._target(rows, y)
    weight = None if sample_weight is None else shares(sample_weight, len(target))
    return Samples(rows, target, weight, np.arange(len(target)))


def _held_out(net: Network, validation: Validation, rows: int) -> Samples | int | None:
    """The validation set that was given, or how many rows of the training set are to be it."""
    if validation is None:
        return None
    if isinstance(validation, Real) and not isinstance(validation, bool):
        if not 0 < validation < 1:
            raise ValueError(
                f"validation = {validation}, but a fraction of the rows must be above 0 and below 1"
            )
        if rows < 2:
            raise ValueError(f"validation = {validation} of {rows} row leaves none to train on")
        return min(max(round(float(validation) * rows), 1), rows - 1)
    if not (isinstance(validation, (tuple, list)) and len(validation) == 2):
        given = f"{type(validation).__name__}"
        if isinstance(validation, (tuple, list)):
            given += f" of {len(validation)}"
        raise TypeError(f"validation must be None, a fraction or a pair (x, y), not a {given}")
    try:
        return _samples(net, *validation)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation: {error}") from None


def _split(samples: Samples, held_out: int, shuffle: np.random.Generator) -> tuple[Samples, ...]:
    """Rows to train on, and so many others, at random."""
    order = shuffle.permutation(samples.rows)
    parts = samples._replace(rows=order[held_out:]), samples._replace(rows=order[:held_out])
    for name, part in zip(("training", "validation"), parts, strict=True):
        if part.share(part.rows) == 0:
            raise ValueError(f"sample_weight is zero for all rows that are left for {name}")
    return parts


def _is_true(value: object) -> bool:
    """Not of any value that is true in Python: a callback may be a lambda that returns a number."""
    return isinstance(value, (bool, np.bool_)) and bool(value)


# --- What the user sees ---


def _step(epochs: int) -> int:
    """From one epoch with a line to the next: 1, 2, 5, 10, and so on."""
    return next(
        step * 10**power
        for power in range(len(str(epochs)))
        for step in (1, 2, 5)
        if step * 10**power * MOST_LINES >= epochs
    )


def _diverged(
    net: Network,
    loss: float,
    batch: tuple[Any, Array, Array | None],
    optimizer: Optimizer,
    watch: _Watch,
) -> str:
    """What an error says of a loss that is not finite: the likely causes, and what is left."""
    x, y, _ = batch
    causes = []
    finite = True
    for name, array in (("x", dense(x, net.dtype)), ("y", np.asarray(y, np.float64))):
        largest = np.abs(array).max(initial=0)
        if not math.isfinite(largest):
            finite = False
            causes.append(f"{name} has elements that are not finite in {net.dtype}")
        elif largest > LARGE and (name == "x" or net.criterion is not SoftmaxCrossEntropy):
            causes.append(f"{name} reaches {largest:.3g}: scale it, say to mean 0 and deviation 1")
    if not causes:
        causes.append("inputs that are not scaled, say to mean 0 and deviation 1, are one cause")
    if finite:
        causes.append(f"a learning rate below lr={optimizer.lr:g}, or max_norm, may help, too")
    return (
        f"the loss is {loss} in epoch {len(watch.history) + 1}, batch {watch.batch + 1} of "
        f"{watch.batches}: {'; '.join(causes)}. The net is as it was before this batch, and "
        "net.history has the epochs before"
    )


class _Watch:
    """Counts batches, and has the state of the training shown."""

    def __init__(
        self, net: Network, history: History, epochs: int, batches: int, rows: int, progress: bool
    ) -> None:
        self.history, self.epochs, self.batches = history, epochs, batches
        self.batch = 0  # of this epoch
        self.shown_at = time.monotonic()
        self.shown = 0  # the latest epoch with a line of its own
        self.display = Display(
            f"{net!r}: {rows:,} row{'s' * (rows != 1)} in {batches:,} batch{'es' * (batches != 1)}",
            self.picture,
            total=epochs * batches,
            quiet=not progress,
            html=self.html,
        )

    def batch_ended(self) -> None:
        self.batch += 1
        self.display.show(self.display.done + 1)

    def epoch_ended(self) -> None:
        """Show a line for the first and the last epoch, and at most `MOST_LINES` others, unless
        each takes a minute."""
        self.batch = 0
        number, every = len(self.history), _step(self.epochs)
        slow = time.monotonic() - self.shown_at >= 60
        due = number in (1, self.epochs) or number % every == 0 or slow
        self.display.show(self.display.done, self.line() if due else "")
        if due:
            self.shown, self.shown_at = number, time.monotonic()

    def training_ended(self) -> None:
        """Show the last epoch, of a training that a callback has ended, too."""
        self.display.total = self.display.done
        if self.shown < len(self.history):
            self.display.show(self.display.done, self.line())

    def line(self) -> str:
        """The number of epochs, and what the last one came to."""
        number = f"epoch {len(self.history):{len(str(self.epochs))}}/{self.epochs}"
        return f"{number}, {written(self.history[-1])}" if self.history else number

    def picture(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        rows = Table.grid()
        rows.add_row(ProgressBar(self.display.total, self.display.done, width=40))
        rows.add_row(self.line())
        return rows

    def html(self) -> str:
        display = self.display
        state = display.state()
        if state == "done":
            state = f"done in {clock(time.monotonic() - display.began)}"
        return _html.progress(
            display.title, display.done, display.total, [f"{self.line()}, {state}"]
        )
