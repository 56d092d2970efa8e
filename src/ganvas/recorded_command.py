"""Change the parameters of a command that a run has recorded."""

import shlex
from collections.abc import Mapping

OPTION = "--params="


def set_params(command: str, params: Mapping[str, str | None]) -> str:
    """Return a command with parameters set by `--params`, or left out where they are None.

    Args:
        command: A command line, quoted for a shell.
        params: Values by dotted key, written as in the option; they replace those of the command.

    Example:
        >>> set_params("kedro run --params=train.seed=1,select.epoch=3", {"select.epoch": None})
        'kedro run --params=train.seed=1'
    """
    words = shlex.split(command)
    given = [word.removeprefix(OPTION) for word in words if word.startswith(OPTION)]
    # Kedro's option has no other way to write a comma, so each separates two parameters.
    items = [text.partition("=")[::2] for text in ",".join(given).split(",") if text]
    pairs: dict[str, str | None] = {**dict(items), **params}
    rest = [word for word in words if not word.startswith(OPTION)]
    chosen = ",".join(f"{key}={text}" for key, text in pairs.items() if text is not None)
    return shlex.join([*rest, OPTION + chosen] if chosen else rest)
