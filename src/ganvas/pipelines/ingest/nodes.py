"""Nodes of the ingest pipeline."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from ganvas.ingestion import SourceListing, list_images
from ganvas.ingestion.collection import Collection, keep_artists, read_kept_artists
from ganvas.ingestion.packing import pack, reuse_without_source
from ganvas.ingestion.selection import choose_images
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.plain_text import as_cell

logger = logging.getLogger(__name__)


def list_source(raw_images: Path, folder: Path, params: IngestParams) -> SourceListing:
    """List the chosen images of the source with labels, the skipped files and the artists.

    If they are gone since they were packed, the listing of the packed collection is returned.
    """
    collection = _reuse(raw_images, folder, params)
    if collection is None:
        return choose_images(list_images(raw_images, params.source), params)
    logger.warning(
        "The images of %s are not there: the collection that was packed from them is used, in %s.",
        raw_images,
        folder,
    )
    records = collection.index.drop(columns="hash")
    return SourceListing(records, collection.rejected, read_kept_artists(folder, records))


def pack_images(
    records: pd.DataFrame,
    skipped: pd.DataFrame,
    artists: pd.DataFrame,
    choice: dict[str, Any],
    raw_images: Path,
    folder: Path,
    params: IngestParams,
) -> Collection:
    """Decode all chosen images into the collection, unless nothing has changed."""
    collection = _reuse(raw_images, folder, params)
    if collection is None:
        collection = pack(records, skipped, raw_images, folder, params, choice)
        keep_artists(folder, artists)
    return collection


def _reuse(raw_images: Path, folder: Path, params: IngestParams) -> Collection | None:
    # The sample collection is drawn again instead.
    drawn = params.source.name == "sample"
    return None if drawn else reuse_without_source(raw_images, folder, params)


def show_tables(collection: Collection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the image index and the table of rejected files, for inspection."""
    rejected = collection.rejected
    return collection.index, rejected.assign(path=rejected["path"].map(as_cell))
