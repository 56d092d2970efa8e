"""Parameters of the ingest pipeline."""

from pathlib import Path

from pydantic import Field

from ganvas.ingestion import SourceParams
from ganvas.ingestion.object_store import is_url
from ganvas.ingestion.packing import PackParams
from ganvas.ingestion.selection import SelectionParams


class IngestParams(PackParams, SelectionParams):
    """Parameters of ingestion."""

    dataset: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$",
        description="text of letters, digits, _ and -, with a letter or digit first, at most 100",
    )
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
        """Label column that `network.label=auto` resolves to; None: no classes.

        The sample has classes by default, since its styles have too little in common for
        unconditional generation.
        """
        return "genre" if self.source.name == "sample" else None

    @property
    def raw_path(self) -> str:
        """Folder of the source, relative to the project, or its URL."""
        path = self.source.path or self.mirror_path
        return path.rstrip("/") if is_url(path) else str(Path(path).expanduser())

    @property
    def mirror_path(self) -> str:
        """Folder of downloaded and mirrored images, relative to the project."""
        return f"data/01_raw/{self.dataset or self.source.name}"
