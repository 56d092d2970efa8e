"""The node that measures the perceptual path length."""

import logging
from typing import Any

import numpy as np

from ganvas.image_shape import describe_size
from ganvas.ingestion.collection import Collection
from ganvas.keras_types import Model
from ganvas.metrics.extractor_names import choose_map_extractor
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import latent_dim
from ganvas.pipelines.evaluate.metric_entry import Metrics, metric_entry
from ganvas.pipelines.evaluate.nodes import draw_classes
from ganvas.pipelines.evaluate.params import EvaluateParams

logger = logging.getLogger(__name__)

# What a backbone sees of such channels, see `ganvas.backbones.rgb_input`.
CHANNELS = {1: ", gray repeated in three channels", 4: ", transparent images on medium gray"}


def measure_path_length(
    generator: Model,
    collection: Collection,
    class_list: dict[str, Any],
    params: EvaluateParams,
) -> Metrics:
    """Measure the perceptual path length between latents, and between styles where there are any.

    Empty if `params.path_pairs` is 0.

    Args:
        generator: The generator, which may be style-based.
        collection: The packed real images, for the frequencies of classes.
        class_list: The generator's label column and class names.
        params: Parameters of evaluation: path_pairs, path_sampling, extractor, seed.

    Raises:
        GanvasError: The collection's classes differ from the generator's, or the extractor's
            weights aren't installed.
    """
    if not params.path_pairs or not params.extractor:
        return {}
    # TensorFlow takes seconds to import, and Kedro imports this module for every command.
    from ganvas.metrics.perceptual_path_length import (
        load_feature_maps,
        measure_distances,
        perceptual_path_length,
    )
    from ganvas.training.gpu import full_float32

    _, one_hot_labels = draw_classes(collection, class_list, params.path_pairs, params.seed)
    extractor = choose_map_extractor(params.extractor)
    feature_maps = load_feature_maps(extractor, generator.output_shape[1:])
    metrics = {}
    for space in ("z", "w") if is_style_based(generator) else ("z",):
        if space == "z" and latent_dim(generator) == 1:
            logger.warning(
                "The perceptual path length in Z is left out: latents of one number have no arcs "
                "between them."
            )
            continue
        with full_float32():
            distances = measure_distances(
                generator,
                feature_maps,
                one_hot_labels,
                space,
                params.path_sampling,
                params.seed,
                description=f"Perceptual path length in {space.upper()}",
            )
        if not np.isfinite(distances).all():
            logger.warning(
                "The perceptual path length in %s is left out, because the generator's images "
                "have values that are not finite: choose another epoch by --pipelines=select.",
                space.upper(),
            )
            continue
        length = perceptual_path_length(distances)
        where = "ends" if params.path_sampling == "end" else "full paths"
        metrics[f"perceptual_path_length_{space}_{params.path_sampling}"] = metric_entry(
            f"Perceptual path length in {space.upper()}, {where} (PPL-{extractor})",
            length if len(distances) > 1 else length.mean,
            _describe(params, space, extractor, generator.output_shape[1:]),
        )
    return metrics


def _describe(
    params: EvaluateParams, space: str, extractor: str, image_shape: tuple[int, int, int]
) -> str:
    from ganvas.metrics.perceptual_path_length import EPSILON, reduction_factor

    height, width, channels = image_shape
    factor = reduction_factor(height, width)
    size = describe_size(height // factor, width // factor)
    start = {"end": "the start", "full": "a random point"}[params.path_sampling]
    path = "lines between styles" if space == "w" else "arcs between latents"
    return (
        f"mean ± standard error over N={params.path_pairs} {path}, without the lowest and the "
        f"highest 1 %, steps from {start} of each by ε={EPSILON:g} of it, squared distance / ε² of "
        f"the feature maps of {extractor} at 4 scales, each position scaled to length 1, of images "
        f"of {size} pixels{CHANNELS.get(channels, '')}; not LPIPS, so not comparable with "
        f"published values; same noise and class in a pair, seed {params.seed}"
    )
