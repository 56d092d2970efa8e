"""Real pictures, where the collection that a model learnt from is on this machine."""

from pathlib import Path

import numpy as np

from ganvas.gallery.models import Studio
from ganvas.sources.collection import Collection, open_collection


def find_collection(data: Path, studio: Studio) -> Collection | None:
    """Open the collection that a model learnt from; None where it isn't there at its size.

    Args:
        data: The project's folder of data.
        studio: The model.
    """
    dataset = studio.saved.model.partition("/")[0]
    try:
        collection = open_collection(data / "03_primary" / dataset / "collection")
    except FileNotFoundError:
        return None
    return collection if collection.images.shape[1] == studio.side else None


def choose_real(collection: Collection) -> np.ndarray:
    """Give the positions of held-out pictures, or of all where none are held out."""
    held_out = collection.split("validation")
    return held_out if len(held_out) else np.arange(len(collection.images))
