"""What a direction does to images: the strengths it may have, and how much it changes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganvas.keras_types import Model
from ganvas.latents.image_measures import MEASURES, measure_images
from ganvas.latents.latent_samples import LatentSamples, sample_w
from ganvas.networks.latent_spaces import generate_from_w

# Share of the generator's own w beyond either end of a direction's range.
TAIL = 0.01
# Images on which effects are measured, and others whose measures' deviations are the units.
PROBES, REFERENCES = 32, 128
# Those of them whose features are compared, which takes longest.
FEATURE_PROBES = 12
# Strengths on each side of 0 at which an attribute is measured.
STEPS = 6
# Share of images on which an attribute must rise within the range.
RISING = 0.95

Attribute = Callable[[np.ndarray], np.ndarray]


class Probes(NamedTuple):
    """Generated images on which directions are tried, of latents that none was found on.

    Attributes:
        generator: Their generator.
        samples: Their latents.
        images: uint8 (n, H, W, C).
        deviations: Standard deviation of each measure among generated images.
        features: Maps images to features (n, d); None: features are not compared.
        pixel_unit: Mean distance of the pixels of two of the images.
        feature_unit: Mean distance of their features; 0 without.
    """

    generator: Model
    samples: LatentSamples
    images: np.ndarray
    deviations: dict[str, float]
    features: Callable[[np.ndarray], np.ndarray] | None
    pixel_unit: float
    feature_unit: float

    def edit(self, vector: np.ndarray, strengths: Sequence[float] | np.ndarray) -> np.ndarray:
        """Generate the images at strengths of a direction, uint8 (n, strengths, H, W, C)."""
        return generate_edits(self.generator, self.samples, vector, strengths)


def make_probes(
    generator: Model,
    rows: np.ndarray,
    seed: int,
    features: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Probes:
    """Generate images to try directions on.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        rows: Weights of each class, see `sample_w`.
        seed: Random seed of the latents, another one than that of directions.
        features: Maps images to features; None: features are not compared.
    """
    samples = sample_w(generator, rows, REFERENCES, seed)
    labels = samples.labels if rows.size else None
    images = generate_from_w(generator, samples.full_w(), labels)
    deviations = {name: float(measure_images(images, name).std()) for name in MEASURES}
    kept, images = samples.first(PROBES), images[:PROBES]
    pixel_unit = _mean_distance(_as_vectors(images))
    feature_unit = _mean_distance(features(images[:FEATURE_PROBES])) if features else 0.0
    return Probes(generator, kept, images, deviations, features, pixel_unit, feature_unit)


def generate_edits(
    generator: Model,
    samples: LatentSamples,
    vector: np.ndarray,
    strengths: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """Generate images of latents, each at several strengths of a direction.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        samples: n latents.
        vector: A direction, of the shape of w.
        strengths: (s,).

    Returns:
        uint8 (n, s, H, W, C).
    """
    count = len(strengths)
    steps = np.tile(np.asarray(strengths, np.float32), len(samples.w))
    w = np.repeat(samples.full_w(), count, axis=0)
    w = w + steps.reshape(-1, *[1] * vector.ndim) * vector
    labels = np.repeat(samples.labels, count, axis=0) if samples.labels.shape[1] else None
    images = generate_from_w(generator, w.astype(np.float32), labels)
    return images.reshape(-1, count, *images.shape[1:])


def find_range(samples: LatentSamples, vector: np.ndarray) -> tuple[float, float]:
    """Return the strengths that the generator's own latents have along a direction.

    They are the 1st and 99th percentile of w projected on it, after centering by class: for a
    normal distribution about -2.3 and 2.3.

    Args:
        samples: Intermediate latents.
        vector: A direction, of the shape of w, one standard deviation long.
    """
    flat = _as_row(vector)
    projected = samples.center(samples.w) @ flat / (flat @ flat)
    low, high = np.quantile(projected, [TAIL, 1 - TAIL])
    return float(min(low, 0.0)), float(max(high, 0.0))


def _as_row(vector: np.ndarray) -> np.ndarray:
    """Return a direction (D,) of one (D,) or (L, D), which is the same or 0 in all layers."""
    rows = np.asarray(vector, np.float64).reshape(-1, vector.shape[-1])
    return rows[np.abs(rows).sum(axis=1).argmax()]


def measure_changes(probes: Probes, vector: np.ndarray) -> dict[str, Any]:
    """Measure what a step of strength 1 changes, on average over both signs.

    Args:
        probes: Images to try it on.
        vector: A direction, of the shape of w.

    Returns:
        `pixel_distance`, and with features `feature_distance`, as shares of the mean distance of
        two generated images; and `changes`, that of each of `MEASURES` in standard deviations
        among generated images.
    """
    edited = probes.edit(vector, [-1.0, 1.0])
    both = edited.reshape(-1, *edited.shape[2:])
    pairs = np.repeat(np.arange(len(probes.images)), 2)
    changes = {}
    for name, deviation in probes.deviations.items():
        values = measure_images(both, name).reshape(-1, 2)
        slope = float((values[:, 1] - values[:, 0]).mean() / 2)
        changes[name] = round(slope / deviation, 4) if deviation else 0.0
    found: dict[str, Any] = {"changes": changes}
    steps = np.linalg.norm(_as_vectors(both) - _as_vectors(probes.images)[pairs], axis=1)
    found["pixel_distance"] = float(steps.mean() / (probes.pixel_unit or 1.0))
    if probes.features:
        compared = pairs < FEATURE_PROBES
        before = probes.features(probes.images[:FEATURE_PROBES])
        moved = probes.features(both[compared]) - before[pairs[compared]]
        length = float(np.linalg.norm(moved, axis=1).mean())
        found["feature_distance"] = length / (probes.feature_unit or 1.0)
    return found


class AttributeEffect(NamedTuple):
    """What a direction does to its attribute.

    Attributes:
        low: Least strength from which the attribute rises.
        high: Largest strength up to which it does.
        effect: Mean change per unit of strength within this range.
        rising: Share of images on which it rises at each of the strengths that were tried there.
        strengths: How many these are.
    """

    low: float
    high: float
    effect: float
    rising: float
    strengths: int


def measure_attribute(
    probes: Probes,
    vector: np.ndarray,
    bounds: tuple[float, float],
    attribute: Attribute,
) -> AttributeEffect:
    """Measure how an attribute changes, and limit the strengths to those at which it rises.

    Args:
        probes: Images to try the direction on.
        vector: A direction, of the shape of w.
        bounds: The largest range, see `find_range`.
        attribute: Maps images, uint8 (n, H, W, C), to numbers (n,).
    """
    low, high = bounds
    strengths = spread_strengths(low, high, 2 * STEPS + 1)
    edited = probes.edit(vector, strengths)
    values = attribute(edited.reshape(-1, *edited.shape[2:])).reshape(len(edited), -1)
    first, last = trim_to_rising(values)
    chosen = values[:, first : last + 1]
    width = strengths[last] - strengths[first]
    effect = (chosen[:, -1] - chosen[:, 0]).mean() / width if width else 0.0
    return AttributeEffect(
        float(strengths[first]),
        float(strengths[last]),
        float(effect),
        _rising_share(chosen),
        chosen.shape[1],
    )


def trim_to_rising(values: np.ndarray, share: float = RISING) -> tuple[int, int]:
    """Return the first and last column between which most rows rise from column to column.

    At least two columns on each side of the middle one are kept.

    Args:
        values: (n, s), s odd.
        share: Share of rows that must rise. Of all ranges in which they do, the widest is
            returned; if they do in none, the one in which most rows rise.

    Example:
        >>> trim_to_rising(np.array([[5.0, 1, 2, 3, 4, 5, 6]]))
        (1, 6)
    """
    count, middle = values.shape[1], values.shape[1] // 2
    choices = [
        (first, last) for first in range(middle - 1) for last in range(middle + 2, count)
    ] or [(0, count - 1)]
    shares = {ends: _rising_share(values[:, ends[0] : ends[1] + 1]) for ends in choices}
    enough = [ends for ends in choices if shares[ends] >= share]
    if not enough:
        return max(choices, key=lambda ends: (shares[ends], ends[1] - ends[0]))
    return max(enough, key=lambda ends: (ends[1] - ends[0], shares[ends]))


def _rising_share(values: np.ndarray) -> float:
    return float((np.diff(values, axis=1) > 0).all(axis=1).mean())


def spread_strengths(low: float, high: float, count: int) -> np.ndarray:
    """Return an odd number of strengths from `low` to `high`, with 0 in the middle.

    Example:
        >>> spread_strengths(-2, 1, 5).tolist()
        [-2.0, -1.0, 0.0, 0.5, 1.0]
    """
    half = count // 2 + 1
    return np.concatenate([np.linspace(low, 0, half), np.linspace(0, high, half)[1:]])


def _as_vectors(images: np.ndarray) -> np.ndarray:
    return np.asarray(images, np.float32).reshape(len(images), -1)


def _mean_distance(vectors: np.ndarray) -> float:
    """Return the mean distance of neighboring rows, which are independent."""
    return float(np.linalg.norm(vectors - np.roll(vectors, 1, axis=0), axis=1).mean())
