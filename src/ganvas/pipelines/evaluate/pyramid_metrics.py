"""The node that compares image patches, without a feature extractor."""

import numpy as np

from ganvas.arrays import SelectedImages
from ganvas.ingestion.collection import Collection
from ganvas.metrics.sliced_wasserstein import (
    DIRECTIONS,
    MAX_IMAGES,
    PATCH,
    PATCHES,
    sliced_wasserstein_by_level,
)
from ganvas.metrics.transparency import describe_for_pixels, for_pixels
from ganvas.pipelines.evaluate.feature_metrics import (
    MIN_IMAGES,
    Features,
    choose_sides,
    describe_baseline,
    warn_too_few,
)
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.params import EvaluateParams


def measure_sliced_wasserstein(
    generated: np.ndarray, features: Features, collection: Collection, params: EvaluateParams
) -> Metrics:
    """Compute the sliced Wasserstein distance of patches, as the mean of all pyramid levels.

    It compares the same images as the distances of features, by the same protocol. The estimate
    depends on the number of images, so there is a baseline only of as many real images.

    Args:
        generated: uint8 of shape (N, H, W, C); may be memory-mapped.
        features: Positions of the training and validation images; with or without an extractor.
        collection: The packed real images.
        params: Parameters of evaluation: protocol, seed.
    """
    training, validation = features.training_positions, features.validation_positions
    sides = choose_sides(len(generated), len(training), len(validation), params)
    if min(sides.generated, sides.real) < MIN_IMAGES:
        # With an extractor, `measure_distances` warns.
        if not features.extractor:
            warn_too_few(sides, len(generated), len(training), params)
        return {}
    images = for_pixels(collection.images)
    real = SelectedImages(images, training[: sides.real])
    ours = for_pixels(generated[: sides.generated])
    by_level = sliced_wasserstein_by_level(real, ours, params.seed)
    baseline = None
    if sides.has_equal_baseline:
        positions = (training if sides.split == "train" else validation)[sides.baseline]
        others = SelectedImages(images, positions)
        by_level_real = sliced_wasserstein_by_level(real, others, params.seed)
        baseline = float(np.mean(list(by_level_real.values())))
    split = "training split" if sides.split == "train" else describe_baseline(sides)
    if max(sides.generated, sides.real) > MAX_IMAGES:
        split += f", at most {MAX_IMAGES} images of each side"
    return {
        "sliced_wasserstein_distance": metric_entry(
            "Sliced Wasserstein distance",
            float(np.mean(list(by_level.values()))),
            f"mean of {len(by_level)} levels of a Laplacian pyramid ({', '.join(by_level)}), "
            f"{PATCHES} patches of {PATCH}×{PATCH} pixels of each image"
            f"{describe_for_pixels(generated.shape[3])}, {DIRECTIONS} projections, "
            f"{sides.description}, {split}, seed {params.seed}",
            real=baseline,
            by_level=by_level,
        )
    }
