"""Real images of a model's dataset, if it is on this machine."""

import logging
from functools import lru_cache
from pathlib import Path

import numpy as np

from ganvas.gallery.model_store import MAX_LOADED, LoadedModel
from ganvas.ingestion.collection import MANIFEST, Collection, open_collection

logger = logging.getLogger(__name__)


def find_collection(data: Path, model: LoadedModel) -> Collection | None:
    """Open the collection that a model was trained on.

    Args:
        data: The project's data folder.
        model: The model.

    Returns:
        The collection; None if it is missing, incomplete, or of another size or other channels.
    """
    folder = data / "03_primary" / model.saved.dataset / "collection"
    try:
        collection = _open(folder, (folder / MANIFEST).stat().st_mtime_ns)
        shape = tuple(collection.images.shape[1:])
    except OSError:
        return None
    # NumPy, PyArrow and the reader raise errors of many types for damaged files.
    except Exception:
        logger.debug("The gallery can't read %s.", folder, exc_info=True)
        return None
    return collection if shape == model.image_shape else None


def validation_positions(collection: Collection) -> np.ndarray:
    """Return the positions of the validation images, or of all images if there are none."""
    positions = collection.shuffled("validation")
    return positions if len(positions) else np.arange(len(collection.images))


@lru_cache(maxsize=MAX_LOADED)
def _open(folder: Path, _packed_ns: int) -> Collection:
    """Open a collection; the time of its manifest is part of the cache key."""
    # Reading a pipe or a device would block forever.
    if not all(path.is_file() or path.is_dir() for path in folder.iterdir()):
        raise OSError(f"{folder} has files that are no regular files")
    return open_collection(folder)
