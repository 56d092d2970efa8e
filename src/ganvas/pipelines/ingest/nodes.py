"""Nodes of the ingest pipeline."""

from pathlib import Path

import pandas as pd

from ganvas.ingestion import SourceListing, list_images
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.packing import pack
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.plain_text import as_cell


def list_source(raw_images: Path, params: IngestParams) -> SourceListing:
    """List the images of the source with their labels, the skipped files and the artists."""
    return list_images(raw_images, params.source)


def pack_images(
    records: pd.DataFrame,
    skipped: pd.DataFrame,
    raw_images: Path,
    folder: Path,
    params: IngestParams,
) -> Collection:
    """Decode all listed images into the collection, unless nothing has changed."""
    return pack(records, skipped, raw_images, folder, params)


def show_tables(collection: Collection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the image index and the table of rejected files, for inspection."""
    rejected = collection.rejected
    return collection.index, rejected.assign(path=rejected["path"].map(as_cell))
