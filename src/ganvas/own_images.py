"""Choose the parameters of a run on a user's folder of images."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams
from ganvas.ingestion.collection import MANIFEST, read_source
from ganvas.ingestion.inspect_folder import FolderContents, describe_others

Labels = Literal["auto", "folders", "none"]

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
    size: int | None = None,
    labels: Labels = "auto",
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
        size: Side of the images in pixels; None: that of the configuration.
        labels: folders, none, or auto: by the number of images in the folders.
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
    return [
        choose_dataset(folder, contents, data, size, name),
        *([classes] if classes else []),
        *choose_sizes(contents.images, size, preset),
        *choose_limits(steps, minutes),
    ]


def choose_dataset(
    folder: Path, contents: FolderContents, data: Path, size: int | None, name: str | None
) -> Choice:
    """Choose the source and the name of the dataset, and with it the folders of its results.

    Args:
        folder: The folder that the user passes, after which the dataset is named.
        contents: Its contents.
        data: Folder `data` of the project.
        size: Side of the images, which is part of the name unless None or the default.
        name: A name that the user chooses instead.

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
        first = chosen = make_name(folder)
        if size not in (None, DEFAULT_SIZE):
            first = chosen = f"{first}-{size}"
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
    contents: FolderContents, labels: Labels, preset: Mapping[str, Any]
) -> Choice | None:
    """Choose whether to train by class; None leaves it to the presets.

    Raises:
        GanvasError: There are no folders that could be classes.
    """
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


def _explain_missing_classes(contents: FolderContents, column: str | None) -> str | None:
    """Return why folders are no classes; None if they are."""
    if column is None:
        return "CelebA's images are in one folder"
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


def choose_sizes(images: int, size: int | None, preset: Mapping[str, Any]) -> Iterator[Choice]:
    """Choose what depends on the size of the images and of the collection.

    The profile, cpu or gpu, has chosen the sizes of networks and batches in conf/base.

    Args:
        images: Number of images.
        size: Side of the images; None: that of the configuration.
        preset: Parameters that the presets of `--env` set, with dotted keys.
    """
    if size is not None:
        yield Choice({"ingest.size": size}, f"Size: {size}×{size} pixels.")
    elif "ingest.size" not in preset:
        yield Choice({}, f"Size: {DEFAULT_SIZE}×{DEFAULT_SIZE} pixels; --size chooses another.")
    if size is not None and size > DEFAULT_SIZE and _trains_default(preset):
        # As conf/gpu says; on a CPU this is the batch size anyway.
        double = (preset.get("profile"), size) == ("gpu", 128) and images >= SMALL
        batch = 2 * CPU_BATCH if double else CPU_BATCH
        sizes = {"train.batch_size": batch}
        sizes |= {"network.projected.input_upscale": 1} if size > 128 else {}
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
