"""What objects show in a notebook: HTML that is readable on light and dark backgrounds.

All text is escaped here. Colours are those of the page, or are seen on black and on white.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simdrop import Mask, StoredMask, Stream

T = TypeVar("T")

MOST_ROWS = 12  # of a table; those in the middle are left out
GAP = "…"


def table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "", left: int = 1
) -> str:
    """A table with a title above it; all but the first `left` columns are right-aligned."""
    head = _row("th", headings, left)
    body = "".join(_row("td", row, left) for row in without_middle(rows, [GAP] * len(headings)))
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


def _row(tag: str, cells: Iterable[object], left: int) -> str:
    written = []
    for i, cell in enumerate(cells):
        style = f"text-align: {'left' if i < left else 'right'}; white-space: nowrap"
        written.append(f'<{tag} style="{style}">{html.escape(str(cell))}</{tag}>')
    return f"<tr>{''.join(written)}</tr>"


# --- Masks and streams ---

CORNER = 64  # rows and columns of a mask, at most, in its picture
PICTURE = 256  # pixels, at most, of its longer side
LARGEST_CELL = 16  # pixels of the side of an element
MOST_COUNTED = 2**18  # elements that are drawn to be counted, which takes a millisecond


def of_mask(mask: Mask | StoredMask) -> str:
    """A mask's numbers, and a picture of its first elements. No draw is taken."""
    pairs: list[tuple[str, object]] = [("shape", mask.shape)]
    if mask.shared_axes:
        pairs.append(("shared axes", mask.shared_axes))
    pairs.append(("p", _range(mask.p)))
    if mask.scaled:
        is_array = isinstance(mask.p, np.ndarray)  # whose scales would be computed
        pairs.append(("scale", "1 / (1 - p)" if is_array else _range(mask.scale)))
    kept = _kept(mask)
    if kept:
        pairs.append(("kept", kept))
    drawn: Any = mask if hasattr(mask, "key") else None
    if drawn is not None:
        pairs += [("key", drawn.key.hex()), ("draw", drawn.draw)]
        if any(drawn.start):
            pairs.append(("window from", drawn.start))
    return numbers(type(mask).__name__, pairs, _picture(mask) if mask.size else "")


def of_stream(stream: Stream) -> str:
    """A stream's numbers."""
    state = stream.state
    pairs = [("key", state["key"]), ("next draw", state["draw"]), ("children", state["spawned"])]
    return numbers(type(stream).__name__, pairs)


def _range(values: Any) -> str:
    """A number, or the smallest and the largest of an array."""
    if not isinstance(values, np.ndarray):
        return f"{values:.6g}"
    described = f"an array of shape {values.shape}"
    if not 0 < values.size <= MOST_COUNTED:
        return described
    return f"{values.min():.6g} to {values.max():.6g}, {described}"


def _kept(mask: Mask | StoredMask) -> str:
    """How many elements are kept: of a small mask, counted; of a drawn one, what is expected."""
    expected = ""
    if hasattr(mask, "key") and 0 < np.size(mask.p) <= MOST_COUNTED:
        # An array p has each of its values equally often in the mask.
        mean = mask.size * (1 - float(np.mean(mask.p)))
        expected = f"{mean:,.1f}".removesuffix(".0")
    if mask.size > MOST_COUNTED:
        return f"{expected} of {mask.size:,} expected" if expected else ""
    counted = int(np.bitwise_count(mask.packbits()).sum(dtype=np.int64))
    return f"{counted:,} of {mask.size:,}" + (f", {expected} expected" if expected else "")


def _picture(mask: Mask | StoredMask) -> str:
    """The beginning of a mask as a picture of two axes, with what it shows below.

    These are the last two along which decisions differ.
    """
    differ = [i for i, n in enumerate(mask.shape) if n > 1 and i not in mask.shared_axes]
    lengths = tuple(min(n, CORNER) if i in differ[-2:] else 1 for i, n in enumerate(mask.shape))
    corner = mask.window((0,) * len(lengths), lengths).keep()
    rows = corner.reshape([lengths[i] for i in differ[-2:]] or [1])
    rows = rows.reshape(-1, rows.shape[-1])
    side = min(PICTURE // max(rows.shape), LARGEST_CELL)
    height = side if len(rows) > 1 else LARGEST_CELL
    cells = np.repeat(np.repeat(rows, height, axis=0), side, axis=1)
    shown = ", ".join(f":{n}" if n > 1 else "0" for n in lengths) or "()"
    image = f'<img alt="kept elements" src="data:image/png;base64,{png(cells)}">'
    legend = f'<div style="opacity: 0.7">mask[{shown}], blue is kept</div>'
    return f"<div>{image}{legend}</div>"


def png(cells: NDArray[np.bool_]) -> str:
    """A PNG of two colours in base64: blue where true, a transparent grey elsewhere.

    Portable Network Graphics specification, third edition, sections 5, 10 and 11; one bit a pixel.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = cells.shape
    packed = np.packbits(cells, axis=1)
    lines = np.hstack([np.zeros((height, 1), np.uint8), packed])  # each begins with its filter, 0
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes([128, 128, 128, 0, 114, 178]))
        + chunk(b"tRNS", bytes([64, 255]))
        + chunk(b"IDAT", zlib.compress(lines.tobytes()))
        + chunk(b"IEND", b"")
    )
    return base64.b64encode(content).decode()
