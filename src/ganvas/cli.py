"""The project's commands: `kedro run` with errors told in one sentence."""

import copy
import difflib
import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
from kedro.config import MissingConfigException
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import ProjectMetadata
from kedro.utils import find_kedro_project

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


def _check_names(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse pipelines, nodes and the like that there are not, and a runner that can't do it.

    Raises:
        GanvasError: There is none of that name, or the runner can't hand on images.
    """

    @functools.wraps(callback)
    def wrapped(**options: Any) -> Any:
        if (options["runner"] or "").rpartition(".")[2] == "ParallelRunner":
            raise GanvasError(
                "--runner=ParallelRunner can't be used, since nodes hand images on in memory: "
                "take SequentialRunner, as it is, or ThreadRunner."
            )
        chosen = sorted({options["pipeline"], *options["pipelines"]} - {None} or {"__default__"})
        for name in chosen:
            if name not in pipelines:
                known = ", ".join(sorted(set(pipelines) - {"__default__"}))
                raise GanvasError(f"There is no pipeline '{name}': --pipelines takes {known}.")
        nodes = [node for name in chosen for node in pipelines[name].nodes]
        place = ", ".join(chosen)
        namespaces = {node.namespace for node in nodes if node.namespace}
        _check_namespaces(options["namespaces"], namespaces, place)
        asked = [*options["node_names"], *options["from_nodes"], *options["to_nodes"]]
        _check_nodes(asked, {node.name for node in nodes}, place)
        try:
            return callback(**options)
        except MissingConfigException as error:
            raise GanvasError(_explain(error, options["env"], options["conf_source"])) from error

    return wrapped


def _check_namespaces(asked: list[str], known: set[str], place: str) -> None:
    for name in asked:
        if name not in known:
            told = ", ".join(sorted(known))
            raise GanvasError(f"There is no namespace '{name}' in {place}: there are {told}.")


def _check_nodes(asked: list[str], known: set[str], place: str) -> None:
    for name in asked:
        if name in known:
            continue
        near = [other for other in sorted(known) if other.endswith(f".{name}")]
        near = near or difflib.get_close_matches(name, known) or sorted(known)
        raise GanvasError(
            f"There is no node '{name}' in {place}: nodes are called by their stage and name, such "
            f"as {', '.join(near)}."
        )


def _explain(error: MissingConfigException, env: str | None, conf_source: str | None) -> str:
    """Say which environments there are, where one is asked for that there isn't."""
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    conf = Path(conf_source or project / settings.CONF_SOURCE)
    env = env or os.environ.get("KEDRO_ENV")
    known = sorted(each.name for each in conf.glob("[!.]*/"))
    if env is None or env in known or not known:
        return f"{error}."
    return f"There is no environment '{env}' in {conf}: --env takes {', '.join(known)}."


run = copy.copy(kedro_run)
run.callback = _in_one_sentence(_check_names(cast(Callable[..., Any], kedro_run.callback)))


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
