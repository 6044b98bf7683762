"""Text for standard output: as wide as a terminal, and as it is for a file or a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap


def width() -> int | None:
    """The columns of the terminal that standard output is; None if it is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def fitted(text: str, indent: int = 0) -> str:
    """A line, broken between words where it is wider than the terminal.

    Parameters
    ----------
    text : str
    indent : int
        Spaces before all lines but the first, if they take no more than half of the terminal.

    Returns
    -------
    str
    """
    columns = width()
    if columns is None:
        return text
    return textwrap.fill(
        text,
        columns,
        subsequent_indent=" " * (indent if 2 * indent <= columns else min(indent, 2)),
        break_long_words=False,
        break_on_hyphens=False,
    )
