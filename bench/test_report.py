"""What is made from the results of a run: the page, the picture, the table in README."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cases import GROUPS, SETS
from .measurements import Measurements, Pass
from .report import PAGE, PICTURE, all_tables, fill_readme, write
from .tables import Table

TABLE = Table("Overview", ["elements", "simdrop"], [["1", r"2 ns \1"]], left=0)


@pytest.mark.parametrize("family", ["contenders", "noise", "nothing"])
def test_the_files_of_a_run(tmp_path: Path, family: str) -> None:
    groups = [group for group in GROUPS.values() if group.family == family]
    measurements = Measurements((group, "constant", Pass(0, 1.0, 4.0, 0.25)) for group in groups)
    names = [PAGE, PICTURE] if family == "contenders" else [PAGE]
    for _ in range(2):
        assert write(tmp_path, measurements, {"CPU": "one"}) == names
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "- CPU: one\n" in page and ("| 0.250 |" in page) == bool(groups)
    if PICTURE in names:
        assert (tmp_path / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_a_set_is_one_row() -> None:
    """Its rows show the slowest layout: of all, and of those under the same limit."""
    ratios = iter(range(1, 1000))
    groups = [group for group in GROUPS.values() if group.in_set]
    passes = [(group, "mask", Pass(0, 1.0, 1.0, float(next(ratios)))) for group in groups]
    targets, sets = all_tables(Measurements(passes))
    assert [(row[0], row[3]) for row in sets.rows] == [
        (name, str(len(layouts))) for name, layouts in SETS.items()
    ]
    first, slowest = list(SETS.values())[0], [layouts[-1] for layouts in SETS.values()]
    assert [row[2] for row in sets.rows] == list(map(str, slowest))
    assert [row[4:] for row in sets.rows][0] == ["12.5", "24.0"]
    assert targets.rows[0][1] == f"{first[-1]}, the slowest of 24"
    counts = [int(row[1].split()[-1]) for row in targets.rows]
    assert sum(counts) == len(groups) and len(counts) == 4  # random ones are under either limit


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
