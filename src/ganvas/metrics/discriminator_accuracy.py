"""Logits and accuracy of the discriminator."""

import numpy as np

from ganvas.arrays import Images
from ganvas.keras_types import Model
from ganvas.networks.batches import as_inputs, batch_size, to_float

# Of so many images of a batch one is scored by `compute_logits_among`. With groups of up to as many
# images, as StyleGAN2's have in all configurations for photographs, no group has two of them.
AMONG = 8


def compute_logits(
    discriminator: Model, images: Images, one_hot_labels: np.ndarray | None = None
) -> np.ndarray:
    """Compute the discriminator's logits in inference mode, float32 (N,), positive for real.

    Several logits per image are averaged. Batch normalization uses its moving averages, so an
    image's logit doesn't depend on the other images, unless the discriminator compares the images
    of a batch, as StyleGAN2's does. Then, as in training, all images should be of one kind, real or
    generated. The last batch is filled with the images before it, since few images differ less,
    and would look like those of a generator with mode collapse.

    Args:
        discriminator: See `ganvas.networks.gan_networks.GanNetworks`.
        images: uint8 of shape (N, H, W, C); may be memory-mapped.
        one_hot_labels: Classes of real images or target classes of generated ones, float32 of
            shape (N, K); required by conditional discriminators and ignored by others.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> discriminator = build_dcgan(DcganParams(), (64, 64, 3)).discriminator
        >>> compute_logits(discriminator, np.zeros((5, 64, 64, 3), np.uint8)).shape
        (5,)
    """
    logits, size = [], batch_size(*images.shape[1:3])
    for start in range(0, len(images), size):
        first = max(0, min(start, len(images) - size))
        batch = slice(first, first + size)
        labels = None if one_hot_labels is None else one_hot_labels[batch]
        logits.append(_score_batch(discriminator, images[batch], labels)[start - first :])
    return np.concatenate(logits)


def compute_logits_among(
    discriminator: Model,
    images: np.ndarray,
    one_hot_labels: np.ndarray | None,
    others: np.ndarray,
    other_labels: np.ndarray | None,
) -> np.ndarray:
    """Compute the logits of single images among others, float32 (N,).

    It is for discriminators that compare the images of a batch: for them an image alone, or among
    copies of itself, looks like those of a generator with mode collapse.

    Args:
        discriminator: See `compute_logits`.
        images: uint8 of shape (N, H, W, C), which need not differ.
        one_hot_labels: Their classes, see `compute_logits`.
        others: uint8 of shape (M, H, W, C), images that differ as those of training do; at least
            `AMONG` - 1, and best as many as `batch_size(H, W)`, so that none is repeated.
        other_labels: Their classes.
    """
    logits, step = [], max(1, batch_size(*images.shape[1:3]) // AMONG)
    for start in range(0, len(images), step):
        batch = slice(start, start + step)
        count = len(images[batch])
        chosen = np.arange((AMONG - 1) * count) % len(others)
        labels = None
        if one_hot_labels is not None and other_labels is not None:
            labels = np.concatenate([one_hot_labels[batch], other_labels[chosen]])
        filled = np.concatenate([images[batch], others[chosen]])
        logits.append(_score_batch(discriminator, filled, labels)[:count])
    return np.concatenate(logits)


def _score_batch(
    discriminator: Model, images: np.ndarray, one_hot_labels: np.ndarray | None
) -> np.ndarray:
    inputs = [to_float(images)]
    if one_hot_labels is not None and len(discriminator.inputs) > 1:
        inputs.append(one_hot_labels)
    outputs = discriminator(as_inputs(inputs), training=False)
    outputs = outputs["logits"] if isinstance(outputs, dict) else outputs
    return np.asarray(outputs).mean(axis=1)


def discriminator_accuracy(logits: np.ndarray, real: bool, threshold: float = 0.0) -> float:
    """Compute the share of logits on the correct side of the decision threshold.

    Args:
        logits: Logits of real or of generated images, (N,).
        real: Whether the images are real.
        threshold: Images with a logit above it count as classified real.

    Example:
        >>> discriminator_accuracy(np.array([-1.0, 0.5, 2.0, 3.0]), real=True)
        0.75
    """
    return float(np.mean((logits > threshold) == real))
