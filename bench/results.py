"""The files of a run: written aside first, then put in place."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from .figures import Figures
from .picture import draw
from .tables import Table

PICTURE = "results.png"


def write(folder: Path, figures: Figures, tables: list[Table], facts: dict[str, str]) -> list[str]:
    """Write results.md, results.json and results.png, if there is one; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = bool(figures.select(family="contenders"))
    with TemporaryDirectory(dir=folder.parent, prefix=".results-") as name:
        aside = Path(name)
        if drawn:
            draw(figures, facts, aside / PICTURE)
        (aside / "results.md").write_text(markdown(tables, facts, drawn), encoding="utf-8")
        (aside / "results.json").write_text(as_json(figures, facts), encoding="utf-8")
        files = sorted(aside.iterdir())
        for file in files:
            os.replace(file, folder / file.name)
    return [file.name for file in files]


def markdown(tables: list[Table], facts: dict[str, str], drawn: bool) -> str:
    """The page of the results."""
    parts = [
        "# Benchmark results",
        "`make bench` writes this page; `bench/README.md` says how to read it. "
        "Numbers without a unit are simdrop's time divided by the column's.",
        "\n".join(f"- {name}: {fact}" for name, fact in facts.items()),
        *(table.markdown() for table in tables),
    ]
    if drawn:
        parts.append(f"![ns per element over the number of elements]({PICTURE})")
    return "\n\n".join(parts) + "\n"


def as_json(figures: Figures, facts: dict[str, str]) -> str:
    """All figures, one contender a line."""
    lines = ",\n".join(json.dumps(figure) for figure in figures.as_list())
    return f'{{"machine": {json.dumps(facts)},\n"figures": [\n{lines}\n]}}\n'


def fill_readme(readme: Path, overview: Table) -> None:
    """Replace the table in the section on speed."""
    text = readme.read_text(encoding="utf-8")
    first = re.escape(f"| {overview.columns[0]} | {overview.columns[1]} |")
    text, found = re.subn(
        rf"^{first}.*\n(\|.*\n)+", lambda _: overview.grid() + "\n", text, flags=re.M
    )
    if found != 1:
        raise ValueError(f"{readme} has {found} tables that begin with {overview.columns[:2]}")
    readme.write_text(text, encoding="utf-8")
