"""Image files and folders of images, with previews."""

import base64
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview
from PIL import Image
from PIL.ImageSequence import Iterator

from ganvas.atomic_files import atomic_path, replace_folder
from ganvas.datasets.preview import NothingToShowError, empty_until_made
from ganvas.datasets.unreadable import explain_unreadable_file
from ganvas.visualization.image_grid import encode_film, encode_png, make_grid, read_png, write_png
from ganvas.visualization.reduced_images import as_cells

# Longer side in pixels of a preview, which Kedro-Viz embeds.
PREVIEW_SIDE = 2600


def preview_bytes(content: bytes) -> ImagePreview:
    """Return the preview of an encoded image, PNG or WebP, for Kedro-Viz."""
    return ImagePreview(base64.b64encode(content).decode())


def preview_grid(images: np.ndarray, columns: int) -> ImagePreview:
    """Return the preview of images, uint8 of shape (n, H, W, C), as one grid.

    Large images are scaled down, and transparent ones are on a checkerboard.
    """
    return preview_bytes(encode_png(make_grid(as_cells(images), columns)))


def read_image(file: Path) -> np.ndarray:
    """Read an image as uint8 of shape (H, W, C): gray (C = 1), RGB (3) or RGB with alpha (4)."""
    with Image.open(file) as opened:
        image: Image.Image = opened
        if image.mode not in ("L", "RGB", "RGBA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        return np.asarray(image).reshape(image.height, image.width, -1)


class ImageDataset(AbstractDataset[np.ndarray, np.ndarray]):
    """A PNG file, uint8 of shape (H, W, 3), saved atomically.

    Args:
        filepath: The file.
        metadata: For plugins such as Kedro-Viz.
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

    @empty_until_made
    def preview(self) -> ImagePreview:
        """Return the file for Kedro-Viz, scaled down if it is large."""
        with Image.open(self._file) as image:
            if max(image.size) <= PREVIEW_SIDE or getattr(image, "is_animated", False):
                return preview_bytes(self._file.read_bytes())
            image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
            return preview_bytes(encode_png(np.asarray(image.convert("RGB"))))

    def _exists(self) -> bool:
        return self._file.is_file()

    def _write(self, content: bytes) -> None:
        # Two runs may save at once.
        with atomic_path(self._file, shared=True) as partial:
            partial.write_bytes(content)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._file)}


class OptionalImageDataset(ImageDataset):
    """A PNG file of an image that not every run has.

    An array without pixels is saved as no file, and loaded where there is none.
    """

    def load(self) -> np.ndarray:
        """Read the pixels."""
        return super().load() if self._exists() else np.zeros((0, 0, 3), np.uint8)

    def save(self, data: np.ndarray) -> None:
        """Write the pixels, or remove the file of an earlier run."""
        if data.size:
            super().save(data)
        else:
            self._file.unlink(missing_ok=True)


class AnimationDataset(ImageDataset):
    """An animated WebP file of frames, uint8 of shape (n, H, W, 3), with lossy compression.

    Frames are reduced where the file would be larger than 4 MB, see `encode_film`.
    """

    def load(self) -> np.ndarray:
        """Read the frames."""
        with Image.open(self._file) as animation:
            return np.stack([np.asarray(frame.convert("RGB")) for frame in Iterator(animation)])

    def save(self, data: np.ndarray) -> None:
        """Write the frames."""
        self._write(encode_film(data))


class ImageFolderDataset(
    AbstractDataset[Iterable[tuple[str, np.ndarray]], dict[str, Callable[[], np.ndarray]]]
):
    """A folder of PNG files, gray, RGB or RGBA, that is replaced as a whole.

    Saving takes an iterable of (name, pixels), so memory does not grow with the number of images.

    Args:
        filepath: The folder.
        metadata: For plugins such as Kedro-Viz.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], np.ndarray]]:
        """Return functions that read the pixels, uint8 (H, W, C), by name in sorted order."""
        files = sorted(self._folder.glob("*.png"))
        return {file.stem: partial(_read_image, file) for file in files}

    def save(self, data: Iterable[tuple[str, np.ndarray]]) -> None:
        """Write all images to a new folder, then replace the old one."""
        partial = self._folder.with_name(f".{self._folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, pixels in data:
            write_png(partial / f"{name}.png", pixels)
        replace_folder(self._folder, partial)

    @empty_until_made
    def preview(self, images: int = 32, columns: int = 8) -> ImagePreview:
        """Return the first images of the most frequent size as one grid."""
        first = [as_cells(load()[None])[0] for load in islice(self.load().values(), images + 1)]
        if not first:
            raise NothingToShowError(f"{self._folder} has no images.")
        # The sample pipeline also saves a grid of all samples there.
        shape = Counter(image.shape for image in first).most_common(1)[0][0]
        chosen = [image for image in first if image.shape == shape][:images]
        return preview_grid(np.stack(chosen), min(columns, len(chosen)))

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


def _read_image(file: Path) -> np.ndarray:
    try:
        return read_image(file)
    # Pillow raises SyntaxError for a broken PNG.
    except (OSError, ValueError, SyntaxError) as error:
        raise explain_unreadable_file(str(file), error, None) from error
