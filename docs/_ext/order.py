"""The order of the gallery."""


class ByReading:
    """The key by which examples are sorted: the order in which one reads them."""

    ORDER = ["training_loop", "family", "theory", "uncertainty", "char_rnn", "rbm", "attention"]

    def __init__(self, folder: str) -> None:
        pass

    def __call__(self, file: str) -> int:
        return self.ORDER.index(file.removesuffix(".py"))

    def __repr__(self) -> str:  # Sphinx compares configurations by it
        return type(self).__name__
