"""Opens files of data, gzipped or not, and reads arrays without trusting what a header promises.

A few kilobytes of gzip data can be gigabytes, and a damaged header can ask for more memory than
there is. So nothing is read that was not asked for, and memory is taken only for bytes that are
there.
"""

import gzip
import math
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 2**20  # bytes read at a time, and the most that anything but an array may take


class Gzip(gzip.GzipFile):
    """Gzip data, decompressed as it is read; no one reads a large part of it at once."""

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, at most `CHUNK`."""
        if size is not None and size > CHUNK:  # zipfile, which asks for all names
            raise ValueError(f"its list of names takes {size} bytes")
        return super().read(size)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, which is decompressed if its first two bytes say that it is gzipped.

    Parameters
    ----------
    path : Path

    Yields
    ------
    file
        That can seek.

    Raises
    ------
    InputError
        If it cannot be read, is no file, or its gzip data are damaged.
    """
    try:
        # Opening a pipe would otherwise wait for someone to write to it.
        file = open(
            path,
            "rb",
            opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)),
        )
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise unreadable(path, error) from error
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{str(path)!r} is neither a file nor a folder; wanted one of them")
        try:
            gzipped = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            if gzipped:
                with Gzip(fileobj=file, mode="rb") as decompressed:
                    yield decompressed  # type: ignore[misc]  # has all that a BinaryIO is used for
            else:
                yield file
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{str(path)!r} is damaged gzip data: {error}") from error
        except OSError as error:
            raise unreadable(path, error) from error


def read_array(
    file: Any,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    name: str,
    order: Literal["C", "F"] = "C",
    start: bytes = b"",
) -> NDArray[Any]:
    """Read the numbers of an array, after which the file has to end.

    Parameters
    ----------
    file : file
        After its header (and after `start`).
    dtype, shape, order
        What the header says.
    name : str
        The file and the array, for messages.
    start : bytes
        What has been read of the numbers already.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If there are fewer or more bytes.
    """
    wanted = math.prod(shape) * dtype.itemsize
    content = bytearray(start)
    # One byte more tells whether it ends there, and makes gzip and zip compare their checksums.
    while len(content) <= wanted:
        chunk = file.read(min(CHUNK, wanted + 1 - len(content)))
        if not chunk:
            break
        content += chunk
    if len(content) != wanted:
        short = len(content) < wanted
        problem = "is truncated" if short else "has bytes after its end"
        raise InputError(
            f"{name} {problem}: its header (shape {shape}, {dtype.itemsize} bytes a number) asks "
            f"for {wanted} bytes, and there are {len(content) if short else 'more'}"
        )
    return np.ndarray(shape, dtype, content, order=order)


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """The error of a path that the system does not let one read."""
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{str(path)!r} cannot be read: {reason}")
