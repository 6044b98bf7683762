"""What the transforms return: immutable objects of a few values."""

from __future__ import annotations

from typing import Any

import numpy as np

from simdrop import _args

MOST_SHOWN = 64  # characters of an array


class Values:
    """
    An immutable object whose `__slots__` name its values: it compares, hashes and pickles by them.

    Like a frozen dataclass, but the class is made in a hundredth of the time, which every import
    of simdrop takes.
    """

    __slots__: tuple[str, ...] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__slots__
        given = dict(zip(names, values, strict=False)) | named
        if len(values) + len(named) != len(names) or set(given) != set(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        for name in names:
            object.__setattr__(self, name, given[name])

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **named: Any) -> Any:
        _args.refuse_ufunc(self, ufunc)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()

    def __repr__(self) -> str:
        values = (f"{name}={shown(getattr(self, name))}" for name in self.__slots__)
        return f"{type(self).__name__}({', '.join(values)})"


class OfArrays(Values):
    """Values with arrays among them, which do not compare: an object equals itself alone."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)


def shown(value: Any) -> str:
    """A value as Python has it; an array that would fill lines by its shape alone."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size == 0:
        return f"np.zeros({value.shape})"
    written = f"np.array({value.tolist()})" if value.size <= MOST_SHOWN else ""
    return written if 0 < len(written) <= MOST_SHOWN else f"<array of shape {value.shape}>"
