"""The display of progress, in terminals of any width and elsewhere."""

import re
from pathlib import Path

import pytest
from command import CURSOR_UP, HIDE_CURSOR, QUICK, SHOW_CURSOR, in_terminal, plain

# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def test_live_display_in_a_terminal(small):
    code, seen, err = in_terminal("train", "--data", small, "--hidden", "8", "--epochs", "400")
    assert (code, err) == (0, "")
    frames = seen.split(CURSOR_UP)  # it goes up to draw over what is there
    assert len(frames) > 1  # how many depends on the machine's speed: one each tenth of a second
    assert seen.index(HIDE_CURSOR) < seen.index("time left") < seen.index(SHOW_CURSOR)
    lines = [line.rstrip() for line in plain(frames[-1]).splitlines()]
    last = "\n".join(lines)
    assert re.search(r"^without dropout +━+ +400/400 +\d\.\d{4} +\d+\.\d\d %$", last, re.M)
    assert re.search(r"^with dropout +━+ +400/400 +\d\.\d{4} +\d+\.\d\d %$", last, re.M)
    assert "done" in lines and "Curves: 'simdrop-train.png'" in lines
    for heading in ("epoch", "training loss", "validation error", "time left"):
        assert heading in plain(seen)
    assert Path("simdrop-train.png").is_file()


@pytest.mark.parametrize("columns", [20, 40])
def test_live_display_in_a_narrow_terminal(small, columns):
    words = ["train", "--data", small, "--hidden", "8", "--epochs", "60"]
    code, seen, err = in_terminal(*words, columns=columns)
    assert (code, err) == (0, "")
    last = plain(seen.split(CURSOR_UP)[-1])
    assert "…" not in seen and max(len(line) for line in last.splitlines()[:-1]) <= columns
    for net in ("without dropout", "with dropout"):
        form = (
            rf"{net}\s+epoch\s+60/60\s+training loss\s+\d\.\d{{4}}\s+validation error\s+\d+\.\d\d %"
        )
        assert re.search(form, last)


@pytest.mark.parametrize("columns", [40, 100])
def test_sweep_in_a_terminal(small, columns):
    words = ["sweep", "--data", small, "--hidden", "4", "--epochs", "1", "--folds", "2"]
    code, seen, err = in_terminal(*words, "--p-input", "0,0.1,0.2,0.3", columns=columns)
    assert (code, err) == (0, "") and "…" not in seen
    end = plain(seen)[plain(seen).rindex("time left") :]  # the table of the end
    for p in ("0", "0.25", "0.5", "0.75"):
        if columns == 40:
            assert re.search(
                rf"^p {p}\r\n(  input [\d.]+ +\d+\.\d\d ± \d+\.\d\d %\r\n){{4}}", end, re.M
            )
        else:
            assert re.search(rf"^ {p} ( +\d+\.\d\d ± \d+\.\d\d %){{4}} *\r$", end, re.M)


def test_ctrl_c_in_a_terminal_gives_the_cursor_back(small, folder):
    code, seen, err = in_terminal(
        "train", "--data", small, "--epochs", "1000000", stop_at="time left"
    )
    assert (code, err) == (130, "simdrop: interrupted\n")
    assert seen.rindex(SHOW_CURSOR) > seen.rindex(HIDE_CURSOR)
    assert list(folder.iterdir()) == []


def test_terminal_that_cannot_move_its_cursor_gets_lines(small):
    code, seen, err = in_terminal("train", "--data", small, *QUICK, TERM="dumb")
    assert (code, err) == (0, "")
    assert "\x1b" not in seen and "epoch 3/3, with dropout: loss" in seen


def test_fit_in_a_terminal():
    """`nn.Network.fit` uses the same display."""
    code = """
from simdrop import nn
net = nn.MLP((2, 3, 2), rng=0)
net.fit([[1, 2], [3, 4]], [0, 1], epochs=300, validation=0.5, rng=0)
"""
    code, seen, err = in_terminal(code=code, columns=60)
    assert (code, err) == (0, "")
    assert seen.index(HIDE_CURSOR) < seen.index("time left") < seen.index(SHOW_CURSOR)
    *_, title, state, bar, first, second = plain(seen.split(CURSOR_UP)[-1]).splitlines()
    assert title.rstrip() == "MLP(2-3-2, relu, p=0.5, p_input=0.2): 1 row in 1 batch"
    assert (state.rstrip(), bar.rstrip()) == ("done", "━" * 40)
    assert f"{first.rstrip()} {second.rstrip()}".startswith("epoch 300/300, loss ")
