"""The node that looks for copies of training images."""

import numpy as np

from ganvas.ingestion.collection import Collection
from ganvas.metrics.nearest_neighbors import find_nearest, find_nearest_features
from ganvas.pipelines.evaluate.feature_metrics import Features
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.visualization.contact_sheet import draw_neighbors

SHOWN = 12


def find_nearest_training_images(
    generated: np.ndarray, features: Features, collection: Collection
) -> tuple[Metrics, np.ndarray]:
    """Measure how near generated images come to training ones, and show the nearest.

    A generator that has learnt by heart comes nearer than images that training never saw do.

    Returns:
        Figures, and a sheet: the generated images that come nearest in pixels, each above its
        nearest training image, in pixels and, where there are any, in features.
    """
    training, held_out = collection.split("train"), collection.shuffled("validation")
    nearest, apart = find_nearest(generated, collection.images, training)
    shown = np.argsort(apart)[:SHOWN]
    rows = {
        "generated": generated[shown],
        "nearest in pixels": collection.images[nearest[shown]],
    }
    title = "Distance to the nearest training image"
    held_out = held_out[: len(generated)]
    real = _mean(find_nearest(collection.images[held_out], collection.images, training)[1])
    metrics = {
        "nearest_training_distance": metric_entry(
            title,
            apart.mean(),
            f"mean over N={len(generated)} and {len(held_out)} held-out ones of root mean squared "
            f"pixel differences to the nearest of {len(training)}, range 0 to 255",
            "gray levels",
            real,
        )
    }
    if features.extractor:
        nearest, apart = find_nearest_features(features.generated, features.training)
        among = len(features.training)
        some = f"of {among:,} " if among < len(training) else ""
        found = collection.images[features.training_positions[nearest[shown]]]
        rows[f"nearest {some}in features"] = found
        metrics["nearest_training_features"] = metric_entry(
            f"{title}, in features",
            apart.mean(),
            f"mean over N={len(generated)} and {len(features.held_out)} held-out ones, Euclidean, "
            f"to the nearest of {len(features.training)}, features of {features.extractor.name}",
            real=_mean(find_nearest_features(features.held_out, features.training)[1]),
        )
    return metrics, draw_neighbors(rows)


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
