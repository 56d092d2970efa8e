"""Reproducible sampling of latents, classes and images."""

from collections.abc import Iterator

import numpy as np

from ganvas.arrays import allocate
from ganvas.keras_types import Model

# Batches of images up to so many pixels always have this size: float sums depend on the batch size,
# so only then does an image depend on nothing but its seed and number.
BATCH, BATCH_PIXELS = 64, 256**2
# Latents of twice the usual length are already longer than any that training draws.
MAX_TRUNCATION = 2.0


def latent_dim(generator: Model) -> int:
    """Return the length Z of a generator's latents.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> latent_dim(build_dcgan(DcganParams(), (64, 64, 3)).generator)
        100
    """
    return generator.inputs[0].shape[-1]


def count_classes(generator: Model) -> int:
    """Return the number of classes K of a generator; 0 for an unconditional one.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> count_classes(build_dcgan(DcganParams(), (64, 64, 3), classes=10).generator)
        10
    """
    return generator.inputs[1].shape[-1] if len(generator.inputs) > 1 else 0


def batch_size(height: int, width: int) -> int:
    """Return the size of all batches of images of a size: 64, fewer of those above 256×256 pixels.

    Example:
        >>> batch_size(64, 64), batch_size(512, 512), batch_size(1024, 1024)
        (64, 16, 4)
    """
    return max(1, min(BATCH, BATCH * BATCH_PIXELS // (height * width)))


def sample_latents(generator: Model, count: int, seed: int, truncation: float = 1.0) -> np.ndarray:
    """Sample latents from N(0, 1), float32 of shape (count, Z).

    Args:
        generator: The generator that takes the latents.
        count: Number of latents; the first ones don't depend on it.
        seed: Random seed.
        truncation: Factor of all latents, above 0 and at most `MAX_TRUNCATION`; below 1, images are
            more typical and less varied, above 1 rarer and with more errors (cf. Brock et al.,
            arXiv 1809.11096, and Karras et al., arXiv 1812.04948, who truncate in other ways).
            Images with a class approach one image of that class, see `docs/glossary.md`.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> images = generate_images(generator, sample_latents(generator, 4, seed=0))
        >>> images.shape, images.dtype
        ((4, 64, 64, 3), dtype('uint8'))
    """
    shape = (count, latent_dim(generator))
    latents = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return latents * np.float32(truncation)


def slerp(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Interpolate spherically between latents (White, arXiv 1609.04468).

    Linear interpolation passes too close to the origin, where latents are improbable.

    Args:
        start: float32 of shape (n, Z).
        end: float32 of shape (n, Z).
        steps: Number of points including both ends, 2 or more.

    Returns:
        float32 of shape (n, steps, Z). Parallel and opposite latents, which have no unique arc,
        are interpolated linearly.

    Example:
        >>> start, end = np.eye(2, dtype=np.float32)
        >>> slerp(start[None], end[None], 3).round(2).tolist()
        [[[1.0, 0.0], [0.7099999785423279, 0.7099999785423279], [0.0, 1.0]]]
    """
    lengths = [np.linalg.norm(x, axis=1, keepdims=True) for x in (start, end)]
    cosine = (start * end).sum(axis=1, keepdims=True) / np.maximum(lengths[0] * lengths[1], 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    t = np.linspace(0, 1, steps)[:, None, None]
    linear = np.sin(angle) < 1e-3
    # Any angle without division by zero, where the linear weights are used.
    angle = np.where(linear, 1, angle)
    start_weight = np.where(linear, 1 - t, np.sin((1 - t) * angle) / np.sin(angle))
    end_weight = np.where(linear, t, np.sin(t * angle) / np.sin(angle))
    return (start_weight * start + end_weight * end).swapaxes(0, 1).astype(np.float32)


def cycle_classes(generator: Model, count: int) -> np.ndarray:
    """Return one-hot labels, float32 of shape (count, K), that cycle through the classes.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3), classes=3).generator
        >>> cycle_classes(generator, 4).argmax(axis=1).tolist()
        [0, 1, 2, 0]
    """
    classes = count_classes(generator)
    return one_hot(np.arange(count) % max(classes, 1), classes)


def sample_labels(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sample class numbers (count,) with the frequencies of `labels` (n,).

    Example:
        >>> sample_labels(np.array([0, 0, 1]), count=5, seed=0).shape
        (5,)
    """
    # The second number makes them independent of latents of the same seed.
    return np.random.default_rng([seed, 1]).choice(labels, count)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Convert class numbers (N,) to one-hot labels, float32 of shape (N, K).

    Example:
        >>> one_hot(np.array([1, 0]), classes=3).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    return (labels[:, None] == np.arange(classes)).astype(np.float32)


def as_inputs(arrays: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """Return the only array, or the list of several, as a Keras model takes its inputs."""
    return arrays if len(arrays) > 1 else arrays[0]


def generate_batches(
    generator: Model, latents: np.ndarray, one_hot_labels: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Generate images from latents, batch by batch.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        latents: float32 of shape (N, Z).
        one_hot_labels: float32 of shape (N, K), one-hot or mixtures of classes; (N, 0) for an
            unconditional generator, which needs none.

    Yields:
        uint8 of shape (n, H, W, C), n at most `batch_size(H, W)`, N images in all.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> latents = sample_latents(generator, 100, seed=0)
        >>> [len(batch) for batch in generate_batches(generator, latents)]
        [64, 36]
    """
    if one_hot_labels is None:
        one_hot_labels = np.zeros((len(latents), 0), np.float32)
    size = batch_size(*generator.output_shape[1:3])
    for start in range(0, len(latents), size):
        padded = [_pad(x[start : start + size], size) for x in (latents, one_hot_labels)]
        inputs = as_inputs(padded[: len(generator.inputs)])
        images = np.asarray(generator(inputs, training=False))
        yield to_uint8(images[: len(latents) - start])


def generate_images(
    generator: Model, latents: np.ndarray, one_hot_labels: np.ndarray | None = None
) -> np.ndarray:
    """Generate all images, uint8 of shape (N, H, W, C), at once; see `generate_batches`.

    Many large ones are kept in a temporary file, see `ganvas.arrays.allocate`.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3), classes=10).generator
        >>> labels = one_hot(np.full(4, 7), classes=10)
        >>> generate_images(generator, sample_latents(generator, 4, seed=0), labels).shape
        (4, 64, 64, 3)
    """
    images, start = allocate((len(latents), *generator.output_shape[1:])), 0
    for batch in generate_batches(generator, latents, one_hot_labels):
        images[start : start + len(batch)] = batch
        start += len(batch)
    return images


def _pad(rows: np.ndarray, count: int) -> np.ndarray:
    return np.pad(rows, ((0, count - len(rows)), (0, 0)))


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Convert values in [-1, 1] to uint8 by rounding; values outside are clipped.

    Example:
        >>> to_uint8(np.array([-1.0, 0.0, 2.0])).tolist()
        [0, 128, 255]
    """
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def to_float(images: np.ndarray) -> np.ndarray:
    """Convert uint8 images to float32 in [-1, 1], the inverse of `to_uint8`.

    Example:
        >>> to_float(np.array([0, 255], np.uint8)).tolist()
        [-1.0, 1.0]
    """
    return images.astype(np.float32) / 127.5 - 1
