"""Every case has a line of Python to time."""

from __future__ import annotations

import pytest

from .cases import GROUPS, Group
from .contenders import NAMES
from .lines import WORKER_LINES, line_for


@pytest.mark.parametrize("group", GROUPS.values(), ids=str)
def test_every_contender_has_a_line(group: Group) -> None:
    for contender in (group.ours, *group.contenders):
        names = compile(line_for(contender, group), contender, "exec").co_names
        assert ("worker" in names) == (group.family in WORKER_LINES)
        assert contender in NAMES or not {"m", "rng", "mask", "c", "best"} & set(names)
