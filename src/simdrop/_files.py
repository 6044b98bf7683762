"""Writes files whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

# A path, or a file open for bytes.
Target = str | bytes | os.PathLike[str] | os.PathLike[bytes] | BinaryIO

PREFIX, SUFFIX = ".simdrop-", ".tmp"
TEMPORARY = re.compile(rf"{re.escape(PREFIX)}[0-9a-f]{{32}}{re.escape(SUFFIX)}")
LEFT_BEHIND = 24 * 60 * 60  # seconds since the last write, after which its writer must be dead
ACCESS_LIST = "system.posix_acl_access"
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
FOLDERS_OPEN = os.name == "posix"  # whether folders can be opened, as syncing one requires


@contextmanager
def replacing(target: Target) -> Iterator[BinaryIO]:
    """A file to write that replaces `target` once it is on the disk.

    It is written in the same folder under a temporary name. If the block raises or the disk is
    full, it is removed and the old file is unchanged. If two writers overlap, the last one wins. A
    killed process may leave a temporary file, which a later writer in the folder removes after a
    day.

    The new file gets the old one's permissions, access control list, owner and group, as far as the
    system lets this user set them; without an old one, the permissions that the umask leaves. Other
    hard links to the old file keep its contents.

    Parameters
    ----------
    target : str, bytes, PathLike or file
        If it is a symbolic link, the file that it points to is replaced. An open file is written to
        directly, and stays open.

    Yields
    ------
    file
        Open for writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written, or is a folder, device, pipe, socket or loop of links.
    ValueError
        If the path has a null character.
    TypeError
        If `target` is none of the above.
    """
    if is_file(target):
        yield cast(BinaryIO, target)
        return
    shown = os.fsdecode(cast(str, target))
    path, old = _find(shown)
    folder = os.path.dirname(path)
    _remove_left_behind(folder)
    file = _create(folder, shown, 0o666 if old is None else 0o600)
    try:
        with file:
            yield file
            file.flush()
            if old is not None:
                _make_like(file.fileno(), path, old)
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(file.name)
        raise
    if FOLDERS_OPEN:
        _sync(folder)


def check(target: Target) -> None:
    """Raise an error if a file cannot be written; an existing file is not touched.

    Parameters
    ----------
    target
        As for `replacing`.

    Raises
    ------
    OSError, ValueError, TypeError
        As `replacing`.
    """
    if not is_file(target):
        shown = os.fsdecode(cast(str, target))
        path, _ = _find(shown)
        with _create(os.path.dirname(path), shown, 0o600) as file:
            pass
        os.unlink(file.name)


def is_file(target: Target) -> bool:
    """Whether it is an open file: has `read`, as in NumPy. TypeError for a text file."""
    if isinstance(target, io.TextIOBase):
        raise TypeError("the file must be open for bytes, not for text")
    return hasattr(target, "read")


def spelled(target: Target) -> str:
    """The name of a file in messages: its path, quoted."""
    if is_file(target):
        return repr(getattr(target, "name", None) or type(target).__name__)
    return repr(os.fsdecode(cast(str, target)))


def _find(path: str) -> tuple[str, os.stat_result | None]:
    """The path with symbolic links resolved, and the status of the file there, if there is one.

    OSError if it cannot be replaced.
    """
    if os.path.basename(path) in ("", os.curdir, os.pardir):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        old = os.stat(path)
    except FileNotFoundError:
        return os.path.realpath(path), None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    if not os.access(path, os.W_OK):
        os.close(os.open(path, os.O_WRONLY))  # raises the error that `os.replace` would not
    return os.path.realpath(path), old


def _create(folder: str, shown: str, mode: int) -> BinaryIO:
    """Create an empty file under an unguessable name that is valid on every file system."""
    name = f"{PREFIX}{os.urandom(16).hex()}{SUFFIX}"
    try:
        return open(
            os.path.join(folder, name),
            "xb",
            opener=lambda path, flags: os.open(path, flags | NO_FOLLOW, mode),
        )
    except OSError as error:
        error.filename = shown  # the name that the user knows
        raise


def _make_like(file: int, path: str, old: os.stat_result) -> None:
    """Give a file the owner, group and permissions of the one that it replaces, where permitted."""
    if not hasattr(os, "fchown"):
        return
    with suppress(OSError):
        os.fchown(file, -1, old.st_gid)
    with suppress(OSError):
        os.fchown(file, old.st_uid, -1)
    mode = old.st_mode & 0o777
    if os.fstat(file).st_gid != old.st_gid:  # another group gets the permissions of others
        mode = mode & ~0o070 | (mode & 0o007) << 3
    with suppress(OSError):
        os.fchmod(file, mode)
    with suppress(OSError, AttributeError):  # no list, or not on this system
        os.setxattr(file, ACCESS_LIST, os.getxattr(path, ACCESS_LIST))


def _sync(folder: str) -> None:
    """Bring the new directory entry to the disk."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that is writable but not readable
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not needed on this file system
            raise
    finally:
        os.close(number)


def _remove_left_behind(folder: str) -> None:
    """Remove temporary files of this user's killed processes from a folder."""
    me = getattr(os, "geteuid", lambda: 0)()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_uid == me and time.time() - found.st_mtime > LEFT_BEHIND:
                        os.unlink(entry.path)
