"""The tables of a run: cells as text, printed as Markdown or with rich."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from .cases import CONTENDERS, FAMILIES, Group, Limit
from .lines import LINES
from .measurements import Measurements
from .targets import Result, check


@dataclass(frozen=True)
class Table:
    """Cells under column names; the first `left` columns are aligned left."""

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
    """A value with three significant digits; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def what(group: Group) -> str:
    """The work of a group: the line that is timed, where that is short."""
    if group.ours == "copies":
        return "np.copyto"
    if group.family in ("calls", "masks"):
        return LINES["simdrop"][group.work]
    return f"{group.work} {group.activation}".rstrip()


# Columns that may tell the groups of a family apart; those that are all alike are left out.
FIELDS: dict[str, Callable[[Group], str]] = {
    "shape": lambda group: " x ".join(f"{length:,}" for length in group.shape),
    "shared axes": lambda group: str(group.shared_axes),
    "layout": lambda group: str(group.layout),
    "type": lambda group: group.dtype,
    "p": lambda group: str(group.p),
    "what": what,
    "instruction set": lambda group: group.instruction_set,
}

# What nanoseconds per element are multiplied by to give a unit.
UNITS: dict[str, Callable[[Group], float]] = {
    "ns/element": lambda group: 1,
    "ns/call": lambda group: group.n,
    "µs/pass of a row": lambda group: 1e-3,
    "ms": lambda group: group.n / 1e6,
}


def told_apart_by(groups: list[Group]) -> list[str]:
    """The columns that tell these groups apart."""
    return [name for name, text in FIELDS.items() if len(set(map(text, groups))) > 1] or ["what"]


def family_table(measurements: Measurements, family: str) -> Table:
    """The groups of a family that are in no set; the last column is the control, simdrop divided
    by itself."""
    title, unit = FAMILIES[family]
    groups = measurements.select(family=family, in_set="")
    fields = told_apart_by(groups)
    names = [
        name for name in CONTENDERS if any(name in measurements.by_group[one] for one in groups)
    ]
    rows = []
    for group in groups:
        time = measurements.our_ns(group) * UNITS[unit](group)
        numbers = [time, *measurements.ratios(group, names)]
        rows.append([FIELDS[name](group) for name in fields] + list(map(number, numbers)))
    beside = [CONTENDERS[name] if name != "simdrop" else "itself" for name in names]
    return Table(title, [*fields, unit, *beside], rows, left=len(fields))


def set_table(measurements: Measurements) -> Table:
    """The sets of groups: the median of the ratios, and the largest one."""
    found: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for one in measurements:
        if one.group.in_set:
            case = one.ratio, str(one.group.layout)
            found[one.group.in_set, CONTENDERS[one.contender]].append(case)
    rows = []
    for (name, contender), cases in found.items():
        worst, layout = max(cases)
        middle = median(ratio for ratio, _ in cases)
        rows.append([name, contender, layout, str(len(cases)), number(middle), number(worst)])
    columns = ["set", "beside", "slowest layout", "layouts", "median", "slowest"]
    return Table("Sets of layouts, forward", columns, rows, left=3)


# The contenders in README's table, and their columns there.
OVERVIEW = {
    "naive": "`x * ((rng.random(x.shape) > p) / (1 - p))`",
    "numpy": "best NumPy",
    "mask": "`x * ready_mask`",
    "constant": "`x * constant`",
    "torch": "PyTorch",
    "jax": "JAX",
}


def overview(measurements: Measurements) -> Table:
    """Forward on float32 at p = 0.5: the table in README."""
    rows = []
    for group in measurements.select(family="contenders", work="forward", dtype="float32", p=0.5):
        if group.n >= 1000:
            ours = f"{number(measurements.our_ns(group))} ns"
            ratios = measurements.ratios(group, OVERVIEW)
            rows.append([f"{group.n:,}", ours, *map(number, ratios)])
    return Table("Overview", ["elements", "simdrop", *OVERVIEW.values()], rows, left=0)


def without_sets(results: list[Result]) -> list[tuple[Result, int]]:
    """Of the results of a set under the same limit, the slowest and how many there are."""
    found: dict[tuple[str | Group, Limit], list[Result]] = defaultdict(list)
    for one in results:
        found[one.group.in_set or one.group, one.limit].append(one)
    return [
        (
            max(several, key=lambda one: -one.value if one.measure.at_least else one.value),
            len(several),
        )
        for several in found.values()
    ]


def target_table(measurements: Measurements) -> Table:
    """Measured values beside their limits."""
    rows = []
    for one, count in without_sets(check(measurements)):
        family = measurements.select(family=one.group.family, in_set="")
        fields = {name: FIELDS[name](one.group) for name in told_apart_by(family)}
        texts = [f"p = {of}" if name == "p" else of for name, of in fields.items()]
        if one.group.in_set:
            texts = [str(one.group.layout), f"the slowest of {count}"]
        rows.append(
            [
                one.group.family,
                ", ".join(texts),
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
    console.width = max(console.width, 160)  # a narrower console would cut off cells
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
