"""The project's commands: `kedro run` with errors in one sentence, `train` and `gallery`."""

import copy
import difflib
import functools
import logging
import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click
from click.core import ParameterSource
from kedro.config import MissingConfigException
from kedro.framework.cli.cli import project_commands
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines, settings
from kedro.framework.startup import ProjectMetadata
from kedro.utils import find_kedro_project
from omegaconf.errors import OmegaConfBaseException

import ganvas
from ganvas.command_line import join_params
from ganvas.disk_space import explain_full_disk, find_full_disk
from ganvas.errors import Finished, GanvasError
from ganvas.redaction import redact
from ganvas.stop_signals import exit_interrupted, interrupt, on_signal

if TYPE_CHECKING:
    from ganvas.own_images import Choice


UNUSABLE_RUNNERS = {
    "ParallelRunner": "nodes pass images in memory",
    # Python runs handlers of signals in the main thread alone.
    "ThreadRunner": "Ctrl-C and SIGTERM can't end training in a thread",
}


def _errors_as_one_sentence(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Print a GanvasError, or that a signal came, without a traceback; end normally on Finished."""

    @functools.wraps(callback)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            with on_signal(interrupt):
                return callback(*args, **kwargs)
        except KeyboardInterrupt as error:
            exit_interrupted(error)
        except Exception as error:
            # Kedro wraps the exceptions of datasets in its own, OmegaConf those of resolvers.
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, GanvasError | Finished):
                from_omegaconf = isinstance(cause, OmegaConfBaseException)
                cause = cause.__context__ if from_omegaconf else cause.__cause__
            if cause is None and (full := find_full_disk(error)):
                named = [Path(os.fsdecode(full.filename))] if full.filename else []
                paths = named or [Path("data"), Path(tempfile.gettempdir())]
                raise click.ClickException(explain_full_disk(full, *paths)) from error
            if cause is None:
                raise
            if isinstance(cause, Finished):
                click.echo(str(cause))
                return None
            raise click.ClickException(str(cause)) from error

    return wrapped


def _check_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Validate the names of pipelines, namespaces, nodes, tags, datasets and environment."""

    @functools.wraps(callback)
    def wrapped(**options: Any) -> Any:
        _refuse_empty_params(options["params"])
        runner = (options["runner"] or "").rpartition(".")[2]
        if runner in UNUSABLE_RUNNERS:
            raise GanvasError(
                f"--runner={runner} can't be used, since {UNUSABLE_RUNNERS[runner]}: use "
                "SequentialRunner, the default."
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
        tags = {tag for node in nodes for tag in node.tags}
        for name in options["tags"]:
            if name not in tags:
                raise GanvasError(
                    f"No node in {place} has the tag '{name}': choose stages by --pipelines or "
                    "--namespaces, and nodes by --nodes."
                )
        datasets = sorted({name for node in nodes for name in (*node.inputs, *node.outputs)})
        for name in [*options["from_inputs"], *options["to_outputs"]]:
            if name not in datasets:
                similar = difflib.get_close_matches(name, datasets) or datasets
                raise GanvasError(
                    f"There is no dataset '{name}' in {place}: perhaps you mean "
                    f"{', '.join(similar)}."
                )
        try:
            return callback(**options)
        except MissingConfigException as error:
            raise GanvasError(
                _describe_missing_config(error, options["env"], options["conf_source"])
            ) from error

    return wrapped


def _refuse_empty_params(params: object) -> None:
    """Refuse `--params=` without a parameter, which would run everything with the defaults."""
    given = click.get_current_context().get_parameter_source("params")
    if given is ParameterSource.COMMANDLINE and not params:
        raise GanvasError(
            "--params is empty, perhaps because of a shell variable that is not set: write "
            "--params=KEY=VALUE, or leave it out to use the parameters of conf."
        )


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


run.short_help = "Run the project's pipelines, by default all on a sample collection."


class _RunByDefault(click.Group):
    """A group whose command is `run` if there are no arguments, or options come first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--version")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(name="ganvas", cls=_RunByDefault)
@click.version_option(ganvas.__version__)
def cli() -> None:
    """Train an image generator (GAN) on a folder of images, and look at what it generates.

    \b
    ganvas train ~/art   train on your images, evaluate, and write a report
    ganvas gallery       generate images with the trained models in a web page
    ganvas               do the first with a sample collection that Ganvas draws

    Results are in data/ of the working folder. The options of `ganvas run` work without its name
    too: `ganvas --pipelines=sample`.
    """


cli.add_command(run)
# Kedro would list its own beside it in `kedro --help`.
project_commands.lazy_subcommands.pop("run", None)


@cli.command()
@click.argument("folder")
@click.option("--name", help="Name of the dataset.  [default: name of the folder]")
@click.option(
    "--size",
    type=click.Choice(["32", "64", "128", "256"]),
    help="Side of the generated images in pixels.  [default: 64]",
)
@click.option(
    "--labels",
    type=click.Choice(["auto", "folders", "none"]),
    default="auto",
    show_default=True,
    help="Classes: the sub-folders, none, or chosen by the number of images in them.",
)
@click.option("--steps", type=click.IntRange(min=1), help="End after this many training steps.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="End after this many minutes of training.",
)
@click.option("--env", "-e", help="Preset of conf/, such as gpu, faces or artworks.")
@click.option("--params", default="", help="More parameters, as for kedro run: KEY=VALUE,…")
@click.option("--conf-source", help="Folder or archive of the configuration.")
@click.pass_context
@_errors_as_one_sentence
def train(
    context: click.Context,
    folder: str,
    name: str | None,
    size: str | None,
    labels: Literal["auto", "folders", "none"],
    steps: int | None,
    minutes: float | None,
    env: str | None,
    params: str,
    conf_source: str | None,
) -> None:
    """Train on the images of FOLDER, evaluate the generator and write a report.

    FOLDER may be a ZIP or TAR archive. Parameters are chosen by its contents. The command prints
    them as a `kedro run` command, which does the same, and then runs it. The same command later
    resumes an interrupted run.
    """
    _refuse_empty_params(params.strip())
    # pandas takes a second to import, and Kedro imports this module for every command.
    from ganvas.ingestion.archives import UNPACKED, is_archive, unpack
    from ganvas.ingestion.inspect_folder import expand_path, inspect_folder
    from ganvas.own_images import choose_parameters, describe_contents

    path = expand_path(folder)
    data = _find_root(context.obj) / "data"
    if is_archive(path):
        path = unpack(path, data / "01_raw" / UNPACKED)
    contents = inspect_folder(path)
    click.echo(describe_contents(path, contents))
    choices = choose_parameters(
        path,
        contents,
        data,
        name=name,
        size=int(size) if size else None,
        labels=labels,
        steps=steps,
        minutes=minutes,
        env=env,
    )
    options = [f"--conf-source={conf_source}"] if conf_source else []
    options += [f"--env={env}"] if env else []
    options.append(_join_choices(choices, params))
    program = ["kedro", "run"] if find_kedro_project(Path.cwd()) else ["ganvas", "run"]
    click.echo(f"The command that does the same:\n\n  {redact(shlex.join([*program, *options]))}\n")
    with run.make_context("run", options, parent=context) as run_context:
        run.invoke(run_context)


def _join_choices(choices: Sequence["Choice"], params: str) -> str:
    """Print the choices that `--params` doesn't override, and return the option of all."""
    items = [item.strip() for item in params.split(",") if item.strip()]
    overridden = {item.partition("=")[0].strip() for item in items}
    for key in sorted(overridden & {"ingest.dataset", "ingest.source.name", "ingest.source.path"}):
        raise GanvasError(
            f"--params can't have {key}, which FOLDER and --name determine: leave it out, or use "
            "kedro run."
        )
    chosen: dict[str, Any] = {}
    for choice in choices:
        if not overridden & choice.params.keys():
            click.echo(choice.reason)
        chosen |= choice.params
    chosen = {key: value for key, value in chosen.items() if key not in overridden}
    return ",".join([join_params(chosen), *items])


def _find_root(metadata: ProjectMetadata | None) -> Path:
    """Return the folder of data/: the project's, or without a project the working folder."""
    return metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to use."
)
@click.option(
    "--prefix", default="", help="Path below which a proxy publishes the gallery, such as /art."
)
@click.option(
    "--host-name",
    "host_names",
    multiple=True,
    help="Host name of the published gallery, such as art.example; may be repeated.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    help="Address or network of a proxy whose X-Forwarded headers are used; may be repeated.",
)
@click.pass_obj
@_errors_as_one_sentence
def gallery(
    metadata: ProjectMetadata | None,
    host: str,
    port: int,
    prefix: str,
    host_names: tuple[str, ...],
    trusted_proxies: tuple[str, ...],
) -> None:
    """Start the gallery: a web page that generates images with the newest models."""
    # Kedro imports this module for every command, and TensorFlow takes seconds to import.
    from ganvas.gallery.server import serve

    logging.getLogger("ganvas").setLevel(logging.INFO)
    serve(_find_root(metadata) / "data", host, port, prefix, host_names, trusted_proxies)
