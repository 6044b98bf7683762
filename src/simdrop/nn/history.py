"""What training came to, epoch by epoch: the record that `Network.fit` returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from simdrop import _html

from .optimizers import Optimizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's, as of `simdrop train`: distinct to all eyes.
COLOURS = {"training": "#D55E00", "validation": "#0072B2"}
WIDE_RANGE = 20  # largest / smallest loss, from which on the axis is logarithmic


class Epoch(NamedTuple):
    """What was measured in an epoch, as the attributes of `History` say."""

    loss: float
    validation_loss: float | None
    validation_error: float | None
    seconds: float


class History(Sequence[Epoch]):
    """The record of a training, an entry for each epoch; `Network.fit` makes and fills it.

    ``history[-1]`` is the last epoch, with the quantities below as attributes. In a notebook it is
    shown as a table.

    Attributes
    ----------
    loss : list of float
        The training loss of each epoch: the mean over its rows, each taken from the loss of its
        batch, in training mode and before the update.
    validation_loss : list of float or None
        The mean loss of the validation rows after each epoch, in evaluation mode; None without
        validation.
    validation_error : list of float or None
        The fraction, 0 to 1, of their labels that are predicted wrongly; None without validation,
        or if the net's loss is not for labels.
    seconds : list of float
        How long each epoch took, with validation and without the callback.
    stopped : str or None
        Why training ended before the last epoch: "callback" or "interrupted"; else None.
    optimizer : Optimizer or None
        Give it to `fit` to go on as if training had not stopped. None in copies and pickles of the
        history: to save it, `simdrop.nn.save` takes the net and the optimizer.
    """

    optimizer: Optimizer | None
    stopped: str | None

    def __init__(self, optimizer: Optimizer | None = None) -> None:
        self.optimizer, self.stopped = optimizer, None
        self._epochs: list[Epoch] = []

    @property
    def loss(self) -> list[float]:
        return [epoch.loss for epoch in self]

    @property
    def validation_loss(self) -> list[float] | None:
        return self._measured("validation_loss")

    @property
    def validation_error(self) -> list[float] | None:
        return self._measured("validation_error")

    @property
    def seconds(self) -> list[float]:
        return [epoch.seconds for epoch in self]

    def __len__(self) -> int:
        return len(self._epochs)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | list[Epoch]:
        return self._epochs[index]

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self._epochs)

    def plot(self, ax: Any = None) -> tuple[Axes, ...]:
        """Draw the losses over the epochs, and beside them the validation error if there is one.

        Parameters
        ----------
        ax : matplotlib Axes, or two of them, optional
            Where to draw: the losses on the first, the error on the second. On one alone the error
            is left out. By default they are of a new figure of ``matplotlib.pyplot``.

        Returns
        -------
        tuple of Axes
            Those drawn on; ``axes[0].figure.savefig(path)`` saves the picture.

        Raises
        ------
        ImportError
            Without Matplotlib, which ``pip install 'simdrop[train]'`` installs.
        ValueError
            If there are no epochs, or more than two `ax`.
        """
        try:
            import matplotlib.pyplot as plt
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError(
                "History.plot needs Matplotlib: pip install 'simdrop[train]'"
            ) from error
        if not self._epochs:
            raise ValueError("the history has no epochs to plot")
        errors = self.validation_error
        if ax is None:
            panels = 2 if errors else 1
            figure, axes = plt.subplots(
                1, panels, squeeze=False, figsize=(5 * panels, 3.5), layout="constrained"
            )
            ax = axes[0]
        chosen: tuple[Axes, ...] = (ax,) if hasattr(ax, "plot") else tuple(ax)
        if not 1 <= len(chosen) <= 2:
            raise ValueError(f"ax must be one or two Axes, got {len(chosen)}")
        if errors is None:
            chosen = chosen[:1]

        epochs = range(1, len(self) + 1)
        losses = {"training": self.loss, "validation": self.validation_loss}
        for part, values in losses.items():
            if values:
                line = "--" if part == "training" and self.validation_loss else "-"
                chosen[0].plot(epochs, values, line, color=COLOURS[part], label=part)
        every = [loss for values in losses.values() for loss in values or []]
        if 0 < min(every) < max(every) / WIDE_RANGE:
            chosen[0].set_yscale("log")
        chosen[0].set(title="Loss", ylabel="loss")
        chosen[0].legend()
        for panel in chosen[1:]:
            percents = [100 * error for error in errors or []]
            panel.plot(epochs, percents, color=COLOURS["validation"], label="validation")
            panel.set(title="Error", ylabel="wrong labels (%)")
            panel.set_ylim(bottom=0)
            panel.legend()
        for panel in chosen:
            panel.set_xlabel("epochs of training")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
            panel.grid(alpha=0.3)
        return chosen

    def _add(self, epoch: Epoch) -> None:
        self._epochs.append(epoch)

    def _measured(self, name: str) -> list[Any] | None:
        """The values of a quantity; None if it was not measured."""
        values = [getattr(epoch, name) for epoch in self]
        return None if not values or values[0] is None else values

    def __getstate__(self) -> dict[str, Any]:
        """A record, without the optimizer and so without the net."""
        return self.__dict__ | {"optimizer": None}

    def __repr__(self) -> str:
        epochs = f"{len(self)} epoch{'s' * (len(self) != 1)}"
        last = [written(self[-1])] if self else []
        stopped = [f"stopped: {self.stopped}"] if self.stopped else []
        return f"History({', '.join([epochs, *last, *stopped])})"

    def _repr_html_(self) -> str:
        names = ["loss", "validation_loss", "validation_error"]
        shown = [name for name in names if self._measured(name) is not None]
        headings = ["epoch", *(name.replace("_", " ") for name in shown), "seconds"]
        rows = [
            [i, *(_number(name, getattr(epoch, name)) for name in shown), f"{epoch.seconds:.2g}"]
            for i, epoch in enumerate(self, 1)
        ]
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        return _html.table(headings, rows, f"History{stopped}")


def written(epoch: Epoch) -> str:
    """What an epoch came to, in one line."""
    parts = [f"loss {_number('loss', epoch.loss)}"]
    for name in ("validation_loss", "validation_error"):
        value = getattr(epoch, name)
        if value is not None:
            parts.append(f"{name.replace('_', ' ')} {_number(name, value)}")
    return ", ".join(parts)


def _number(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name == "validation_error" else f"{value:.4g}"
