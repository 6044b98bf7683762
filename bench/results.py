"""Results as CSV files: the only place that reads and writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simdrop._files import replacing

from .cases import GROUP_FIELDS, groups
from .machine import instruction_sets
from .measurements import Measurements, Pass

# Columns of each pass, with its number after them.
PASS_COLUMNS = ("our_ns", "their_ns", "ratio")


def write_csv(
    path: Path,
    columns: Iterable[str],
    rows: Iterable[Mapping[str, Any]],
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write a file whole or not at all: facts as comments, column names, rows.

    Cells that a row lacks are empty.
    """
    text = io.StringIO()
    for name, fact in (facts or {}).items():
        text.write(f"# {name}: {fact}\n")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def read_csv(path: Path, columns: Iterable[str]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The facts and the rows of a file that has these columns, and maybe others."""
    lines = path.read_text(encoding="utf-8").splitlines()
    facts = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    found = reader.fieldnames or []
    if missing := [name for name in columns if name not in found]:
        raise ValueError(f"{path} has no column {', '.join(map(repr, missing))}")
    rows = list(reader)
    for row in rows:
        if None in row or None in row.values():
            raise ValueError(f"{path}: a row does not have {len(found)} cells: {row}")
    return facts, rows


def save(path: Path, measurements: Measurements, facts: Mapping[str, str]) -> None:
    """Write the measurements of a run: a row for each contender of each group."""
    numbers = sorted({one.number for each in measurements for one in each.passes})
    rows = [
        {
            **each.group.fields(),
            "contender": each.contender,
            **{
                f"{name}_{one.number}": getattr(one, name)
                for one in each.passes
                for name in PASS_COLUMNS
            },
        }
        for each in measurements
    ]
    of_passes = [f"{name}_{number}" for number in numbers for name in PASS_COLUMNS]
    write_csv(path, [*GROUP_FIELDS, "contender", *of_passes], rows, facts)


def load(path: Path) -> tuple[Measurements, dict[str, str]]:
    """The measurements of a run and its facts, whichever machine it was made on."""
    facts, rows = read_csv(path, [*GROUP_FIELDS, "contender"])
    known = groups(*instruction_sets(facts))
    passes = []
    for row in rows:
        name = "-".join(row[field] for field in GROUP_FIELDS)
        if name not in known:
            raise ValueError(f"{path} has a group that is not in cases.py: {name}")
        numbers = [column.removeprefix("ratio_") for column in row if column.startswith("ratio_")]
        for number in numbers:
            values = [row[f"{column}_{number}"] for column in PASS_COLUMNS]
            if any(values):  # empty where the contender was not measured in this pass
                one = Pass(int(number), *map(float, values))
                passes.append((known[name], row["contender"], one))
    return Measurements(passes), facts
