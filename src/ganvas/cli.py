"""The project's commands: `kedro run` with errors in one sentence, and `kedro gallery`."""

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
from omegaconf.errors import OmegaConfBaseException

from ganvas.errors import Finished, GanvasError


def _errors_as_one_sentence(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Print a GanvasError without its traceback, and end normally on Finished."""

    @functools.wraps(callback)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except Exception as error:
            # Kedro wraps the exceptions of datasets in its own, OmegaConf those of resolvers.
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, GanvasError | Finished):
                from_omegaconf = isinstance(cause, OmegaConfBaseException)
                cause = cause.__context__ if from_omegaconf else cause.__cause__
            if cause is None:
                raise
            if isinstance(cause, Finished):
                click.echo(str(cause))
                return None
            raise click.ClickException(str(cause)) from error

    return wrapped


def _check_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Validate the names of pipelines, namespaces, nodes and environment, and the runner."""

    @functools.wraps(callback)
    def wrapped(**options: Any) -> Any:
        if (options["runner"] or "").rpartition(".")[2] == "ParallelRunner":
            raise GanvasError(
                "--runner=ParallelRunner can't be used, since nodes pass images in memory: use "
                "SequentialRunner, the default, or ThreadRunner."
            )
        chosen = sorted({options["pipeline"], *options["pipelines"]} - {None} or {"__default__"})
        for name in chosen:
            if name not in pipelines:
                known = ", ".join(sorted(set(pipelines) - {"__default__"}))
                raise GanvasError(f"There is no pipeline '{name}': --pipelines takes {known}.")
        nodes = [node for name in chosen for node in pipelines[name].nodes]
        place = ", ".join(chosen)
        namespaces = sorted({node.namespace for node in nodes if node.namespace})
        for name in options["namespaces"]:
            if name not in namespaces:
                raise GanvasError(
                    f"There is no namespace '{name}' in {place}: there are {', '.join(namespaces)}."
                )
        node_names = sorted(node.name for node in nodes)
        for name in [*options["node_names"], *options["from_nodes"], *options["to_nodes"]]:
            _check_node(name, node_names, place)
        try:
            return callback(**options)
        except MissingConfigException as error:
            raise GanvasError(
                _describe_missing_config(error, options["env"], options["conf_source"])
            ) from error

    return wrapped


def _check_node(name: str, known: list[str], place: str) -> None:
    if name in known:
        return
    similar = [other for other in known if other.endswith(f".{name}")]
    similar = similar or difflib.get_close_matches(name, known) or known
    raise GanvasError(
        f"There is no node '{name}' in {place}: names of nodes begin with their stage, such as "
        f"{', '.join(similar)}."
    )


def _describe_missing_config(
    error: MissingConfigException, env: str | None, conf_source: str | None
) -> str:
    """List the environments in conf if the chosen one does not exist."""
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    conf = Path(conf_source or project / settings.CONF_SOURCE)
    env = env or os.environ.get("KEDRO_ENV")
    known = sorted(folder.name for folder in conf.glob("[!.]*/"))
    if env is None or env in known or not known:
        return f"{error}."
    return f"There is no environment '{env}' in {conf}: --env takes {', '.join(known)}."


run = copy.copy(kedro_run)
run.callback = _errors_as_one_sentence(_check_options(cast(Callable[..., Any], kedro_run.callback)))


@click.group(name="ganvas")
def cli() -> None:
    """Ganvas's commands, which replace Kedro's of the same name."""


cli.add_command(run)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to use."
)
@click.pass_obj
@_errors_as_one_sentence
def gallery(metadata: ProjectMetadata | None, host: str, port: int) -> None:
    """Start the gallery: a web page that generates images with the newest models."""
    # Kedro imports this module for every command, and TensorFlow takes seconds to import.
    from ganvas.gallery.server import serve

    logging.getLogger("ganvas").setLevel(logging.INFO)
    # Without a project, as when installed from the wheel, data is in the working folder.
    root = metadata.project_path if metadata else Path.cwd()
    serve(root / "data", host, port)
