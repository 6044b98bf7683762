"""Wraps text for standard output: to the width of a terminal, not at all for a file or a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap


def width() -> int | None:
    """The columns of the terminal; None if standard output is not a terminal."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def fitted(text: str, indent: int = 0) -> str:
    """Wrap a line between words to the width of the terminal.

    All lines but the first are indented, unless that takes more than half of the terminal.
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
