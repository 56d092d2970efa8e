"""Packed collections as catalog entries."""

from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from ganvas.datasets.images import preview_grid
from ganvas.datasets.preview import empty_until_made
from ganvas.ingestion.collection import MANIFEST, Collection, open_collection


class CollectionDataset(AbstractDataset[Collection, Collection]):
    """A `Collection` with memory-mapped images.

    Packing writes the collection itself, so saving only checks that it is in the folder.

    Args:
        filepath: Folder of the collection.
        metadata: For plugins such as Kedro-Viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Collection:
        """Open the collection."""
        return open_collection(self._folder)

    def save(self, data: Collection) -> None:
        """Check that the collection is in the folder."""
        if len(open_collection(self._folder).images) != len(data.images):
            raise DatasetError(f"{self._folder} holds another collection than the one to save.")

    @empty_until_made
    def preview(self, count: int = 40, columns: int = 8) -> ImagePreview:
        """Return a contact sheet of evenly spaced images for Kedro-Viz."""
        images = self.load().images
        positions = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
        return preview_grid(images[positions], columns)

    def _exists(self) -> bool:
        return (self._folder / MANIFEST).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}
