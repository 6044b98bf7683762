"""The CSV of a run: what is written is read again, and the committed one makes the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import report
from .__main__ import FILE, RESULTS
from .cases import GROUPS
from .measurements import Measurements, Pass
from .results import load, save

FACTS = {"CPU": "one: fast", "instruction set": "vaes256 (of vaes256, aesni, portable)"}
NAMES = [str(group) for group in GROUPS.values() if group.family == "shared"][:3]


def measured() -> Measurements:
    """Two passes of three groups; of the last one, a contender is missing in the first pass."""
    passes = [
        (GROUPS[name], contender, Pass(number, 2.5, 5.0, 0.5 + number))
        for number in range(2)
        for name in NAMES
        for contender in ("mask", "simdrop")
    ]
    del passes[4]
    return Measurements(passes)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / FILE
    save(path, measured(), FACTS)
    measurements, facts = load(path)
    assert facts == FACTS
    assert measurements.by_group == measured().by_group
    assert path.read_text(encoding="utf-8").splitlines()[2:4] == [
        "family,work,shape,dtype,p,layout,shared_axes,activation,instruction_set,threads,ours,"
        "contender,our_ns_0,their_ns_0,ratio_0,our_ns_1,their_ns_1,ratio_1",
        "shared,forward,32 256 14 14,float32,0.5,contiguous,2 3,,,1,simdrop,mask,"
        "2.5,5.0,0.5,2.5,5.0,1.5",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",ratio_0", "", "does not have 17 cells"),
        (",1.5\n", "\n", "does not have 18 cells"),
        ("contender,", "contenders,", "no column 'contender'"),
        ("shared,forward", "shared,sideways", "not in cases.py: shared-sideways-"),
        ("# instruction set: vaes256 ", "# instruction set: ", "wanted 'CHOSEN"),
        (",0.5,2.5", ",half,2.5", "half"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / FILE
    save(path, measured(), FACTS)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load(path)


@pytest.mark.skipif(not RESULTS.exists(), reason="source distributions have no results")
def test_the_committed_page_is_made_from_the_committed_file() -> None:
    page = (RESULTS / report.PAGE).read_text(encoding="utf-8")
    assert report.markdown(*load(RESULTS / FILE)) == page
