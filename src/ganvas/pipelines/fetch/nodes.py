"""Nodes of the fetch pipeline."""

from pathlib import Path
from typing import Any

from ganvas.ingestion.download import download_source
from ganvas.pipelines.fetch.params import FetchParams
from ganvas.pipelines.ingest.params import IngestParams


def fetch_images(
    raw_images: Path,
    ingest: IngestParams,
    params: FetchParams,
    kaggle: dict[str, str],
    huggingface: dict[str, str],
) -> dict[str, Any]:
    """Download the images of the chosen source, unless they are there already."""
    source = ingest.source.name
    handle = getattr(params, source, "")
    credentials = {"kaggle": kaggle, "huggingface": huggingface}
    return download_source(source, handle, raw_images, credentials)
