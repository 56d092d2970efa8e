"""Download WikiArt from Hugging Face and write it in the layout that `wikiart.py` reads.

The dataset is streamed, since loading it would keep two more copies of about 30 GB: the parquet
files and the images in Arrow format.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ganvas.atomic_files import atomic_write
from ganvas.errors import GanvasError
from ganvas.progress import in_terminal, track

HUB, CREDENTIALS_ENTRY = "Hugging Face", "huggingface"
# Allowed sets of keys in the entry of credentials.yml.
CREDENTIALS_KEYS = (["token"],)
PACKAGES = ("datasets", "huggingface_hub")
IMAGES = "pictures"
# Stored in the folder of the images, so that both are deleted together.
CHECKPOINT = ".export.json"
LABELS = ("artist", "genre", "style")
# Rows between checkpoints; on resume they are read, but not written, a second time.
CHECKPOINT_ROWS = 500
VALIDATION_SHARE = 0.3  # as in the lists of cs-chan/ArtGAN
NO_GENRE = "unknown genre"


def download(handle: str, folder: Path, credentials: dict[str, str]) -> tuple[Path, str]:
    """Write the images of a dataset as files; an interrupted export is resumed.

    Args:
        handle: Dataset, as owner/name, with columns image, artist, genre and style.
        folder: Holds the files until they are complete.
        credentials: `token`; empty: the client's default.

    Returns:
        The folder of `<Style>/<artist-name>_<number>.jpg` and the lists of genres, below
        `folder`, and the version, a commit.

    Raises:
        GanvasError: The dataset has other columns.
    """
    import huggingface_hub

    import datasets

    if not in_terminal():
        datasets.disable_progress_bars()
        huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined]
    token = credentials.get("token")
    images = folder / IMAGES
    progress = _read_progress(images / CHECKPOINT, datasets.__version__)
    if "version" not in progress:
        api = huggingface_hub.HfApi(endpoint=datasets.config.HF_ENDPOINT, token=token)
        progress["version"] = api.dataset_info(handle).sha
    rows = datasets.load_dataset(
        # A bare handle could also be a folder below the working directory.
        f"hf://datasets/{handle}",
        split="train",
        revision=progress["version"],
        streaming=True,
        token=token,
    )
    features = rows.features or {}
    if not all(isinstance(features.get(name), datasets.ClassLabel) for name in LABELS) or (
        not isinstance(features.get("image"), datasets.Image)
    ):
        raise GanvasError(
            f"{handle} on Hugging Face does not have the columns of huggan/wikiart: set "
            f"fetch.wikiart to a dataset with the column image and the classes {', '.join(LABELS)}."
        )
    _export(rows.cast_column("image", datasets.Image(decode=False)), images, progress)
    _write_genres(images, progress["genres"], features["genre"].names)
    return images, progress["version"]


def _read_progress(file: Path, client: str) -> dict[str, Any]:
    """Read the progress of an export; its stream state is valid for one client version only."""
    start = {"client": client, "rows": 0, "state": None, "genres": []}
    if not file.is_file():
        return start
    progress = json.loads(file.read_text())
    return progress if progress["client"] == client else start | {"version": progress["version"]}


def _export(rows: Any, folder: Path, progress: dict[str, Any]) -> None:
    """Write all images that do not exist yet, and the progress every CHECKPOINT_ROWS rows."""
    names = {label: rows.features[label].names for label in LABELS}
    splits = rows.info.splits or {}
    total = splits["train"].num_examples - progress["rows"] if "train" in splits else None
    if progress["state"]:
        rows.load_state_dict(progress["state"])
    atomic_write(folder / CHECKPOINT, json.dumps(progress).encode())
    for row in track(rows, "Downloading images", total):
        number = progress["rows"]
        progress["rows"] += 1
        content = row["image"] and row["image"]["bytes"]
        if content:
            labels = {label: _class_name(names[label], row[label]) for label in LABELS}
            path = _image_path(labels["style"], labels["artist"], number)
            if not (folder / path).exists():
                atomic_write(folder / path, content)
            if labels["genre"] and labels["genre"].replace("_", " ").lower() != NO_GENRE:
                progress["genres"].append([path, row["genre"], _in_validation(content)])
        if progress["rows"] % CHECKPOINT_ROWS == 0:
            progress["state"] = rows.state_dict()
            atomic_write(folder / CHECKPOINT, json.dumps(progress).encode())


def _class_name(names: list[str], index: int | None) -> str:
    return "" if index is None or index < 0 else names[index]


def _image_path(style: str, artist: str, number: int) -> str:
    """Return the path of an image; the name of the artist may contain no underscore or space."""
    style = re.sub(r"[^\w-]+", "_", style).strip("_") or "Unknown"
    artist = re.sub(r"[^\w.-]+|_", "-", artist).strip("-.") or "Unknown-Artist"
    return f"{style}/{artist}_{number:06d}.jpg"


def _in_validation(content: bytes) -> bool:
    """Choose the split by content, so that copies of an image are in the same split."""
    return int(hashlib.sha256(content).hexdigest()[:8], 16) / 16**8 < VALIDATION_SHARE


def _write_genres(folder: Path, genres: list[list[Any]], names: list[str]) -> None:
    used = {index for _, index, _ in genres}
    if not used:
        return
    classes = "".join(f"{index} {name}\n" for index, name in enumerate(names) if index in used)
    atomic_write(folder / "genre_class", classes.encode())
    for role, in_validation in (("train", False), ("val", True)):
        lines = [f"{path},{index}\n" for path, index, split in genres if split is in_validation]
        atomic_write(folder / f"genre_{role}.csv", "".join(lines).encode())


def hub_errors() -> tuple[type[Exception], ...]:
    """Return the errors that the clients raise for failed requests."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import errors

    return (
        DatasetNotFoundError,
        errors.HTTPError,  # type: ignore[attr-defined]  # of httpx or requests
        errors.LocalEntryNotFoundError,
        ConnectionError,
        TimeoutError,
    )
