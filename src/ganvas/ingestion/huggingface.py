"""WikiArt of Hugging Face, streamed by its `datasets` and written in the layout of WikiArt.

Streamed, because the usual way would keep two more copies of some 30 GB: the parquet files and
the same pictures in Arrow's format.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganvas.atomic_files import atomic_write
from ganvas.errors import GanvasError
from ganvas.ingestion.hub import NO_NETWORK, REFUSED, UNKNOWN, import_client
from ganvas.progress import in_terminal, track

HUB, ENTRY = "Hugging Face", "huggingface"
# Keys of the entry in credentials.yml: one of these sets.
KEYS = (["token"],)
PICTURES = "pictures"
# Lies among the pictures, so that it can't outlive them.
CHECKPOINT = ".export.json"
LABELS = ("artist", "genre", "style")
# Between two checkpoints: what a stopped export loads, but does not write, a second time.
ROWS = 500
VALIDATION_SHARE = 0.3  # as in cs-chan's lists
NO_GENRE = "unknown genre"


def download(handle: str, folder: Path, credentials: dict[str, str]) -> tuple[Path, str]:
    """Write a data set's pictures as files; an export that was stopped on the way goes on.

    Args:
        handle: The data set, as owner/name, with columns image, artist, genre and style.
        folder: Where the files are kept until they are complete.
        credentials: Hugging Face's `token`; empty: what its client finds itself.

    Returns:
        The folder with `<Style>/<artist-name>_<number>.jpg` and the genres' lists, below
        `folder`, and the version: a commit.

    Raises:
        GanvasError: `datasets` is not installed, or the data set can't be had or has other
            columns.
    """
    datasets = import_client("datasets")
    hub = import_client("huggingface_hub")
    if not in_terminal():
        datasets.disable_progress_bars()
        hub.utils.disable_progress_bars()
    token = credentials.get("token")
    pictures = folder / PICTURES
    progress = _read_progress(pictures / CHECKPOINT, datasets.__version__)
    with _one_sentence(handle, credentials):
        if "version" not in progress:
            api = hub.HfApi(endpoint=datasets.config.HF_ENDPOINT, token=token)
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
                f"{handle} at Hugging Face is not laid out like huggan/wikiart: set fetch.wikiart "
                f"to a data set with the column image and the classes {', '.join(LABELS)}."
            )
        _export(rows.cast_column("image", datasets.Image(decode=False)), pictures, progress)
    _write_genres(pictures, progress["genres"], features["genre"].names)
    return pictures, progress["version"]


def _read_progress(file: Path, client: str) -> dict[str, Any]:
    """Read how far an export has come; the place in the stream means nothing to other clients."""
    start = {"client": client, "rows": 0, "state": None, "genres": []}
    if not file.is_file():
        return start
    progress = json.loads(file.read_text())
    return progress if progress["client"] == client else start | {"version": progress["version"]}


def _export(rows: Any, folder: Path, progress: dict[str, Any]) -> None:
    """Write every picture that is not there yet, and note the place now and then."""
    names = {label: rows.features[label].names for label in LABELS}
    splits = rows.info.splits or {}
    total = splits["train"].num_examples - progress["rows"] if "train" in splits else None
    if progress["state"]:
        rows.load_state_dict(progress["state"])
    atomic_write(folder / CHECKPOINT, json.dumps(progress).encode())
    for row in track(rows, "Fetching pictures", total):
        number = progress["rows"]
        progress["rows"] += 1
        content = row["image"] and row["image"]["bytes"]
        if content:
            labels = {label: _name(names[label], row[label]) for label in LABELS}
            path = _path_of(labels["style"], labels["artist"], number)
            if not (folder / path).exists():
                atomic_write(folder / path, content)
            if labels["genre"] and labels["genre"].replace("_", " ").lower() != NO_GENRE:
                progress["genres"].append([path, row["genre"], _in_validation(content)])
        if progress["rows"] % ROWS == 0:
            progress["state"] = rows.state_dict()
            atomic_write(folder / CHECKPOINT, json.dumps(progress).encode())


def _name(names: list[str], index: int | None) -> str:
    return "" if index is None or index < 0 else names[index]


def _path_of(style: str, artist: str, number: int) -> str:
    """The file's place; an artist's name ends at the first underscore, spaces are hyphens."""
    style = re.sub(r"[^\w-]+", "_", style).strip("_") or "Unknown"
    artist = re.sub(r"[^\w.-]+|_", "-", artist).strip("-.") or "Unknown-Artist"
    return f"{style}/{artist}_{number:06d}.jpg"


def _in_validation(content: bytes) -> bool:
    """By content, so that the same picture is never on both sides."""
    return int(hashlib.sha256(content).hexdigest()[:8], 16) / 16**8 < VALIDATION_SHARE


def _write_genres(folder: Path, genres: list[list[Any]], names: list[str]) -> None:
    used = {index for _, index, _ in genres}
    if not used:
        return
    classes = "".join(f"{index} {name}\n" for index, name in enumerate(names) if index in used)
    atomic_write(folder / "genre_class", classes.encode())
    for role, chosen in (("train", False), ("val", True)):
        lines = [f"{path},{index}\n" for path, index, validation in genres if validation is chosen]
        atomic_write(folder / f"genre_{role}.csv", "".join(lines).encode())


@contextlib.contextmanager
def _one_sentence(handle: str, credentials: dict[str, str]) -> Iterator[None]:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import errors

    names = {"hub": HUB, "handle": handle, "entry": ENTRY, "what": "token"}
    try:
        yield
    except DatasetNotFoundError as error:
        raise GanvasError(UNKNOWN.format(**names)) from error
    except (
        errors.HTTPError,  # type: ignore[attr-defined]  # httpx's, by whichever name it has
        errors.LocalEntryNotFoundError,
        ConnectionError,
        TimeoutError,
    ) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            given = "refuses your credential for" if credentials else "wants a credential for"
            raise GanvasError(REFUSED.format(given=given, **names)) from error
        if status == 404:
            raise GanvasError(UNKNOWN.format(**names)) from error
        reason = f"it answers with status {status}" if status else "it can't be reached"
        raise GanvasError(NO_NETWORK.format(reason=reason, **names)) from error
