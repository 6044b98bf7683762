"""The option --passes, and a test for each case."""

from __future__ import annotations

import pytest

from .cases import CONTENDERS, cases, missing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--passes", type=int, default=5, help="passes over everything")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    absent = missing()
    parameters = []
    for case in cases(metafunc.config.getoption("passes")):
        reason = f"{CONTENDERS[case.contender]} is not installed"
        skip = pytest.mark.skipif(case.contender in absent, reason=reason)
        parameters.append(pytest.param(case, id=str(case), marks=skip))
    metafunc.parametrize("case", parameters)
