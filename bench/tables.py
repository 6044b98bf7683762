"""The tables of a run: their cells as text, as Markdown or shown with rich."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .cases import CONTENDERS, FAMILIES, GROUPS, Group
from .contenders import LINES
from .figures import Figures
from .targets import Result


@dataclass(frozen=True)
class Table:
    """Cells under column names, the first `left` columns aligned left."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    left: int

    def markdown(self) -> str:
        """A GitHub table under its title."""
        return f"## {self.title}\n\n{self.grid()}"

    def grid(self) -> str:
        """A GitHub table."""
        rule = [":--" if i < self.left else "--:" for i in range(len(self.columns))]
        lines = (" | ".join(cells) for cells in [self.columns, rule, *self.rows])
        return "\n".join(f"| {line} |" for line in lines)


def number(value: float | None) -> str:
    """Three significant digits, or a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def what(group: Group) -> str:
    """What is done, as a line where that is short."""
    if group.ours == "copies":
        return "np.copyto"
    if group.family in ("calls", "masks"):
        return LINES["simdrop"][group.work]
    return f"{group.work} {group.activation}".rstrip()


# What tells the groups of a family apart, by column name; columns that are all alike are left out.
FIELDS: dict[str, Callable[[Group], str]] = {
    "shape": lambda group: " x ".join(f"{length:,}" for length in group.shape),
    "shared axes": lambda group: str(group.shared_axes),
    "layout": lambda group: group.layout,
    "type": lambda group: group.dtype,
    "p": lambda group: str(group.p),
    "what": what,
    "instruction set": lambda group: group.instruction_set,
}

# What nanoseconds an element are multiplied by.
UNITS: dict[str, Callable[[Group], float]] = {
    "ns/element": lambda group: 1,
    "ns/call": lambda group: group.n,
    "µs/pass of a row": lambda group: 1e-3,
    "ms": lambda group: group.n / 1e6,
}


def told_apart_by(family: str) -> list[str]:
    """The columns that tell the groups of a family apart."""
    groups = [group for group in GROUPS.values() if group.family == family]
    return [name for name, text in FIELDS.items() if len(set(map(text, groups))) > 1] or ["what"]


def family_table(figures: Figures, family: str) -> Table:
    """The groups of a family; simdrop's ratio to itself last, as the control."""
    (title, unit), fields = FAMILIES[family], told_apart_by(family)
    groups = figures.select(family=family)
    names = [name for name in CONTENDERS if any(name in group.contenders for group in groups)]
    rows = []
    for group in groups:
        found = figures.by_group[group]
        ratios = [found[name].ratio if name in found else None for name in names]
        numbers = [figures.our_ns(group) * UNITS[unit](group), *ratios]
        rows.append([FIELDS[name](group) for name in fields] + list(map(number, numbers)))
    beside = [CONTENDERS[name] if name != "simdrop" else "itself" for name in names]
    return Table(title, [*fields, unit, *beside], rows, left=len(fields))


# README's columns.
OVERVIEW = {
    "naive": "`x * ((rng.random(x.shape) > p) / (1 - p))`",
    "numpy": "best NumPy",
    "mask": "`x * ready_mask`",
    "constant": "`x * constant`",
    "torch": "PyTorch",
    "jax": "JAX",
}


def overview(figures: Figures) -> Table:
    """Forward on float32 at p = 0.5."""
    rows = []
    for group in figures.select(family="contenders", work="forward", dtype="float32", p=0.5):
        if group.n >= 1000:
            found = figures.by_group[group]
            ratios = [found[name].ratio if name in found else None for name in OVERVIEW]
            ours = f"{number(figures.our_ns(group))} ns"
            rows.append([f"{group.n:,}", ours, *map(number, ratios)])
    return Table("Overview", ["elements", "simdrop", *OVERVIEW.values()], rows, left=0)


def target_table(results: list[Result]) -> Table:
    """Measured values beside their limits."""
    rows = []
    for one in results:
        group = one.group
        fields = {name: FIELDS[name](group) for name in told_apart_by(group.family)}
        rows.append(
            [
                group.family,
                ", ".join(f"p = {of}" if name == "p" else of for name, of in fields.items()),
                one.compared,
                f"{'≥' if one.measure.at_least else '≤'} {one.limit.value:g}",
                number(one.value),
                f"{number(one.lowest)} to {number(one.highest)}",
                number(one.aligned),
                one.verdict,
            ]
        )
    columns = ["family", "of", "what", "limit", "measured", "passes", "at 64-byte boundaries", ""]
    return Table("Targets", columns, rows, left=3)


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
    console.width = max(console.width, 160)  # narrower than its tables, it would cut their cells
    for table in tables:
        grouped = len({row[0] for row in table.rows}) < len(table.rows)
        grid = Grid(title=table.title, box=SIMPLE_HEAD, collapse_padding=True)
        for i, column in enumerate(table.columns):
            left = i < table.left
            grid.add_column(column, justify="left" if left else "right", no_wrap=left)
        for row, following in zip(table.rows, [*table.rows[1:], table.rows[-1]], strict=True):
            grid.add_row(*row, end_section=grouped and row[0] != following[0])
        console.print(grid)
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", highlight=False)
