"""The project's commands: `kedro run` with errors told in one sentence."""

import copy
import difflib
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.framework.startup import ProjectMetadata

from ganvas.errors import Finished, GanvasError


def _find_cause(error: BaseException | None) -> GanvasError | Finished | None:
    """Kedro wraps what a dataset raises, so the sentence may lie further down the chain."""
    while error is not None and not isinstance(error, GanvasError | Finished):
        error = error.__cause__
    return error


def _in_one_sentence(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except Exception as error:
            cause = _find_cause(error)
            if cause is None:
                raise
            if isinstance(cause, Finished):
                click.echo(str(cause))
                return None
            raise click.ClickException(str(cause)) from error

    return wrapped


def _check_nodes(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse nodes that the pipelines to run don't have, before any work.

    Raises:
        GanvasError: There is no such node.
    """

    @functools.wraps(callback)
    def wrapped(**options: Any) -> Any:
        chosen = {options["pipeline"], *options["pipelines"]} - {None} or {"__default__"}
        known = {node.name for name in chosen & set(pipelines) for node in pipelines[name].nodes}
        asked = [*options["node_names"], *options["from_nodes"], *options["to_nodes"]]
        for name in asked if known else []:
            if name in known:
                continue
            near = [other for other in sorted(known) if other.endswith(f".{name}")]
            near = near or difflib.get_close_matches(name, known) or sorted(known)
            raise GanvasError(
                f"There is no node '{name}' in {', '.join(sorted(chosen))}: nodes are called by "
                f"their stage and name, such as {', '.join(near)}."
            )
        return callback(**options)

    return wrapped


run = copy.copy(kedro_run)
run.callback = _in_one_sentence(_check_nodes(cast(Callable[..., Any], kedro_run.callback)))


@click.group(name="ganvas")
def cli() -> None:
    """Ganvas's own commands, which take the place of Kedro's of the same name."""


cli.add_command(run)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="The port."
)
@click.pass_obj
@_in_one_sentence
def gallery(metadata: ProjectMetadata | None, host: str, port: int) -> None:
    """Open the gallery: a web page that paints with the newest generators."""
    # Kedro imports this file for every command, and TensorFlow takes seconds.
    from ganvas.gallery.server import serve

    logging.getLogger("ganvas").setLevel(logging.INFO)
    # The packaged project has no folder of its own: its data lies where it is run.
    root = metadata.project_path if metadata else Path.cwd()
    serve(root / "data", host, port)
