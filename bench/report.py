"""What is made from the results of a run: a page, a picture, the table in the project's README."""

from __future__ import annotations

import re
from pathlib import Path

from simdrop._files import replacing

from . import tables
from .cases import FAMILIES
from .measurements import Measurements
from .picture import draw
from .tables import Table

PAGE, PICTURE = "results.md", "results.png"


def all_tables(measurements: Measurements) -> list[Table]:
    """The tables of the page: an overview if there is one, the targets, each family measured, the
    sets if there are any."""
    overview, sets = tables.overview(measurements), tables.set_table(measurements)
    families = [family for family in FAMILIES if measurements.select(family=family, in_set="")]
    return [
        *([overview] if overview.rows else []),
        tables.target_table(measurements),
        *(tables.family_table(measurements, family) for family in families),
        *([sets] if sets.rows else []),
    ]


def write(folder: Path, measurements: Measurements, facts: dict[str, str]) -> list[str]:
    """Write the page, and the picture if its family was measured; return their names."""
    contents = {PAGE: markdown(measurements, facts).encode()}
    if is_drawn(measurements):
        contents[PICTURE] = draw(measurements, facts)
    for name, content in contents.items():  # only now that all of them could be made
        with replacing(folder / name) as file:
            file.write(content)
    return list(contents)


def is_drawn(measurements: Measurements) -> bool:
    """Whether the family that the picture shows was measured."""
    return bool(measurements.select(family="contenders"))


def markdown(measurements: Measurements, facts: dict[str, str]) -> str:
    """The page of the results."""
    parts = [
        "# Benchmark results",
        "`make bench` writes this page; `bench/README.md` says how to read it. "
        "Numbers without a unit are simdrop's time divided by that of the column's contender.",
        "\n".join(f"- {name}: {fact}" for name, fact in facts.items()),
        *(table.markdown() for table in all_tables(measurements)),
    ]
    if is_drawn(measurements):
        parts.append(f"![ns per element over the number of elements]({PICTURE})")
    return "\n\n".join(parts) + "\n"


def fill_readme(readme: Path, overview: Table) -> None:
    """Replace the table in the section on speed."""
    text = readme.read_text(encoding="utf-8")
    first = re.escape(f"| {overview.columns[0]} | {overview.columns[1]} |")
    text, found = re.subn(
        rf"^{first}.*\n(\|.*\n)+", lambda _: overview.grid() + "\n", text, flags=re.M
    )
    if found != 1:
        raise ValueError(f"{readme} has {found} tables that begin with {overview.columns[:2]}")
    with replacing(readme) as file:
        file.write(text.encode())
