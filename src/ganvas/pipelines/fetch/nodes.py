"""Nodes of fetching."""

from pathlib import Path
from typing import Any

from ganvas.ingestion import IngestParams
from ganvas.ingestion.download import FetchParams, fetch


def fetch_images(
    raw_images: Path,
    ingest: IngestParams,
    params: FetchParams,
    kaggle: dict[str, str],
    huggingface: dict[str, str],
) -> dict[str, Any]:
    """Download the chosen source's images to its folder, unless they are there."""
    credentials = {"kaggle": kaggle, "huggingface": huggingface}
    return fetch(ingest.source.name, raw_images, params, credentials)
