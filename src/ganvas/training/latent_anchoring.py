"""Latent anchoring: images are generated from latents computed from real images.

As in IC-GAN (Casanova et al., arXiv 2109.05070) each real image stands for a part of the latent
space, and as in VAE-GAN (Larsen et al., arXiv 1512.09300) the generator must reconstruct it, up to
the features of a pretrained network: here the frozen backbone of the discriminator. A generator
that has to reach all real images can't collapse to a few shapes.

The latents (`anchors`) are principal components of the image's backbone features and colors, each
averaged over a coarse grid. Components keep their variance: the first ones, which describe most of
an image, are learned first. All latents of training have noise: those of anchored images are around
their anchor, the others, like those that the trained generator samples, around points between the
anchors of two similar images of a class; see `ganvas.networks.latent_prior`.
"""

import logging
import math
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors

from ganvas.arrays import Images
from ganvas.networks.gan_networks import has_pretrained_backbone
from ganvas.networks.image_encoder import FeatureProjection, average_over_grid, pool_features
from ganvas.networks.latent_prior import MAX_ANCHORS, LatentPrior
from ganvas.progress import track
from ganvas.training.adversary import (
    AdversarialGradients,
    Adversary,
    DiscriminatorOutput,
    MicroBatch,
)
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.fused_ops import with_constant_weights

logger = logging.getLogger(__name__)

# Weight of the colors beside each of the feature maps.
COLOR_WEIGHT = 2.0
# More images than this hardly change the principal components.
PCA_IMAGES = 4000
# Images that the backbone takes at once, and their pixels at most, for which it needs about 1 GB.
BATCH, BATCH_PIXELS = 100, 100 * 256**2
# Components that vary less, relative to the first, are rounding errors.
MIN_RELATIVE_SCALE = 1e-4
# Keeps ratios of gradient norms, and of variances, finite.
EPSILON = 1e-12
# The effect of a value that n images have is shrunk by about n / (n + this).
RIDGE = 1.0
# Only coarse content must be reconstructed: images of this side, in all their channels, and feature
# maps from the second on. Fine detail is not encoded in the latent, so matching it produces blur.
COARSE_SIDE = 16
FIRST_FEATURE_MAP = 2

# Mean and size of a block of features, by which it is standardized.
Scale = tuple[np.ndarray, float]


# --- Anchors: a latent for each real image ----------------------------------------------------


def uses_anchors(discriminator: keras.Model, params: TrainParams) -> bool:
    """Return whether latents are anchored: it takes `anchor.every` and a pretrained backbone."""
    return bool(params.anchor.every) and has_pretrained_backbone(discriminator)


def with_anchors(
    data: TrainingSet, discriminator: keras.Model, latent: int, params: TrainParams
) -> TrainingSet:
    """Compute a latent for each training image, if `uses_anchors`; else return `data`.

    The mean squared length of the latents is Z.

    Args:
        data: Images to train on.
        discriminator: The discriminator to train; see `ganvas.networks.gan_networks.GanNetworks`.
        latent: Length Z of a latent; axes beyond the number of components are noise.
        params: Parameters of training.

    Raises:
        ValueError: The parameters don't allow anchors, see `TrainParams.check_anchors`.
    """
    if not uses_anchors(discriminator, params):
        return data
    params.check_anchors()
    backbone = discriminator.get_layer("backbone")
    # A copy outside any distribution strategy: the original would run once on each device.
    backbone = keras.Model(backbone.input, backbone.outputs)

    # Fit the components on a sample of the images, centered by class, or by the values of several
    # label columns: they describe how images of a class differ, while the generator's class
    # embedding says how classes do.
    rng = np.random.default_rng([params.seed, PCA_IMAGES])
    sample = np.sort(rng.permutation(data.positions)[:PCA_IMAGES])
    batches: Iterable[list[np.ndarray]]
    batches = list(_pool_features(backbone, data.images, sample))
    blocks = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    scales = _measure_scales(blocks)
    labels = np.zeros(len(data.images), int) if data.labels is None else data.labels
    features = _join_blocks(blocks, scales)
    if data.rows is None:
        features = _center_by_class(features, labels[sample])
    else:
        features = _center_by_values(features, data.rows[labels[sample]])
    count = min(latent, len(sample) - 1, features.shape[1])
    pca = PCA(count, svd_solver="randomized", random_state=params.seed)
    pca.fit(features)

    # Transform all images; the features of a small collection are those of its sample.
    if not np.array_equal(sample, data.positions):
        batches = _pool_features(backbone, data.images, data.positions)
    codes = np.concatenate([pca.transform(_join_blocks(blocks, scales)) for blocks in batches])
    factor = np.sqrt(latent / max(np.square(codes).sum(axis=1).mean(), EPSILON))
    codes *= factor
    anchors = np.zeros((len(data.positions), latent), np.float32)
    anchors[:, :count] = codes
    logger.info(
        "Embedded %d training images into the latent space (PCA keeps %.0f%% of their features' "
        "variance).",
        len(data.positions),
        100 * pca.explained_variance_ratio_.sum(),
    )
    prior = _make_prior(data, anchors, params, rng)
    projection = _make_projection(scales, pca, factor * math.sqrt(1 - prior.noise**2))
    return data._replace(anchors=anchors, prior=prior, projection=projection)


def _make_projection(scales: list[Scale], pca: PCA, factor: float) -> FeatureProjection:
    """Return the map from features to the latents that the generator learned for them.

    These are the anchors without noise: shrunk as `LatentPrior.add_noise` does, in `factor`.
    """
    return FeatureProjection(
        np.concatenate([mean for mean, _ in scales]).astype(np.float32),
        np.array([size for _, size in scales], np.float32),
        np.array([len(mean) for mean, _ in scales]),
        (factor * pca.components_.T).astype(np.float32),
        (-factor * pca.components_ @ pca.mean_).astype(np.float32),
    )


def _make_prior(
    data: TrainingSet, anchors: np.ndarray, params: TrainParams, rng: np.random.Generator
) -> LatentPrior:
    scale = anchors.std(axis=0)
    # An axis without variance, up to rounding, has the noise of the weakest of the others.
    varies = scale > MIN_RELATIVE_SCALE * scale.max() + EPSILON
    weakest = scale[varies].min() if varies.any() else 1.0
    scale = np.where(varies, scale, weakest).astype(np.float32)
    labels = None if data.labels is None else data.labels[data.positions]
    if params.anchor.neighbors:
        chosen, anchors = _interpolate_neighbors(anchors, labels, params.anchor.neighbors, rng)
        labels = None if labels is None else labels[chosen]
    return LatentPrior(anchors, scale, params.anchor.noise, labels, data.num_classes, data.rows)


def _interpolate_neighbors(
    anchors: np.ndarray, labels: np.ndarray | None, neighbors: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate between random anchors and one of their nearest neighbors within the class.

    The interpolation is spherical around the mean of the class, which keeps the variance.

    Args:
        anchors: float32 of shape (n, Z).
        labels: Class numbers, int of shape (n,); None without classes.
        neighbors: Number of nearest neighbors to choose from.
        rng: Source of the choices.

    Returns:
        Numbers of the first anchors, int of shape (`MAX_ANCHORS`,), and float32 of shape
        (`MAX_ANCHORS`, Z).
    """
    classes = np.zeros(len(anchors), int) if labels is None else labels
    chosen = np.sort(rng.integers(len(anchors), size=MAX_ANCHORS))
    angles = rng.uniform(0, np.pi / 2, (MAX_ANCHORS, 1)).astype(np.float32)
    between = np.empty((MAX_ANCHORS, anchors.shape[1]), np.float32)
    for label in np.unique(classes[chosen]):
        rows = np.flatnonzero(classes[chosen] == label)
        members = anchors[classes == label]
        mean = members.mean(axis=0)
        if len(members) == 1:
            between[rows] = members
            continue
        search = NearestNeighbors(n_neighbors=min(neighbors, len(members) - 1) + 1).fit(members)
        nearest = search.kneighbors(anchors[chosen[rows]], return_distance=False)
        # The nearest one is the anchor itself.
        other = nearest[np.arange(len(rows)), rng.integers(1, nearest.shape[1], size=len(rows))]
        start, end = anchors[chosen[rows]] - mean, members[other] - mean
        between[rows] = mean + np.cos(angles[rows]) * start + np.sin(angles[rows]) * end
    return chosen, between


def _pool_features(
    backbone: keras.Model, images: Images, positions: np.ndarray
) -> Iterator[list[np.ndarray]]:
    """Yield batches of blocks (n, values): pooled feature maps, then pooled colors."""
    size = min(BATCH, max(1, BATCH_PIXELS // math.prod(images.shape[1:3])))
    for start in track(range(0, len(positions), size), "Embedding training images"):
        yield pool_features(backbone, images[positions[start : start + size]])


def _measure_scales(blocks: list[np.ndarray]) -> list[Scale]:
    """Return each block's mean and RMS row norm; that of the last, the colors, is weighted."""
    means = [block.mean(0) for block in blocks]
    sizes = [_rms_row_norm(block - mean) for block, mean in zip(blocks, means, strict=True)]
    sizes[-1] /= COLOR_WEIGHT
    return list(zip(means, sizes, strict=True))


def _join_blocks(blocks: list[np.ndarray], scales: list[Scale]) -> np.ndarray:
    scaled = zip(blocks, scales, strict=True)
    return np.concatenate([(block - mean) / size for block, (mean, size) in scaled], axis=1)


def _rms_row_norm(block: np.ndarray) -> float:
    return float(np.sqrt(np.square(block).sum(axis=1).mean()))


def _center_by_class(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Subtract from each row (N, values) the mean of its class."""
    centered = np.empty_like(rows)
    for label in np.unique(labels):
        centered[labels == label] = rows[labels == label] - rows[labels == label].mean(axis=0)
    return centered


def _center_by_values(rows: np.ndarray, class_weights: np.ndarray) -> np.ndarray:
    """Subtract from each row (N, values) the sum of an effect of each of its labels' values.

    The effects are those of a ridge regression on the values, since most combinations of many
    columns have few images or one, whose mean would leave nothing of them.

    Args:
        rows: float32 of shape (N, values).
        class_weights: (N, K), see `ganvas.label_columns`.
    """
    has_value = (class_weights > 0).astype(rows.dtype)
    regression = Ridge(alpha=RIDGE).fit(has_value, rows)
    return rows - regression.predict(has_value).astype(rows.dtype)


# --- Training: reconstruction of the anchored images ------------------------------------------


class AnchoredAdversary(Adversary):
    """An adversary that adds a reconstruction loss for the anchored images of a batch.

    Every `anchor.every`-th image is anchored: it is generated from the latent of the real image
    at the same position, and the loss compares backbone features and coarse pixels of the two.

    Args:
        discriminator: A discriminator made of a backbone and `heads`; see
            `ganvas.networks.gan_networks.GanNetworks`.
        params: Parameters of training.
        schedule_steps: See `Adversary`.
    """

    def __init__(
        self,
        discriminator: keras.Model,
        params: TrainParams,
        schedule_steps: int | None = None,
    ) -> None:
        super().__init__(discriminator, params, schedule_steps)
        self.backbone = with_constant_weights(discriminator.get_layer("backbone"))
        self.heads = discriminator.get_layer("heads")
        self.seeds = [
            layer.seed_generator
            for layer in self.backbone.layers
            if hasattr(layer, "seed_generator")
        ]
        # A flipped image would not be the one that its latent was computed from.
        self.keep_orientation_every = params.anchor.every

    def joint_gradients(
        self, batch: MicroBatch, generated: tf.Tensor, step: tf.Tensor
    ) -> AdversarialGradients:
        """Compute the gradients of both losses; the image gradient includes reconstruction."""
        # Backbone features of both kinds of images, augmented alike, and the pixel loss.
        with tf.GradientTape() as image_tape:
            image_tape.watch(generated)
            real_augmented, fake_augmented = self.augment_alike([batch.images, generated])
            seeds = [tf.identity(seed.state.value) for seed in self.seeds]
            fake_maps = self.backbone(fake_augmented, training=True)
            coarse = [average_over_grid(x, COARSE_SIDE) for x in (generated, batch.images)]
            pixel_loss = self._anchored_difference(*coarse)
            pixel_loss = self.scale_loss_g(pixel_loss * self.params.anchor.pixels)
        # On the same random backgrounds, if images are transparent: features of a real image and of
        # its reconstruction must not differ by what is behind them.
        for seed, state in zip(self.seeds, seeds, strict=True):
            seed.state.assign(state)
        real_maps = self.backbone(real_augmented, training=True)

        # Adversarial losses of the heads, and the feature loss, as functions of the fake maps.
        with tf.GradientTape(persistent=True) as map_tape:
            map_tape.watch(fake_maps)
            real_logits, fake_logits = self._run_heads(batch, real_maps, fake_maps)
            real = DiscriminatorOutput(
                real_logits, {}, batch.images, real_augmented, batch.real_labels
            )
            fake = DiscriminatorOutput(
                fake_logits, {}, generated, fake_augmented, batch.fake_labels
            )
            loss_d, loss_g, scaled_d, scaled_g = self.compute_losses(real, fake, step)
            # Scaled before the gradients at the maps, which float16 would round to zero.
            feature_loss = self.scale_loss_g(
                self._relative_difference(
                    fake_maps[FIRST_FEATURE_MAP:], real_maps[FIRST_FEATURE_MAP:]
                )
            )

        # Balance both gradients at the maps, and backpropagate their sum to the images.
        reconstruction = [ops.zeros_like(x) for x in fake_maps[:FIRST_FEATURE_MAP]]
        reconstruction += map_tape.gradient(feature_loss, fake_maps[FIRST_FEATURE_MAP:])
        map_gradients = self._balance(map_tape.gradient(scaled_g, fake_maps), reconstruction)
        image_gradient = image_tape.gradient(
            [*fake_maps, pixel_loss], generated, [*map_gradients, ops.ones(())]
        )
        weight_gradients = map_tape.gradient(scaled_d, self.discriminator.trainable_variables)
        return AdversarialGradients(weight_gradients, image_gradient, loss_d, loss_g, real, fake)

    def _run_heads(
        self, batch: MicroBatch, real_maps: list[tf.Tensor], fake_maps: list[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Compute the logits of real and generated images.

        Heads have no batch norm, so one forward pass has the logits of two, and spectral norm is
        computed once.
        """
        inputs = [ops.concatenate(maps) for maps in zip(real_maps, fake_maps, strict=True)]
        if self.is_conditional:
            inputs.append(ops.concatenate([batch.real_labels, batch.fake_labels]))
        return ops.split(self.heads(inputs, training=True), 2)

    def _anchored_difference(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """Compute the mean absolute difference over the anchored images."""
        every = self.params.anchor.every
        return ops.mean(ops.abs(_to_float32(a[::every]) - _to_float32(b[::every])))

    def _relative_difference(self, fake: list[tf.Tensor], real: list[tf.Tensor]) -> tf.Tensor:
        """Sum the maps' differences, each relative to the mean magnitude of the real map."""
        every = self.params.anchor.every
        return sum(
            self._anchored_difference(a, b) / ops.mean(ops.abs(_to_float32(b[::every])))
            for a, b in zip(fake, real, strict=True)
        )

    def _balance(
        self, adversarial: list[tf.Tensor], reconstruction: list[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Add gradients at the maps, the adversarial one rescaled by `anchor.adversarial`.

        Without rescaling, either can be a hundred times larger than the other. Norms are those of
        the anchored images, which have both.
        """
        every = self.params.anchor.every
        norm = _global_norm([x[::every] for x in adversarial])
        scale = self.params.anchor.adversarial * _global_norm(reconstruction) / (norm + EPSILON)
        pairs = zip(adversarial, reconstruction, strict=True)
        return [a * ops.cast(scale, a.dtype) + b for a, b in pairs]


def _global_norm(gradients: list[tf.Tensor]) -> tf.Tensor:
    return tf.linalg.global_norm([_to_float32(x) for x in gradients])


def _to_float32(values: tf.Tensor) -> tf.Tensor:
    return ops.cast(values, "float32")
