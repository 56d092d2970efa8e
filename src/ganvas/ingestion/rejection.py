"""The result of a file that can't be used."""


class Rejection(Exception):  # noqa: N818 - a result for one file, not a failure
    """The reason, in a few words, why a file is rejected.

    Args:
        reason: What is wrong with the file and, after a colon, how to repair or convert it.
        hint: What else helps whoever runs the ingestion, such as a parameter or a package. It is
            no part of the message, since visitors of the gallery can change neither.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint

    @property
    def with_hint(self) -> str:
        """The reason and the hint."""
        return f"{self}; {self.hint}" if self.hint else str(self)


class NoAnswer(Rejection):
    """The file system did not answer within the time limit."""
