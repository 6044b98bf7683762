"""How a command ends early: each exception carries one line for the user."""


class InputError(Exception):
    """What the user gave cannot be used; the message says what was given and what is wanted."""


class DivergedError(Exception):
    """The loss is infinite or NaN, so further training is pointless."""


class UnsavedError(Exception):
    """The last checkpoint or result could not be written."""


class RanksError(Exception):
    """The ranks of an MPI job do not compute the same."""


class Interrupted(Exception):
    """A signal ended the training after a last checkpoint (or the message says why there is none).

    `code` is the exit code with which shells report a process that the signal ended: 128 + signal.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.code = 128 + signal
