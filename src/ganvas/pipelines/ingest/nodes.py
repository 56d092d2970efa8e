"""Nodes of ingestion."""

from pathlib import Path

import pandas as pd

from ganvas.ingestion import IngestParams, Listing, find_images
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.packing import pack


def list_source(raw_images: Path, params: IngestParams) -> Listing:
    """List the source's files with their labels, those that it leaves out, and its artists."""
    return find_images(raw_images, params.source)


def pack_images(
    records: pd.DataFrame,
    skipped: pd.DataFrame,
    raw_images: Path,
    folder: Path,
    params: IngestParams,
) -> Collection:
    """Decode every listed image into the collection, unless nothing has changed."""
    return pack(records, skipped, raw_images, folder, params)


def show_tables(collection: Collection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Take the index and the table of rejected files out of the collection, for people."""
    return collection.index, collection.rejected
