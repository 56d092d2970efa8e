"""Choose the parameters of a run on a user's folder of images."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from ganvas.errors import GanvasError
from ganvas.image_shape import Channels, Size, describe_size, height_and_width
from ganvas.ingestion import SourceParams
from ganvas.ingestion.celeba import list_attributes
from ganvas.ingestion.collection import MANIFEST, read_source
from ganvas.ingestion.inspect_folder import FolderContents, describe_others
from ganvas.ingestion.shards import open_shards

# What `--labels` can be other than names of label columns.
LABELS = ("auto", "folders", "none")
# Suffixes of the tables of labels that a folder may have.
TABLE_SUFFIXES = {".csv", ".tsv", ".json", ".jsonl"}

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Names that say nothing without that of the folder around them.
GENERAL_NAMES = {"data", "dataset", "images", "img", "jpg", "photos", "pictures", "png", "train"}
# Folder names below data/ that other sources have by default, or reports.
RESERVED_NAMES = {*get_args(SourceParams.model_fields["name"].annotation), "leaderboard"}
# Subfolders of these names are splits, not classes.
SPLIT_NAMES = {"train", "training", "valid", "validation", "val", "dev", "eval", "test", "testing"}
# A folder is a class if it holds this many images, and if such folders hold most of all images.
MIN_CLASS_IMAGES, MIN_CLASSES_SHARE = 10, 0.9
LABEL_COLUMNS = {"folder": "class", "artworks": "artist", "wikiart": "style"}
DEFAULT_NETWORK, DEFAULT_SIZE, CPU_BATCH = "projected", 64, 16
# Below these numbers of images: no validation split, the CPU's batch size, no test split.
FEW, SMALL, MEDIUM = 50, 100, 1000
# An epoch of the sample collection has 31 steps, one of which is a checkpoint and a snapshot.
STEPS_PER_EPOCH, MAX_STEPS_PER_CHECKPOINT = 30, 500


class Choice(NamedTuple):
    """Parameters that belong together, with dotted keys, and why they were chosen."""

    params: dict[str, Any]
    reason: str


def choose_parameters(
    folder: Path,
    contents: FolderContents,
    data: Path,
    *,
    name: str | None = None,
    size: Size | None = None,
    channels: Channels | None = None,
    labels: str = "auto",
    steps: int | None = None,
    minutes: float | None = None,
    preset: Mapping[str, Any] | None = None,
) -> list[Choice]:
    """Choose the parameters of a run on the images of a folder.

    Args:
        folder: The folder that the user passes.
        contents: Its contents.
        data: Folder `data` of the project.
        name: Name of the dataset; None: that of the folder, or one beside it if that is taken.
        size: Size of the images; None: that of the configuration.
        channels: Channels of the images; None: those that suit them, unless a preset chooses.
        labels: folders, none, auto: by the number of images in the folders, or names of label
            columns, separated by commas.
        steps: Maximum number of training steps.
        minutes: Maximum minutes of training.
        preset: Parameters that the presets of `--env` set, with dotted keys.

    Raises:
        GanvasError: The name can't be that of a folder, there are no folders to be classes, or
            results would be among the images.
    """
    if data.resolve().is_relative_to(contents.path.resolve()):
        raise GanvasError(
            f"Results would be written to {data}, among the images of {contents.path}: run the "
            "command in another folder."
        )
    preset = preset or {}
    classes = choose_classes(contents, labels, preset)
    converted = choose_channels(folder, contents, data, size, channels, name, preset)
    kind = converted.params["ingest.channels"] if converted else None
    return [
        choose_dataset(folder, contents, data, size, name, kind),
        *([classes] if classes else []),
        *([converted] if converted else []),
        *choose_sizes(contents.images, size, preset),
        *choose_limits(steps, minutes),
    ]


def choose_dataset(
    folder: Path,
    contents: FolderContents,
    data: Path,
    size: Size | None,
    name: str | None,
    channels: Channels | None = None,
) -> Choice:
    """Choose the source and the name of the dataset, and with it the folders of its results.

    Args:
        folder: The folder that the user passes, after which the dataset is named.
        contents: Its contents.
        data: Folder `data` of the project.
        size: Size of the images, which is part of the name unless None or the default.
        name: A name that the user chooses instead.
        channels: Channels of the images, which are part of the name unless None or rgb.

    Raises:
        GanvasError: The user's name can't be that of a folder.

    Example:
        >>> choose_dataset(Path("/home/ada/art"), contents, Path("data"), 128, None).reason
        'Dataset art-128: results go to data/…/art-128/.'
    """
    if name is not None:
        if not NAME.fullmatch(name):
            raise GanvasError(
                f"--name can't be '{name}': it must be letters, digits, _ and -, such as "
                f"{make_name(Path(name))}."
            )
        chosen, reason = name, f"Dataset {name}: results go to data/…/{name}/"
        owner = find_owner(data, name, folder, contents.source)
        if owner is not None:
            reason += (
                f", where the data of {owner} are: its packed images and its report are replaced, "
                "its models are kept"
            )
    else:
        first = chosen = _name_of(folder, size, channels)
        number = 1
        while owner := find_owner(data, chosen, folder, contents.source):
            number += 1
            chosen = f"{first}-{number}"
        reason = f"Dataset {chosen}: results go to data/…/{chosen}/"
        if chosen != first:
            owner = find_owner(data, first, folder, contents.source)
            reason += f", since data/…/{first}/ is for {owner}"
    params = {
        "ingest.source.name": contents.source,
        "ingest.dataset": chosen,
        "ingest.source.path": str(contents.path),
    }
    return Choice(params, f"{reason}.")


def _name_of(folder: Path, size: Size | None, channels: Channels | None) -> str:
    parts = [make_name(folder)]
    if size is not None and size != DEFAULT_SIZE:
        height, width = height_and_width(size)
        parts.append(str(height) if height == width else f"{width}x{height}")
    if channels not in (None, "rgb"):
        parts.append(str(channels))
    return "-".join(parts)


def choose_channels(
    folder: Path,
    contents: FolderContents,
    data: Path,
    size: Size | None,
    channels: Channels | None,
    name: str | None,
    preset: Mapping[str, Any],
) -> Choice | None:
    """Choose the channels of the images; None leaves them to the configuration.

    A folder that was packed in color before, as earlier versions always did, stays so.

    Args:
        folder: The folder that the user passes.
        contents: Its contents.
        data: Folder `data` of the project.
        size: Size of the images.
        channels: What the user chooses.
        name: Name of the dataset that the user chooses.
        preset: Parameters that the presets of `--env` set, with dotted keys.
    """
    if channels is not None:
        return Choice({"ingest.channels": channels}, f"Channels: {channels}, by --channels.")
    suited, reason = contents.found
    if suited == "rgb" or "ingest.channels" in preset or not _trains_default(preset):
        return None
    color = choose_dataset(folder, contents, data, size, name).params["ingest.dataset"]
    if _is_packed_in_color(data, color, folder, contents.source):
        reason = f"Channels: rgb, as packed before, although {reason}; --channels {suited} uses it."
        return Choice({"ingest.channels": "rgb"}, reason)
    other = {
        "gray": "--channels rgb trains in color",
        "rgba": "--channels rgb puts them on ingest.background",
    }[suited]
    return Choice({"ingest.channels": suited}, f"Channels: {suited}, since {reason}; {other}.")


def _is_packed_in_color(data: Path, name: str, folder: Path, source: str) -> bool:
    """Return whether the images of a folder are packed under a name with three channels."""
    if find_owner(data, name, folder, source) is not None:
        return False
    try:
        return open_shards(data / "03_primary" / name / "collection").shape[-1] == 3
    except (OSError, ValueError):
        return False


def make_name(folder: Path) -> str:
    """Return the name of a folder in letters, digits, _ and -.

    Example:
        >>> make_name(Path("/home/ada/Été à Paris")), make_name(Path("/home/ada/cats/images"))
        ('Ete-a-Paris', 'cats-images')
    """
    names = [_to_ascii(folder.name)]
    if names[0].lower() in GENERAL_NAMES:
        names.insert(0, _to_ascii(folder.parent.name))
    return "-".join(filter(None, names))[:60].rstrip("-_") or "images"


def _to_ascii(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", letters).strip("-_")


def find_owner(data: Path, name: str, folder: Path, source: str) -> str | None:
    """Return what else has data of a name, in words; None if nothing or only this folder.

    Args:
        data: Folder `data` of the project.
        name: Name of a dataset.
        folder: The folder that the user passes.
        source: Its layout, whose own name it may have.
    """
    if name in RESERVED_NAMES - {source}:
        return f"the source {name}" if name != "leaderboard" else "the leaderboard"
    collection = data / "03_primary" / name / "collection"
    summaries = list((data / "08_reporting" / name).glob("*/training.json"))
    recorded = read_source(collection) or _read_source_of_training(summaries)
    if recorded is None:
        return "another folder" if summaries or (collection / MANIFEST).exists() else None
    # A subfolder was read instead if it was the only one.
    path = (data.parent / Path(recorded).expanduser()).resolve()
    return None if path.is_relative_to(folder.resolve()) else recorded


def _read_source_of_training(summaries: list[Path]) -> str | None:
    """Return the folder that the newest training read, if its parameters name it."""
    for file in sorted(summaries, key=lambda file: file.stat().st_mtime, reverse=True)[:1]:
        try:
            path = json.loads(file.read_text())["parameters"]["ingest"]["source"]["path"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return path if isinstance(path, str) else None
    return None


def choose_classes(
    contents: FolderContents, labels: str, preset: Mapping[str, Any]
) -> Choice | None:
    """Choose whether to train by class; None leaves it to the presets.

    Raises:
        GanvasError: There are no folders that could be classes, or no such label columns.
    """
    if labels not in LABELS:
        return _choose_columns(contents, labels)
    column = LABEL_COLUMNS.get(contents.source)
    problem = _explain_missing_classes(contents, column)
    if labels == "none":
        return Choice({"network.label": None}, "No classes, by --labels none.")
    if labels == "folders":
        if column is None or len(contents.folders.keys() - {""}) < 2:
            raise GanvasError(
                f"--labels folders needs two or more subfolders with images in {contents.path}: "
                "leave it out to train without classes."
            )
    elif "network.label" in preset or not _trains_default(preset):
        # A preset trains a known system, by class or not.
        return None
    elif problem:
        return Choice({"network.label": None}, f"No classes, since {problem}.")
    names = sorted(contents.folders.keys() - {""})
    what = {"wikiart": "styles", "artworks": "artists"}.get(contents.source, "subfolders")
    reason = f"Classes: the {len(names)} {what}; --labels none trains without classes"
    if unlabeled := contents.folders.get("", 0):
        images = "image is" if unlabeled == 1 else "images are"
        reason += f". {unlabeled:,} {images} in none of them and not trained on"
    return Choice({"network.label": column}, f"{reason}.")


def _choose_columns(contents: FolderContents, labels: str) -> Choice:
    """Choose label columns by their names; those of CelebA are checked before images are packed."""
    columns = [name.strip() for name in labels.split(",")]
    if not all(columns):
        raise GanvasError(
            f"--labels can't be '{labels}': it must be {', '.join(LABELS)} or names of label "
            "columns, such as Smiling,Eyeglasses."
        )
    known = list_attributes(contents.path) if contents.source == "celeba" else columns
    if unknown := [name for name in columns if name not in known]:
        there = f"has {', '.join(known)}" if known else "has no list of attributes"
        raise GanvasError(
            f"--labels has {', '.join(unknown)}, but {contents.path} {there}: "
            f"{'choose among these' if known else 'put list_attr_celeba.txt there'}, or leave "
            "--labels out to train without classes."
        )
    table = {}
    if contents.source == "folder" and columns != [LABEL_COLUMNS["folder"]]:
        # The folders have no other columns.
        table = {"ingest.source.folder.labels": "csv"}
        if not TABLE_SUFFIXES & {suffix.lower() for suffix in contents.others}:
            raise GanvasError(
                f"--labels has {', '.join(columns)}, but {contents.path} has no table of labels: "
                f"put labels.csv there, with a column path and these, or set --labels to one of "
                f"{', '.join(LABELS)}."
            )
    if len(columns) == 1:
        return Choice(
            {"network.label": columns[0]} | table, f"Classes: the values of {columns[0]}."
        )
    return Choice(
        {"network.label": columns} | table,
        f"Labels: {', '.join(columns)}, each with a choice of its own.",
    )


def _explain_missing_classes(contents: FolderContents, column: str | None) -> str | None:
    """Return why folders are no classes; None if they are."""
    if column is None:
        return (
            "CelebA's images are in one folder; --labels Smiling,Eyeglasses trains with such "
            "attributes of its list"
        )
    folders = {name: count for name, count in contents.folders.items() if name}
    if not folders:
        return "there are no subfolders"
    if {name.lower() for name in folders} <= SPLIT_NAMES:
        return f"the subfolders are splits ({', '.join(folders)})"
    large = [count for count in folders.values() if count >= MIN_CLASS_IMAGES]
    if len(large) < 2 or sum(large) < MIN_CLASSES_SHARE * contents.images:
        return (
            f"too few images are in subfolders of {MIN_CLASS_IMAGES} or more; --labels folders "
            "trains by subfolder all the same"
        )
    return None


def _trains_default(preset: Mapping[str, Any]) -> bool:
    """Return whether presets train the default network."""
    return bool(preset.get("network.name", DEFAULT_NETWORK) == DEFAULT_NETWORK)


def choose_sizes(images: int, size: Size | None, preset: Mapping[str, Any]) -> Iterator[Choice]:
    """Choose what depends on the size of the images and of the collection.

    The profile, cpu or gpu, has chosen the sizes of networks and batches in conf/base.

    Args:
        images: Number of images.
        size: Size of the images; None: that of the configuration.
        preset: Parameters that the presets of `--env` set, with dotted keys.
    """
    height, width = height_and_width(DEFAULT_SIZE if size is None else size)
    pixels = height * width
    if size is not None:
        chosen = size if isinstance(size, int) else list(size)
        shape = "" if height == width else f", {width} wide and {height} high"
        reason = f"Size: {describe_size(height, width)} pixels{shape}."
        yield Choice({"ingest.size": chosen}, reason)
    elif "ingest.size" not in preset:
        yield Choice({}, f"Size: {DEFAULT_SIZE}×{DEFAULT_SIZE} pixels; --size chooses another.")
    if pixels > DEFAULT_SIZE**2 and _trains_default(preset):
        # As conf/gpu says; on a CPU this is the batch size anyway.
        double = preset.get("profile") == "gpu" and pixels <= 128**2 and images >= SMALL
        batch = 2 * CPU_BATCH if double else CPU_BATCH
        # A quarter of it at 1024×1024, where an image takes 16 times the memory.
        batch //= 1 if pixels < 512**2 else 2 if pixels < 1024**2 else 4
        sizes = {"train.batch_size": batch}
        sizes |= {"network.projected.input_upscale": 1} if pixels > 128**2 else {}
        yield Choice(sizes, f"Batches of {batch}, since the images are large.")
    elif images < SMALL:
        yield Choice(
            {"train.batch_size": CPU_BATCH}, f"Batches of {CPU_BATCH}, since there are few images."
        )
    validation, test = 0.1, 0.05
    if images < FEW:
        validation = 0.0
        yield Choice(
            {"ingest.validation_share": 0},
            "No validation images, since all are needed for training: metrics that compare with "
            "them are left out.",
        )
    if images < MEDIUM:
        test = 0.0
        yield Choice(
            {"ingest.test_share": 0}, "No test images, which evaluate.parzen alone would need."
        )
    if not preset:
        yield from _choose_intervals(int(images * (1 - validation - test)) // CPU_BATCH)


def _choose_intervals(steps: int) -> Iterator[Choice]:
    """Choose when checkpoints and snapshots are made, by the steps of an epoch."""
    interval = round(STEPS_PER_EPOCH / max(steps, 1))
    if interval > 1:
        yield Choice(
            {"train.checkpoint.interval": interval, "train.snapshot_interval": interval},
            f"A checkpoint and a grid of samples every {interval} epochs, which are short.",
        )
    if steps > MAX_STEPS_PER_CHECKPOINT:
        yield Choice(
            {"train.checkpoint.steps": MAX_STEPS_PER_CHECKPOINT},
            f"A checkpoint every {MAX_STEPS_PER_CHECKPOINT} steps, since epochs are long.",
        )


def choose_limits(steps: int | None, minutes: float | None) -> Iterator[Choice]:
    """Choose when training ends, if the user says so; else the environment does."""
    if minutes is not None:
        params: dict[str, Any] = {"train.max_minutes": minutes}
        if steps is None:
            params["train.max_steps"] = None
        yield Choice(params, f"Training ends after {minutes:g} minutes.")
    if steps is not None:
        yield Choice({"train.max_steps": steps}, f"Training ends after {steps:,} steps.")


def describe_contents(folder: Path, contents: FolderContents) -> str:
    """Return a sentence or two on what a folder holds and which source reads it."""
    layouts = {
        "artworks": " It has the layout of Best Artworks of All Time; --env=artworks also trains "
        "like the first public art DCGAN.",
        "wikiart": " It has the lists of WikiArt; --env=wikiart also trains ArtGAN.",
        "celeba": " It has the layout of CelebA; --env=celeba also trains pytorch/examples' DCGAN.",
    }
    within = f", all below {folder}" if contents.path != folder else ""
    others = describe_others(contents.others) if contents.source == "folder" else ""
    text = f"Found {contents.images:,} images in {contents.path}{within}{others}."
    return text + layouts.get(contents.source, "")
