"""The files of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from simdrop.files import replacing

from .figures import Figures
from .picture import draw
from .tables import Table

PICTURE = "results.png"


def write(folder: Path, figures: Figures, tables: list[Table], facts: dict[str, str]) -> list[str]:
    """Write results.md, results.json and results.png, if there is one; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = bool(figures.select(family="contenders"))
    contents = {
        "results.json": as_json(figures, facts).encode(),
        "results.md": markdown(tables, facts, drawn).encode(),
    }
    if drawn:
        contents[PICTURE] = draw(figures, facts)
    for name, content in contents.items():  # once all of them could be made
        with replacing(folder / name) as file:
            file.write(content)
    return sorted(contents)


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
    with replacing(readme) as file:
        file.write(text.encode())
