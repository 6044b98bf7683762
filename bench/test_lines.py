"""Every case has a line of Python to time, and it runs."""

from __future__ import annotations

from itertools import repeat

import pytest

from .cases import GROUPS, Group, missing
from .contenders import NAMES, prepare
from .lines import WORKER_LINES, line_for

# The smallest group for each work of a family.
SMALLEST = {
    (group.family, group.ours, group.work, group.activation): group
    for group in sorted(GROUPS.values(), key=lambda group: -group.n)
}


@pytest.mark.parametrize("group", GROUPS.values(), ids=str)
def test_every_contender_has_a_line(group: Group) -> None:
    for contender in (group.ours, *group.contenders):
        names = compile(line_for(contender, group), contender, "exec").co_names
        assert ("worker" in names) == (group.family in WORKER_LINES)
        assert contender in NAMES or not {"m", "rng", "mask", "c", "best"} & set(names)


@pytest.mark.parametrize("group", SMALLEST.values(), ids=str)
def test_lines_run(group: Group) -> None:
    absent = missing()
    if group.family in ("pytorch", "models", "jax") and set(group.contenders) & set(absent):
        pytest.skip("PyTorch, transformers or JAX is not installed")
    for contender in (group.ours, *group.contenders):
        if contender not in absent:
            prepare(0, group, contender).run(repeat(None, 1))
