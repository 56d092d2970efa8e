"""Fit an image encoder to a generator that has none, by linear regression on generated images."""

import logging
import math

import numpy as np
from sklearn.linear_model import RidgeCV

from ganvas.image_shape import STEP
from ganvas.keras_types import Model
from ganvas.networks.batches import batch_size, pad_rows
from ganvas.networks.image_encoder import (
    BACKBONES,
    FeatureProjection,
    ImageEncoder,
    encoding_batch,
    load_backbone,
    pool_features,
)
from ganvas.networks.latent_spaces import generate_from_w, map_to_w, w_shape
from ganvas.networks.sampling import count_classes, latent_dim
from ganvas.progress import track

logger = logging.getLogger(__name__)

# Generated images that an encoder is fitted on: with more, errors hardly fall.
IMAGES = 2000
# Strengths of ridge regression, per image, that are compared.
STRENGTHS = np.logspace(-4, 2, 13)
# Sides of the images that a backbone sees, if there is a scale for it.
PREFERRED_SIDE = 256
UPSCALES = (1.0, 2.0, 4.0, 8.0, 0.5, 0.25)


def fit_encoder(
    generator: Model,
    label_rows: np.ndarray | None = None,
    count: int = IMAGES,
    description: str | None = None,
) -> ImageEncoder:
    """Fit an encoder: a ridge regression from the features of generated images to their latents.

    The strength of regularization is that with the lowest error on images that are left out, one
    at a time.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        label_rows: Rows of class weights (M, K) to generate images of; None: one-hot rows.
        count: Number of images.
        description: Text of a progress bar; None shows no bar.

    Raises:
        GanvasError: The backbone's weights aren't installed.

    Example:
        >>> encoder = fit_encoder(generator)
        >>> encode(encoder, images).shape[1:] == encoder.w_shape
        True
    """
    image_shape = tuple(generator.output_shape[1:])
    upscale = choose_upscale(*image_shape[:2])
    backbone = load_backbone(BACKBONES[0], image_shape, upscale)
    # The third number makes the latents independent of those of a user's seeds.
    rng = np.random.default_rng([0, 5])
    rows = np.eye(count_classes(generator)) if label_rows is None else label_rows
    # A batch at a time, since all images may be large.
    size, pooled_at_once = batch_size(*image_shape[:2]), encoding_batch(image_shape)
    latents_w, blocks = [], []
    starts = range(0, count, size)
    for start in track(starts, description) if description else starts:
        n = min(size, count - start)
        z = rng.standard_normal((n, latent_dim(generator)), dtype=np.float32)
        labels = np.zeros((n, 0), np.float32)
        if len(rows):
            labels = rows[rng.integers(len(rows), size=n)].astype(np.float32)
        w = map_to_w(generator, z, labels)
        images = generate_from_w(generator, w, labels)
        latents_w.append(w[:, 0] if w.ndim == 3 else w)
        for first in range(0, n, pooled_at_once):
            batch = images[first : first + pooled_at_once]
            pooled = pool_features(backbone, pad_rows(batch, pooled_at_once))
            blocks.append([block[: len(batch)] for block in pooled])
    joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    projection = fit_projection(joined, np.concatenate(latents_w))
    return ImageEncoder(BACKBONES[0], upscale, image_shape, w_shape(generator), projection)


def fit_projection(blocks: list[np.ndarray], w: np.ndarray) -> FeatureProjection:
    """Fit a map from blocks of features, each (n, values), to latents (n, Z).

    Features of a block are divided by the same number, so that all blocks vary as much.
    """
    means = np.concatenate([block.mean(axis=0) for block in blocks])
    norms = [np.sqrt(np.square(x - x.mean(axis=0)).sum(axis=1).mean()) for x in blocks]
    # A block without variance has nothing to say.
    scales = np.array([norm or 1.0 for norm in norms], np.float32)
    counts = np.array([block.shape[1] for block in blocks])
    features = (np.concatenate(blocks, axis=1) - means) / np.repeat(scales, counts)
    model = RidgeCV(STRENGTHS * len(w) / 1000).fit(features, w)
    logger.info(
        "Fitted an encoder on %d generated images: it explains %.0f%% of their latents' variance.",
        len(w),
        100 * max(0.0, 1 + model.best_score_ / w.var(axis=0).mean()),
    )
    return FeatureProjection(
        means.astype(np.float32),
        scales,
        counts,
        model.coef_.T.astype(np.float32),
        model.intercept_.astype(np.float32),
    )


def choose_upscale(height: int, width: int) -> float:
    """Return the factor of images of a size for the backbone.

    Large images are reduced to about `PREFERRED_SIDE`, small ones, whose sides are no multiples of
    32, enlarged.

    Example:
        >>> choose_upscale(64, 64), choose_upscale(1024, 1024), choose_upscale(16, 16)
        (1.0, 0.25, 2.0)
    """
    allowed = [x for x in UPSCALES if not (height * x % STEP or width * x % STEP)]
    if math.sqrt(height * width) <= PREFERRED_SIDE:
        return min(x for x in allowed if x >= 1)
    side = math.sqrt(height * width)
    smaller = [x for x in allowed if x <= 1]
    return min(smaller, key=lambda x: abs(math.log(side * x / PREFERRED_SIDE)))
