"""The one error that is meant for the person at the keyboard."""


class GanvasError(Exception):
    """A user's mistake or a run that can't go on, told in one sentence.

    The message says what is wrong, where, what is allowed and what to do; the command line
    prints it alone, without a traceback.
    """


class Finished(Exception):  # noqa: N818 - it ends a run that has done what it was asked to
    """A run that ends before its last node, as it should; the message is its answer."""
