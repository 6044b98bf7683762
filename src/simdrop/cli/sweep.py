"""`simdrop sweep`: probabilities of dropping, compared by cross-validation on the training set."""

import argparse
import errno
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from .. import _schema
from .._files import check, replacing
from .._terminal import fitted
from . import checkpoint, grid, loop, plot, report, sources, tables
from .data import Data, Rows
from .errors import DivergedError, InputError, UnsavedError, writing
from .options import settings_from

VERSION = 2

HEAD = _schema.fields(
    **{"simdrop sweep": _schema.count},
    settings=_schema.mapping(_schema.anything),
    data=_schema.mapping(_schema.text),
)
RECORD = _schema.fields(
    p=_schema.fraction,
    p_input=_schema.fraction,
    fold=_schema.count,
    error=_schema.optional(_schema.fraction),
    loss=_schema.optional(_schema.from_zero),
    seconds=_schema.from_zero,
)


def run(options: argparse.Namespace) -> None:
    """Train what the results file does not have yet, print the table and draw the heat map.

    Parameters
    ----------
    options : argparse.Namespace
        What `options.add_sweep_options` defines.

    Raises
    ------
    InputError
        Before training, if anything the user gave cannot be used.
    UnsavedError
        If a result cannot be written; those before are in the file.
    """
    ps, p_inputs = options.ps, options.p_inputs
    settings_from(options)
    plot.check_path(options.out)
    images = sources.load(options.data)
    examples = len(images.y_train)
    if options.folds > examples:
        raise InputError(f"--folds {options.folds} of {examples} training examples; wanted fewer")
    cells = [(p, p_input) for p in ps for p_input in p_inputs]
    about = _about(options, images)
    done = load(options.results, about)

    fixed = {"only": "without", "validation": 0.0}
    title = report.title(images, settings_from(options, **fixed)) + f", {options.folds} folds"
    errors = {
        cell: [done[cell][fold] for fold in range(options.folds) if fold in done.get(cell, {})]
        for cell in cells
    }
    # Fold after fold, so that an interrupted sweep can compare all cells.
    missing = [
        (fold, cell)
        for fold in range(options.folds)
        for cell in cells
        if fold not in done.get(cell, {})
    ]
    began = time.monotonic()
    with grid.Display(title, _kind(options.quiet), ps, p_inputs) as display:
        for number, (fold, cell) in enumerate(missing, start=1):
            record = train_one(images, options, cell, fold)
            append(options.results, record)
            errors[cell].append(record["error"])
            seconds = round((time.monotonic() - began) / number * (len(missing) - number))
            shown = (
                "diverged" if record["error"] is None else f"error {100 * record['error']:.2f} %"
            )
            p, p_input = map(tables.shortest, cell)
            line = f"fold {fold + 1}/{options.folds}, p {p}, input {p_input}: {shown}"
            display.show(errors, options.folds, line, f"{seconds // 60}:{seconds % 60:02}")

    tables.print_table(grid.table(errors, ps, p_inputs, options.folds))
    best = grid.best(errors)
    if best is None:
        print(fitted("All diverged: a smaller --lr (or --momentum), or --max-norm, helps"))
    else:
        mean = 100 * np.mean([error for error in errors[best] if error is not None])
        p, p_input = map(tables.shortest, best)
        print(fitted(f"Best: --p {p} --p-input {p_input}, validation error {mean:.2f} %"))
    report.print_notes(images)
    plot.save(grid.draw(errors, ps, p_inputs, title), options.out)
    print(f"Results: {str(options.results)!r}, heat map: {str(options.out)!r}", flush=True)


def train_one(
    images: Data, options: argparse.Namespace, cell: tuple[float, float], fold: int
) -> dict[str, Any]:
    """Train one net on all folds but one.

    Parameters
    ----------
    images : Data
    options : argparse.Namespace
    cell : tuple of float
        p and p_input.
    fold : int
        The one to validate on.

    Returns
    -------
    dict
        The line of the results; its error and loss are None if the net diverged.
    """
    p, p_input = cell
    settings = settings_from(options, p=p, p_input=p_input, only="with", validation=0.0)
    runs = loop.make_runs(images, settings)
    error = loss = None
    try:
        with np.errstate(all="ignore"):
            for _ in loop.train(
                runs, images, rows_of(images, settings.seed, options.folds, fold), settings
            ):
                pass
        last = runs[0].history[-1]
        error, loss = last.validation_error, last.validation_loss
    except DivergedError:
        pass
    seconds = sum(epoch.seconds for epoch in runs[0].history)
    return {
        "p": p,
        "p_input": p_input,
        "fold": fold,
        "error": error,
        "loss": loss,
        "seconds": seconds,
    }


def rows_of(images: Data, seed: int, folds: int, fold: int) -> Rows:
    """The rows to train and to validate on, for one of the folds.

    Parameters
    ----------
    images : Data
    seed : int
        Decides which examples are in which fold; the same for all p.
    folds, fold : int
        How many, and which.

    Returns
    -------
    Rows
    """
    order = np.random.default_rng([seed, 2]).permutation(len(images.y_train))
    parts = np.array_split(order, folds)
    rest = [part for number, part in enumerate(parts) if number != fold]
    return Rows(train=np.concatenate(rest), validation=parts[fold])


def load(path: Path, about: dict[str, Any]) -> dict[tuple[float, float], dict[int, float | None]]:
    """Read the results so far, or begin a file.

    Parameters
    ----------
    path : Path
        A last line that a killed process has not finished is removed.
    about : dict
        The first line: settings, folds, data.

    Returns
    -------
    dict
        For each (p, p_input) the errors of folds.

    Raises
    ------
    InputError
        If the file is none of a sweep, or of another one, or damaged, or cannot be written.
    """
    name = f"--results {str(path)!r}"
    with writing("--results", path):
        check(path)
        if not path.exists():
            with replacing(path) as file:
                file.write(_line(about))
            return {}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
    *lines, unfinished = content.split(b"\n")
    try:
        saved = _parse(lines[0] if lines else b"")
        HEAD(saved, "line 1")
    except ValueError as error:
        raise InputError(
            f"{name} is not a file of a sweep, or damaged in line 1; wanted a new name"
        ) from error
    if saved["simdrop sweep"] != VERSION:
        raise InputError(
            f"{name} is of version {saved['simdrop sweep']}, not {VERSION}; wanted a new name"
        )
    unlike = checkpoint.differences(saved, about)
    if unlike:
        raise InputError(f"{name} is of another sweep: {'; '.join(unlike)}")
    done: dict[tuple[float, float], dict[int, float | None]] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            record = _parse(line)
            RECORD(record, f"line {number}")
            if record["fold"] >= about["settings"]["folds"]:
                raise ValueError(f"line {number} is of fold {record['fold']}")
        except ValueError as error:
            raise InputError(
                f"{name} is damaged in line {number}; remove that line, and its net is trained "
                "again"
            ) from error
        done.setdefault((record["p"], record["p_input"]), {})[record["fold"]] = record["error"]
    if unfinished:
        with writing("--results", path):
            os.truncate(path, len(content) - len(unfinished))
    return done


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a line to the results: all of it is on the disk, or nothing.

    Parameters
    ----------
    path : Path
    record : dict

    Raises
    ------
    UnsavedError
        If it cannot be written.
    """
    line = _line(record)
    try:
        with open(path, "ab", buffering=0) as file:
            end = file.tell()
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise
    except OSError as error:
        raise UnsavedError(
            f"--results {str(path)!r} cannot be written: {error.strerror}"
        ) from error


def _about(options: argparse.Namespace, images: Data) -> dict[str, Any]:
    """The first line: all that must be the same in a sweep that goes on."""
    settings = settings_from(options, only="with", validation=0.0)
    about = checkpoint.describe(images, settings)
    for name in ("p", "p_input", "only", "validation"):
        del about["settings"][name]
    about["settings"]["folds"] = options.folds
    return {"simdrop sweep": VERSION} | about


def _line(record: dict[str, Any]) -> bytes:
    """A line of JSON that ends with the checksum of the rest."""
    text = json.dumps(record).encode()
    return text[:-1] + b', "sha256": "' + _checksum(text) + b'"}\n'


def _parse(line: bytes) -> Any:
    """What `_line` was given, or a ValueError if anything in the line has changed."""
    match = re.fullmatch(rb'(.*), "sha256": "([0-9a-f]+)"}', line, re.DOTALL)
    if match is None or _checksum(match[1] + b"}") != match[2]:
        raise ValueError("the checksum does not fit")
    try:
        return json.loads(match[1] + b"}")
    except RecursionError as error:
        raise ValueError("too many brackets") from error


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()


def _kind(quiet: bool) -> str:
    """How to show progress."""
    if quiet:
        return "not at all"
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return "in place" if terminal and not Console().is_dumb_terminal else "lines"
