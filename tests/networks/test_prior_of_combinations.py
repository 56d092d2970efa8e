"""The latent prior of generators with several label columns, against plain loops."""

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks.latent_prior import LatentPrior, add_prior

LATENT, NOISE, STEPS, COUNT = 32, 0.3, 8, 40
# Two columns of two and three values; no image has the last combination.
COMBINATIONS = [(0, 0), (0, 1), (1, 0), (1, 2), (0, 2)]
MISSING = len(COMBINATIONS) - 1
ROWS = np.zeros((len(COMBINATIONS), 5), np.float32)
for number, (first, second) in enumerate(COMBINATIONS):
    ROWS[number, [first, 2 + second]] = 0.5
LABELS = np.random.default_rng(1).choice(MISSING, COUNT, p=[0.5, 0.2, 0.2, 0.1])


def make_prior() -> LatentPrior:
    anchors = np.random.default_rng(0).normal(0.5, 2, (COUNT, LATENT)).astype(np.float32)
    return LatentPrior(anchors, anchors.std(axis=0), NOISE, LABELS, 5, ROWS)


@pytest.fixture(scope="module")
def mapping() -> keras.Model:
    return add_prior(make_generator(5), make_prior())


def make_generator(weights: int) -> keras.Model:
    """Build a generator whose output is its latent."""
    latent, classes = keras.Input((LATENT,), name="latent"), keras.Input((weights,), name="classes")
    return keras.Model([latent, classes], layers.Identity()(latent), name="generator")


def run(mapping: keras.Model, latents: np.ndarray, row: np.ndarray) -> np.ndarray:
    rows = np.tile(np.float32(row), (len(latents), 1))
    return np.asarray(mapping([latents, rows], training=False))


def draw_latents(count: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, LATENT), dtype=np.float32)


def weigh_by_loops(row: np.ndarray) -> list[float]:
    """Weigh the components: the product of their values' weights, divided in a combination."""
    weights = []
    for label in LABELS:
        first, second = COMBINATIONS[label]
        weight = 2 * row[first] * 2 * row[2 + second]
        weights.append(weight / sum(other == label for other in LABELS))
    return weights


def map_by_loops(prior: LatentPrior, latent: np.ndarray, weights: list[float]) -> np.ndarray:
    centers = np.sqrt(1 - NOISE**2) * prior.anchors.astype(float) / prior.scale
    x = latent.astype(float)
    for step in range(STEPS):
        t, end = step / STEPS, (step + 1) / STEPS
        deviation, end_deviation = (1 - time + NOISE * time for time in (t, end))
        densities = [
            weight * np.exp(-sum((x - t * center) ** 2) / (2 * deviation**2))
            for weight, center in zip(weights, centers, strict=True)
        ]
        expected = sum(d * c for d, c in zip(densities, centers, strict=True)) / sum(densities)
        x = end * expected + end_deviation * (x - t * expected) / deviation
    return x * prior.scale


@pytest.mark.parametrize(
    "row", [ROWS[0], ROWS[3], (ROWS[0] + ROWS[3]) / 2, [0.4, 0.1, 0.3, 0.0, 0.2]]
)
def test_the_flow_agrees_with_plain_loops(mapping, row):
    prior, latents = make_prior(), draw_latents(5)
    for latent, actual in zip(latents, run(mapping, latents, row), strict=True):
        expected = map_by_loops(prior, latent, weigh_by_loops(row))
        np.testing.assert_allclose(actual / prior.scale, expected / prior.scale, atol=2e-4)


@pytest.mark.parametrize("label", range(MISSING))
def test_latents_of_a_combination_lie_around_anchors_with_all_its_values(mapping, label):
    assert set(nearest_labels(run(mapping, draw_latents(300), ROWS[label]))) == {label}


def test_a_combination_without_anchors_has_those_with_most_of_its_values(mapping):
    found = nearest_labels(run(mapping, draw_latents(300), ROWS[MISSING]))
    # (0, 2) shares a value with (0, 0), (0, 1) and (1, 2), and none with (1, 0).
    assert set(found) == {0, 1, 3}
    prior, rng = make_prior(), np.random.default_rng(0)
    chosen = prior.choose_anchors(300, np.full(300, MISSING), rng)
    assert {label_of(prior, anchor) for anchor in chosen} == {0, 1, 3}
    chosen = prior.choose_anchors(60, np.repeat([0, 3], 30), rng)
    assert [label_of(prior, anchor) for anchor in chosen] == [0] * 30 + [3] * 30


def nearest_labels(mapped: np.ndarray) -> np.ndarray:
    prior = make_prior()
    distances = np.square(mapped[:, None] / prior.scale - prior.centers).sum(axis=2)
    return LABELS[distances.argmin(axis=1)]


def label_of(prior: LatentPrior, anchor: np.ndarray) -> int:
    return int(LABELS[(prior.anchors == anchor).all(axis=1).argmax()])


def test_one_column_is_weighed_as_without_rows():
    labels = np.random.default_rng(3).integers(3, size=COUNT)
    plain = make_prior()._replace(labels=labels, num_classes=3, rows=None)
    rows = plain._replace(rows=np.eye(3, dtype=np.float32))
    generator, latents = make_generator(3), draw_latents(20)
    for row in ([1, 0, 0], [0.2, 0.5, 0.3]):
        expected, actual = (run(add_prior(generator, x), latents, row) for x in (plain, rows))
        np.testing.assert_allclose(actual, expected, atol=1e-4)
