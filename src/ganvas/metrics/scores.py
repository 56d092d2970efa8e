"""What the discriminator says of pictures."""

import keras
import numpy as np

from ganvas.networks.sampling import to_float

BATCH = 64


def judge(discriminator: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Give the discriminator's logits, float32 of shape (N,), positive for real.

    Batch normalisation uses its moving averages, so each picture is judged by itself.

    Args:
        discriminator: Pictures (N, H, W, 3) in [-1, 1] to logits (N, 1).
        pictures: uint8 of shape (N, H, W, 3).
    """
    logits = [
        keras.ops.convert_to_numpy(
            discriminator(to_float(pictures[start : start + BATCH]), training=False)
        )[:, 0]
        for start in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(logits)


def accuracy(logits: np.ndarray, real: bool) -> float:
    """Share of logits, shape (N,), on the right side of 0 for real or for generated pictures."""
    return float(np.mean((logits > 0) == real))
