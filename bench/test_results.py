"""What `make bench` writes into the project's README."""

from __future__ import annotations

from pathlib import Path

import pytest

from .results import fill_readme
from .tables import Table

TABLE = Table("Overview", ["elements", "simdrop"], [["1", r"2 ns \1"]], left=0)


def test_fill_readme_replaces_its_table_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    text = "Speed\n\n{}\nand\n\n| other | table |\n|--:|--:|\n| 1 | 2 |\n"
    readme.write_text(text.format("| elements | simdrop | old |\n|--:|--:|--:|\n| 1 | 2 | 3 |\n"))
    fill_readme(readme, TABLE)
    assert readme.read_text() == text.format(TABLE.grid() + "\n")


@pytest.mark.parametrize("tables", [0, 2])
def test_fill_readme_wants_one_table(tmp_path: Path, tables: int) -> None:
    readme = tmp_path / "README.md"
    text = "Speed\n\n" + "| elements | simdrop |\n|--:|--:|\n| 1 | 2 |\n\n" * tables
    readme.write_text(text)
    with pytest.raises(ValueError, match=f"has {tables} tables"):
        fill_readme(readme, TABLE)
    assert readme.read_text() == text
