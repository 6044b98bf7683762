"""Tables: whatever the terminal's width, every number is whole; for a pipe, every row is a line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.text import Text

from simdrop import _terminal
from simdrop.cli import tables
from simdrop.cli.options import spelled

HEADINGS = ("", "train error", "validation error", "seconds/epoch")
ROWS = (
    ("without dropout", "83.33 %", "100.00 %", "12345.678"),
    ("with dropout", "1.25 %", "-", "0.012"),
)


def table(headings=HEADINGS, rows=ROWS, **keywords):
    return tables.Table(headings, [[Text(cell) for cell in row] for row in rows], **keywords)


def rendered(renderable, width):
    """The lines on a terminal of so many columns."""
    console = Console(width=width, color_system=None)
    with console.capture() as text:
        console.print(renderable)
    return [line.rstrip() for line in text.get().splitlines()]


@pytest.mark.parametrize(
    "widths, lines",
    [
        (
            (66, 200),
            """\
                   train error   validation error   seconds/epoch
 ────────────────────────────────────────────────────────────────
 without dropout       83.33 %           100.00 %       12345.678
 with dropout           1.25 %                  -           0.012
""",
        ),
        (
            (52, 65),
            """\
                     train   validation    seconds/
                     error        error       epoch
 ──────────────────────────────────────────────────
 without dropout   83.33 %     100.00 %   12345.678
 with dropout       1.25 %            -       0.012
""",
        ),
        (
            (29, 51),
            """\
without dropout
  train error         83.33 %
  validation error   100.00 %
  seconds/epoch     12345.678

with dropout
  train error          1.25 %
  validation error          -
  seconds/epoch         0.012
""",
        ),
        (
            (20, 28),
            """\
without dropout
  train error
    83.33 %
  validation error
    100.00 %
  seconds/epoch
    12345.678

with dropout
  train error
    1.25 %
  validation error
    -
  seconds/epoch
    0.012
""",
        ),
    ],
)
def test_a_table_turns_where_it_is_wider_than_the_terminal(widths, lines):
    for width in widths:
        assert rendered(table(), width) == ["", *lines.splitlines(), ""]


cells = st.one_of(
    st.floats(0, 1).map(lambda error: f"{100 * error:.2f} %"),
    st.floats(0, 1e5).map(lambda seconds: f"{seconds:.3f}"),
    st.sampled_from(["-", "diverged", "diverged (1/5)", "12.50 % (3/5)"]),
)


@st.composite
def tables_of_any_size(draw):
    columns = draw(st.integers(1, 12))
    headings = ["p", *(f"input {spelled(draw(st.floats(0, 1)))}" for _ in range(columns))]
    rows = [
        [spelled(draw(st.floats(0, 1))), *(draw(cells) for _ in range(columns))]
        for _ in range(draw(st.integers(1, 4)))
    ]
    return headings, rows, draw(st.booleans())


@given(tables_of_any_size(), st.integers(20, 200))
def test_every_cell_and_heading_is_whole_at_any_width(content, width):
    headings, rows, with_bars = content
    bars = [ProgressBar(10, 5) for _ in rows] if with_bars else ()
    lines = rendered(table(headings, rows, bars=bars), width)
    text = "\n".join(lines)
    assert "…" not in text
    longest = max(len(cell) for row in [headings, *rows] for cell in row)
    if longest + 4 <= width:
        assert max(map(len, lines)) <= width
    words = text.split()
    for cell in [*headings, *(cell for row in rows for cell in row)]:
        for word in cell.split():
            assert word in words or len(word) > width


def test_bars_are_shown_where_there_is_room():
    rows = [("without", "1/60"), ("with", "2/60")]
    bars = [ProgressBar(10, 5), ProgressBar(10, 10)]
    shown = table(("", "epoch"), rows, bars=bars, box=None)
    widths = [max(line.count("━") for line in rendered(shown, w)) for w in (12, 23, 24, 32, 46, 90)]
    assert widths == [0, 0, 8, 16, 30, 30]


class Terminal:
    """Standard output that says whether it is a terminal."""

    def __init__(self, terminal):
        self.terminal, self.text = terminal, ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("columns", ["20", "40", "200"])
@pytest.mark.parametrize("force_colour", [False, True])
def test_what_is_no_terminal_gets_a_line_for_each_row(monkeypatch, columns, force_colour):
    """Whatever COLUMNS says, which shells export."""
    monkeypatch.setenv("COLUMNS", columns)
    if force_colour:
        monkeypatch.setenv("FORCE_COLOR", "1")
    pipe = Terminal(False)
    monkeypatch.setattr("sys.stdout", pipe)
    headings = ["p", *(f"input {i / 100:.2f}" for i in range(50))]
    row = ["0.5", *(f"{i:02}.25 %" for i in range(50))]
    tables.print_table(table(headings, [row]))
    text = re.sub(r"\x1b\[[0-9;]*m", "", pipe.text)
    assert any(line.split() == " ".join(headings).split() for line in text.splitlines())
    assert any(line.split() == " ".join(row).split() for line in text.splitlines())
    sentence = "Trained on 718 examples, validated on 180, tested on 899. " * 4
    assert _terminal.fitted(sentence) == sentence


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120])
def test_a_terminal_gets_what_fits(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")  # no colours
    output = Terminal(True)
    monkeypatch.setattr("sys.stdout", output)
    tables.print_table(table())
    sentence = "Trained on 718 examples, validated on 180, tested on 899:"
    text = _terminal.fitted(sentence, indent=15)
    assert max(map(len, [*output.text.splitlines(), *text.splitlines()])) <= columns
    assert " ".join(text.split()) == sentence
    for row in ROWS:
        for word in " ".join(row).split():
            assert word in output.text.split()
