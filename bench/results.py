"""The files of a run: written aside first, then put in place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from .figures import Figures
from .picture import draw
from .tables import Table


def write(folder: Path, figures: Figures, tables: list[Table], facts: dict[str, str]) -> None:
    """Write results.md, results.json and results.png to a folder, each replaced at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".results-") as name:
        aside = Path(name)
        draw(figures, facts, aside / "results.png")
        (aside / "results.md").write_text(markdown(tables, facts), encoding="utf-8")
        (aside / "results.json").write_text(as_json(figures, facts), encoding="utf-8")
        for file in sorted(aside.iterdir()):
            os.replace(file, folder / file.name)


def markdown(tables: list[Table], facts: dict[str, str]) -> str:
    """The page of the results."""
    parts = [
        "# Benchmark results",
        "`make bench` writes this page; `bench/README.md` says how to read it.",
        "\n".join(f"- {name}: {fact}" for name, fact in facts.items()),
        *(table.markdown() for table in tables),
        "![ns per element over the number of elements](results.png)",
    ]
    return "\n\n".join(parts) + "\n"


def as_json(figures: Figures, facts: dict[str, str]) -> str:
    """All figures, one contender a line."""
    lines = ",\n".join(json.dumps(figure) for figure in figures.as_list())
    return f'{{"machine": {json.dumps(facts)},\n"figures": [\n{lines}\n]}}\n'
