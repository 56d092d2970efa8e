"""The project's commands: `kedro run` with errors in one sentence, `train` and `gallery`."""

import copy
import inspect
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.cli import project_commands
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.startup import ProjectMetadata
from kedro.utils import find_kedro_project

import ganvas
from ganvas.command_errors import in_one_sentence
from ganvas.command_line import join_params, write_command
from ganvas.disk_command import disk
from ganvas.epochs_command import epochs
from ganvas.errors import GanvasError
from ganvas.image_shape import Channels, parse_size
from ganvas.import_command import import_stylegan2
from ganvas.kedro_commands import replace_commands
from ganvas.redaction import redact
from ganvas.run_options import (
    check_options,
    load_catalog,
    make_config_loader,
    read_params,
    refuse_empty,
    replace_callbacks,
    split_params,
)
from ganvas.sweeps.command import sweep

if TYPE_CHECKING:
    from ganvas.own_images import Choice


run = copy.copy(kedro_run)
run.callback = in_one_sentence(check_options(cast(Callable[..., Any], kedro_run.callback)))
run.params = replace_callbacks(kedro_run.params)
run.short_help = "Run pipelines, by default all on a sample collection."
replace_commands()


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


# Kedro joins the help of several groups, whose indentation would then be kept.
cli.help = inspect.cleandoc(cli.help or "")
cli.add_command(run)
cli.add_command(disk)
cli.add_command(epochs)
cli.add_command(import_stylegan2)
cli.add_command(sweep)
# Kedro would list its own beside it in `kedro --help`.
project_commands.lazy_subcommands.pop("run", None)


_filled = in_one_sentence(refuse_empty(None))


@cli.command(short_help="Train on the images of a folder, and evaluate the result.")
@click.argument("folder", callback=_filled)
@click.option(
    "--name",
    callback=_filled,
    help="Name of the dataset.  [default: name of the folder]",
)
@click.option(
    "--size",
    callback=_filled,
    metavar="SIDE|WIDTHxHEIGHT",
    help="Size of the generated images in pixels: 64, 64x96; multiples of 32 up to 1024.  "
    "[default: 64]",
)
@click.option(
    "--channels",
    type=click.Choice(["rgb", "gray", "rgba"]),
    help="Color, gray, or color with transparency.  [default: by the images]",
)
@click.option(
    "--labels",
    default="auto",
    show_default=True,
    callback=_filled,
    metavar="auto|folders|none|COLUMN,…",
    help="Classes: the subfolders, none, chosen by the number of images in them, or the values of "
    "label columns, such as Smiling,Eyeglasses.",
)
@click.option("--steps", type=click.IntRange(min=1), help="End after this many training steps.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="End after this many minutes of training.",
)
@click.option(
    "--env", "-e", callback=_filled, help="Preset of conf/, or several: gpu, faces,r3gan."
)
@click.option(
    "--params",
    default="",
    callback=_filled,
    help="More parameters, as for kedro run: KEY=VALUE,…",
)
@click.option("--conf-source", callback=_filled, help="Folder or archive of the configuration.")
@click.pass_context
@in_one_sentence
def train(
    context: click.Context,
    folder: str,
    name: str | None,
    size: str | None,
    channels: Channels | None,
    labels: str,
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
    # pandas takes a second to import, and Kedro imports this module for every command.
    from ganvas.ingestion.archives import UNPACKED, is_archive, unpack
    from ganvas.ingestion.inspect_folder import expand_path, inspect_folder
    from ganvas.own_images import choose_parameters, describe_contents

    path = expand_path(folder)
    chosen_size = parse_size(size) if size else None
    # Before the folder is inspected, which may take minutes, and its plan is printed.
    loader = make_config_loader(env, _read(params), conf_source)
    loader["catalog"]
    data = _find_root(context.obj) / "data"
    if is_archive(path):
        path = unpack(path, data / "01_raw" / UNPACKED)
    contents = inspect_folder(path)
    choices = choose_parameters(
        path,
        contents,
        data,
        name=name,
        size=chosen_size,
        channels=channels,
        labels=labels,
        steps=steps,
        minutes=minutes,
        preset=loader.preset_parameters() | _find_channels(params, channels),
    )
    chosen, reasons = _join_choices(choices, params)
    load_catalog(env, _read(chosen.removeprefix("--params=")), conf_source)
    click.echo("\n".join([describe_contents(path, contents), *reasons]))
    options = [f"--conf-source={conf_source}"] if conf_source else []
    # Of KEDRO_ENV, too: the command does the same in another shell.
    options += [f"--env={loader.env}"] if loader.env else []
    options.append(chosen)
    click.echo(f"The command that does the same:\n\n  {redact(write_command('run', *options))}\n")
    with run.make_context("run", options, parent=context) as run_context:
        run.invoke(run_context)


def _read(params: str) -> dict[str, Any]:
    """Return parameters of the command line as those of `kedro run` are read."""
    (option,) = [option for option in run.params if option.name == "params"]
    return read_params(click.Context(run), option, params)


def _join_choices(choices: Sequence["Choice"], params: str) -> tuple[str, list[str]]:
    """Return the option of all parameters, and the reasons of those that are chosen."""
    items = split_params(params)
    overridden = {item.partition("=")[0].strip() for item in items}
    for key in sorted(overridden & {"ingest.dataset", "ingest.source.name", "ingest.source.path"}):
        raise GanvasError(
            f"--params can't have {key}, which FOLDER and --name determine: leave it out, or use "
            "kedro run."
        )
    chosen: dict[str, Any] = {}
    for choice in choices:
        chosen |= choice.params
    chosen = {key: value for key, value in chosen.items() if key not in overridden}
    reasons = [choice.reason for choice in choices if not overridden & choice.params.keys()]
    return ",".join([join_params(chosen), *items]), reasons


def _find_channels(params: str, channels: Channels | None) -> dict[str, Any]:
    """Return the channels that `--params` sets, after which no dataset is to be named otherwise."""
    chosen = _read(params).get("ingest", {})
    if not isinstance(chosen, dict) or "channels" not in chosen:
        return {}
    if channels is not None:
        raise GanvasError(
            "--params can't have ingest.channels beside --channels: leave one of them out."
        )
    return {"ingest.channels": chosen["channels"]}


def _find_root(metadata: ProjectMetadata | None) -> Path:
    """Return the folder of data/: the project's, or without a project the working folder."""
    return metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()


@cli.command(short_help="Start the gallery, a web page that generates images.")
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
@in_one_sentence
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
