"""The options --passes and --only, and one test for each case, after all others."""

from __future__ import annotations

import pytest

from .cases import CONTENDERS, FAMILIES, cases, missing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--passes", type=int, default=5, help="passes over everything")
    parser.addoption("--only", action="append", choices=FAMILIES, help="one family of measurements")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    absent = missing()
    parameters = []
    option = metafunc.config.getoption
    for case in cases(option("passes"), option("only") or list(FAMILIES)):
        reason = f"{CONTENDERS[case.contender]} is not installed"
        skip = pytest.mark.skipif(case.contender in absent, reason=reason)
        parameters.append(pytest.param(case, id=str(case), marks=skip))
    metafunc.parametrize("case", parameters)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure last, so that a failing test costs no minutes of measurements."""
    items.sort(key=lambda item: "case" in getattr(item, "fixturenames", ()))
