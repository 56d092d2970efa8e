"""A packed collection: the result of ingestion, read by all later pipelines."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ganvas.atomic_files import atomic_path
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock, in_use, shared_lock
from ganvas.ingestion.encoded_shards import PACK_AGAIN
from ganvas.ingestion.shards import ShardedImages, open_shards

INDEX, REJECTED, MANIFEST = "index.parquet", "rejected.parquet", "manifest.json"
ARTISTS = "artists.parquet"


class Collection(NamedTuple):
    """Images of one size, with their labels.

    Attributes:
        images: uint8 of shape (N, H, W, 3), memory-mapped.
        index: One row an image, in the order of `images`: path, label columns, split, hash.
        rejected: One row a file that was rejected or skipped: path, reason.
    """

    images: ShardedImages
    index: pd.DataFrame  # type: ignore[assignment]  # hides tuple.index
    rejected: pd.DataFrame

    def split(self, name: str) -> np.ndarray:
        """Return the positions of the images of a split, int64 of shape (n,)."""
        return np.flatnonzero((self.index["split"] == name).to_numpy())

    def shuffled(self, name: str) -> np.ndarray:
        """Return the same positions ordered by the hashes of the files.

        This order is random but fixed, so the first n are a sample of the split, while the first
        n of `split` are from the first folders, and often of one class.
        """
        positions = self.split(name)
        return positions[np.argsort(self.index["hash"].to_numpy()[positions], kind="stable")]


def use_collection(folder: Path) -> AbstractContextManager[None]:
    """Return a context in which no other process replaces the collection of a folder.

    Raises:
        GanvasError: On entering it: another run replaces it.
    """
    return shared_lock(in_use(folder), f"packs {folder}", "set another ingest.dataset")


def replace_collection(folder: Path) -> AbstractContextManager[None]:
    """Return a context in which no other process uses the collection of a folder.

    Raises:
        GanvasError: On entering it: another run uses it.
    """
    advice = "set another ingest.dataset to pack other images, or the same at another size"
    return exclusive_lock(in_use(folder), f"trains or evaluates with {folder}", advice)


def read_fingerprint(folder: Path) -> str | None:
    """Return the fingerprint of the source and parameters; None without a complete collection."""
    try:
        open_collection(folder)
        return str(read_manifest(folder)["fingerprint"])
    except (GanvasError, OSError, ValueError, KeyError, EOFError):
        return None


def read_source(folder: Path) -> str | None:
    """Return the folder that a collection was packed from.

    None without a complete collection, or with one of an earlier version, which didn't record it.
    """
    source = read_manifest(folder).get("source")
    return source if isinstance(source, str) else None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a collection's manifest records; empty without one that can be read.

    It has the fingerprint of files and parameters, the folder of the source, a hash of the
    parameters alone, and the numbers of nearly equal images; earlier versions wrote less.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def open_collection(folder: Path) -> Collection:
    """Open a packed collection with memory-mapped images.

    Raises:
        FileNotFoundError: There is no collection in the folder.
        GanvasError: A shard is missing, or a file is damaged.

    Example:
        >>> collection = open_collection(Path("data/03_primary/sample/collection"))
        >>> batch = collection.images[collection.split("train")[:64]]
    """
    collection = Collection(
        images=open_shards(folder),
        index=_read_table(folder / INDEX),
        rejected=_read_table(folder / REJECTED),
    )
    # If a shard is missing, later images would get the labels of others.
    if len(collection.images) != len(collection.index):
        raise GanvasError(
            f"{folder} holds {len(collection.images)} images, but {INDEX} there names "
            f"{len(collection.index)}: pack them again by `kedro run --pipelines=ingest` with the "
            "same --env and --params."
        )
    return collection


def _read_table(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except (ValueError, OSError) as error:
        # Errors of the system have a number, PyArrow's of damaged files have none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).split(": ")[-1].rstrip(".")
        raise GanvasError(f"{file} is damaged or truncated ({reason}): {PACK_AGAIN}.") from error


def keep_artists(folder: Path, artists: pd.DataFrame) -> None:
    """Keep the table of artists with a collection, for runs without the images."""
    with suppress(OSError, ValueError):
        if pd.read_parquet(folder / ARTISTS).equals(artists):
            return
    with atomic_path(folder / ARTISTS) as partial:
        artists.to_parquet(partial)


def read_kept_artists(folder: Path, records: pd.DataFrame) -> pd.DataFrame:
    """Return the table of artists of a collection; without one, names and numbers of files.

    Args:
        folder: Folder of the collection.
        records: One row an image: label columns.
    """
    with suppress(OSError, ValueError):
        return pd.read_parquet(folder / ARTISTS)
    return count_artists(records)


def count_artists(records: pd.DataFrame) -> pd.DataFrame:
    """Count the images of each artist: columns name and files, empty if artists are unknown."""
    names = records["artist"] if "artist" in records else pd.Series([], dtype="str")
    counts = names[names != ""].value_counts().sort_index()
    return counts.rename_axis("name").rename("files").reset_index()


def count_reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """Count rejected files by reason without its details, the most frequent reason first."""
    reasons = rejected["reason"].str.replace(r" of .*|:.*", "", regex=True)
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}
