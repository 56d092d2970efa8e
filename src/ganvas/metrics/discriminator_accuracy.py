"""What the discriminator says of images."""

import keras
import numpy as np

from ganvas.networks.sampling import as_inputs, to_float

BATCH = 64


def compute_logits(
    discriminator: keras.Model, images: np.ndarray, classes: np.ndarray | None = None
) -> np.ndarray:
    """Give the discriminator's logits, float32 of shape (N,), positive for real.

    Of one that judges parts of an image by themselves it is their mean.

    Batch normalization uses its moving averages, so each image is judged by itself.

    Args:
        discriminator: See `ganvas.networks.gan_networks.GanNetworks`.
        images: uint8 of shape (N, H, W, 3).
        classes: Rows of classes that they show or were asked to, float32 of shape (N, K); needed
            where the discriminator looks at them.
    """
    logits = []
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        inputs = [to_float(images[part])]
        if classes is not None and len(discriminator.inputs) > 1:
            inputs.append(classes[part])
        outputs = discriminator(as_inputs(inputs), training=False)
        outputs = outputs["logits"] if isinstance(outputs, dict) else outputs
        logits.append(keras.ops.convert_to_numpy(outputs).mean(axis=1))
    return np.concatenate(logits)


def accuracy(logits: np.ndarray, real: bool, boundary: float = 0.0) -> float:
    """Share of logits, shape (N,), on the side of the boundary where real, or generated, ones are.

    Args:
        logits: Of images of one kind.
        real: Whether these are real.
        boundary: Above it images are taken for real.
    """
    return float(np.mean((logits > boundary) == real))
