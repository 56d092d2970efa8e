"""Images in the catalog: one PNG with a preview, and a folder of them."""

import base64
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview
from PIL import Image
from PIL.ImageSequence import Iterator

from ganvas.atomic_files import atomic_path, replace_folder
from ganvas.visualization.animation import encode_webp
from ganvas.visualization.image_grid import encode_png, make_grid, read_png, write_png


def preview_bytes(content: bytes) -> ImagePreview:
    """Give an image's file, PNG or WebP, to kedro-viz."""
    return ImagePreview(base64.b64encode(content).decode())


def preview_grid(images: np.ndarray, columns: int) -> ImagePreview:
    """Give images, uint8 of shape (n, H, W, 3), to kedro-viz as one grid."""
    return preview_bytes(encode_png(make_grid(images, columns)))


class ImageDataset(AbstractDataset[np.ndarray, np.ndarray]):
    """One PNG file, uint8 of shape (H, W, 3), that kedro-viz shows.

    Args:
        filepath: The file; it is never seen half written.
        metadata: For plugins such as kedro-viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._file = Path(filepath)
        self.metadata = metadata

    def load(self) -> np.ndarray:
        """Read the pixels."""
        return read_png(self._file)

    def save(self, data: np.ndarray) -> None:
        """Write the pixels."""
        self._write(encode_png(data))

    def preview(self) -> ImagePreview:
        """Give the file to kedro-viz."""
        return preview_bytes(self._file.read_bytes())

    def _exists(self) -> bool:
        return self._file.is_file()

    def _write(self, content: bytes) -> None:
        # Two runs may save at once.
        with atomic_path(self._file, shared=True) as partial:
            partial.write_bytes(content)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._file)}


class AnimationDataset(ImageDataset):
    """An animated WebP of frames, uint8 of shape (n, H, W, 3), compressed with loss."""

    def load(self) -> np.ndarray:
        """Read the frames."""
        with Image.open(self._file) as film:
            return np.stack([np.asarray(frame.convert("RGB")) for frame in Iterator(film)])

    def save(self, data: np.ndarray) -> None:
        """Write the frames."""
        self._write(encode_webp(data))


class ImageFolderDataset(
    AbstractDataset[Iterable[tuple[str, np.ndarray]], dict[str, Callable[[], np.ndarray]]]
):
    """A folder of PNG files that always belong together.

    Saving takes (name, pixels) one by one, so that memory stays bounded, and replaces the folder
    as a whole at the end: images of an earlier, longer run never stay among the new ones.

    Args:
        filepath: The folder.
        metadata: For plugins such as kedro-viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], np.ndarray]]:
        """Map the names, sorted, to functions that read the pixels, uint8 (H, W, 3)."""
        files = sorted(self._folder.glob("*.png"))
        return {file.stem: ImageDataset(filepath=str(file)).load for file in files}

    def save(self, data: Iterable[tuple[str, np.ndarray]]) -> None:
        """Write all images, then put the folder in the place of the old one."""
        partial = self._folder.with_name(f".{self._folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, pixels in data:
            write_png(partial / f"{name}.png", pixels)
        replace_folder(self._folder, partial)

    def preview(self, images: int = 32, columns: int = 8) -> ImagePreview:
        """Give the first images to kedro-viz as one grid, those of the size that most have.

        Raises:
            DatasetError: There are no images.
        """
        found = [load() for load in islice(self.load().values(), images + 1)]
        if not found:
            raise DatasetError(f"{self._folder} has no images.")
        # The grid of all samples lies among them.
        size = Counter(image.shape for image in found).most_common(1)[0][0]
        alike = [image for image in found if image.shape == size][:images]
        return preview_grid(np.stack(alike), min(columns, len(alike)))

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}
