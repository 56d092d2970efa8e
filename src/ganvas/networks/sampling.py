"""Reproducible sampling of latents, classes and images."""

from collections.abc import Iterator

import numpy as np

from ganvas.keras_types import Model
from ganvas.networks.batches import as_inputs, batch_size, join_batches, pad_rows, to_uint8
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.styles import (
    ClassMeans,
    find_class_means,
    map_latents,
    mean_style,
    mean_styles,
    synthesize_batches,
    truncate,
)

# Latents of twice the usual length are already longer than any that training draws, and styles
# twice as far from their mean farther than any.
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


def sample_latents(generator: Model, count: int, seed: int) -> np.ndarray:
    """Sample latents from N(0, 1), float32 of shape (count, Z).

    Args:
        generator: The generator that takes the latents.
        count: Number of latents; the first ones don't depend on it.
        seed: Random seed.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> images = generate_images(generator, sample_latents(generator, 4, seed=0))
        >>> images.shape, images.dtype
        ((4, 64, 64, 3), dtype('uint8'))
    """
    shape = (count, latent_dim(generator))
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


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
    return slerp_at(start, end, np.linspace(0, 1, steps))


def slerp_at(start: np.ndarray, end: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Interpolate spherically as `slerp`, at some shares (m,) of the way: (n, m, Z).

    Example:
        >>> start, end = np.eye(2, dtype=np.float32)
        >>> slerp_at(start[None], end[None], np.array([0, 1 / 3])).round(2).tolist()
        [[[1.0, 0.0], [0.8700000047683716, 0.5]]]
    """
    lengths = [np.linalg.norm(x, axis=1, keepdims=True) for x in (start, end)]
    cosine = (start * end).sum(axis=1, keepdims=True) / np.maximum(lengths[0] * lengths[1], 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    t = shares[:, None, None]
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


def generate_batches(
    generator: Model,
    latents: np.ndarray,
    one_hot_labels: np.ndarray | None = None,
    truncation: float | np.ndarray = 1.0,
    class_means: ClassMeans | None = None,
) -> Iterator[np.ndarray]:
    """Generate images from latents, batch by batch.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        latents: float32 of shape (N, Z).
        one_hot_labels: float32 of shape (N, K), one-hot or mixtures of classes; (N, 0) for an
            unconditional generator, which needs none.
        truncation: One for all images or an array (N,), above 0 and at most `MAX_TRUNCATION`;
            below 1, images are more typical and less varied, above 1 rarer and with more errors.
            For style-based generators it is ψ, the factor of a style's distance from the mean
            style of the image's class (Karras et al., arXiv 1812.04948). For all others, it is a
            factor of the latents (cf. Brock et al., arXiv 1809.11096, who truncate in another way):
            images with a class approach one image of that class, see `docs/glossary.md`.
        class_means: Mean styles of a conditional style-based generator; None computes those of
            one label column by `ganvas.networks.styles.find_class_means`, which callers with many
            calls keep.

    Yields:
        uint8 of shape (n, H, W, C), n at most `batch_size(H, W)`, N images in all.

    Raises:
        ValueError: `truncation` is neither a number nor one for each image.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> latents = sample_latents(generator, 100, seed=0)
        >>> [len(batch) for batch in generate_batches(generator, latents)]
        [64, 36]
    """
    if one_hot_labels is None:
        one_hot_labels = np.zeros((len(latents), 0), np.float32)
    factors = np.broadcast_to(np.asarray(truncation, np.float32), len(latents))
    has_styles = is_style_based(generator)
    is_truncated = bool((factors != 1).any())
    if has_styles and is_truncated and class_means is None:
        class_means = find_class_means(generator, 1 if count_classes(generator) else 0)
    size = batch_size(*generator.output_shape[1:3])
    for start in range(0, len(latents), size):
        rows = slice(start, start + size)
        batch, labels, psi = latents[rows], one_hot_labels[rows], factors[rows]
        if has_styles:
            styles = map_latents(generator, batch, labels)
            means = mean_style(generator)
            if is_truncated:
                means = mean_styles(generator, labels, class_means)
            yield from synthesize_batches(generator, truncate(styles, means, psi))
        else:
            padded = [pad_rows(x, size) for x in (batch * psi[:, None], labels)]
            inputs = as_inputs(padded[: len(generator.inputs)])
            images = np.asarray(generator(inputs, training=False))
            yield to_uint8(images[: len(batch)])


def generate_images(
    generator: Model,
    latents: np.ndarray,
    one_hot_labels: np.ndarray | None = None,
    truncation: float | np.ndarray = 1.0,
    class_means: ClassMeans | None = None,
) -> np.ndarray:
    """Generate all images, uint8 of shape (N, H, W, C), at once; see `generate_batches`.

    Many large ones are kept in a temporary file, see `ganvas.arrays.allocate`.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3), classes=10).generator
        >>> labels = one_hot(np.full(4, 7), classes=10)
        >>> latents = sample_latents(generator, 4, seed=0)
        >>> generate_images(generator, latents, labels, truncation=0.7).shape
        (4, 64, 64, 3)
    """
    shape = (len(latents), *generator.output_shape[1:])
    return join_batches(
        generate_batches(generator, latents, one_hot_labels, truncation, class_means), shape
    )
