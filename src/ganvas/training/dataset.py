"""The images and latents of each step, determined by the seed, the epoch and the step."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ganvas.arrays import Images
from ganvas.errors import GanvasError
from ganvas.label_columns import MAX_NAMED
from ganvas.networks.image_encoder import FeatureProjection
from ganvas.networks.latent_prior import LatentPrior
from ganvas.networks.sampling import one_hot
from ganvas.training.config import MIN_BATCH, TrainParams, list_divisors
from ganvas.training.distribution import Devices

Batch = tuple[np.ndarray, ...]


class TrainingSet(NamedTuple):
    """Images to train on.

    Attributes:
        images: uint8 of shape (N, H, W, C), read from disk and decoded as needed.
        positions: Indices of the training images among them, int64 of shape (n,).
        labels: Class number of each image, int32 of shape (N,); None without classes.
        num_classes: Number of classes K, or of the values of several label columns.
        anchors: Latents of the training images, in the order of `positions`, float32 of shape
            (n, Z); None without anchors. See `ganvas.training.latent_anchoring`.
        prior: Distribution of the other latents; None without anchors.
        projection: Map from an image's features to its anchor without noise; None without anchors.
        rows: With several label columns, the weights of each class, a combination of values,
            float32 of shape (M, K), see `ganvas.label_columns`; None with one or none, whose rows
            are one-hot.
    """

    images: Images
    positions: np.ndarray
    labels: np.ndarray | None = None
    num_classes: int = 0
    anchors: np.ndarray | None = None
    prior: LatentPrior | None = None
    projection: FeatureProjection | None = None
    rows: np.ndarray | None = None

    @property
    def num_targets(self) -> int:
        """Number of classes that can be drawn: K, or with several label columns M."""
        return self.num_classes if self.rows is None else len(self.rows)

    @property
    def num_shown(self) -> int:
        """Number of classes that are shown and named: K, or the most frequent combinations."""
        return self.num_classes if self.rows is None else min(len(self.rows), MAX_NAMED)

    def weigh(self, labels: np.ndarray) -> np.ndarray:
        """Return the rows of class weights of class numbers (n,), float32 of shape (n, K)."""
        return one_hot(labels, self.num_classes) if self.rows is None else self.rows[labels]


def count_steps(num_images: int, params: TrainParams) -> int:
    """Return the number of steps of an epoch.

    Args:
        num_images: Number of images to train on.
        params: Parameters of training.

    Raises:
        GanvasError: There are fewer images than a step takes, or the steps of an epoch or of the
            run can't be divided by `train.steps_per_execution`.

    Example:
        >>> count_steps(1000, TrainParams(batch_size=64))
        15
    """
    batch = params.images_per_step
    if num_images < batch:
        remedy = (
            f"set train.batch_size (now {params.batch_size}) times train.discriminator_steps (now "
            f"{params.discriminator_steps}) to at most {num_images}"
            if num_images >= MIN_BATCH
            else f"ingest more images, since a step takes {MIN_BATCH} at least, or lower "
            "ingest.validation_share and ingest.test_share"
        )
        raise GanvasError(
            f"There are {num_images} images to train on, fewer than a step takes: {remedy}."
        )
    steps = num_images // batch
    check_steps_per_execution(steps, params)
    total = params.total_steps(steps)
    if total and total % params.steps_per_execution:
        allowed = list_divisors(math.gcd(total, steps))
        raise GanvasError(
            f"The {total} steps of train.max_steps can't be executed {params.steps_per_execution} "
            f"at once: set train.steps_per_execution to {allowed}, which divide these and the "
            f"{steps} steps of an epoch, or train.max_steps to a multiple of it."
        )
    return steps


def check_steps_per_execution(steps: int, params: TrainParams) -> None:
    """Check that `train.steps_per_execution` divides the steps that are left of an epoch.

    Otherwise Keras would continue into the next epoch.

    Raises:
        GanvasError: It doesn't divide them.
    """
    if steps % params.steps_per_execution:
        raise GanvasError(
            f"The {steps} steps to the end of an epoch can't be executed "
            f"{params.steps_per_execution} at once: set train.steps_per_execution to "
            f"{list_divisors(steps)}."
        )


def draw_batches(
    data: TrainingSet,
    latent: int,
    params: TrainParams,
    start: tuple[int, int] = (0, 0),
    share: slice = slice(None),
) -> Iterator[Batch]:
    """Draw batches without end, epoch after epoch.

    An epoch of n // b batches, b being `batch_size` times `discriminator_steps`, contains every
    image once, except for the few that don't fill a last batch. The batch of a step depends on
    nothing drawn before, so that training can resume at any step.

    Args:
        data: Images to train on.
        latent: Length Z of a latent.
        params: Batch size, discriminator steps, seed, class sampling and anchors.
        start: Epoch and step to begin at.
        share: The part of every batch to yield, if several devices divide it: of its images, or
            with anchors of its groups of `train.anchor.every` images, each of which begins with
            an anchored one.

    Yields:
        Images, uint8 of shape (b, H, W, C), and latents, float32 of shape (b, Z): standard normal,
        or sampled from the prior, those of every `train.anchor.every`-th image around its own
        anchor; with classes also the images' labels and the target classes of the generated
        images, int32 of shape (b,), or with several label columns their rows of class weights,
        float32 of shape (b, K).

    Example:
        >>> data = TrainingSet(np.zeros((10, 8, 8, 3), np.uint8), np.arange(10))
        >>> images, latents = next(draw_batches(data, 5, TrainParams(batch_size=4)))
        >>> images.shape, latents.shape
        ((4, 8, 8, 3), (4, 5))
    """
    size = params.images_per_step
    # Groups stay together, so that a share has its anchors at the same interval as the batch.
    group = 1 if data.anchors is None else params.anchor.every or 1
    positions = np.arange(size).reshape(-1, group)[share].ravel()
    first_epoch, first_step = start
    for epoch in itertools.count(first_epoch):
        order = np.random.default_rng([params.seed, epoch]).permutation(len(data.positions))
        for step in range(first_step, len(data.positions) // size):
            chosen = order[step * size : (step + 1) * size]
            # A third number keeps these draws apart from those of the order; 0 would not.
            rng = np.random.default_rng([params.seed, epoch, step + 1])
            draws = _draw_latents(data, latent, params, chosen, rng)
            images = data.images[data.positions[chosen[positions]]]
            yield images, *(array[positions] for array in draws)
        first_step = 0


def _draw_latents(
    data: TrainingSet,
    latent: int,
    params: TrainParams,
    chosen: np.ndarray,
    rng: np.random.Generator,
) -> Batch:
    """Draw the latents of a whole batch; with classes return real and target labels too.

    Args:
        data: Images to train on.
        latent: Length Z of a latent.
        params: Parameters of training.
        chosen: The batch's images, as indices of `data.positions`.
        rng: Source of all random numbers.
    """
    if data.anchors is None:
        latents = rng.standard_normal((len(chosen), latent), dtype=np.float32)
    labels = None if data.labels is None else data.labels[data.positions[chosen]]
    targets = labels
    if labels is not None and params.uniform_class_sampling:
        targets = rng.integers(data.num_targets, size=len(chosen), dtype=np.int32)
    if data.anchors is not None and data.prior is not None:
        anchored = np.arange(len(chosen)) % (params.anchor.every or 1) == 0
        if targets is not None:
            # An anchored image must have the class of the real image that it reconstructs.
            targets = np.where(anchored, labels, targets)
        anchors = data.anchors[chosen]
        free = np.flatnonzero(~anchored)
        of_classes = None if targets is None else targets[free]
        anchors[free] = data.prior.choose_anchors(len(free), of_classes, rng)
        latents = data.prior.add_noise(anchors, rng)
    if labels is None or targets is None:
        return (latents,)
    if data.rows is not None:
        return latents, data.rows[labels], data.rows[targets]
    return latents, labels, targets


def make_dataset(
    draw: Callable[[slice], Iterator[Batch]], devices: Devices
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Return endless batches for `fit`, each device's share for itself.

    Args:
        draw: Takes a share; returns that part of all batches.
        devices: The devices that train.
    """
    shares = devices.shares
    like = next(draw(shares[0]))
    if devices.strategy is None:
        return _stream(draw(shares[0]), like)

    def alternate_shares() -> Iterator[Batch]:
        # TensorFlow distributes these to the devices of this worker in turn.
        for parts in zip(*map(draw, shares), strict=True):
            yield from parts

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return _stream(alternate_shares(), like)

    return devices.strategy.distribute_datasets_from_function(make)


def _stream(batches: Iterator[Batch], like: Batch) -> tf.data.Dataset:
    """Return batches of the shapes and dtypes of `like` as a dataset that prefetches.

    A thread of tf.data draws them while a step runs, and encoded images are decoded by several
    (`ganvas.ingestion.encoded_shards`); memory holds three batches ahead of the step at most.
    """
    signature = tuple(tf.TensorSpec(array.shape, array.dtype) for array in like)
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature)
    options = tf.data.Options()
    # The autotuner's thread sleeps for seconds at a time, and ending the iteration waits for it.
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)
