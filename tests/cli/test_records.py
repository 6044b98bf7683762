"""The results file of a sweep: whatever is damaged in it is an error that says what to do."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simdrop.cli import records
from simdrop.cli.errors import InputError

RESULTS = Path("simdrop-sweep.jsonl")


# Each test is in an empty folder of its own.
pytestmark = pytest.mark.usefixtures("folder")


def signed(text):
    """A line with the checksum of its JSON, as docs/how-to/choose-p.md has it."""
    digest = hashlib.sha256(text).hexdigest()[:16].encode()
    return text[:-1] + b', "sha256": "' + digest + b'"}\n'


ABOUT = {"settings": {"folds": 3, "momentum": 0.9}, "data": {"x_train": "0a1b"}}

HEAD = {"simdrop sweep": 3} | ABOUT

VALUES = {"p": 0.5, "p_input": 0.2, "lr": 0.05, "hidden": [8, 4]}
CELL = (0.5, 0.2, 0.05, (8, 4))
RECORD = VALUES | {"fold": 1, "error": 0.25, "loss": 1.5, "seconds": 0.125}


def results_file(*written):
    """Results by hand: a head and these lines."""
    return b"".join(signed(json.dumps(record).encode()) for record in (HEAD, *written))


def test_lines_are_what_the_page_says():
    other = RECORD | {"fold": 2, "error": None, "loss": None}
    assert records.load(RESULTS, ABOUT) == {}
    records.append(RESULTS, RECORD)
    records.append(RESULTS, other)
    assert RESULTS.read_bytes() == results_file(RECORD, other)
    assert records.load(RESULTS, ABOUT) == {CELL: {1: 0.25, 2: None}}


def test_no_flipped_bit_is_read_as_another_number():
    written = [RECORD | {"fold": fold, "error": error} for fold, error in enumerate([0.5, None])]
    whole = results_file(*written)
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    for at in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            RESULTS.write_bytes(damaged)
            if at == ends[-1]:  # as if the line had not been finished: that net is trained again
                assert records.load(RESULTS, ABOUT) == {CELL: {0: 0.5}}
                assert RESULTS.read_bytes() == whole[: ends[-2] + 1]
                continue
            line = 1 + sum(end < at for end in ends)
            with pytest.raises(InputError, match=f"damaged in line {line}; "):
                records.load(RESULTS, ABOUT)
            assert RESULTS.read_bytes() == damaged


@given(st.data())
def test_no_damage_is_read_as_another_number(data):
    whole = results_file(*(RECORD | {"fold": fold, "error": fold / 4} for fold in range(3)))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    RESULTS.write_bytes(whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])
    try:
        done = records.load(RESULTS, ABOUT)
    except InputError as error:
        assert "damaged in line" in str(error)
    else:
        assert done.items() <= {CELL: {}}.items() or all(
            error == fold / 4 for fold, error in done[CELL].items()
        )


BRACKETS = b"[" * 100_000

DAMAGED = {
    "nothing": b"\n",
    "an object": b"{}\n",
    "a list": b"[1]\n",
    "a list that is signed": signed(b"[1]"),
    "brackets": BRACKETS + b"\n",
    "brackets that are signed": signed(b'{"p": ' + BRACKETS + b"}"),
    "no UTF-8": b"\xff\xfe\n",
    "no UTF-8 that is signed": signed(b'{"p": "\xff"}'),
    "digits": signed(b'{"p": ' + b"1" * 5000 + b"}"),
    "no checksum": json.dumps(RECORD).encode() + b"\n",
    "another's checksum": signed(b"{}")[:-1] + b"\n",
    "a line twice in one": results_file(RECORD).replace(b"\n", b" ") + b"\n",
}

NO_NUMBERS = ["0.5", [0.5], {}, True, -0.5, 10**400, float("nan"), float("inf")]

WRONG = {
    "p": [None, 1.5, *NO_NUMBERS],
    "p_input": [None, 1.5, *NO_NUMBERS],
    "fold": [None, 3, 1.5, 2**64, *NO_NUMBERS],
    "lr": [None, *NO_NUMBERS],
    "hidden": [None, 8, [8.5], [-8], "8,4"],
    "error": NO_NUMBERS,
    "loss": NO_NUMBERS,
    "seconds": [None, *NO_NUMBERS],
}


for key, values in WRONG.items():
    for value in values:
        DAMAGED[f"{key} {value!r:.9}"] = signed(json.dumps(RECORD | {key: value}).encode())
    rest = {other: value for other, value in RECORD.items() if other != key}
    DAMAGED[f"no {key}"] = signed(json.dumps(rest).encode())


DAMAGED["more"] = signed(json.dumps(RECORD | {"more": 1}).encode())


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_line_is_an_error_that_says_what_to_do(what):
    content = results_file(RECORD) + DAMAGED[what] + signed(json.dumps(RECORD).encode())
    RESULTS.write_bytes(content)
    with pytest.raises(InputError) as caught:
        records.load(RESULTS, ABOUT)
    assert str(caught.value) == (
        "--results 'simdrop-sweep.jsonl' is damaged in line 3; remove that line, and its net is "
        "trained again"
    )
    assert RESULTS.read_bytes() == content


@pytest.mark.parametrize(
    "head, message",
    [
        (HEAD | {"simdrop sweep": 1}, "is of version 1, not 3; wanted a new name"),
        (HEAD | {"simdrop sweep": True}, "damaged in line 1"),
        (HEAD | {"settings": [1]}, "damaged in line 1"),
        (HEAD | {"data": {"x_train": 1}}, "damaged in line 1"),
        ({"settings": {}, "data": {}}, "damaged in line 1"),
        ([1], "damaged in line 1"),
        (HEAD | {"data": {}}, "is from another sweep: the data differ in x_train"),
        (HEAD | {"settings": {"folds": 3}}, "--momentum was not there and is 0.9"),
    ],
)
def test_a_head_that_is_none_of_this_sweep(head, message):
    RESULTS.write_bytes(signed(json.dumps(head).encode()))
    with pytest.raises(InputError, match=message):
        records.load(RESULTS, ABOUT)
