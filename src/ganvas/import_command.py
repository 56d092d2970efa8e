"""The command `import-stylegan2`: a model from weights of NVIDIA's StyleGAN2-ADA."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.startup import ProjectMetadata
from kedro.io.core import generate_timestamp
from kedro.utils import find_kedro_project

from ganvas.command_errors import in_one_sentence
from ganvas.command_line import join_params, write_command
from ganvas.errors import GanvasError
from ganvas.plain_text import one_line
from ganvas.run_options import refuse_empty

if TYPE_CHECKING:
    from ganvas.networks.stylegan2_import import ImportedNetworks

# As of ingest.dataset.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
# The label column of classes, whose meaning the weights don't tell.
CLASS_COLUMN = "class"
LICENSE = (
    "Networks that NVIDIA has published are under the NVIDIA Source Code License, which permits "
    "research and evaluation and no commercial use; what is trained from them keeps these terms. "
    "Those of others have the terms of their owner, and of the images."
)
CARD = """---
library_name: keras
license: other
license_name: unknown
tags:
- gan
- image-generation
- ganvas
- stylegan2
---
# StyleGAN2, imported as {name}

This generator was not trained by Ganvas. On {date} `ganvas import-stylegan2` converted it from
`{source}`, weights of NVIDIA's StyleGAN2-ADA. What it was trained on, for how long and with which
results is not recorded here.

**License.** {license}

| | |
|---|---|
| images | {height}×{width} pixels, {channels} channels |
| classes | {classes} |
| latent | {latent} numbers from N(0, 1) |
| imported file | SHA-256 `{digest}` |

`sample.truncation=0.7` gives the more typical, cleaner images that the paper shows.
"""

_filled = in_one_sentence(refuse_empty(None))


@click.command(
    name="import-stylegan2", short_help="Import weights of NVIDIA's StyleGAN2-ADA as a model."
)
@click.argument("file", callback=_filled)
@click.option("--name", callback=_filled, help="Name of the dataset.  [default: name of the file]")
@click.option(
    "--classes",
    callback=_filled,
    metavar="FILE",
    help="Text file with the name of each class in a line.  [default: 0, 1, …]",
)
@click.pass_obj
@in_one_sentence
def import_stylegan2(
    metadata: ProjectMetadata | None, file: str, name: str | None, classes: str | None
) -> None:
    """Import the networks of FILE, which tools/export_stylegan2.py has written.

    The model is then one of those that `sample`, `export` and the gallery use, and that training
    starts from by train.weights_from. It has no record of a training, which `evaluate` and `report`
    need.
    """
    root = metadata.project_path if metadata else find_kedro_project(Path.cwd()) or Path.cwd()
    path = Path(file).expanduser()
    name = name or re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_-")
    if not NAME.fullmatch(name):
        raise GanvasError(
            f"--name can't be '{one_line(name)}': it must be letters, digits, _ and -, with a "
            "letter or digit first, at most 100."
        )
    names = None if classes is None else _read_class_names(Path(classes).expanduser())
    # Before Keras is imported, which takes seconds.
    for network in ("stylegan2", f"stylegan2_by_{CLASS_COLUMN}"):
        _check_free(root, name, network)
    if path.is_file():
        click.echo(f"Reading {path}.")

    # Kedro imports this module for every command.
    from ganvas.networks.stylegan2_import import import_stylegan2 as read_networks

    imported = read_networks(path)
    folder = save_model(root / "data" / "06_models" / name, name, path, imported, names)
    shown = folder.relative_to(root).as_posix()
    click.echo("\n".join(_describe(name, shown, imported)))


def _check_free(root: Path, name: str, network: str) -> None:
    """Check that there is no model of a name.

    Raises:
        GanvasError: There is one.
    """
    folder = root / "data" / "06_models" / name / network
    summary = root / "data" / "08_reporting" / name / network / "training.json"
    for path in (folder, summary):
        if path.exists():
            raise GanvasError(
                f"There is a model {name}/{network} already, in {path.relative_to(root)}: choose "
                "another --name."
            )


def _read_class_names(file: Path) -> list[str]:
    try:
        # Editors on Windows begin a file with a byte order mark.
        names = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise GanvasError(
            f"--classes={file} can't be read ({error}): it must be a text file with the name of "
            "each class in a line."
        ) from error
    names = [name for name in names if name]
    if len(set(names)) < len(names) or any(one_line(name) != name for name in names):
        raise GanvasError(
            f"--classes={file} has a name twice, or with control characters: each line must have "
            "another name."
        )
    return names


def save_model(
    parent: Path,
    name: str,
    file: Path,
    imported: ImportedNetworks,
    class_names: list[str] | None = None,
) -> Path:
    """Save imported networks as a model of Ganvas, all files at once.

    Args:
        parent: `data/06_models/<name>`.
        name: Name of the dataset.
        file: The file that was imported.
        imported: Its networks.
        class_names: Names of the classes; None: their numbers.

    Returns:
        The model's folder.

    Raises:
        GanvasError: There are more or fewer names than classes.
    """
    count = imported.classes
    names = [str(number) for number in range(count)] if class_names is None else class_names
    if len(names) != count:
        raise GanvasError(
            f"--classes has {len(names)} names, and {file} {count or 'no'} classes: "
            + ("write one name for each class." if count else "leave it out.")
        )
    folder = parent / (f"stylegan2_by_{CLASS_COLUMN}" if count else "stylegan2")
    partial = parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    version = generate_timestamp()
    column = CLASS_COLUMN if count else None
    try:
        for network in imported.networks[:2]:
            network.save(_make_parent(partial, f"{network.name}.keras", version))
        classes_file = _make_parent(partial, "class_list.json", version)
        classes_file.write_text(json.dumps({"column": column, "names": names}))
        card = _write_card(name, file, imported, names)
        (partial / "model_card.md").write_text(card, encoding="utf-8")
        partial.rename(folder)
    except OSError as error:
        # That of a full disk names no file.
        error.filename = error.filename or str(folder)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _make_parent(folder: Path, file: str, version: str) -> Path:
    """Return the path of a version of a file, as Kedro's, whose folder exists."""
    path = folder / file / version / file
    path.parent.mkdir(parents=True)
    return path


def _write_card(name: str, file: Path, imported: ImportedNetworks, names: list[str]) -> str:
    height, width, channels = imported.image_shape
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return CARD.format(
        name=name,
        source=one_line(imported.source).replace("`", ""),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        license=LICENSE,
        height=height,
        width=width,
        channels=channels,
        classes=len(names) or "none",
        latent=imported.params.latent,
        digest=digest,
    )


def _describe(name: str, folder: str, imported: ImportedNetworks) -> list[str]:
    """Return what was imported, in lines, with the commands that use it."""
    height, width, _ = imported.image_shape
    count = imported.networks.generator.count_params() / 1e6
    classes = imported.classes or "no"
    chosen: dict[str, Any] = {"ingest.dataset": name, "network.name": "stylegan2"}
    training: dict[str, Any] = {"ingest.size": height} | imported.list_parameters()
    # By default it is the label of the sample collection.
    chosen["network.label"] = CLASS_COLUMN if imported.classes else None
    training["train.weights_from"] = folder
    return [
        f"Imported {one_line(imported.source)}: a generator of {height}×{width} pixels with "
        f"{classes} classes and {count:.3g} million parameters, in {folder}.",
        "",
        LICENSE,
        "",
        "To generate images of it, or see it in the gallery:",
        "",
        "  "
        + write_command(
            "run",
            "--pipelines=sample",
            join_params(chosen | {"sample.count": 64, "sample.truncation": 0.7}),
        ),
        f"  {write_command('gallery')}",
        "",
        "To train from it, on your images (add the parameters of the collection):",
        "",
        f"  {write_command('run', '--env=stylegan2', join_params(training))}",
    ]
