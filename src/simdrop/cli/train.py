"""`simdrop train`, from its options to its picture: data -> loop -> progress -> report -> plot."""

import argparse
from contextlib import nullcontext
from typing import Any

import numpy as np

from . import checkpoint, loop, plot, progress, report
from .data import hold_out, load
from .errors import InputError
from .files import check_writable
from .options import Every, option, settings_from
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
    found = team.from_first(lambda: _check_files(options))
    with team.together():
        data = load(options.data)
        rows = hold_out(data, settings.validation, settings.seed)
        runs = loop.make_runs(data, settings)
    batches = loop.batches_an_epoch(rows, settings)
    steps = settings.epochs * batches  # of one net
    about: dict[str, Any] = {}
    if options.checkpoint or team.size > 1:
        about = checkpoint.describe(data, settings)
        team.check_equal("data", about)
    if found:
        team.from_first(lambda: checkpoint.resume(options.checkpoint, runs, about, batches))
        team.share(runs)

    title = report.title(data, settings)
    display = progress.Display(
        title,
        lambda: progress.training_table(runs, settings.epochs, steps),
        total=len(runs) * steps,
        done=sum(one.batches for one in runs),
        quiet=options.quiet,
    )
    saver = None
    if options.checkpoint:
        every = options.checkpoint_every or Every(seconds=60)
        saver = checkpoint.Saver(options.checkpoint, every, runs, about, display.warn, team)
        team.from_first(saver.begin)  # if it cannot be written, the user learns that now
        if options.resume and not options.quiet:
            print(_where(options, runs, settings.epochs, found), flush=True)
    # An overflow makes the loss NaN or infinite, which is reported once, as DivergedError.
    with np.errstate(all="ignore"):
        with display, saver.watching() if saver else nullcontext():
            for one, epoch_ended in loop.train(runs, data, rows, settings, team):
                line = progress.epoch_line(one, settings.epochs) if epoch_ended else ""
                display.show(sum(each.batches for each in runs), line)
                if saver:
                    saver.step()
        results = [report.measure(one, data, rows, team) for one in runs]

    def finish() -> None:
        report.print_report(results, data, rows)
        if options.results:
            report.save(options.results, results, data, settings)
        plot.save(plot.curves(results, title), options.out)
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
    done = ", ".join(f"{len(one.history)} of {epochs} epochs {one.label}" for one in runs)
    return f"Resuming from {name}: {done} are done"
