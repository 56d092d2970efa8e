"""Logits and accuracy of the discriminator."""

import numpy as np

from ganvas.arrays import Images
from ganvas.keras_types import Model
from ganvas.networks.batches import as_inputs, batch_size, to_float


def compute_logits(
    discriminator: Model, images: Images, one_hot_labels: np.ndarray | None = None
) -> np.ndarray:
    """Compute the discriminator's logits in inference mode, float32 (N,), positive for real.

    Several logits per image are averaged. An image's logit doesn't depend on the other images,
    since batch normalization uses its moving averages.

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
        batch = slice(start, start + size)
        inputs = [to_float(images[batch])]
        if one_hot_labels is not None and len(discriminator.inputs) > 1:
            inputs.append(one_hot_labels[batch])
        outputs = discriminator(as_inputs(inputs), training=False)
        outputs = outputs["logits"] if isinstance(outputs, dict) else outputs
        logits.append(np.asarray(outputs).mean(axis=1))
    return np.concatenate(logits)


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
