"""Names that a user may have meant, for error messages."""

import difflib
from collections.abc import Iterable

MAX_NAMES = 3


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return the known names that are similar, as an addition to a sentence; "" for none.

    Example:
        >>> suggest_names("training", ["train", "evaluate"])
        " (did you mean 'train'?)"
    """
    similar = difflib.get_close_matches(name, list(known), n=MAX_NAMES)
    return f" (did you mean {' or '.join(map(repr, similar))}?)" if similar else ""
