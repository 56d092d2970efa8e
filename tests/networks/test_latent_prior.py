import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks import latent_prior
from ganvas.networks.gan_networks import remove_prior
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.self_modulated import build_self_modulated

LATENT, NOISE, STEPS = 32, 0.3, 8
# The last class has no anchors.
SIZES, NUM_CLASSES = np.array([10, 20, 30, 0]), 4
LABELS = np.random.default_rng(1).permutation(np.repeat(np.arange(4), SIZES))


def make_prior(latent: int = LATENT, conditional: bool = True) -> LatentPrior:
    """Make a prior whose axes vary from 3 to 0.1."""
    scale = np.geomspace(3, 0.1, latent)
    anchors = np.random.default_rng(0).normal(0.5, scale, (60, latent)).astype(np.float32)
    prior = LatentPrior(anchors, anchors.std(axis=0), NOISE)
    return prior._replace(labels=LABELS, num_classes=NUM_CLASSES) if conditional else prior


def make_generator(conditional: bool = True) -> keras.Model:
    """Build a generator whose output is its input: the latent, then the class weights."""
    latent = keras.Input((LATENT,), name="latent")
    if not conditional:
        return keras.Model(latent, layers.Identity()(latent), name="generator")
    classes = keras.Input((NUM_CLASSES,), name="classes")
    joined = layers.Concatenate()([latent, classes])
    return keras.Model([latent, classes], joined, name="generator")


@pytest.fixture(scope="module")
def prior():
    return make_prior()


@pytest.fixture(scope="module")
def mapping(prior):
    return add_prior(make_generator(), prior)


def draw_latents(count: int) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, LATENT), dtype=np.float32)


def map_latents(
    mapping: keras.Model, latents: np.ndarray, class_weights: tuple[float, ...]
) -> np.ndarray:
    weights = np.tile(np.float32(class_weights), (len(latents), 1))
    mapped = mapping.predict([latents, weights], batch_size=1000, verbose=0)
    np.testing.assert_array_equal(mapped[:, LATENT:], weights)
    return mapped[:, :LATENT]


def find_nearest(prior: LatentPrior, mapped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the nearest component of each latent, and the offsets from it."""
    offsets = mapped[:, None] / prior.scale - prior.centers
    nearest = np.square(offsets).sum(axis=2).argmin(axis=1)
    return nearest, offsets[np.arange(len(mapped)), nearest]


# --- The flow ---------------------------------------------------------------------------------


def map_by_loops(prior: LatentPrior, latent: np.ndarray, class_weights: list[float]) -> np.ndarray:
    """Integrate the flow for one latent, component by component, from the path's definition."""
    shrinkage = np.sqrt(1 - NOISE**2)
    centers = [shrinkage * anchor / prior.scale for anchor in prior.anchors.astype(float)]
    x = latent.astype(float)
    for step in range(STEPS):
        t, end = step / STEPS, (step + 1) / STEPS
        deviation, end_deviation = (1 - time + NOISE * time for time in (t, end))
        densities = []
        for center, label in zip(centers, LABELS, strict=True):
            distance = sum((value - t * mean) ** 2 for value, mean in zip(x, center, strict=True))
            weight = class_weights[label] / SIZES[label]
            densities.append(weight * np.exp(-distance / (2 * deviation**2)))
        total = sum(densities)
        pairs = zip(densities, centers, strict=True)
        expected = sum(density / total * center for density, center in pairs)
        # The noise of this path, from its position now; then its position at the end.
        noise = (x - t * expected) / deviation
        x = end * expected + end_deviation * noise
    return x * prior.scale


@pytest.mark.parametrize("weights", [(0, 1, 0, 0), (0.3, 0, 0.7, 0)])
def test_the_flow_agrees_with_plain_loops(prior, mapping, weights):
    latents = draw_latents(5)
    mapped = map_latents(mapping, latents, weights)
    for latent, actual in zip(latents, mapped, strict=True):
        expected = map_by_loops(prior, latent, weights)
        np.testing.assert_allclose(actual / prior.scale, expected / prior.scale, atol=2e-4)


@pytest.mark.parametrize("weights", [(1, 0, 0, 0), (0, 0, 1, 0), (0.3, 0, 0.7, 0), (0, 0, 0, 1)])
def test_latents_of_a_class_lie_around_its_anchors(prior, mapping, weights):
    nearest, offsets = find_nearest(prior, map_latents(mapping, draw_latents(3000), weights))
    # In the proportion of the classes; of all, for one without anchors.
    expected = SIZES / 60 if weights[3] else np.array(weights)
    shares = np.bincount(LABELS[nearest], minlength=4) / 3000
    np.testing.assert_allclose(shares, expected, atol=0.03)
    assert (shares[expected == 0] < 0.001).all()
    # Each anchor of a class about equally often.
    counts = np.bincount(nearest, minlength=60)
    used = expected[LABELS] > 0
    per_anchor = 3000 * (expected / np.maximum(SIZES, 1))[LABELS]
    tolerance = 0.3 + 3 / np.sqrt(per_anchor[used])
    assert (np.abs(counts[used] / per_anchor[used] - 1) < tolerance).all()
    # Around each as much as the noise; a little more, since the steps are few.
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=0.03)
    assert 0.95 * NOISE < offsets.std(axis=0).mean() < 1.1 * NOISE


@pytest.mark.parametrize("number", [0, 1, 2])
def test_truncation_leads_to_one_latent_of_the_class(prior, mapping, number):
    weights = tuple(np.eye(NUM_CLASSES)[number])
    (center,) = map_latents(mapping, np.zeros((1, LATENT), np.float32), weights)
    nearest, offset = find_nearest(prior, center[None])
    # It is near an anchor of its own class, nearer than latents around that are.
    assert LABELS[nearest[0]] == number
    assert np.linalg.norm(offset) < NOISE * np.sqrt(LATENT)
    # Shorter latents are mapped nearer to it, and those of any length stay in the class.
    distances = []
    for truncation in (0.05, 0.5, 1, 2):
        mapped = map_latents(mapping, truncation * draw_latents(1000), weights)
        nearest, _ = find_nearest(prior, mapped)
        assert (LABELS[nearest] == number).mean() > 0.95
        distances.append(np.linalg.norm((mapped - center) / prior.scale, axis=1).mean())
    assert distances == sorted(distances) and distances[0] < distances[2] / 3


def test_an_unconditional_prior_maps_to_all_anchors_and_varies_as_they_do():
    prior = make_prior(conditional=False)
    mapped = add_prior(make_generator(conditional=False), prior).predict(
        draw_latents(3000), batch_size=1000, verbose=0
    )
    nearest, offsets = find_nearest(prior, mapped)
    counts = np.bincount(nearest, minlength=60)
    assert counts.min() > 20 and counts.max() < 90
    assert 0.95 * NOISE < offsets.std(axis=0).mean() < 1.1 * NOISE
    np.testing.assert_allclose(mapped.std(axis=0), prior.scale, rtol=0.1)


def test_a_small_change_of_a_latent_changes_little(mapping):
    start, end = draw_latents(2)
    first, last, steps = 0.0, 1.0, []
    # Enlarge the steepest part of the way from one anchor to another, again and again.
    for _ in range(3):
        times = np.linspace(first, last, 100)
        path = start + times[:, None].astype(np.float32) * (end - start)
        mapped = map_latents(mapping, path, (1, 0, 0, 0))
        sizes = np.linalg.norm(np.diff(mapped, axis=0), axis=1)
        first, last = times[sizes.argmax()], times[sizes.argmax() + 1]
        steps.append(sizes.max())
    # A jump would stay as high.
    assert steps[0] > 1 and steps[2] < 0.02 * steps[0], steps


def test_a_low_precision_policy_does_not_round_the_flow(prior, mapping):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = add_prior(remove_prior(mapping), prior)
    finally:
        keras.config.set_dtype_policy(before)
    weights = (0.5, 0.5, 0, 0)
    expected = map_latents(mapping, draw_latents(50), weights)
    np.testing.assert_array_equal(map_latents(low, draw_latents(50), weights), expected)


# --- The generator that it is part of ---------------------------------------------------------

LOAD_WITH_KERAS_ALONE = """
import sys
import keras
import numpy as np
generator = keras.saving.load_model("generator.keras", safe_mode=True)
inputs = np.load("inputs.npz")
np.save("images.npy", generator([inputs["latent"], inputs["classes"]], training=False))
assert not [name for name in sys.modules if name.startswith("ganvas")]
"""


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_saved_generator_needs_keras_alone(prior, tmp_path):
    keras.utils.set_random_seed(0)
    inner = build_self_modulated((32, 32, 3), LATENT, [8, 4, 2], 4, classes=NUM_CLASSES)
    generator = add_prior(inner, prior)
    assert [(x.name, x.shape[1:]) for x in generator.inputs] == [
        ("latent", (LATENT,)),
        ("classes", (NUM_CLASSES,)),
    ]
    latents, classes = draw_latents(6), np.eye(4, dtype=np.float32)[[0, 1, 2, 0, 1, 3]]
    images = np.asarray(generator([latents, classes], training=False))
    assert np.abs(images - np.asarray(inner([latents, classes], training=False))).max() > 1e-3
    generator.save(tmp_path / "generator.keras")
    np.savez(tmp_path / "inputs.npz", latent=latents, classes=classes)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", LOAD_WITH_KERAS_ALONE]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), images)


def test_a_generator_shares_its_weights_with_the_one_that_has_the_prior(prior):
    inner = build_self_modulated((32, 32, 3), LATENT, [8, 4, 2], 4, classes=NUM_CLASSES)
    generator = add_prior(inner, prior)
    assert generator.name == inner.name
    # Anchors, similarities and class memberships are never trained.
    ids = [{id(x) for x in model.trainable_variables} for model in (generator, inner)]
    assert ids[0] == ids[1]


def test_remove_prior_returns_the_generator_within(prior):
    inner = make_generator()
    assert remove_prior(add_prior(inner, prior)) is inner
    assert remove_prior(inner) is inner
    latent = keras.Input((LATENT,))
    nested = make_generator(conditional=False)
    outer = keras.Model(latent, nested(latent), name="another")
    assert remove_prior(outer) is outer


def test_of_too_many_anchors_some_of_each_class_are_kept(prior, mapping, monkeypatch):
    kernels = []
    monkeypatch.setattr(latent_prior, "MAX_ANCHORS", 24)
    for _ in range(2):
        limited = add_prior(make_generator(), prior)
        kernels.append(limited.get_layer("prior_centers").get_weights()[0])
    assert mapping.get_layer("prior_centers").get_weights()[0].shape == (60, LATENT)
    assert kernels[0].shape == (24, LATENT)
    np.testing.assert_array_equal(kernels[0], kernels[1])
    kept = [int((prior.centers == row).all(axis=1).argmax()) for row in kernels[0]]
    np.testing.assert_array_equal(prior.centers[kept], kernels[0])
    assert len(set(kept)) == 24 and max(kept) > 40
    # The kept anchors have kept their classes, too.
    for label in range(3):
        mapped = map_latents(limited, draw_latents(100), tuple(np.eye(4)[label]))
        assert (LABELS[find_nearest(prior, mapped)[0]] == label).all()


# --- Latents of training ----------------------------------------------------------------------


def find_rows(prior: LatentPrior, chosen: np.ndarray) -> np.ndarray:
    """Return the number of each chosen anchor."""
    return (chosen[:, None] == prior.anchors).all(axis=2).argmax(axis=1)


def test_latents_sampled_around_an_anchor_have_its_mean_and_the_noise(prior):
    indices = np.repeat([7, 41], 20000)
    latents = prior.add_noise(prior.anchors[indices], np.random.default_rng(0))
    assert latents.shape == (40000, LATENT) and latents.dtype == np.float32
    for samples, index in zip(np.split(latents, 2), (7, 41), strict=True):
        offset = samples.mean(axis=0) - np.sqrt(1 - NOISE**2) * prior.anchors[index]
        np.testing.assert_allclose(offset / prior.scale, 0, atol=0.01)
        np.testing.assert_allclose(samples.std(axis=0), NOISE * prior.scale, rtol=0.03)
        correlation = np.corrcoef(samples.T) - np.eye(LATENT)
        assert np.abs(correlation).max() < 0.04


def test_latents_of_all_anchors_vary_as_the_anchors_do(prior):
    latents = prior.add_noise(prior.anchors.repeat(300, axis=0), np.random.default_rng(0))
    np.testing.assert_allclose(latents.std(axis=0), prior.scale, rtol=0.02)


def test_chosen_anchors_are_of_the_class_and_each_is_chosen_equally_often(prior):
    classes = np.random.default_rng(0).integers(3, size=30000)
    chosen = find_rows(prior, prior.choose_anchors(30000, classes, np.random.default_rng(1)))
    np.testing.assert_array_equal(LABELS[chosen], classes)
    for label in range(3):
        counts = np.bincount(chosen[classes == label], minlength=60)[label == LABELS]
        np.testing.assert_allclose(counts * SIZES[label] / 10000, 1, atol=0.2)


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("classes", [None, np.full(30000, 3)])
def test_any_anchor_is_chosen_without_classes_and_for_one_without_anchors(conditional, classes):
    prior = make_prior(conditional=conditional)
    chosen = find_rows(prior, prior.choose_anchors(30000, classes, np.random.default_rng(1)))
    np.testing.assert_allclose(np.bincount(chosen, minlength=60) / 500, 1, atol=0.2)


@pytest.mark.parametrize("classes", [None, np.zeros(0, int)])
def test_no_anchors_are_chosen_for_no_images(prior, classes):
    chosen = prior.choose_anchors(0, classes, np.random.default_rng(1))
    assert chosen.shape == (0, LATENT)
    assert prior.add_noise(chosen, np.random.default_rng(1)).shape == (0, LATENT)
