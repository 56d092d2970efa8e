"""Latents of real images' own: what a trained network sees in them, made normally distributed.

An image's maps in the trunk that the discriminator looks through, and its colors, averaged over
the places of a coarse grid, are reduced to their principal components, and the ranks of each of
these are given the values that a normal distribution has at such ranks. So a generator that has
learnt to paint from these latents can be given any that are drawn from a normal distribution.

With classes all this is done within each class: a latent that told the class as well would, drawn
at random, contradict the class that is asked for, and the image would be a mixture of two.
"""

import logging
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops
from sklearn.decomposition import PCA
from sklearn.preprocessing import QuantileTransformer

from ganvas.arrays import Images
from ganvas.networks.gan_networks import has_pretrained_backbone
from ganvas.training.batches import TrainingSet
from ganvas.training.config import TrainParams

logger = logging.getLogger(__name__)

# Sides of the grids that maps and colors are averaged to.
MAP_GRID, COLOR_GRID = 4, 8
# What colors weigh beside each of the maps.
COLOR_WEIGHT = 2.0
# Components change little beyond so many images.
SAMPLE = 4000
BATCH = 100

# What to take from the rows of a block, and what to divide them by.
Scale = tuple[np.ndarray, float]


def has_anchors(discriminator: keras.Model, params: TrainParams) -> bool:
    """Tell whether images have latents of their own when this discriminator is trained."""
    return bool(params.anchor.every) and has_pretrained_backbone(discriminator)


def with_anchors(
    data: TrainingSet, discriminator: keras.Model, latent: int, params: TrainParams
) -> TrainingSet:
    """Give each training image a latent of its own, where `train.anchor` asks for that.

    A discriminator that looks at the images themselves knows too little for that: nothing is
    done.

    Args:
        data: What to train on.
        discriminator: The one that is trained; see `ganvas.networks.gan_networks.GanNetworks`.
        latent: Length Z of a latent; if there are fewer components, normal random numbers fill it.
        params: Of training.
    """
    if not has_anchors(discriminator, params):
        return data
    trunk = discriminator.get_layer("trunk")
    # Keras would ask one that was made in the scope of several devices on each of them.
    trunk = keras.Model(trunk.input, trunk.outputs)
    rng = np.random.default_rng([params.seed, SAMPLE])
    sample = np.sort(rng.permutation(data.positions)[:SAMPLE])
    blocks = list(map(np.concatenate, zip(*_look(trunk, data.images, sample), strict=True)))
    scales = _measure(blocks)
    labels = np.zeros(len(data.images), int) if data.labels is None else data.labels
    joined = _center(_join(blocks, scales), labels[sample])
    count = min(latent, len(sample) - 1, joined.shape[1])
    components = PCA(count, whiten=True, svd_solver="randomized", random_state=params.seed)
    components.fit(joined)
    seen = _look(trunk, data.images, data.positions)
    found = [components.transform(_join(each, scales)) for each in seen]
    latents = rng.standard_normal((len(data.images), latent), dtype=np.float32)
    normal = _make_normal(np.concatenate(found), labels[data.positions])
    latents[data.positions, : normal.shape[1]] = normal
    kept = components.explained_variance_ratio_.sum()
    logger.info(
        "%d images have latents of their own, which keep %.0f %% of their features' variance.",
        len(data.positions),
        100 * kept,
    )
    return data._replace(anchors=latents)


def _look(trunk: keras.Model, images: Images, positions: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Give the maps' and the colors' averages over grids, (n, values) each, batch by batch."""
    for at in range(0, len(positions), BATCH):
        batch = images[positions[at : at + BATCH]].astype(np.float32) / 127.5 - 1
        maps = trunk.predict_on_batch(batch)[1:]
        # Sums over thousands of images would come to a halt in half precision.
        pooled = [_average(each.astype(np.float32), MAP_GRID) for each in maps]
        pooled.append(_average(batch, COLOR_GRID))
        yield [each.reshape(len(each), -1) for each in pooled]


def _average(maps: np.ndarray, grid: int) -> np.ndarray:
    """Average (N, S, S, C) over the places of a grid; coarser maps stay as they are."""
    side = maps.shape[1] // grid
    if side <= 1:
        return maps
    return np.asarray(ops.average_pool(ops.convert_to_tensor(maps), side))


def _measure(blocks: list[np.ndarray]) -> list[Scale]:
    """Give each block's scale; the last block, the colors, weighs more than the others."""
    centers = [block.mean(0) for block in blocks]
    sizes = [_size(block - center) for block, center in zip(blocks, centers, strict=True)]
    sizes[-1] /= COLOR_WEIGHT
    return list(zip(centers, sizes, strict=True))


def _join(blocks: list[np.ndarray], scales: list[Scale]) -> np.ndarray:
    """Put blocks beside each other, each by its scale."""
    scaled = zip(blocks, scales, strict=True)
    return np.concatenate([(block - center) / size for block, (center, size) in scaled], axis=1)


def _size(centered: np.ndarray) -> float:
    """The root of the mean squared length of a block's rows."""
    return float(np.sqrt(np.square(centered).sum(axis=1).mean()))


def _center(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Take from each row (N, values) the mean of its class."""
    centered = np.empty_like(rows)
    for label in np.unique(labels):
        centered[labels == label] = rows[labels == label] - rows[labels == label].mean(axis=0)
    return centered


def _make_normal(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give each column (N, Z) the values of a normal distribution at its ranks in a class."""
    normal = np.zeros(codes.shape, np.float32)
    for label in np.unique(labels):
        rows = labels == label
        # A class's only image stays in the middle.
        if rows.sum() > 1:
            normal[rows] = _rank(codes[rows])
    return normal


def _rank(codes: np.ndarray) -> np.ndarray:
    transform = QuantileTransformer(
        n_quantiles=min(1000, len(codes)), output_distribution="normal", subsample=None
    )
    # Its ends would lie at ±5.2, where no latent is ever drawn.
    limit = np.sqrt(2 * np.log(max(len(codes), 2)))
    return np.clip(transform.fit_transform(codes), -limit, limit)
