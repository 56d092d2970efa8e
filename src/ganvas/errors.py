"""Exceptions whose messages are meant for users."""

from ganvas.redaction import redact


class GanvasError(Exception):
    """A user's mistake, or a run that can't continue, described in one sentence.

    The message says what is wrong, where, what is allowed and what to do. The command line prints
    it without a traceback. Passwords and keys in it are hidden.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class Finished(Exception):  # noqa: N818 - it ends a successful run
    """End a run successfully before its last node; the message is printed as its result."""
