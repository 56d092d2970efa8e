"""List the images of a source, before they are packed."""

import logging
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from pydantic import model_validator

from ganvas.base_params import Params
from ganvas.disk_space import explain_disk_error
from ganvas.errors import GanvasError
from ganvas.ingestion.artworks import ARTISTS, ArtworksParams, read_artworks
from ganvas.ingestion.celeba import CelebaParams, read_celeba
from ganvas.ingestion.collection import count_artists
from ganvas.ingestion.file_index import find_child
from ganvas.ingestion.image_folder import FolderParams, read_folder
from ganvas.ingestion.object_store import is_url
from ganvas.ingestion.wikiart import LIST_NAME, WikiartParams, read_wikiart
from ganvas.sample_collection.source import SampleParams, ensure_sample

logger = logging.getLogger(__name__)


class SourceParams(Params):
    """Which source to read, and the parameters of each source under its name."""

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
                f"name is sample, which is drawn on this machine, and path is {self.path}: set "
                "name to the source whose images are at that URL"
            )
        return self


class SourceListing(NamedTuple):
    """Files of a source, listed without opening the images.

    Attributes:
        records: One row a file to pack, sorted by path: path below the folder of the source,
            bytes, modified_ns, label columns and, if the source has one, `split` (train,
            validation or test).
        skipped: One row a file that is no record, or that is listed but missing: path, reason.
        artists: One row an artist: name, files (number of records) and more, depending on the
            source; empty if artists are unknown.
        choice: What `selection.choose_images` has left out and joined; empty if all are chosen.
    """

    records: pd.DataFrame
    skipped: pd.DataFrame
    artists: pd.DataFrame
    choice: dict[str, Any] = {}  # noqa: RUF012


def list_images(folder: Path, params: SourceParams) -> SourceListing:
    """List the files of a source with their labels.

    Args:
        folder: Folder of the source. The sample collection is drawn there on first use.
        params: Parameters of the source.

    Raises:
        GanvasError: The folder does not have the layout of the source, or can't be read.

    Example:
        >>> listing = list_images(Path("data/01_raw/sample"), SourceParams(name="sample"))
        >>> listing.records["genre"].nunique()
        8
    """
    try:
        if params.name == "sample":
            ensure_sample(folder, params.sample)
            return SourceListing(*read_artworks(folder, ArtworksParams()))
        if params.name == "folder":
            records, skipped = read_folder(folder, params.folder)
            return SourceListing(records, skipped, count_artists(records))
        below = _find_layout(folder, params)
        if below == folder:
            return _read_layout(folder, params)
        logger.info("%s is read, in which the images are.", below)
        listing = _read_layout(below, params)
        for table in (listing.records, listing.skipped):
            table["path"] = f"{below.name}/" + table["path"]
        return listing
    except OSError as error:
        raise GanvasError(explain_disk_error(error, folder, "listed")) from error


def _read_layout(folder: Path, params: SourceParams) -> SourceListing:
    if params.name == "artworks":
        return SourceListing(*read_artworks(folder, params.artworks))
    if params.name == "wikiart":
        records, skipped = read_wikiart(folder, params.wikiart)
    else:
        records, skipped = read_celeba(folder, params.celeba)
    return SourceListing(records, skipped, count_artists(records))


def _find_layout(folder: Path, params: SourceParams) -> Path:
    """Return the folder if it has the layout of the source, else the only one in it that has."""

    def has_layout(path: Path) -> bool:
        if params.name == "artworks":
            return find_child(path, ARTISTS).is_file()
        if params.name == "celeba":
            return find_child(path, params.celeba.images).is_dir()
        return any(LIST_NAME.fullmatch(entry.name) for entry in path.iterdir())

    def may_have_layout(path: Path) -> bool:
        try:
            return path.is_dir() and has_layout(path)
        except OSError:  # such as lost+found of a disk
            return False

    if not folder.is_dir() or has_layout(folder):
        return folder
    inner = [path for path in sorted(folder.iterdir()) if path.name[0] != "."]
    found = [path for path in inner if may_have_layout(path)]
    return found[0] if len(found) == 1 else folder
