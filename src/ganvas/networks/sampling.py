"""Images from a generator, the same for the same seed."""

from collections.abc import Iterator

import keras
import numpy as np

# Always whole batches of this size: float sums depend on how a batch is cut up, so only then does
# an image depend on its seed and number alone.
BATCH = 64


def latent_length(generator: keras.Model) -> int:
    """Length Z of a generator's latents."""
    return generator.inputs[0].shape[-1]


def count_classes(generator: keras.Model) -> int:
    """How many classes K a generator paints; 0 for one without classes."""
    return generator.inputs[1].shape[-1] if len(generator.inputs) > 1 else 0


def sample_latents(
    generator: keras.Model, count: int, seed: int, truncation: float = 1.0
) -> np.ndarray:
    """Draw latents from N(0, 1): float32 of shape (count, Z); a longer draw begins the same.

    Args:
        generator: Whose latents they are.
        count: How many.
        seed: The same seed gives the same ones.
        truncation: What they are multiplied by, above 0 and at most 1. Below 1 they are nearer to
            the most common image: likelier and less varied (after Brock et al., arXiv
            1809.11096, and Karras et al., arXiv 1812.04948, who do so in other ways).
    """
    shape = (count, latent_length(generator))
    drawn = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return drawn * np.float32(truncation)


def slerp(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Walk from latents to others on arcs, on which points are as likely as their ends.

    Straight lines pass too near to the origin, where hardly any latent lies (White,
    arXiv 1609.04468).

    Args:
        start: float32 of shape (n, Z).
        end: Where each walk ends, of the same shape.
        steps: Points of a walk, both ends included, 2 or more.

    Returns:
        float32 of shape (n, steps, Z). Opposite latents, between which there is no shortest arc,
        and parallel ones are joined by straight lines.
    """
    lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in (start, end)]
    cosine = (start * end).sum(axis=1, keepdims=True) / np.maximum(lengths[0] * lengths[1], 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    shares = np.linspace(0, 1, steps)[:, None, None]
    straight = np.sin(angle) < 1e-3
    turn = np.where(straight, 1, angle)
    before = np.where(straight, 1 - shares, np.sin((1 - shares) * turn) / np.sin(turn))
    after = np.where(straight, shares, np.sin(shares * turn) / np.sin(turn))
    return (before * start + after * end).swapaxes(0, 1).astype(np.float32)


def cycle_classes(generator: keras.Model, count: int) -> np.ndarray:
    """Give classes in turn: rows of weights, float32 of shape (count, K), one-hot."""
    classes = count_classes(generator)
    return one_hot(np.arange(count) % max(classes, 1), classes)


def sample_labels(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw classes' numbers as often as they are among labels (n,): of shape (count,)."""
    # A second number keeps them apart from latents of the same seed.
    return np.random.default_rng([seed, 1]).choice(labels, count)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Turn classes' numbers (N,) into rows of weights, float32 of shape (N, K)."""
    return (labels[:, None] == np.arange(classes)).astype(np.float32)


def as_inputs(arrays: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """Give arrays as a network takes them: a single one bare, several as a list."""
    return arrays if len(arrays) > 1 else arrays[0]


def generate_batches(
    generator: keras.Model, latents: np.ndarray, classes: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Turn latents into images, batch by batch.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        latents: float32 of shape (N, Z).
        classes: Rows of weights, float32 of shape (N, K), or of shape (N, 0) for a generator
            without classes; None: all classes in turn.

    Yields:
        uint8 of shape (n, H, W, 3), n at most 64, together N images.
    """
    if classes is None:
        classes = cycle_classes(generator, len(latents))
    for start in range(0, len(latents), BATCH):
        padded = [_pad(each[start : start + BATCH]) for each in (latents, classes)]
        inputs = as_inputs(padded[: len(generator.inputs)])
        images = keras.ops.convert_to_numpy(generator(inputs, training=False))
        yield to_uint8(images[: len(latents) - start])


def generate_images(
    generator: keras.Model, latents: np.ndarray, classes: np.ndarray | None = None
) -> np.ndarray:
    """Turn latents (N, Z), and classes as in `generate_batches`, into uint8 images (N, H, W, 3)."""
    return np.concatenate(list(generate_batches(generator, latents, classes)))


def _pad(rows: np.ndarray) -> np.ndarray:
    return np.pad(rows, ((0, BATCH - len(rows)), (0, 0)))


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Turn values in [-1, 1] into uint8 of the same shape, rounded."""
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def to_float(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images into float32 in [-1, 1]; the way back of `to_uint8`."""
    return images.astype(np.float32) / 127.5 - 1
