"""docs/benchmarks/mnist.md and its pictures, made from the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from simdrop._files import replacing
from simdrop.cli.options import PRESETS

from .mnist_results import Net, Run
from .picture import PALETTE

NETS = "without", "with"  # dropout: the names of the nets of a pair
CONVERGED = 1.1  # a net has converged at this many times its lowest validation error
LOSSES = 0.1, 0.05, 0.02, 0.01  # nats on training examples, to count the epochs until then
HEAD = """\
# MNIST: dropout and other regularizers

Test errors after the last epoch. The test set was used once, at the end of each run; all settings
are those of the papers or were chosen on 10,000 of the training examples. On these the error of
`mnist-maxnorm` is 1.33 % after 40 epochs, 1.23 % after 110 and 1.21 % after 240: it trains for as
long as an hour and a half on one core allows. (Earlier runs of 120 and 200 epochs had test errors
of 1.13 % and 1.08 %.)
[The command line](/reference/command-line.md#presets) describes the presets.
`.venv/bin/python -m bench.mnist --data mnist.npz` writes this page;
these runs were made on {cpu}. Minutes are those of the training
alone, in the fastest run. All runs are in `bench/results/mnist.csv`, their curves in
`bench/results/mnist-curves.csv`.

"""
ITERATIONS = """
## Iterations to converge

Nets of {hidden} units without and with dropout (`{preset}`), trained at the same constant learning
rate on the same batches. It is often said that dropout "roughly doubles the number of iterations
required to converge"; that depends on what is meant by convergence. Everything is measured with
dropout off and smoothed: the value of an epoch is the median of its own and its two neighbours'.

Epochs until the training loss, in nats, has fallen to a given value; means over {runs} runs:

{losses}
Epochs until the validation error is at most a tenth above the lowest that the net ever reaches:

"""
COLOURS = dict(zip(PRESETS, PALETTE.values(), strict=False))  # of presets that train one net


def write(results: dict[str, list[Run]], path: Path) -> None:
    """The page and its pictures: for presets that train one net, and for those that train two."""
    pairs = {name: runs for name, runs in results.items() if PRESETS[name]["only"] == "both"}
    single = {name: runs for name, runs in results.items() if name not in pairs}
    nets = [net for runs in results.values() for run in runs for net in run.values()]
    text = HEAD.format(cpu=" and ".join(sorted({net.cpu for net in nets})))
    if single:
        picture = path.with_suffix(".png")
        draw(single, picture)
        text += table(single) + f"\n![training losses and test errors]({picture.name})\n"
    for name, runs in pairs.items():
        picture = path.with_name(f"{path.stem}-iterations.png")
        draw_iterations(runs, picture)
        words = {"preset": name, "hidden": hidden_layers(runs), "runs": len(runs)}
        text += ITERATIONS.format(**words, losses=losses(runs)) + iterations(runs)
        text += f"\n![losses and errors after each epoch]({picture.name})\n"
    with replacing(path) as page:
        page.write(text.encode())


def table(results: dict[str, list[Run]]) -> str:
    """A row for each preset."""
    lines = [
        "| preset | hidden layers | mean | min | max | runs | epochs | minutes |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for preset, runs in results.items():
        nets = [the_net(run) for run in runs]
        errors = 100 * np.array([net.test_error for net in nets])
        minutes = min(net.seconds for net in nets) / 60
        columns = [f"`{preset}`", hidden_layers(runs), f"{errors.mean():.3f} %"]
        columns += [f"{error:.2f} %" for error in (errors.min(), errors.max())]
        columns += [str(len(runs)), str(nets[0].epochs), f"{minutes:.1f}"]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join([*lines, ""])


def hidden_layers(runs: list[Run]) -> str:
    """Of all nets of a preset, such as "1024-1024"."""
    return next(iter(runs[0].values())).hidden


def the_net(run: Run) -> Net:
    """The net of a run that trains one."""
    (net,) = run.values()
    return net


def draw(results: dict[str, list[Run]], path: Path) -> None:
    """Mean curves over seeds: the training loss, and test errors of each run at the right."""
    figure = Figure(figsize=(11, 5), dpi=120, layout="constrained")
    loss, error = figure.subplots(1, 2)
    for row, (preset, runs) in enumerate(results.items()):
        nets, colour = [the_net(run) for run in runs], COLOURS[preset]
        curves = np.array([[epoch.training_loss for epoch in net.curve] for net in nets])
        curve = np.maximum(curves.mean(axis=0), 1e-7)
        epochs = [epoch.number for epoch in nets[0].curve]
        loss.plot(epochs, curve, color=colour, label=preset)
        errors = [100 * net.test_error for net in nets]
        error.plot(errors, [row] * len(errors), "o", color=colour, alpha=0.6)
        error.plot(np.mean(errors), row, "|", color=colour, markersize=22, markeredgewidth=2)
    loss.set(yscale="log", xlabel="epochs", ylabel="nats per example", title="Training loss, mean")
    loss.legend(loc="upper right", frameon=False)
    loss.xaxis.set_major_locator(MaxNLocator(integer=True))
    error.set(xlabel="wrongly classified test examples (%)", title="Test error: runs, and mean")
    error.set_yticks(range(len(results)), list(results))
    error.invert_yaxis()
    for axes in (loss, error):
        axes.grid(alpha=0.3)
    with replacing(path) as file:
        figure.savefig(file, format="png")


def losses(runs: list[Run]) -> str:
    """A row for each training loss that both nets of all runs reach: the epochs it took them."""
    lines = ["| training loss | epochs without | with | ratio |", "|--:|--:|--:|--:|"]
    for limit in LOSSES:
        epochs = [
            [first_at_most(smoothed(run, name, "training_loss"), limit) for run in runs]
            for name in NETS
        ]
        if not any(None in of_net for of_net in epochs):
            without, with_ = np.mean(np.array(epochs, dtype=float), axis=1)
            lines.append(f"| {limit} | {without:.1f} | {with_:.1f} | {with_ / without:.1f} |")
    return "\n".join([*lines, ""])


def iterations(runs: list[Run]) -> str:
    """A row for each run: how long its two nets took to converge."""
    lines = [
        "| seed | lowest error without | with | epochs to converge without | with | ratio | "
        "epochs with, to the lowest error without |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    ratios = []
    for seed, run in enumerate(runs):
        without, with_ = (smoothed(run, name, "validation_error") for name in NETS)
        lowest, epochs = (without.min(), with_.min()), (converged(without), converged(with_))
        ratios.append(epochs[1] / epochs[0])
        cells = [seed, *(f"{100 * error:.2f} %" for error in lowest), *epochs]
        cells += [f"{ratios[-1]:.1f}", first_at_most(with_, lowest[0]) or "not reached"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", f"Mean ratio: {np.mean(ratios):.1f}.", ""])


def smoothed(run: Run, name: str, what: str) -> np.ndarray:
    """After each epoch, the median of it and its neighbours, so that a lucky epoch is ignored."""
    values = [getattr(epoch, what) for epoch in run[name].curve]
    padded = np.pad(values, 1, mode="edge")
    return np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0)


def converged(errors: np.ndarray) -> int:
    """The first epoch, from 1, with nearly the lowest of these errors."""
    epoch = first_at_most(errors, CONVERGED * errors.min())
    assert epoch is not None
    return epoch


def first_at_most(errors: np.ndarray, limit: float) -> int | None:
    """The first epoch, from 1, with at most this error; None if there is none."""
    reached = np.flatnonzero(errors <= limit)
    return int(reached[0]) + 1 if len(reached) else None


def draw_iterations(runs: list[Run], path: Path) -> None:
    """Training losses and validation errors over the epochs, without and with dropout, by run."""
    figure = Figure(figsize=(11, 4.5), dpi=120, layout="constrained")
    loss, error = figure.subplots(1, 2)
    for name, colour in zip(NETS, (PALETTE["red"], PALETTE["blue"]), strict=True):
        for index, run in enumerate(runs):
            label = f"{name} dropout" if index == 0 else None
            training = smoothed(run, name, "training_loss")
            errors = 100 * smoothed(run, name, "validation_error")
            epochs, reached = np.arange(1, len(errors) + 1), converged(errors)
            loss.plot(epochs, training, color=colour, label=label)
            error.plot(epochs, errors, color=colour, label=label)
            error.plot(reached, errors[reached - 1], "o", color=colour)
    loss.set(ylabel="nats per example", title="Training loss")
    error.set(ylabel="wrongly classified (%)", title="Validation error; points: converged")
    for axes in (loss, error):
        axes.set(yscale="log", xlabel="epochs")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3, which="both")
        axes.legend(loc="upper right", frameon=False)
    error.yaxis.set_minor_formatter(ScalarFormatter())
    with replacing(path) as file:
        figure.savefig(file, format="png")
