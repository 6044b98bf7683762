"""`simdrop train`, all of it in order: sources -> data -> loop -> progress -> report -> plot."""

import argparse

import numpy as np

from . import checkpoint, data, loop, plot, progress, report, results, sources
from .errors import InputError, writing
from .options import Every, settings_from


def run(options: argparse.Namespace) -> None:
    """Train both nets, print the table and write the plot.

    Parameters
    ----------
    options : argparse.Namespace
        What `options.add_options` defines.

    Raises
    ------
    InputError
        Before training, if anything the user gave cannot be used.
    DivergedError
        If a loss becomes infinite or NaN; no plot is written.
    Interrupted
        If a signal ended a training with checkpoints.
    UnsavedError
        If the last checkpoint could not be written; all else is done.
    """
    settings = settings_from(options)
    plot.check_path(options.out)
    if options.results:
        results.check_path(options.results)
    found = _find_checkpoint(options)
    images = sources.load(options.data)
    rows = data.hold_out(images, settings.validation, settings.seed)
    runs = loop.make_runs(images, settings)

    title = report.title(images, settings)
    steps = loop.batches_an_epoch(rows, settings)
    saver = checkpoint.Silent()
    if options.checkpoint:
        about = checkpoint.describe(images, settings)
        if found:
            checkpoint.resume(options.checkpoint, runs, about, steps)
    display = progress.choose(
        runs, title, settings.epochs, settings.epochs * steps, quiet=options.quiet
    )
    if options.checkpoint:
        every = options.checkpoint_every or Every(seconds=60)
        saver = checkpoint.Saver(options.checkpoint, every, runs, about, display.warn)
        with writing("--checkpoint", options.checkpoint):
            saver.save()  # what cannot be written is best known now
        if options.resume and not options.quiet:
            print(_where(options, runs, settings.epochs, found), flush=True)
    # An overflow makes the loss nan or infinite, which is reported once, as DivergedError.
    with np.errstate(all="ignore"):
        with display, saver.watching():
            for one, epoch_ended in loop.train(runs, images, rows, settings):
                display.show(one, epoch_ended)
                saver.step()
        measured = [report.measure(one, images, rows) for one in runs]

    report.print_report(measured, images, rows)
    if options.results:
        results.save(options.results, measured, images, settings)
    plot.save(plot.draw(measured, title), options.out)
    print(f"Curves: {str(options.out)!r}", flush=True)
    saver.finish()


def _find_checkpoint(options: argparse.Namespace) -> bool:
    """Whether there is a checkpoint to go on from."""
    if not options.checkpoint:
        for name, value in (
            ("--resume", options.resume),
            ("--checkpoint-every", options.checkpoint_every),
        ):
            if value:
                raise InputError(f"{name} without --checkpoint; wanted the checkpoint's file")
        return False
    return checkpoint.check_path(options.checkpoint, options.resume)


def _where(
    options: argparse.Namespace, runs: tuple[loop.Run, ...], epochs: int, found: bool
) -> str:
    name = repr(str(options.checkpoint))
    if not found:
        return f"No checkpoint {name}: starting anew"
    done = ", ".join(f"{len(one.history)} of {epochs} epochs {one.label}" for one in runs)
    return f"Going on from {name}: {done} are done"
