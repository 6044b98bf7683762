"""The tables of a run: their cells as text, as Markdown or shown with rich."""

from __future__ import annotations

from dataclasses import dataclass

from .cases import CALL_SIZE, CONTENDERS
from .figures import Figures
from .targets import Result


@dataclass(frozen=True)
class Table:
    """Cells under column names, the first `left` columns aligned left; `grouped` by the first."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    left: int
    grouped: bool = False

    def markdown(self) -> str:
        """A GitHub table under its title."""
        rule = [":--" if i < self.left else "--:" for i in range(len(self.columns))]
        lines = (" | ".join(cells) for cells in [self.columns, rule, *self.rows])
        return f"## {self.title}\n\n" + "\n".join(f"| {line} |" for line in lines)


def number(value: float | None) -> str:
    """Three significant digits, or a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def ratio_table(figures: Figures) -> Table:
    """Every group on many elements; simdrop's ratio to itself last, as the control."""
    rows = []
    for group, found in figures.by_group.items():
        if group.n == CALL_SIZE:
            continue
        ratios = [found[name].ratio if name in found else None for name in CONTENDERS]
        cells = [f"{group.n:,}", group.dtype, str(group.p), group.direction]
        cells += map(number, [figures.our_ns(group), 1 / found["naive"].ratio, *ratios])
        rows.append(cells)
    names = [CONTENDERS[name] if name != "simdrop" else "itself" for name in CONTENDERS]
    return Table(
        "Time of simdrop divided by that of",
        ["n", "type", "p", "direction", "simdrop ns/element", "times naive's speed", *names],
        rows,
        left=4,
        grouped=True,
    )


def call_table(figures: Figures) -> Table:
    """The cost of a call."""
    calls = {"forward": "m.apply(x, out=y)", "dropout": "sd.dropout(x, p, rng=stream)"}
    rows = [
        [calls[group.direction], str(group.p)]
        + [number(ns * CALL_SIZE) for ns in (figures.our_ns(group), found["mask"].their_ns)]
        + [number(found["mask"].ratio)]
        for group, found in figures.by_group.items()
        if group.n == CALL_SIZE
    ]
    columns = ["call", "p", "ns", "ns of np.multiply(x, mask, out=y)", "ratio"]
    return Table(f"Calls on {CALL_SIZE} float32", columns, rows, left=2)


def target_table(results: list[Result]) -> Table:
    """Measured values beside their limits."""
    rows = []
    for one in results:
        sign = "≥" if one.target.speed_up else "≤"
        rows.append(
            [
                one.target.text,
                f"{sign} {one.target.limit:g}",
                number(one.value),
                f"{number(one.lowest)} to {number(one.highest)}",
                number(one.aligned),
                "reached" if one.reached else "not reached",
            ]
        )
    columns = ["float32, forward", "limit", "measured", "passes", "pass at 64-byte boundaries", ""]
    return Table("Targets", columns, rows, left=1)


def show(tables: list[Table], facts: dict[str, str]) -> None:
    """Print with rich, or as Markdown where rich is not installed."""
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as Grid
    except ModuleNotFoundError:
        print(*(table.markdown() for table in tables), sep="\n\n", end="\n\n")
        print(*(f"{name}: {fact}" for name, fact in facts.items()), sep="\n")
        return
    console = Console()
    console.width = max(console.width, 140)  # narrower than its tables, it would cut their cells
    for table in tables:
        grid = Grid(title=table.title, box=SIMPLE_HEAD, collapse_padding=True)
        for i, column in enumerate(table.columns):
            grid.add_column(column, justify="left" if i < table.left else "right")
        for row, following in zip(table.rows, [*table.rows[1:], table.rows[-1]], strict=True):
            grid.add_row(*row, end_section=table.grouped and row[0] != following[0])
        console.print(grid)
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", highlight=False)
