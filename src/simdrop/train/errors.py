"""The two ways in which `simdrop train` ends early, each with one line for the user."""


class InputError(Exception):
    """What the user gave cannot be used; the message says what it was and what is wanted."""


class DivergedError(Exception):
    """The loss is no longer a number, so further training is pointless."""
