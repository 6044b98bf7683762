"""`simdrop train`, from its options to its picture: data -> loop -> progress -> report -> plot."""

import argparse
from contextlib import nullcontext
from typing import Any

import numpy as np

from . import checkpoint, loop, plot, progress, report
from .data import load
from .errors import InputError
from .files import check_writable
from .options import SEEDS, Every, option, settings_from, source
from .ranks import ALONE, Alone


def run(options: argparse.Namespace, team: Alone = ALONE) -> None:
    """Train both nets, print the table and draw the curves.

    Parameters
    ----------
    options : argparse.Namespace
        What `options.add_train_options` defines.
    team : Alone or Ranks
        Who trains. Of several ranks the first one reads and writes all files but the data.

    Raises
    ------
    InputError
        Before training, if anything the user gave cannot be used.
    DivergedError
        If a loss becomes infinite or NaN; no picture is drawn.
    Interrupted
        If a signal ended a training with checkpoints.
    UnsavedError
        If the last checkpoint could not be written; everything else is done.
    RanksError
        If ranks do not have the same data or weights.
    """
    settings = settings_from(options)
    seeds = options.seeds or SEEDS["digits" if options.data is None else "data"]
    found = team.from_first(lambda: _check_files(options))
    with team.together():
        data = load(**source(options))
        trials = loop.make_trials(data, settings, seeds)
    batches = loop.batches_an_epoch(trials[0].rows, settings)
    steps = settings.epochs * batches  # of one net
    about: dict[str, Any] = {}
    if options.checkpoint or team.size > 1:
        about = checkpoint.describe(data, settings)
        team.check_equal("data", about)
    runs = tuple(one for trial in trials for one in trial.runs)
    note = ""
    if found:
        note = team.from_first(
            lambda: checkpoint.resume(options.checkpoint, trials, about, batches)
        )
        team.share(runs)

    title = report.title(data, settings)
    display = progress.Display(
        title,
        lambda: progress.training_table(trials, settings.epochs, steps, data.task),
        total=len(runs) * steps,
        done=sum(one.batches for one in runs),
        quiet=options.quiet,
    )
    saver = None
    if options.checkpoint:
        every = options.checkpoint_every or Every(seconds=60)
        saver = checkpoint.Saver(options.checkpoint, every, trials, about, display.warn, team)
        team.from_first(saver.begin)  # if it cannot be written, the user learns that now
        if options.resume and not options.quiet:
            print(_where(options, runs, settings.epochs, found) + note, flush=True)
    # An overflow makes the loss NaN or infinite, which is reported once, as DivergedError.
    with np.errstate(all="ignore"):
        with display, saver.watching() if saver else nullcontext():
            if not options.quiet:
                report.print_notes(data)
            for one, epoch_ended in loop.train_all(trials, data, team):
                line = ""
                if epoch_ended:
                    line = progress.epoch_line(one, trials, settings.epochs, data.task)
                display.show(sum(each.batches for each in runs), line)
                if saver:
                    saver.step()
        results = [
            [
                report.measure(one, data, trial.rows, team)
                for trial, one in zip(trials, each, strict=True)
            ]
            for each in zip(*(trial.runs for trial in trials), strict=True)
        ]

    def finish() -> None:
        report.print_report(results, data, trials[0].rows)
        if options.results:
            report.save(options.results, results, data, settings)
        plot.save(plot.curves(results, title, data.task), options.out)
        print(f"Curves: {str(options.out)!r}", flush=True)
        if saver:
            saver.finish()

    team.from_first(finish)


def _check_files(options: argparse.Namespace) -> bool:
    """Whether there is a checkpoint to resume, once all files are known to be writable."""
    plot.check_path(options.out)
    if options.results:
        check_writable("--results", options.results)
    return _find_checkpoint(options)


def _find_checkpoint(options: argparse.Namespace) -> bool:
    """Whether there is a checkpoint to resume."""
    if options.checkpoint:
        return checkpoint.find(options.checkpoint, options.resume)
    for name in ("resume", "checkpoint_every"):
        if getattr(options, name):
            raise InputError(f"{option(name)} without --checkpoint; wanted the checkpoint's file")
    return False


def _where(
    options: argparse.Namespace, runs: tuple[loop.Run, ...], epochs: int, found: bool
) -> str:
    """Where the training starts."""
    name = repr(str(options.checkpoint))
    if not found:
        return f"No checkpoint {name}: starting from scratch"
    labels = dict.fromkeys(one.label for one in runs)
    several = len(runs) // len(labels)
    parts = []
    for label in labels:
        done = sum(len(one.history) for one in runs if one.label == label)
        seeds = f" of {several} seeds" if several > 1 else ""
        parts.append(f"{done} of {epochs * several} epochs{seeds} {label}")
    return f"Resuming from {name}: {', '.join(parts)} are done"
