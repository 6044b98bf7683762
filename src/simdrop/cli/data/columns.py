"""Tables as people have them: CSV and Parquet files, read as columns with names."""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...nn.inputs import Column, listed
from ..errors import InputError
from ..files import reading, unreadable

SUFFIXES = (".csv", ".tsv", ".txt", ".data")  # of text; `.gz` may follow
PARQUET_MAGIC = b"PAR1"
DELIMITERS = ",;\t|"
# What stands where a value is missing, in any case; pandas and R write and read these.
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
ROWS = 8192  # of text that are converted at a time
LONGEST = 2**20  # characters of a field; csv refuses longer ones
CATEGORIES = 100  # strings in a column, at most
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")

Table = dict[str, NDArray[Any]]  # columns of numbers (float64, or what Parquet has) and of str


def is_table(path: Path) -> bool:
    """Whether a file has the suffix of a table of text, or is in Parquet's format."""
    try:
        if path.is_dir():
            return False
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if Path(path.name.lower().removesuffix(".gz")).suffix in SUFFIXES:
        return True
    with reading(path) as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


Choose = Callable[[Sequence[str]], Collection[str]]


def read(path: Path, choose: Choose) -> Table:
    """Read some columns of a table, which `choose` tells by the names of all.

    Raises InputError if that is not possible, if a value is missing, or for a ValueError of
    `choose`.
    """
    with reading(path) as file:
        parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        file.seek(0)
        table = _read_parquet(file, choose) if parquet else read_csv(file, choose)
    if not any(map(len, table.values())):
        raise InputError(f"{str(path)!r} is empty: it has no rows")
    return table


def read_csv(file: BinaryIO, choose: Choose) -> Table:
    """Columns of text, UTF-8, with names in the first line, or numbered from 1.

    A line that holds a number is data, not names. The delimiter is that of `DELIMITERS` which makes
    the most fields of the first line. A column of which all values are numbers is float64, others
    are str. ValueError, with the line's number, if a line has other fields than the first, or a
    value is missing.
    """
    try:
        first = _text(file).readline(LONGEST)
    except UnicodeDecodeError as error:
        raise _not_text(error) from error
    if not first:
        raise ValueError("it is empty")
    if "\0" in first:
        raise ValueError("it is not a table of text: its first line holds a null character")
    starts = [next(csv.reader([first], delimiter=delimiter), []) for delimiter in DELIMITERS]
    fields = max(starts, key=len)
    delimiter = DELIMITERS[starts.index(fields)]
    fields = [field.strip() for field in fields]
    named = not any(map(_is_number, fields))
    names = fields if named else [str(number) for number in range(1, len(fields) + 1)]
    _check_names(names)
    wanted = choose(names)
    strings: set[str] = set()
    while True:
        try:
            table = _read_rows(file, delimiter, names, named, wanted, strings)
            return {name: table[name] for name in names if name in wanted}
        except _Strings as found:  # again, with these columns as strings from the first row on
            strings |= found.names


def _not_text(error: UnicodeDecodeError) -> ValueError:
    return ValueError(f"it is not UTF-8 text: {error.reason} {error.object[error.start]:#04x}")


class _Strings(Exception):
    """Columns that were taken for numbers hold something else."""

    def __init__(self, names: set[str]) -> None:
        self.names = names


def _text(file: BinaryIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(_Kept(file)), "utf-8-sig", newline="")


class _Kept(io.RawIOBase):
    """A file from its start, left open by what reads it."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def _read_rows(
    file: BinaryIO,
    delimiter: str,
    names: Sequence[str],
    named: bool,
    wanted: Collection[str],
    strings: Collection[str],
) -> Table:
    """The wanted columns, those in `strings` as such; `_Strings` if others hold no numbers."""
    lines = csv.reader(_text(file), delimiter=delimiter)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in wanted}
    before = csv.field_size_limit(LONGEST)
    try:
        if named:
            next(lines)
        for numbers, rows in _in_parts(lines, len(names)):
            more = set()
            for name, values in zip(names, zip(*rows, strict=True), strict=True):
                if name not in parts:
                    continue
                if name in strings:
                    _check_present(name, values, numbers)
                    parts[name].append(np.array([value.strip() for value in values]))
                    continue
                try:
                    parts[name].append(np.array(values, np.float64))
                except ValueError:
                    _check_present(name, values, numbers)
                    more.add(name)
                else:
                    if np.isnan(parts[name][-1]).any():  # of "nan"
                        _check_present(name, values, numbers)
            if more:
                raise _Strings(more)
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise _not_text(error) from error
    finally:
        csv.field_size_limit(before)
    return {name: np.concatenate(part) if part else np.empty(0) for name, part in parts.items()}


WANTED = "wanted none missing: remove such rows, or fill them in"


def _in_parts(lines: Any, columns: int) -> Iterator[tuple[list[int], list[list[str]]]]:
    """The rows of some lines at a time, with the numbers of these lines; empty lines are none."""
    numbers: list[int] = []
    rows: list[list[str]] = []
    for row in lines:
        if not row:
            continue
        if len(row) != columns:
            raise ValueError(
                f"line {lines.line_num} has {len(row)} fields, and the first line {columns}"
            )
        numbers.append(lines.line_num)
        rows.append(row)
        if len(rows) == ROWS:
            yield numbers, rows
            numbers, rows = [], []
    if rows:
        yield numbers, rows


def _check_present(name: str, values: Sequence[str], numbers: Sequence[int]) -> None:
    for value, number in zip(values, numbers, strict=True):
        if value.strip().lower() in MISSING:
            shown = f"holds {value!r}" if value.strip() else "is empty"
            raise ValueError(f"column {name!r} {shown} in line {number}; {WANTED}")


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return field.lower() not in MISSING


def _check_names(names: Sequence[str]) -> None:
    if "" in names:
        raise ValueError(f"column {list(names).index('') + 1} has no name in the first line")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"its first line names {listed(twice)} more than once")


def _read_parquet(file: BinaryIO, choose: Choose) -> Table:
    """Columns of numbers, booleans and strings. ValueError for others, and for missing values."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError('Parquet files need pyarrow: pip install "simdrop[parquet]"') from error
    try:
        source = pq.ParquetFile(file)
        names = source.schema_arrow.names
        _check_names(names)
        wanted = choose(names)
        content = source.read([name for name in names if name in wanted])
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is a damaged Parquet file: {error}") from error
    table: Table = {}
    for name, column in zip(content.column_names, content.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind, column = kind.value_type, column.cast(kind.value_type)
        if column.null_count:
            row = column.is_null().index(True).as_py()
            raise ValueError(f"column {name!r} has no value in row {row + 1}; {WANTED}")
        if pa.types.is_decimal(kind):
            kind, column = pa.float64(), column.cast(pa.float64())
        texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if texts:
            table[name] = np.array(column.to_pylist(), dtype=str)
        elif numeric or pa.types.is_boolean(kind):
            table[name] = column.to_numpy()
        else:
            raise ValueError(
                f"column {name!r} holds {kind}; wanted numbers, booleans or strings, or --ignore "
                f"{name}"
            )
    return table


def chosen(names: Sequence[str], target: str | None, ignore: Sequence[str]) -> list[str]:
    """The columns of inputs, and the one to be learned as the last; ValueError without one."""
    if target is None:
        raise ValueError(
            f"--target says which column is to be learned; wanted one of {listed(names)}"
        )
    for option, name in (("--target", target), *(("--ignore", name) for name in ignore)):
        if name not in names:
            raise ValueError(f"{option} {name!r} is not a column; wanted one of {listed(names)}")
    if target in ignore:
        raise ValueError(f"column {target!r} is both --target and --ignore")
    inputs = [name for name in names if name not in (target, *ignore)]
    if not inputs:
        raise ValueError(f"it has no column besides {target!r} and those to ignore")
    return [*inputs, target]


def known(names: Sequence[str], columns: Sequence[Column], also: str | None) -> list[str]:
    """The columns that a net was trained on, and another one if it is there; ValueError if any is
    missing."""
    needed = [column.name for column in columns]
    missing = [name for name in needed if name not in names]
    if missing:
        kind = "column" if len(missing) == 1 else "columns"
        raise ValueError(f"it lacks the {kind} {listed(missing)}; it has {listed(names)}")
    return [*needed, also] if also is not None and also in names else needed


def columns_of(inputs: Mapping[str, NDArray[Any]]) -> tuple[Column, ...]:
    """How each column of the training set becomes inputs."""
    columns = []
    for name, values in inputs.items():
        categories = None
        if values.dtype.kind == "U":
            categories = tuple(np.unique(values).tolist())
            if all(map(DECIMAL_COMMA.fullmatch, categories)):
                raise ValueError(
                    f"column {name!r} holds {categories[0]!r}; wanted numbers with a decimal point"
                )
            if len(categories) > CATEGORIES:
                raise ValueError(
                    f"column {name!r} holds {len(categories)} different strings, such as "
                    f"{categories[0]!r}; wanted numbers or at most {CATEGORIES} categories, or "
                    f"--ignore {name}"
                )
        columns.append(Column(name, categories))
    return tuple(columns)
