"""Tables that fit the terminal, or are printed in full: no number in them is ever cut short."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table as RichTable
from rich.text import Text

from .. import _terminal

UNBOUNDED = 10**6  # columns
LEAST_BAR, MOST_BAR = 8, 30


@dataclass(frozen=True)
class Table:
    """A table for rich, in the first of these layouts that is no wider than the terminal.

    Headings in one line; headings with each word on a line of its own; or a block for each row,
    with a line for each of its columns. Bars are shown if there is room for them.

    Attributes
    ----------
    headings : sequence of str
        The first column names the rows and is left-aligned; the others are right-aligned.
    rows : sequence of sequence of Text
        A cell for each heading.
    bars : sequence of ProgressBar, optional
        One for each row, after its name.
    box : rich.box.Box, optional
        The lines between headings and rows.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Text]]
    bars: Sequence[ProgressBar] = ()
    box: Box | None = SIMPLE_HEAD

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield self.fitting(options.max_width)

    def fitting(self, width: int) -> RenderableType:
        """The layout for a terminal of so many columns."""
        broken = [re.sub(" |(?<=/)", "\n", heading) for heading in self.headings]
        for headings in (self.headings, broken):
            table = self._wide(headings)
            if measured(table) > width:
                continue
            bar = LEAST_BAR + width - measured(self._wide(headings, LEAST_BAR))
            if self.bars and bar >= LEAST_BAR:
                return self._wide(headings, min(bar, MOST_BAR))
            return table
        return self._blocks(width)

    def _wide(self, headings: Sequence[str], bar: int = 0) -> RichTable:
        """A line for each row, with bars of this width."""
        table = RichTable(box=self.box, pad_edge=False, header_style="dim" if not self.box else "")
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
            if bar and not number:
                table.add_column(width=bar)
        for number, (name, *cells) in enumerate(self.rows):
            table.add_row(name, *(self.bars[number : number + 1] if bar else ()), *cells)
        return table

    def _blocks(self, width: int) -> RenderableType:
        """A block for each row; values go on lines of their own if they do not fit otherwise."""
        first, *headings = self.headings
        longest = max(map(len, headings))
        widest = max(cell.cell_len for _, *cells in self.rows for cell in cells)
        beside = 2 + longest + 2 + widest <= width
        blocks = []
        for name, *cells in self.rows:
            lines = [Text.assemble(f"{first} " if first else "", name)]
            for heading, cell in zip(headings, cells, strict=True):
                gap = " " * (widest - cell.cell_len)
                if beside:
                    lines.append(Text.assemble(f"  {heading:{longest}}  {gap}", cell))
                else:
                    lines += [Text(f"  {heading}"), Text.assemble("    ", cell)]
            blocks.append(Text("\n").join(lines))
        if not self.box:
            return Text("\n").join(blocks)
        return Text.assemble("\n", Text("\n\n").join(blocks), "\n")  # empty lines, as around a box


def measured(table: RenderableType) -> int:
    """The columns that a renderable takes if nothing limits it."""
    console = Console(width=UNBOUNDED)
    return console.measure(table, options=console.options).maximum


def print_table(table: Table) -> None:
    """Print a table: fitted to a terminal, else in full."""
    shown = table.fitting(_terminal.width() or UNBOUNDED)
    console = Console(width=max(measured(shown), 1))
    with console.capture() as text:
        console.print(shown)
    print(text.get(), end="")


def percent(fraction: float | None) -> str:
    """A fraction as a percentage with two decimals; "-" for None."""
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
