"""Where pictures come from, and how a source becomes a packed collection."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from ganvas.params import Params
from ganvas.sources.artworks import ArtworksParams, read_artworks
from ganvas.sources.packing import PackParams
from ganvas.sources.sample_source import SampleParams, ensure_sample


class SourceParams(Params):
    """Which source, and the parameters of each under its own name."""

    name: Literal["sample", "artworks"] = "sample"
    path: str | None = None
    sample: SampleParams = SampleParams()
    artworks: ArtworksParams = ArtworksParams()


class IngestParams(PackParams):
    """Parameters of ingestion.

    Attributes:
        dataset: Name of the collection's folders; by default the source's name.
        source: Where the pictures come from.
    """

    dataset: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    source: SourceParams = SourceParams()

    @property
    def dataset_name(self) -> str:
        """Name of the collection's folders."""
        return self.dataset or self.source.name

    @property
    def raw_path(self) -> str:
        """The source's folder; a relative one is seen from the project's root."""
        path = self.source.path or f"data/01_raw/{self.dataset_name}"
        return str(Path(path).expanduser())


def find_pictures(folder: Path, params: SourceParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List a source's files with their labels, and its table of artists.

    Args:
        folder: The source's folder. The sample source paints its pictures there on first use.
        params: The source's parameters.

    Returns:
        The records, one row a file: path below the folder, bytes, modified_ns, label columns;
        and the artists, one row each.

    Raises:
        GanvasError: The folder is not in the source's layout.
    """
    if params.name == "sample":
        ensure_sample(folder, params.sample)
        return read_artworks(folder, ArtworksParams())
    return read_artworks(folder, params.artworks)
