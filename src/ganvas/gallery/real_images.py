"""Real pictures, where the collection that a model learnt from is on this machine."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.model_store import LOADED, LoadedModel
from ganvas.ingestion.collection import MANIFEST, Collection, open_collection


def find_collection(data: Path, studio: LoadedModel) -> Collection | None:
    """Open the collection that a model learnt from; None where it isn't there whole, at its size.

    Args:
        data: The project's folder of data.
        studio: The model.
    """
    folder = data / "03_primary" / studio.saved.model.partition("/")[0] / "collection"
    try:
        collection = _open(folder, (folder / MANIFEST).stat().st_mtime_ns)
    except (OSError, ValueError, EOFError, GanvasError):
        return None
    return collection if collection.images.shape[1] == studio.side else None


def choose_real(collection: Collection) -> np.ndarray:
    """Give the positions of held-out pictures, or of all where none are held out."""
    held_out = collection.shuffled("validation")
    return held_out if len(held_out) else np.arange(len(collection.images))


@lru_cache(maxsize=LOADED)
def _open(folder: Path, _packed_ns: int) -> Collection:
    """Open a collection once, until it is packed anew."""
    return open_collection(folder)
