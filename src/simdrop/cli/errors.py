"""The ways in which `simdrop train` ends early, each with one line for the user."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(Exception):
    """What the user gave cannot be used; the message says what it was and what is wanted."""


class DivergedError(Exception):
    """The loss is no longer a number, so further training is pointless."""


class UnsavedError(Exception):
    """All was computed and printed, but the last checkpoint could not be written."""


class Interrupted(Exception):
    """A signal ended the training, and a checkpoint was written (or the message says why not).

    Parameters
    ----------
    message : str
    signal : int
        Which; a shell calls the exit code of a process that it ended 128 and this.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.code = 128 + signal


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Turn what keeps an option's file from being written into an InputError.

    Parameters
    ----------
    option : str
        As it is spelled, such as "--out".
    path : Path
        Its value.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {str(path)!r} cannot be written: {reason}") from error
