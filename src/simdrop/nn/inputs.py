"""From the numbers and names of a user's data to what a net computes with: scaling, categories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simdrop import _schema
from simdrop._values import shown

ROWS = 4096  # taken at a time, so that the statistics of a large array take little memory
SCALES = ("none", "unit", "standard")

Number = float | NDArray[np.float64]


def in_rows(x: NDArray[Any], rows: NDArray[np.intp] | None = None) -> Iterator[NDArray[Any]]:
    """An array's rows, or some of them, a part at a time, each row flat."""
    for start in range(0, len(x) if rows is None else len(rows), ROWS):
        part = x[start : start + ROWS] if rows is None else x[rows[start : start + ROWS]]
        yield part.reshape(len(part), -1)


@dataclass(frozen=True, eq=False)
class Summary:
    """The smallest and largest number, mean and standard deviation of each column, float64."""

    least: NDArray[np.float64]
    most: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[Any], rows: NDArray[np.intp] | None = None) -> Self:
        """Of one row or more of finite numbers, whose other axes are flattened."""
        count = 0
        for given in in_rows(x, rows):
            part = given.astype(np.float64)
            mean = part.mean(axis=0)
            squares = ((part - mean) ** 2).sum(axis=0)
            if not count:
                least, most = part.min(axis=0), part.max(axis=0)
                total, spread = mean, squares
            else:  # Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance"
                least = np.minimum(least, part.min(axis=0))
                most = np.maximum(most, part.max(axis=0))
                apart = mean - total
                spread = spread + squares + apart**2 * (count * len(part) / (count + len(part)))
                total = total + apart * (len(part) / (count + len(part)))
            count += len(part)
        return cls(least, most, total, np.sqrt(spread / count))

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Which columns are not constant, up to what rounding leaves of a deviation of 0."""
        return self.deviation > 1e-12 * self.magnitude

    @property
    def magnitude(self) -> NDArray[np.float64]:
        """The largest magnitude in each column."""
        return np.maximum(np.abs(self.least), np.abs(self.most))


@dataclass(frozen=True, eq=False)
class Scaling:
    """(x - shift) / divisor, for each number of an example.

    Attributes
    ----------
    kind : "none", "unit" or "standard"
        The numbers as they are, divided by one number, or each column with mean 0 and standard
        deviation 1.
    shift, divisor : float or ndarray
        Of all columns, or (columns,), float64. No divisor is 0.
    """

    kind: str
    shift: Number = 0.0
    divisor: Number = 1.0

    @classmethod
    def unit(cls, largest: float) -> Self:
        """Division by the largest magnitude, unless all numbers are 0."""
        return cls("unit", 0.0, largest or 1.0)

    @classmethod
    def standard(cls, summary: Summary, scaled: NDArray[np.bool_] | None = None) -> Self:
        """To mean 0 and deviation 1; a constant column becomes 0. Columns not `scaled` stay."""
        divisor = np.where(summary.varies, summary.deviation, 1.0)
        if scaled is None:
            return cls("standard", summary.mean, divisor)
        return cls("standard", np.where(scaled, summary.mean, 0), np.where(scaled, divisor, 1))

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Rows of examples of any shape, as rows of float32."""
        flat = x.reshape(len(x), math.prod(x.shape[1:]))
        with np.errstate(over="ignore"):  # beyond float32: infinite
            if self.kind != "standard":
                y = flat.astype(np.float32)
                y /= np.float32(self.divisor)
                return y
            return ((flat.astype(np.float64) - self.shift) / self.divisor).astype(np.float32)

    def undone(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers, float64, that are scaled to y."""
        return y.astype(np.float64) * self.divisor + self.shift

    def __repr__(self) -> str:
        return f"Scaling({self.kind!r}, {shown(self.shift)}, {shown(self.divisor)})"

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        numbers = (np.asarray(number).tolist() for number in (self.shift, self.divisor))
        return dict(zip(("kind", "shift", "divisor"), (self.kind, *numbers), strict=True))

    @classmethod
    def from_json(cls, value: Any, name: str, columns: int) -> Self:
        """Of so many columns; ValueError for what `as_json` never gives."""
        _schema.fields(kind=_schema.text, shift=_schema.anything, divisor=_schema.anything)(
            value, name
        )
        if value["kind"] not in SCALES:
            _schema.refuse(value["kind"], f"{name}.kind", f"one of {', '.join(SCALES)}")
        several = value["kind"] == "standard"
        numbers = []
        for key, check in (("shift", _finite), ("divisor", _positive)):
            (_schema.items(check) if several else check)(value[key], f"{name}.{key}")
            if several and len(value[key]) != columns:
                _schema.refuse(len(value[key]), f"the length of {name}.{key}", str(columns))
            numbers.append(np.array(value[key], np.float64) if several else float(value[key]))
        return cls(value["kind"], *numbers)


_finite = _schema.number("that is finite", lambda value: True)
_positive = _schema.number("above 0", lambda value: value > 0)


@dataclass(frozen=True)
class Column:
    """A column of a table: of numbers, or with `categories` of strings, one-hot encoded."""

    name: str
    categories: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        if self.categories is None:
            return f"Column({self.name[:40]!r})"
        return f"Column({self.name[:40]!r}, {len(self.categories)} categories)"

    @property
    def width(self) -> int:
        """How many inputs of a net it is."""
        return 1 if self.categories is None else len(self.categories)

    def encoded(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values (rows,) as numbers (rows, width); ValueError for others than there were."""
        if self.categories is None:
            try:
                return np.asarray(values).astype(np.float64).reshape(-1, 1)
            except (TypeError, ValueError):
                raise ValueError(
                    f"column {self.name!r} holds {kind_of(values)}; wanted numbers"
                ) from None
        texts = np.asarray(values).astype(str)
        known = np.array(self.categories)
        places = np.minimum(np.searchsorted(known, texts), len(known) - 1)
        other = np.flatnonzero(known[places] != texts)
        if len(other):
            raise ValueError(
                f"column {self.name!r} holds {str(texts[other[0]])!r}, which it does not hold in "
                f"the training set; wanted one of {listed(self.categories)}"
            )
        return np.eye(len(known))[places]


def encoded(columns: Sequence[Column], table: Mapping[str, Any]) -> NDArray[np.float64]:
    """The columns of a table (a mapping of names to arrays, such as a DataFrame) as inputs.

    Others that the table has do not matter. ValueError if one is missing or has other values.
    """
    missing = [column.name for column in columns if column.name not in table]
    if missing:
        raise ValueError(
            f"the table has no column {listed(missing)}; it has {listed(list(table.keys()))}"
        )
    parts = [column.encoded(np.asarray(table[column.name])) for column in columns]
    return np.concatenate(parts, axis=1)


def columns_from_json(value: Any, name: str) -> tuple[Column, ...]:
    """Columns from a list of names and categories; ValueError for what no training writes."""
    texts = _schema.items(_schema.text)
    one = _schema.fields(name=_schema.text, categories=_schema.optional(texts))
    _schema.items(one)(value, name)
    columns = []
    for i, column in enumerate(value):
        categories = column["categories"]
        if categories is not None and categories != sorted(set(categories) or {""}):
            raise ValueError(f"{name}[{i}].categories are not distinct and sorted")
        columns.append(Column(column["name"], None if categories is None else tuple(categories)))
    if len({column.name for column in columns}) != len(columns):
        raise ValueError(f"{name} has a name twice")
    return tuple(columns)


def kind_of(values: Any) -> str:
    """What an array holds, for messages: its first value that is no number, else its dtype."""
    array = np.asarray(values)
    if array.dtype.kind in "OUS":
        for value in array.ravel()[:1000]:
            try:
                float(value)
            except (TypeError, ValueError):
                return repr(value.item() if isinstance(value, np.generic) else value)
    return str(array.dtype)


def listed(names: Sequence[object], most: int = 20) -> str:
    """Names as a sentence lists them: the first ones, and how many more there are."""
    text = ", ".join(repr(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
