"""Files that are there whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` once it is on the disk.

    It is written beside the old one, as ``.NAME.tmp``. If the block raises, or the disk is full, it
    is removed and `path` is as it was. A killed process may leave it behind; the next writer takes
    it over, so that there is never more than one, and two writers wait for each other.

    Parameters
    ----------
    path : str or Path
        If it is a link, the file that it points to is replaced.

    Yields
    ------
    file
        Open for writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the name has a null character.
    """
    target = Path(path).resolve()
    temporary = target.with_name(f".{target.name}.tmp")
    with _open_alone(temporary) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    # The new name, too, is on the disk only when the folder is.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check(path: str | Path) -> None:
    """Find out whether a file could be written, without touching one that is there.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OSError, ValueError
        As `replacing`.
    """
    target = Path(path).resolve()
    temporary = target.with_name(f".{target.name}.tmp")
    with _open_alone(temporary):
        temporary.unlink()


def _open_alone(path: Path) -> BinaryIO:
    """Open an empty file that no other writer has open, until it is closed."""
    import fcntl

    while True:
        file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666), "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            ours = os.fstat(file.fileno())
            try:
                # While this one waited, the other writer may have given the file its final name.
                alone = os.path.samestat(ours, os.stat(path))
            except FileNotFoundError:
                alone = False
            if alone:
                file.truncate(0)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
