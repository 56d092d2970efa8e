"""A packed collection: the result of ingestion, read by all later pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.ingestion.shards import ShardedImages, open_shards

INDEX, REJECTED, MANIFEST = "index.parquet", "rejected.parquet", "manifest.json"


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


def read_fingerprint(folder: Path) -> str | None:
    """Return the fingerprint of the source and parameters; None without a complete collection."""
    try:
        open_collection(folder)
        return str(json.loads((folder / MANIFEST).read_text())["fingerprint"])
    except (GanvasError, OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def read_source(folder: Path) -> str | None:
    """Return the folder that a collection was packed from.

    None without a complete collection, or with one of an earlier version, which didn't record it.
    """
    try:
        source = json.loads((folder / MANIFEST).read_text()).get("source")
    except (OSError, ValueError, AttributeError):
        return None
    return source if isinstance(source, str) else None


def open_collection(folder: Path) -> Collection:
    """Open a packed collection with memory-mapped images.

    Raises:
        FileNotFoundError: There is no collection in the folder.
        GanvasError: A shard is missing.

    Example:
        >>> collection = open_collection(Path("data/03_primary/sample/collection"))
        >>> batch = collection.images[collection.split("train")[:64]]
    """
    collection = Collection(
        images=open_shards(folder),
        index=pd.read_parquet(folder / INDEX),
        rejected=pd.read_parquet(folder / REJECTED),
    )
    # If a shard is missing, later images would get the labels of others.
    if len(collection.images) != len(collection.index):
        raise GanvasError(
            f"{folder} holds {len(collection.images)} images, but {INDEX} there names "
            f"{len(collection.index)}: pack them again by `kedro run --pipelines=ingest` with the "
            "same --env and --params."
        )
    return collection


def count_reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """Count rejected files by reason without its details, the most frequent reason first."""
    reasons = rejected["reason"].str.replace(r" of .*|:.*", "", regex=True)
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}
