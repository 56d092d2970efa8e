"""Perceptual path length (Karras et al., arXiv 1812.04948): how much images change along a path.

Where images change evenly on the way from one latent to another, a small step of the latent is a
small step of the image everywhere. The protocol is that of StyleGAN2's `ppl2`: without a crop, the
distance between images at t and t + ε, squared and divided by ε².

The distance is not the paper's. That is LPIPS, whose VGG16 and learned weights can't be
distributed. Here it is the same formula without learned weights on feature maps of another network,
so values can be compared with each other and never with published ones.
"""

from typing import Literal, NamedTuple

import keras
import numpy as np

from ganvas.backbones.efficientnet import build_pyramid
from ganvas.backbones.precision import dtype_policy
from ganvas.keras_types import Model
from ganvas.metrics.extractor_names import PACKAGED
from ganvas.networks.batches import as_inputs, batch_size
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import latent_dim
from ganvas.networks.styles import map_latents, repeat_styles
from ganvas.progress import track

Space = Literal["z", "w"]
Sampling = Literal["end", "full"]

EPSILON = 1e-4
# As in StyleGAN's code, the most extreme distances don't count.
LOWEST, HIGHEST = 1, 99
# Larger images are averaged over squares of pixels, as in StyleGAN's code.
LARGEST_SIDE = 256
# Distinguishes these random numbers from those of the evaluation's images.
STREAM = 2
# Vectors that are shorter have no direction, as in LPIPS's code.
SHORTEST = 1e-10


class PathLength(NamedTuple):
    """A perceptual path length: the mean, and its standard error (NaN for a single pair)."""

    mean: float
    error: float


def measure_distances(
    generator: Model,
    feature_maps: keras.Model,
    one_hot_labels: np.ndarray,
    space: Space,
    sampling: Sampling = "end",
    seed: int = 0,
    epsilon: float = EPSILON,
    description: str | None = None,
) -> np.ndarray:
    """Measure how far images move on short steps along paths between random latents.

    Both ends of a path have the same class, and both images of a step the same noise, which is
    another one in each step. Images are float32 and not clipped to [-1, 1], so that a step is
    measured and not the rounding of pixels, and the truncation of a style-based generator is left
    out. Latents lie on the sphere of radius √Z, near which N(0, I) does: a style-based generator
    ignores their length, for others a path is a great circle there.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`; style-based for `w`.
        feature_maps: See `load_feature_maps`.
        one_hot_labels: Class of each path, float32 of shape (N, K); (N, 0) without classes.
        space: `z`: along arcs between latents; `w`: along lines between styles.
        sampling: `end`: from the start of each path, which is an image that the generator makes;
            `full`: from a random point of it.
        seed: Random seed of latents, points and noise.
        epsilon: Length of a step, as a share of its path.
        description: Text of a progress bar; None shows no bar.

    Returns:
        Squared distances divided by ε², float64 of shape (N,); NaN for images with values that are
        not finite.
    """
    rng = np.random.default_rng([seed, STREAM])
    count = len(one_hot_labels)
    latents = rng.standard_normal((count, 2, latent_dim(generator)), np.float32)
    points = rng.random(count) if sampling == "full" else np.zeros(count)
    size = max(1, batch_size(*generator.output_shape[1:3]) // 2)
    distances = np.empty(count)
    starts = range(0, count, size)
    for start in track(starts, description) if description else starts:
        # All batches have one size: the last one repeats its last path.
        chosen = np.minimum(np.arange(start, start + size), count - 1)
        labels = np.tile(one_hot_labels[chosen], (2, 1))
        ends = latents[chosen, 0], latents[chosen, 1]
        steps = points[chosen], points[chosen] + epsilon
        if space == "w":
            first, second = np.split(map_latents(generator, np.concatenate(ends), labels), 2)
            inputs = np.concatenate([_lerp(first, second, t) for t in steps])
        else:
            inputs = np.concatenate([_slerp(*ends, t) for t in steps])
            if is_style_based(generator):
                inputs = map_latents(generator, inputs, labels)
        images = _generate(generator, inputs, labels, rng)
        maps = [np.asarray(x) for x in feature_maps.predict_on_batch(images)]
        step_distances = perceptual_distances([x[:size] for x in maps], [x[size:] for x in maps])
        # The maps of images with NaN may be finite, since activations clip them.
        is_finite = np.isfinite(images).all(axis=(1, 2, 3))
        step_distances[~(is_finite[:size] & is_finite[size:])] = np.nan
        distances[start : start + size] = step_distances[: count - start] / epsilon**2
    return distances


def perceptual_path_length(distances: np.ndarray) -> PathLength:
    """Average the distances (N,) that `measure_distances` returns, without the most extreme ones.

    Example:
        >>> perceptual_path_length(np.array([*range(100), 1e9])).mean
        50.0
    """
    low = np.percentile(distances, LOWEST, method="lower")
    high = np.percentile(distances, HIGHEST, method="higher")
    kept = distances[(distances >= low) & (distances <= high)]
    error = kept.std(ddof=1) / np.sqrt(len(kept)) if len(kept) > 1 else np.nan
    return PathLength(float(kept.mean()), float(error))


def perceptual_distances(first: list[np.ndarray], second: list[np.ndarray]) -> np.ndarray:
    """Compute squared distances between images from their feature maps, float64 of shape (N,).

    As in LPIPS (Zhang et al., arXiv 1801.03924) without learned weights: at each position the
    vector of channels is scaled to length 1, squared differences are summed over channels and
    averaged over positions, and all maps count alike.

    Args:
        first: Maps of the first images, each (N, h, w, c).
        second: Those of the others.

    Example:
        >>> x = np.array([3.0, 4.0]).reshape(1, 1, 1, 2)
        >>> perceptual_distances([x], [-2 * x]).round(6).tolist()
        [4.0]
    """
    total = np.zeros(len(first[0]))
    for x, y in zip(first, second, strict=True):
        total += np.square(_scale_to_one(x) - _scale_to_one(y)).sum(axis=3).mean(axis=(1, 2))
    return total


def load_feature_maps(name: str, image_shape: tuple[int, int, int]) -> keras.Model:
    """Load an EfficientNet-Lite that returns four feature maps.

    Args:
        name: `efficientnet_lite0`, `_lite1` or `_lite2`.
        image_shape: (H, W, C) of the images.

    Returns:
        A network from images (N, H, W, C), nominally in [-1, 1], to maps of a quarter to a 32nd of
        their sides. Images whose shorter side is 512 pixels or more are reduced first.

    Raises:
        GanvasError: The weights aren't installed.
    """
    with dtype_policy("float32"):
        return build_pyramid(PACKAGED[name], image_shape, 1 / reduction_factor(*image_shape[:2]))


def reduction_factor(height: int, width: int) -> int:
    """Return over squares of how many pixels a side images are averaged, a power of two.

    Example:
        >>> [reduction_factor(*size) for size in ((64, 64), (512, 512), (1024, 512), (1024, 1024))]
        [1, 2, 2, 4]
    """
    factor = 1
    while min(height, width) >= 2 * factor * LARGEST_SIDE:
        factor *= 2
    return factor


def _generate(
    generator: Model, points: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Generate from latents, or styles of a style-based generator; both halves have equal noise."""
    if not is_style_based(generator):
        return generator.predict_on_batch(as_inputs([points, labels][: len(generator.inputs)]))
    synthesis = generator.get_layer("synthesis")
    noises = [
        rng.standard_normal((len(points) // 2, *x.shape[1:]), np.float32)
        for x in synthesis.inputs[1:]
    ]
    styles = repeat_styles(generator, points)
    return synthesis.predict_on_batch([styles, *(np.concatenate([x, x]) for x in noises)])


def _lerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    t = t[:, None]
    return ((1 - t) * start + t * end).astype(np.float32)


def _slerp(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Interpolate between directions (N, Z) by (N,) of their angle, on the sphere of radius √Z."""
    start, end = (_normalize(x.astype(float)) for x in (start, end))
    cosine = np.sum(start * end, axis=1, keepdims=True)
    angle = t[:, None] * np.arccos(np.clip(cosine, -1, 1))
    across = _normalize(end - cosine * start)
    points = start * np.cos(angle) + across * np.sin(angle)
    return (np.sqrt(start.shape[1]) * points).astype(np.float32)


def _scale_to_one(maps: np.ndarray) -> np.ndarray:
    maps = maps.astype(float)
    return maps / (np.sqrt(np.square(maps).sum(axis=3, keepdims=True)) + SHORTEST)


def _normalize(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), SHORTEST)
