"""Where images come from, and how a source becomes a packed collection."""

from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from pydantic import Field, model_validator

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.artworks import ArtworksParams, read_artworks
from ganvas.ingestion.celeba import CelebaParams, read_celeba
from ganvas.ingestion.image_folder import FolderParams, read_folder
from ganvas.ingestion.locking import explain
from ganvas.ingestion.object_store import is_url
from ganvas.ingestion.packing import PackParams
from ganvas.ingestion.wikiart import WikiartParams, read_wikiart
from ganvas.sample_collection.source import SampleParams, ensure_sample


class SourceParams(Params):
    """Which source, and the parameters of each under its own name."""

    name: Literal["sample", "artworks", "wikiart", "celeba", "folder"] = "sample"
    path: str | None = None
    sample: SampleParams = SampleParams()
    artworks: ArtworksParams = ArtworksParams()
    wikiart: WikiartParams = WikiartParams()
    celeba: CelebaParams = CelebaParams()
    folder: FolderParams = FolderParams()

    @model_validator(mode="after")
    def _check_path(self) -> "SourceParams":
        if self.name == "sample" and self.path and is_url(self.path):
            raise ValueError(
                f"name is sample, which is painted on this machine, and path is {self.path}: set "
                "name to the source whose images lie there"
            )
        return self


class IngestParams(PackParams):
    """Parameters of ingestion.

    Attributes:
        dataset: Name of the collection's folders; by default the source's name, with WikiArt's
            labels where they are not styles.
        source: Where the images come from.
    """

    dataset: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    source: SourceParams = SourceParams()

    @property
    def dataset_name(self) -> str:
        """Name of the collection's folders."""
        labels = self.source.wikiart.labels
        if self.source.name == "wikiart" and labels != "style":
            return self.dataset or f"wikiart_by_{labels}"
        return self.dataset or self.source.name

    @property
    def classes(self) -> str | None:
        """The label column that `network.label=auto` paints by; None: no classes.

        The sample's styles have so little in common that nothing lies between two of them.
        """
        return "genre" if self.source.name == "sample" else None

    @property
    def raw_path(self) -> str:
        """The source's folder or URL; a relative folder is seen from the project's root."""
        path = self.source.path or self.mirror_path
        return path.rstrip("/") if is_url(path) else str(Path(path).expanduser())

    @property
    def mirror_path(self) -> str:
        """Where images lie that are brought here."""
        return f"data/01_raw/{self.dataset or self.source.name}"


class Listing(NamedTuple):
    """What a source knows before an image is opened.

    Attributes:
        records: One row a file to pack, sorted by path: path below the source's folder, bytes,
            modified_ns, label columns, and `split` where the source has its own.
        remarks: One row a file that is no record, and a file that a list names in vain: path and
            reason.
        artists: One row an artist: name, files and what else the source knows; empty where it
            knows none.
    """

    records: pd.DataFrame
    remarks: pd.DataFrame
    artists: pd.DataFrame


def find_images(folder: Path, params: SourceParams) -> Listing:
    """List a source's files with their labels.

    Args:
        folder: The source's folder. The sample source paints its images there on first use.
        params: The source's parameters.

    Raises:
        GanvasError: The folder is not in the source's layout, or can't be read.
    """
    try:
        return _find_images(folder, params)
    except OSError as error:
        raise GanvasError(explain(error, folder, "listed", "ingest")) from error


def _find_images(folder: Path, params: SourceParams) -> Listing:
    if params.name in ("sample", "artworks"):
        if params.name == "sample":
            ensure_sample(folder, params.sample)
        chosen = params.artworks if params.name == "artworks" else ArtworksParams()
        return Listing(*read_artworks(folder, chosen))
    if params.name == "wikiart":
        records, remarks = read_wikiart(folder, params.wikiart)
    elif params.name == "celeba":
        records, remarks = read_celeba(folder, params.celeba)
    else:
        records, remarks = read_folder(folder, params.folder)
    return Listing(records, remarks, _count_artists(records))


def _count_artists(records: pd.DataFrame) -> pd.DataFrame:
    names = records["artist"] if "artist" in records else pd.Series([], dtype="str")
    counts = names[names != ""].value_counts().sort_index()
    return counts.rename_axis("name").rename("files").reset_index()
