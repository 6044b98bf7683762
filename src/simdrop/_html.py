"""What objects show in a notebook: HTML that is readable on light and dark backgrounds.

All text is escaped here. Colours are those of the page, or are seen on black and on white.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

MOST_ROWS = 12  # of a table; those in the middle are left out
GAP = "…"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> str:
    """A table with a title above it; the first column is left-aligned, the others right-aligned."""
    head = _row("th", headings)
    body = "".join(_row("td", row) for row in without_middle(rows, [GAP] * len(headings)))
    title = f"<div><b>{html.escape(caption)}</b></div>" if caption else ""
    return f"<div>{title}<table><thead>{head}</thead><tbody>{body}</tbody></table></div>"


def numbers(title: str, pairs: Iterable[tuple[str, object]], picture: str = "") -> str:
    """A title, then a line for each name and value; beside them a picture, which is HTML."""
    lines = "".join(
        f'<tr><td style="text-align: left; opacity: 0.7">{html.escape(name)}</td>'
        f'<td style="text-align: left">{html.escape(str(value))}</td></tr>'
        for name, value in pairs
    )
    text = f"<div><b>{html.escape(title)}</b><table><tbody>{lines}</tbody></table></div>"
    return f'<div style="display: flex; gap: 1.5em; align-items: center">{text}{picture}</div>'


def progress(title: str, done: int, total: int, lines: Sequence[str]) -> str:
    """A title, a bar, and lines below it."""
    below = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
    bar = f'<progress value="{done}" max="{total}" style="width: 20em"></progress>'
    return f"<div><div><b>{html.escape(title)}</b></div>{bar}{below}</div>"


def without_middle(rows: Sequence[T], gap: T, most: int = MOST_ROWS) -> list[T]:
    """The rows, or of more than `most` the first and the last, with a gap between them."""
    if len(rows) <= most:
        return list(rows)
    first = most // 2
    return [*rows[:first], gap, *rows[len(rows) - (most - 1 - first) :]]


def _row(tag: str, cells: Iterable[object]) -> str:
    written = (
        f'<{tag} style="text-align: {"right" if i else "left"}">{html.escape(str(cell))}</{tag}>'
        for i, cell in enumerate(cells)
    )
    return f"<tr>{''.join(written)}</tr>"
