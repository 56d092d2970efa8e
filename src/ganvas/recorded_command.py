"""Change the parameters of a command that a run has recorded."""

import shlex

OPTION = "--params="


def set_params(command: str, params: dict[str, str]) -> str:
    """Return a command with parameters set by `--params`.

    Args:
        command: A command line, quoted for a shell.
        params: Values by dotted key, written as in the option; they replace those of the command.

    Example:
        >>> set_params("kedro run --env=gpu --params=train.seed=1", {"train.epochs": "2"})
        'kedro run --env=gpu --params=train.seed=1,train.epochs=2'
    """
    words = shlex.split(command)
    given = [word.removeprefix(OPTION) for word in words if word.startswith(OPTION)]
    # Kedro's option has no other way to write a comma, so each separates two parameters.
    pairs = dict(text.partition("=")[::2] for text in ",".join(given).split(",") if text) | params
    rest = [word for word in words if not word.startswith(OPTION)]
    return shlex.join([*rest, OPTION + ",".join(f"{key}={text}" for key, text in pairs.items())])
