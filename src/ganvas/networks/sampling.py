"""Pictures from a generator, the same for the same seed."""

from collections.abc import Iterator

import keras
import numpy as np

# Always whole batches of this size: float sums depend on how a batch is cut up, so only then does
# a picture depend on its seed and number alone.
BATCH = 64


def draw_latents(generator: keras.Model, count: int, seed: int) -> np.ndarray:
    """Draw latents from N(0, 1): float32 of shape (count, Z); a longer draw begins the same."""
    length = generator.input_shape[-1]
    return np.random.default_rng(seed).standard_normal((count, length), dtype=np.float32)


def paint_batches(generator: keras.Model, latents: np.ndarray) -> Iterator[np.ndarray]:
    """Turn latents into pictures, batch by batch.

    Args:
        generator: (N, Z) to (N, H, W, 3) in [-1, 1].
        latents: float32 of shape (N, Z).

    Yields:
        uint8 of shape (n, H, W, 3), n at most 64, together N pictures.
    """
    for start in range(0, len(latents), BATCH):
        batch = latents[start : start + BATCH]
        padded = np.zeros((BATCH, latents.shape[1]), np.float32)
        padded[: len(batch)] = batch
        pictures = keras.ops.convert_to_numpy(generator(padded, training=False))
        yield to_uint8(pictures[: len(batch)])


def paint(generator: keras.Model, latents: np.ndarray) -> np.ndarray:
    """Turn latents (N, Z) into pictures, uint8 of shape (N, H, W, 3)."""
    return np.concatenate(list(paint_batches(generator, latents)))


def to_uint8(pictures: np.ndarray) -> np.ndarray:
    """Turn values in [-1, 1] into uint8 of the same shape, rounded."""
    return np.clip(np.rint((pictures + 1) * 127.5), 0, 255).astype(np.uint8)


def to_float(pictures: np.ndarray) -> np.ndarray:
    """Turn uint8 pictures into float32 in [-1, 1]; the way back of `to_uint8`."""
    return pictures.astype(np.float32) / 127.5 - 1
