"""StyleGAN2's networks; `test_equalized.py` compares their layers with loops over pixels."""

import re

import keras
import numpy as np
import pytest

from ganvas.networks import NetworkParams, build
from ganvas.networks.batches import to_uint8
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.gan_networks import GanNetworks, is_style_based
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import has_noise, map_latents, synthesize

NARROW = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=8, group=2)


def wave(seed: int, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
    """Return numbers that look random, of a variance near 1."""
    numbers = 1.4 * scale * np.sin(0.7 * np.arange(np.prod(shape)) ** 2 + seed)
    return numbers.reshape(shape).astype(np.float32)


def list_weights(model: keras.Model) -> dict[str, keras.Variable]:
    weights = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            weights |= list_weights(layer)
        elif layer.weights:
            weights[layer.name] = layer.kernel
    return weights


# Configuration, side and classes: trainable weights of the generator, its noise, mean style, and
# trainable weights of the discriminator, by the shapes of layers in NVlabs/stylegan2-ada-pytorch.
COUNTS = {
    ("auto", 64, 0): (22243608, 10896, 512, 23407361),
    ("auto", 64, 10): (22511384, 10896, 512, 25776384),
    ("auto", 256, 0): (23191522, 174736, 512, 24001089),
    ("auto", 512, 0): (28700647, 699024, 512, 28982849),
    ("auto", 1024, 0): (28794124, 2796176, 512, 29012513),
    ("stylegan2", 256, 0): (30034338, 174736, 512, 28864129),
    ("stylegan2", 1024, 0): (30370060, 2796176, 512, 29012513),
    ("paper256", 256, 0): (24767458, 174736, 512, 24001089),
    ("paper256", 256, 10): (25035234, 174736, 512, 26370112),
    ("paper512", 512, 0): (30276583, 699024, 512, 28982849),
    ("paper1024", 1024, 0): (30370060, 2796176, 512, 29012513),
    ("cifar", 32, 0): (19947539, 2704, 512, 20720641),
    ("cifar", 32, 10): (20215315, 2704, 512, 23089664),
}


def count_weights(networks: GanNetworks) -> tuple[int, int, int, int]:
    """Return the counts of `COUNTS` of networks, which have no other weights but the truncation."""
    counts = {"trainable": 0, "noise_const": 0, "style_mean": 0, "truncation": 0}
    for name, weight in list_weights(networks.generator).items():
        kind = "noise_const" if name.endswith("noise_const") else name
        counts["trainable" if weight.trainable else kind] += int(np.prod(weight.shape))
    discriminator = list_weights(networks.discriminator).values()
    assert all(weight.trainable for weight in discriminator)
    generator = (counts[kind] for kind in ("trainable", "noise_const", "style_mean"))
    return (*generator, sum(int(np.prod(weight.shape)) for weight in discriminator))


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("case", COUNTS)
def test_configurations_have_as_many_weights_as_the_original_ones(case):
    config, side, classes = case
    networks = build_stylegan2(Stylegan2Params(config=config), (side, side, 3), classes)
    assert count_weights(networks) == COUNTS[case]


@pytest.mark.parametrize(
    ("classes", "architecture", "counts"),
    [
        (0, "plain", (336712, 10896, 48, 352609)),
        (5, "residual", (339304, 10896, 48, 404704)),
    ],
)
def test_narrow_networks_have_as_many_weights_as_the_original_ones(classes, architecture, counts):
    params = Stylegan2Params(
        channel_base=2048,
        max_width=64,
        latent=64,
        style=48,
        mapping_layers=3,
        architecture=architecture,
    )
    assert count_weights(build_stylegan2(params, (64, 64, 3), classes)) == counts


def test_null_stands_for_the_values_of_the_configuration():
    resolved = {
        (config, side): Stylegan2Params(config=config)
        .resolve(side, side)
        .model_dump(
            include={"mapping_layers", "channel_base", "group", "architecture", "style_mixing"}
        )
        for config, side in (("auto", 256), ("auto", 512), ("paper256", 256), ("cifar", 32))
    }
    assert [tuple(values.values()) for values in resolved.values()] == [
        (2, 16384, 4, "residual", 0.9),
        (2, 32768, 4, "residual", 0.9),
        (8, 16384, 8, "residual", 0.9),
        (2, 32768, 32, "plain", 0.0),
    ]
    changed = Stylegan2Params(config="cifar", group=4, style_mixing=0.5).resolve(32, 32)
    assert (changed.group, changed.style_mixing, changed.architecture) == (4, 0.5, "plain")
    assert Stylegan2Params(channel_base=64).resolve(64, 64).list_channels(64, 64) == [
        16,
        8,
        4,
        2,
        1,
    ]
    assert Stylegan2Params(channel_base=64).resolve(1024, 1024).list_channels(1024, 1024)[-1] == 1


def test_initial_weights_have_unit_variance_and_biases_are_0():
    keras.utils.set_random_seed(0)
    params = Stylegan2Params(channel_base=512, max_width=32, latent=40, style=40)
    networks = build_stylegan2(params, (16, 16, 3), classes=40)
    for model in networks[:2]:
        for name, weight in list_weights(model).items():
            values = np.asarray(weight)
            if name.endswith(("_affine_bias", "truncation")):
                assert (values == 1).all(), name
            elif name.endswith(("_bias", "noise_strength", "style_mean")):
                assert (values == 0).all(), name
            else:
                # The mapping networks' learning rate is a hundredth.
                stddev = 100 if re.fullmatch(r"(mapping_)?fc\d_weight", name) else 1
                tolerance = 5 / np.sqrt(values.size)
                assert np.std(values) == pytest.approx(stddev, rel=tolerance), name
                assert np.mean(values) == pytest.approx(0, abs=tolerance * stddev), name


@pytest.mark.parametrize("shape", [(16, 24, 1), (24, 16, 4), (8, 8, 3)])
def test_images_of_any_shape_are_generated_and_scored(shape):
    networks = build_stylegan2(NARROW, shape)
    assert is_style_based(networks.generator)
    images = networks.generator(np.ones((1, 6), np.float32))
    assert images.shape == (1, *shape) and networks.discriminator(images).shape == (1, 1)


def test_other_networks_are_not_style_based():
    assert not is_style_based(keras.Sequential([keras.layers.Dense(1)]))


def test_training_adds_noise_and_mixes_styles():
    keras.utils.set_random_seed(0)
    params = NARROW.model_copy(update={"style_mixing": 0.0})
    networks = build_stylegan2(params, (16, 16, 3))
    latents = wave(1, (2, 6))
    training = networks.training_generator
    # Noise has no strength at first.
    expected = np.asarray(networks.generator(latents))
    np.testing.assert_allclose(training(latents), expected, rtol=1e-4, atol=1e-5)
    weights = list_weights(networks.generator)
    weights["b16_conv1_noise_strength"].assign([[1.0]])
    first, second = (np.asarray(training(latents)) for _ in range(2))
    assert min(np.std(first - second), np.std(first - expected)) > 0.01
    assert np.ptp(np.asarray(networks.generator(latents) - networks.generator(latents))) == 0
    # Truncation and mean style are no weights of training.
    names = {w.path for w in training.trainable_weights}
    assert names == {w.path for w in networks.generator.trainable_weights}


def build_in(precision: str, **changes) -> GanNetworks:
    params = NARROW.model_dump() | changes
    return build(NetworkParams(name="stylegan2", stylegan2=params), (16, 16, 3), 0, precision)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy weights by name: their order depends on the casts of half precision."""
    weights = list_weights(source)
    for name, weight in list_weights(target).items():
        weight.assign(weights[name])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_near_float32_and_finite(precision):
    keras.utils.set_random_seed(0)
    networks, half = build_in("float32"), build_in(precision)
    for model, other in zip(networks[:2], half[:2], strict=True):
        copy_weights(model, other)
        assert all(weight.dtype == "float32" for weight in other.weights)
    latents = wave(1, (4, 6))
    # Styles and smallest maps are float32 inside nested models too.
    mapping = half.generator.get_layer("mapping")
    expected = networks.generator.get_layer("mapping")(latents)
    np.testing.assert_allclose(mapping(latents), expected, rtol=1e-5, atol=1e-6)
    only_small = build_in(precision, half_precision_maps=0)
    copy_weights(networks.generator, only_small.generator)
    images = np.asarray(networks.generator(latents))
    np.testing.assert_allclose(only_small.generator(latents), images, rtol=1e-4, atol=1e-5)
    error = np.abs(np.asarray(half.generator(latents)) - images).max()
    assert 0 < error < (0.02 if precision == "mixed_float16" else 0.1)
    logits = np.asarray(networks.discriminator(images))
    np.testing.assert_allclose(half.discriminator(images), logits, atol=0.1)
    synthesis = half.generator.get_layer("synthesis")
    styles = 1e4 * wave(2, (2, *synthesis.inputs[0].shape[1:]))
    noises = [np.ones((1, *x.shape[1:]), np.float32) for x in synthesis.inputs[1:]]
    images = np.asarray(synthesis([styles, *noises]))
    assert np.isfinite(images).all() and np.ptp(images) > 1
    assert np.abs(images).max() <= 3 * 256


def test_a_generator_without_noise_has_no_weights_for_it(tmp_path):
    networks = build_stylegan2(NARROW.model_copy(update={"noise": False}), (16, 16, 3))
    generator = networks.generator
    assert not has_noise(generator)
    assert has_noise(build_stylegan2(NARROW, (16, 16, 3)).generator)
    assert not [w.path for w in generator.weights if "noise" in w.path]
    latents = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    file = tmp_path / "generator.keras"
    generator.save(file)
    saved = keras.saving.load_model(file, safe_mode=True)
    images = np.asarray(generator(latents))
    assert np.ptp(images) > 1e-3
    np.testing.assert_array_equal(saved(latents), images)
    styles = map_latents(generator, latents)
    np.testing.assert_array_equal(synthesize(generator, styles), to_uint8(images))
    mixed = networks.training_generator(latents, training=True)
    assert mixed.shape == images.shape
