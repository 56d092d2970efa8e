"""Kedro's own commands, whose errors are one sentence as those of Ganvas."""

import contextlib
import copy
import functools
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.cli import project_commands

from ganvas.command_errors import in_one_sentence
from ganvas.errors import GanvasError
from ganvas.run_options import check_pipeline, load_catalog, replace_callbacks

# Import paths of the commands that are replaced, by the name of the replacement in this module.
ORIGINALS: dict[str, str] = {
    name: project_commands.lazy_subcommands[name]
    for name in ("catalog", "ipython", "jupyter", "registry", "server")
    if name in project_commands.lazy_subcommands
}
VIZ = "kedro_viz.launchers.cli.main"
# Kedro-Viz looks for a free port among five, from this one at most.
MAX_VIZ_PORT = 49151


def __getattr__(name: str) -> click.Command:
    """Return a command of Kedro with its errors in one sentence; Kedro asks for it by its name."""
    if name not in ORIGINALS:
        raise AttributeError(name)
    module, _, attribute = ORIGINALS[name].rpartition(".")
    command: click.Command = getattr(import_module(module), attribute)
    return _copy(command, _check_viz if name.startswith("viz_") else _check_names)


def replace_commands() -> None:
    """Replace the commands that Kedro and Kedro-Viz import once one of them is called."""
    groups = {"": project_commands}
    # An extra, whose commands Kedro imports for every command too.
    with contextlib.suppress(ImportError):
        groups["viz_"] = import_module(VIZ).viz
    for prefix, group in groups.items():
        for name, path in list(group.lazy_subcommands.items()):
            if prefix and not path.startswith(__name__):
                ORIGINALS[prefix + name] = path
            if prefix + name in ORIGINALS:
                group.lazy_subcommands[name] = f"{__name__}.{prefix}{name}"


def _copy(command: click.Command, check: Callable[[dict[str, Any]], None]) -> click.Command:
    """Return a copy of a command, or of a group with all its commands, that checks its options."""
    copied, callback = copy.copy(command), command.callback
    if isinstance(copied, click.Group):
        copied.commands = {name: _copy(sub, check) for name, sub in copied.commands.items()}
    elif callback is not None:

        @functools.wraps(callback)
        def checked(*args: Any, **options: Any) -> Any:
            check(options)
            return callback(*args, **options)

        copied.callback = in_one_sentence(checked)
        copied.params = replace_callbacks(command.params)
    return copied


def _check_names(options: dict[str, Any]) -> None:
    """Check the names of pipelines, and the environment of commands that start another process.

    Raises:
        GanvasError: There is no pipeline of that name, or the configuration can't be loaded.
    """
    given = options.get("pipeline") or options.get("pipelines") or []
    for name in [given] if isinstance(given, str) else given:
        check_pipeline(name)
    if "args" in options:
        load_catalog(options.get("env"))


def _check_viz(options: dict[str, Any]) -> None:
    """Check the options of Kedro-Viz, which would fail in another process.

    Raises:
        GanvasError: One of them is wrong, or the configuration can't be loaded.
    """
    if not 1 <= options.get("port", 1) <= MAX_VIZ_PORT:
        raise GanvasError(
            f"--port can't be {options['port']}: it must be from 1 to {MAX_VIZ_PORT}, such as 4141."
        )
    try:
        socket.getaddrinfo(options.get("host", "127.0.0.1"), None, socket.AF_INET)
    except (OSError, UnicodeError) as error:
        raise GanvasError(
            f"--host can't be '{options['host']}': it must be a name or an IPv4 address of this "
            "machine, such as 127.0.0.1."
        ) from error
    if path := options.get("load_file"):
        if not Path(path).exists():
            raise GanvasError(
                f"--load-file={path} doesn't exist: pass what --save-file has written."
            )
        return
    _check_names(options)
    load_catalog(options.get("env"), options.get("params"))
