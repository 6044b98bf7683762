"""The files that options name: opened, checked and written; what goes wrong becomes one line."""

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from .._files import check, replacing
from .._npz import CHUNK
from .errors import InputError

GZIP_MAGIC = b"\x1f\x8b"


class Gzip(gzip.GzipFile):
    """Gzip data, decompressed as it is read, and never much of it at once."""

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, at most `CHUNK`."""
        if size is not None and size > CHUNK:  # zipfile, which asks for the whole directory
            raise ValueError(f"its list of names takes {size} bytes")
        return super().read(size)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressing it if its first two bytes say that it is gzipped.

    The file is seekable. Raises InputError if the path cannot be read or is not a file, if its gzip
    data are damaged, or if the block raises a ValueError, whose message follows the path.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for someone to write to it.
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
                    yield cast(BinaryIO, decompressed)
            else:
                yield file
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{str(path)!r} is damaged gzip data: {error}") from error
        except OSError as error:
            raise unreadable(path, error) from error
        except ValueError as error:
            raise InputError(f"{str(path)!r}: {error}") from error


def unreadable(path: Path, error: OSError | ValueError) -> InputError:
    """The error for a path that the operating system refuses to read."""
    return InputError(f"{str(path)!r} cannot be read: {reason(error)}")


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Turn what prevents the file of an option, such as "--out", from being written into one line.

    Raises InputError.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise InputError(f"{option} {str(path)!r} cannot be written: {reason(error)}") from error


def check_writable(option: str, path: Path) -> None:
    """Raise InputError, before any work is done, if the file of an option cannot be written."""
    with writing(option, path):
        check(path)


def write(option: str, path: Path, content: bytes) -> None:
    """Write the file of an option in one step, all of it or nothing; InputError if that fails."""
    with writing(option, path), replacing(path) as file:
        file.write(content)


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be used, in the system's words, without the path."""
    return getattr(error, "strerror", None) or str(error)
