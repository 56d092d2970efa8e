"""The node that looks for faces."""

import importlib.util
import logging

import numpy as np
from PIL import Image

from ganvas.ingestion.collection import Collection
from ganvas.ingestion.face_alignment import find_landmarks
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.progress import track

logger = logging.getLogger(__name__)


def measure_faces(generated: np.ndarray, collection: Collection, params: EvaluateParams) -> Metrics:
    """Give the share of images in which MTCNN finds a face, where it is asked for."""
    if not params.faces:
        return {}
    if not importlib.util.find_spec("mtcnn"):
        logger.warning(
            "No faces are looked for, because the package mtcnn is not installed: run pip install "
            '"ganvas[faces]" and evaluate again, or set evaluate.faces=0.'
        )
        return {}
    held_out = collection.shuffled("validation")
    real = held_out if len(held_out) else collection.shuffled("train")
    generated, real = generated[: params.faces], collection.images[real[: params.faces]]
    kind = "held-out" if len(held_out) else "training"
    return {
        "faces": metric_entry(
            "Images with a face",
            _share(generated, "faces of generated images"),
            f"MTCNN, N={len(generated)} and {len(real)} {kind} ones, at their own size",
            real=_share(real, "faces of real images"),
        )
    }


def _share(images: np.ndarray, description: str) -> float:
    found = [
        find_landmarks(Image.fromarray(pixels)) is not None for pixels in track(images, description)
    ]
    return float(np.mean(found))
