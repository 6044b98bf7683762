"""Reads the arrays of `.npz` and `.npy` files without pickles, and without trusting their headers.

A few kilobytes of compressed data can expand to gigabytes, and a damaged header can ask for more
memory than there is. So only the arrays asked for are read, and memory is allocated only for bytes
that are actually in the file.
"""

from __future__ import annotations

import io
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SUFFIX = ".npy"
CHUNK = 2**20  # bytes read at a time
HEADER = 2**14  # bytes; NumPy itself refuses a header above 10,000
READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What NumPy writes. Python decompresses other methods in one go, however large the result.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Npz:
    """
    The arrays of an open `.npz` file.

    Parameters
    ----------
    file : file
        Open for reading bytes, with positions (`seek`).
    methods : collection of int
        The compression methods accepted, constants of `zipfile`.

    Raises
    ------
    ValueError
        If the file is not a zip archive or is damaged.
    """

    def __init__(self, file: BinaryIO, methods: Collection[int] = METHODS) -> None:
        with _parsing(""):
            self._archive = zipfile.ZipFile(file)
        self._methods = methods
        self._members = self._archive.infolist()

    @property
    def names(self) -> list[str]:
        """The names of the arrays, in file order; a malformed file may hold one twice."""
        return [member.filename.removesuffix(SUFFIX) for member in self._members]

    def read(self, number: int) -> NDArray[Any]:
        """
        Read one array.

        Parameters
        ----------
        number : int
            Its position in `names`.

        Raises
        ------
        ValueError
            If the member is not an array, holds objects, or is damaged.
        """
        name, member = self.names[number], self._members[number]
        with _parsing(f"array {name} cannot be read: "):
            if member.compress_type not in self._methods:
                raise ValueError("its compression is not supported")
            with self._archive.open(member) as file:
                start = io.BytesIO(file.read(HEADER))
                shape, fortran, dtype = _read_header(start)
                order: Literal["C", "F"] = "F" if fortran else "C"
                return read_numbers(file, dtype, shape, order=order, start=start.read())


def read_numbers(
    file: IO[bytes],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    order: Literal["C", "F"] = "C",
    start: bytes = b"",
) -> NDArray[Any]:
    """
    Read the numbers of an array, after which the file must end.

    Parameters
    ----------
    file : file
        Positioned after its header (and after `start`).
    dtype, shape, order
        What the header says.
    start : bytes
        The part of the numbers that has been read already.

    Raises
    ------
    ValueError
        If there are fewer or more bytes.
    """
    wanted = math.prod(shape) * dtype.itemsize
    content = bytearray(start)
    # One byte more shows whether the file ends there, and makes gzip and zip verify checksums.
    while len(content) <= wanted:
        chunk = file.read(min(CHUNK, wanted + 1 - len(content)))
        if not chunk:
            break
        content += chunk
    if len(content) != wanted:
        short = len(content) < wanted
        problem = "is truncated" if short else "has bytes after its end"
        raise ValueError(
            f"it {problem}: its header (shape {shape}, {dtype.itemsize} bytes a number) asks for "
            f"{wanted} bytes, and there are {len(content) if short else 'more'}"
        )
    return np.ndarray(shape, dtype, content, order=order)


def map_npy(path: str | os.PathLike[str]) -> np.memmap[Any, Any]:
    """
    The array of an `.npy` file, read-only, which stays in the file until parts of it are used.

    Raises
    ------
    ValueError
        If the file is not of NumPy's format, holds objects, is empty, or has fewer or more bytes
        than its header asks for.
    OSError
        If it cannot be read.
    """
    # Without O_NONBLOCK, opening a pipe waits for someone to write to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a file")
        with _parsing("it cannot be read: "):
            start = io.BytesIO(file.read(HEADER))
            shape, fortran, dtype = _read_header(start)
            offset, size = start.tell(), os.fstat(file.fileno()).st_size
            wanted = math.prod(shape) * dtype.itemsize
            if wanted != size - offset:
                raise ValueError(
                    f"its header (shape {shape}, {dtype.itemsize} bytes a number) asks for "
                    f"{wanted} bytes, and there are {size - offset}"
                )
            if not wanted:
                raise ValueError(f"it is empty: its shape is {shape}")
            return np.memmap(file, dtype, "r", offset, shape, "F" if fortran else "C")


def _read_header(start: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type; ValueError for a type of objects."""
    if not start.getvalue().startswith(npy.MAGIC_PREFIX):
        raise ValueError("it is not in NumPy's format")
    version = npy.read_magic(start)
    if version not in READ_HEADER:
        raise ValueError(f"format version {version} is not one for numbers and strings")
    shape, fortran, dtype = READ_HEADER[version](start)
    if dtype.hasobject:
        raise ValueError("object arrays are pickles; wanted numbers or strings")
    return shape, fortran, dtype


@contextmanager
def _parsing(what: str) -> Iterator[None]:
    """Turn the dozen kinds of error that parsers raise on damaged bytes into a ValueError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{what}{error}") from error
