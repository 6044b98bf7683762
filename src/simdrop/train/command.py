"""`simdrop train`, all of it in order: sources -> data -> loop -> progress -> report -> picture."""

import argparse
from dataclasses import fields

import numpy as np

from . import data, loop, picture, progress, report, sources
from .errors import InputError
from .options import EPOCHS


def run(options: argparse.Namespace) -> None:
    """Train both nets, print the table and write the picture.

    Parameters
    ----------
    options : argparse.Namespace
        What `options.add_options` defines.

    Raises
    ------
    InputError
        Before training, if anything the user gave cannot be used.
    DivergedError
        If a loss becomes infinite or NaN; no picture is written.
    """
    settings = settings_from(options)
    picture.check_path(options.out)
    images = sources.load(options.data)
    rows = data.hold_out(images, settings.validation, settings.seed)
    runs = loop.make_runs(images, settings)

    title = report.title(images, settings)
    steps = settings.epochs * loop.batches_an_epoch(rows, settings)
    # An overflow makes the loss nan or infinite, which is reported once, as DivergedError.
    with np.errstate(all="ignore"):
        with progress.choose(runs, title, settings.epochs, steps, quiet=options.quiet) as display:
            for run, epoch_ended in loop.train(runs, images, rows, settings):
                display.show(run, epoch_ended)
        results = [report.measure(run, images, rows) for run in runs]

    report.print_table(results, images, rows)
    picture.save(picture.draw(results, title), options.out)
    print(f"Curves: {str(options.out)!r}", flush=True)


def settings_from(options: argparse.Namespace) -> loop.Settings:
    """The settings among the options, with the default number of epochs for the data given.

    Parameters
    ----------
    options : argparse.Namespace

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        If two options contradict each other.
    """
    if options.nesterov and options.momentum == 0:
        raise InputError("--nesterov with --momentum 0; wanted a momentum above 0")
    values = {field.name: getattr(options, field.name) for field in fields(loop.Settings)}
    if options.epochs is None:
        values["epochs"] = EPOCHS["digits" if options.data is None else "data"]
    return loop.Settings(**values)
