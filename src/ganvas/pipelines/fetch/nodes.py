"""Nodes of fetching."""

from pathlib import Path
from typing import Any

from ganvas.ingestion import IngestParams
from ganvas.ingestion.download import FetchParams, fetch


def fetch_pictures(
    raw_pictures: Path,
    ingest: IngestParams,
    params: FetchParams,
    kaggle: dict[str, str],
    huggingface: dict[str, str],
) -> dict[str, Any]:
    """Download the chosen source's pictures to its folder, unless they are there."""
    credentials = {"kaggle": kaggle, "huggingface": huggingface}
    return fetch(ingest.source.name, raw_pictures, params, credentials)
