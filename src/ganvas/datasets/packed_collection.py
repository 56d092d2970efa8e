"""A packed collection in the catalog."""

from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from ganvas.datasets.images import preview_grid
from ganvas.ingestion.collection import MANIFEST, Collection, open_collection


class CollectionDataset(AbstractDataset[Collection, Collection]):
    """Loads as a `Collection` whose images stay on disk, memory-mapped.

    Packing writes while images are decoded, and puts the finished folder in its place; saving
    checks that this has happened.

    Args:
        filepath: The collection's folder.
        metadata: For plugins such as kedro-viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Collection:
        """Open the collection."""
        return open_collection(self._folder)

    def save(self, data: Collection) -> None:
        """Check that the collection lies in the folder."""
        if len(open_collection(self._folder).images) != len(data.images):
            raise DatasetError(f"{self._folder} holds another collection than the one to save.")

    def preview(self, count: int = 40, columns: int = 8) -> ImagePreview:
        """Give a contact sheet to kedro-viz: images from all over the collection."""
        images = self.load().images
        places = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
        return preview_grid(images[places], columns)

    def _exists(self) -> bool:
        return (self._folder / MANIFEST).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}
