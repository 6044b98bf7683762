"""The record of the MNIST runs: two CSV files, of the nets and of their curves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from .results import read_csv, write_csv

NETS, CURVES = "mnist.csv", "mnist-curves.csv"
NET_COLUMNS = ("run", "net", "hidden", "epochs", "test_error", "seconds", "cpu")
CURVE_COLUMNS = ("run", "net", "epoch", "training_loss", "validation_error")

# The curve of a run that trains one net is only drawn. Kept of it are the first epochs, where it is
# steep, and about this many over its whole length.
FIRST = 10
POINTS = 20


class Epoch(NamedTuple):
    """What was measured after an epoch, counted from 1, with dropout off: nats, and a fraction."""

    number: int
    training_loss: float
    validation_error: float | None


@dataclass(frozen=True)
class Net:
    """A trained net: its hidden layers such as "1024-1024", and what was measured of it."""

    hidden: str
    epochs: int
    test_error: float
    seconds: float
    cpu: str
    curve: tuple[Epoch, ...]


# A run trains one net or a pair: "without" dropout, "with" it, or both.
Run = dict[str, Net]


def from_json(measured: dict[str, Any], cpu: str) -> Run:
    """What to keep of the results that `simdrop train --results` wrote, on this CPU."""
    nets = measured["runs"]
    return {
        name: Net(
            "-".join(map(str, measured["settings"]["hidden"])),
            net["epochs"],
            net["test_error"],
            round(net["seconds"], 1),
            cpu,
            curve(net["history"], thin=len(nets) == 1),
        )
        for name, net in nets.items()
    }


def curve(history: list[dict[str, Any]], thin: bool) -> tuple[Epoch, ...]:
    """The epochs to keep: all, or the first ones and every n-th up to the last."""
    last = len(history)
    step = ceil(last / POINTS) if thin else 1
    return tuple(
        Epoch(number, float(f"{epoch['training_loss']:.4g}"), epoch["validation_error"])
        for number, epoch in enumerate(history, 1)
        if number <= FIRST or (last - number) % step == 0
    )


def load(folder: Path) -> dict[str, Run]:
    """The runs by name; none if there are no files yet."""
    if not (folder / NETS).exists():
        return {}
    curves: dict[tuple[str, str], list[Epoch]] = defaultdict(list)
    for row in read_csv(folder / CURVES, CURVE_COLUMNS)[1]:
        error = row["validation_error"]
        epoch = Epoch(
            int(row["epoch"]), float(row["training_loss"]), float(error) if error else None
        )
        curves[row["run"], row["net"]].append(epoch)
    runs: dict[str, Run] = {}
    for row in read_csv(folder / NETS, NET_COLUMNS)[1]:
        name, net = row["run"], row["net"]
        if (name, net) not in curves:
            raise ValueError(f"{folder / CURVES} has no curve of {name}, {net}")
        runs.setdefault(name, {})[net] = Net(
            row["hidden"],
            int(row["epochs"]),
            float(row["test_error"]),
            float(row["seconds"]),
            row["cpu"],
            tuple(curves[name, net]),
        )
    return runs


def save(folder: Path, runs: dict[str, Run]) -> None:
    """Write the runs: the curves first, so that a run in `NETS` is complete."""
    nets, epochs = [], []
    for run in sorted(runs):
        for name, net in runs[run].items():
            key = {"run": run, "net": name}
            nets.append(key | {column: getattr(net, column) for column in NET_COLUMNS[2:]})
            epochs += [key | dict(zip(CURVE_COLUMNS[2:], one, strict=True)) for one in net.curve]
    write_csv(folder / CURVES, CURVE_COLUMNS, epochs)
    write_csv(folder / NETS, NET_COLUMNS, nets)
