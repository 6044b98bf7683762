"""The ways in which `simdrop train` ends early, each with one line for the user."""


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
