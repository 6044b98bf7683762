"""What `make bench` writes: the files of a run, and the table in the project's README."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .cases import GROUPS
from .figures import Figures
from .results import fill_readme, write
from .tables import Table

TABLE = Table("Overview", ["elements", "simdrop"], [["1", r"2 ns \1"]], left=0)


def measured(family: str) -> Figures:
    """As if each contender of a family had been measured once."""
    times = {"our_seconds": [1.0], "our_calls": 2, "their_calls": 2, "pass": 1, "offset": 0}
    return Figures(
        [
            {"extra_info": times | {"group": name, "contender": "numpy"}, "stats": {"data": [3.0]}}
            for name, group in GROUPS.items()
            if group.family == family
        ]
    )


@pytest.mark.parametrize("family", ["contenders", "nothing"])
def test_the_files_of_a_run(tmp_path: Path, family: str) -> None:
    folder = tmp_path / "new" / "results"
    drawn = ["results.png"] * (family == "contenders")
    for _ in range(2):
        names = write(folder, measured(family), [TABLE], {"CPU": "one"})
        assert names == ["results.json", "results.md", *drawn]
        assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "results.json").read_text())["machine"] == {"CPU": "one"}
    assert TABLE.markdown() in (folder / "results.md").read_text()
    if drawn:
        assert (folder / "results.png").read_bytes().startswith(b"\x89PNG")


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
