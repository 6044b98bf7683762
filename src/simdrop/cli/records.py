"""The results file of `simdrop sweep`: a line of JSON for each trained net, whole or not at all."""

import errno
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from .. import _schema
from .checkpoint import differences
from .errors import InputError, UnsavedError
from .files import check_writable, reason, write, writing

VERSION = 3


class Cell(NamedTuple):
    """The settings that a sweep compares."""

    p: float
    p_input: float
    lr: float
    hidden: tuple[int, ...]


# The first line, and the others.
HEAD = _schema.fields(
    **{"simdrop sweep": _schema.count},
    settings=_schema.mapping(_schema.anything),
    data=_schema.mapping(_schema.text),
)
RECORD = _schema.fields(
    p=_schema.fraction,
    p_input=_schema.fraction,
    lr=_schema.from_zero,
    hidden=_schema.items(_schema.count),
    fold=_schema.count,
    error=_schema.optional(_schema.from_zero),
    loss=_schema.optional(_schema.from_zero),
    seconds=_schema.from_zero,
)

Errors = dict[Cell, dict[int, float | None]]


def load(path: Path, about: dict[str, Any]) -> Errors:
    """Read the results so far, or start a file.

    Parameters
    ----------
    path : Path
        The file. An unfinished last line, left by a killed process, is removed.
    about : dict
        What `checkpoint.describe` says of the data and of all settings, `folds` among them, that
        must not change within a sweep.

    Returns
    -------
    dict
        For each cell the errors of the folds trained so far; None if the net diverged.

    Raises
    ------
    InputError
        If the file is not that of a sweep, is from another one, is damaged, or cannot be written.
    """
    name = f"--results {str(path)!r}"
    about = {"simdrop sweep": VERSION} | about
    check_writable("--results", path)
    if not path.exists():
        write("--results", path, _line(about))
        return {}
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {reason(error)}") from error
    head, *lines = content.split(b"\n")
    try:
        if not lines:
            raise ValueError("its first line is unfinished")
        saved = _parse(head)
        HEAD(saved, "line 1")
    except ValueError as error:
        raise InputError(
            f"{name} is not the results file of a sweep, or is damaged in line 1; wanted a new name"
        ) from error
    if saved["simdrop sweep"] != VERSION:
        raise InputError(
            f"{name} is of version {saved['simdrop sweep']}, not {VERSION}; wanted a new name"
        )
    unlike = differences(saved, about)
    if unlike:
        raise InputError(f"{name} is from another sweep: {unlike}")
    *lines, unfinished = lines
    done: Errors = {}
    for number, line in enumerate(lines, start=2):
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
        cell = Cell(record["p"], record["p_input"], record["lr"], tuple(record["hidden"]))
        done.setdefault(cell, {})[record["fold"]] = record["error"]
    if unfinished:
        with writing("--results", path):
            os.truncate(path, len(content) - len(unfinished))
    return done


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a line and bring it to the disk; UnsavedError if that fails, and no part of it is left.

    Parameters
    ----------
    path : Path
        The file.
    record : dict
        The fields of a cell, fold, error, loss, seconds.
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
        raise UnsavedError(f"--results {str(path)!r} cannot be written: {reason(error)}") from error


def _line(record: dict[str, Any]) -> bytes:
    """A line of JSON that ends with the checksum of the rest."""
    text = json.dumps(record).encode()
    return text[:-1] + b', "sha256": "' + _checksum(text) + b'"}\n'


def _parse(line: bytes) -> Any:
    """What `_line` was given; ValueError if anything in the line has changed."""
    match = re.fullmatch(rb'(.*), "sha256": "([0-9a-f]+)"}', line, re.DOTALL)
    if match is None or _checksum(match[1] + b"}") != match[2]:
        raise ValueError("the checksum does not match")
    try:
        return json.loads(match[1] + b"}")
    except RecursionError as error:
        raise ValueError("too many brackets") from error


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
