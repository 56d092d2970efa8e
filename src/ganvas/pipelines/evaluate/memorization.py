"""The node that checks for memorized training images."""

import numpy as np

from ganvas.arrays import SelectedImages
from ganvas.image_shape import describe_size
from ganvas.ingestion.collection import Collection
from ganvas.metrics.nearest_neighbors import (
    find_nearest_features,
    find_nearest_images,
    reduction_factor,
)
from ganvas.metrics.transparency import describe_for_pixels, for_pixels
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.visualization.contact_sheet import draw_neighbors

COLUMNS = 12
TITLE = "Distance to the nearest training image"


def find_nearest_training_images(
    generated: np.ndarray, features: Features, collection: Collection
) -> tuple[Metrics, np.ndarray]:
    """Measure the distance of generated images to their nearest training images.

    A generator that memorizes its training images comes nearer to them than validation images do,
    which are the real-data baseline.

    Args:
        generated: uint8 of shape (N, H, W, C); may be memory-mapped.
        features: Features of the same images; without an extractor only pixels are compared.
        collection: The packed real images.

    Returns:
        The metrics, and a contact sheet: the generated images nearest to a training image in
        pixels, each above its nearest training image in pixels and, if available, in features.
    """
    training = collection.split("train")
    validation = collection.shuffled("validation")[: len(generated)]

    # Distances in pixels, which also choose the images to show.
    images = for_pixels(collection.images)
    nearest, distances = find_nearest_images(for_pixels(generated), images, training)
    _, real = find_nearest_images(SelectedImages(images, validation), images, training)
    shown = np.argsort(distances)[:COLUMNS]
    rows = {
        "generated": generated[shown],
        "nearest in pixels": collection.images[nearest[shown]],
    }
    metrics = {
        "nearest_training_distance": metric_entry(
            TITLE,
            distances.mean(),
            f"mean over N={len(generated)} generated and {len(validation)} validation images of "
            f"root mean squared pixel differences to the nearest of {len(training)}"
            f"{_describe_pixels(*generated.shape[1:])}, range 0 to 255",
            "gray levels",
            _mean(real),
        )
    }
    if not features.extractor:
        return metrics, draw_neighbors(rows)

    # Distances in features, which may be computed for a part of the training images only.
    nearest, distances = find_nearest_features(features.generated, features.training)
    _, real = find_nearest_features(features.validation, features.training)
    count = len(features.training)
    subset = f"of {count:,} " if count < len(training) else ""
    positions = features.training_positions[nearest[shown]]
    rows[f"nearest {subset}in features"] = collection.images[positions]
    metrics["nearest_training_features"] = metric_entry(
        f"{TITLE}, in features",
        distances.mean(),
        f"mean over N={len(generated)} generated and {len(features.validation)} validation images, "
        f"Euclidean, to the nearest of {count}, features of {features.extractor.name}",
        real=_mean(real),
    )
    return metrics, draw_neighbors(rows)


def _describe_pixels(height: int, width: int, channels: int) -> str:
    """Return what is compared if it isn't each pixel of each channel, in words."""
    factor, described = reduction_factor(height, width), describe_for_pixels(channels)
    if factor > 1:
        size = describe_size(height // factor, width // factor)
        described += f", at {size} pixels, each the average of {factor}×{factor}"
    return described


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
