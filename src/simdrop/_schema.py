"""Checks of values read from JSON: ValueError for the first wrong one, named by its place."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable
from typing import Any

Check = Callable[[Any, str], None]  # of a value and its name in messages
MOST = 2**63 - 1  # the largest signed 64-bit integer


def refuse(value: object, name: str, wanted: str) -> None:
    """Raise ValueError with what was found and what is wanted."""
    raise ValueError(f"{name} is {reprlib.repr(value)}; wanted {wanted}")


def anything(value: Any, name: str) -> None:
    """Any value."""


def text(value: Any, name: str) -> None:
    """A string."""
    if not isinstance(value, str):
        refuse(value, name, "a string")


def null(value: Any, name: str) -> None:
    """null."""
    if value is not None:
        refuse(value, name, "null")


def boolean(value: Any, name: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        refuse(value, name, "true or false")


def count(value: Any, name: str) -> None:
    """A whole number from 0 that fits a signed 64-bit integer."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        refuse(value, name, "a whole number from 0")


def number(wanted: str, inside: Callable[[float], bool]) -> Check:
    """A finite number in a range.

    Parameters
    ----------
    wanted : str
        The range in words.
    inside : callable
        Whether a number is in it.
    """

    def check(value: Any, name: str) -> None:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not (numeric and abs(value) <= sys.float_info.max and inside(value)):
            refuse(value, name, f"a number {wanted}")

    return check


from_zero = number("from 0", lambda value: value >= 0)
fraction = number("from 0 to 1", lambda value: 0 <= value <= 1)


def optional(check: Check) -> Check:
    """A value that passes the check, or null."""

    def check_it(value: Any, name: str) -> None:
        if value is not None:
            check(value, name)

    return check_it


def items(check: Check) -> Check:
    """A list of values that pass the check."""

    def check_all(value: Any, name: str) -> None:
        if not isinstance(value, list):
            refuse(value, name, "a list")
        for i, item in enumerate(value):
            check(item, f"{name}[{i}]")

    return check_all


def mapping(check: Check) -> Check:
    """An object with any keys, whose values pass the check."""

    def check_all(value: Any, name: str) -> None:
        if not isinstance(value, dict):
            refuse(value, name, "an object")
        for key, item in value.items():
            check(item, f"{name}.{key}")

    return check_all


def fields(**checks: Check) -> Check:
    """An object with exactly these keys, each value passing its check."""

    def check_all(value: Any, name: str) -> None:
        if not isinstance(value, dict) or value.keys() != checks.keys():
            refuse(value, name, f"an object of {', '.join(checks)}")
        for key, check in checks.items():
            check(value[key], f"{name}.{key}")

    return check_all
