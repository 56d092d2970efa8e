"""A packed collection: what ingestion leaves on disk and everything after it reads."""

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
    """Images of one size with what is known of each.

    Attributes:
        images: uint8 of shape (N, H, W, 3), read from disk where it is looked at.
        index: One row an image, in the order of `images`: path, label columns, split, hash.
        rejected: One row a file that could not be used: path, reason.
    """

    images: ShardedImages
    index: pd.DataFrame  # type: ignore[assignment]  # hides tuple.index, which nobody asks for
    rejected: pd.DataFrame

    def split(self, name: str) -> np.ndarray:
        """Positions in `images` of the images of a split, int64 of shape (n,)."""
        return np.flatnonzero((self.index["split"] == name).to_numpy())

    def shuffled(self, name: str) -> np.ndarray:
        """The same positions by the hashes of their files, an order that means nothing.

        The first few stand for the whole split. Those of `split` are of the first folders, which
        often hold one class each.
        """
        positions = self.split(name)
        return positions[np.argsort(self.index["hash"].to_numpy()[positions], kind="stable")]


def read_fingerprint(folder: Path) -> str | None:
    """What the collection in a folder was packed from; None where there is no whole collection."""
    try:
        open_collection(folder)
        return str(json.loads((folder / MANIFEST).read_text())["fingerprint"])
    except (GanvasError, OSError, ValueError, KeyError, EOFError):
        return None


def open_collection(folder: Path) -> Collection:
    """Open a packed collection; its images stay on disk until they are looked at.

    Raises:
        FileNotFoundError: There is no collection in the folder.
        GanvasError: It lacks some of its images.
    """
    collection = Collection(
        images=open_shards(folder),
        index=pd.read_parquet(folder / INDEX),
        rejected=pd.read_parquet(folder / REJECTED),
    )
    # Without a shard, the images after it would go by the labels of others.
    if len(collection.images) != len(collection.index):
        raise GanvasError(
            f"{folder} holds {len(collection.images)} images, but {INDEX} there names "
            f"{len(collection.index)}: pack them anew by `kedro run --pipelines=ingest` with the "
            "same --env and --params."
        )
    return collection


def count_reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """Count rejected files by reason, the most frequent first; names and details don't count."""
    reasons = rejected["reason"].str.replace(r" of .*|:.*", "", regex=True)
    return {str(reason): int(count) for reason, count in reasons.value_counts().items()}
