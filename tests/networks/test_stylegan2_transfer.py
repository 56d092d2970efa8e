"""StyleGAN2's networks start from those of other sizes, widths and classes."""

import logging

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.equalized import double_image, low_pass
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.stylegan2_transfer import describe_layers
from ganvas.networks.weight_transfer import copy_matching_weights, load_matching_weights

LATENT = 6
SMALL = {"channel_base": 128, "max_width": 16, "latent": LATENT, "style": 8}
RNG = np.random.default_rng(0)


def build(side: int | tuple[int, int], classes: int = 0, **params):
    height, width = (side, side) if isinstance(side, int) else side
    return build_stylegan2(Stylegan2Params(**SMALL | params), (height, width, 3), classes)


def train(networks):
    """Change all weights, those that begin at 0 or 1 too, as training does."""
    for network in networks[:2]:
        for weight in network.trainable_weights:
            weight.assign_add(RNG.normal(0, 0.3, weight.shape))
    networks.generator.get_layer("style_mean").kernel.assign(RNG.normal(size=(1, 8)))
    return networks


@pytest.fixture(scope="module")
def half():
    return train(build(8))


@pytest.fixture(scope="module")
def full():
    return train(build(16))


def latents(count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, LATENT)).astype(np.float32)


def logits(network: keras.Model, images, *labels) -> np.ndarray:
    return np.array(network([images, *labels] if labels else images))


def images_of(size: int, count: int = 3):
    return np.random.default_rng(2).normal(size=(count, size, size, 3)).astype(np.float32)


def test_a_network_of_the_same_size_is_an_exact_copy(tmp_path, full, caplog):
    for network in full[:2]:
        network.save(tmp_path / f"{network.name}.keras")
    target = build(16)
    with caplog.at_level(logging.INFO):
        for network in target[:2]:
            load_matching_weights(network, tmp_path)
    for ours, theirs in zip(target[:2], full[:2], strict=True):
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    generator, discriminator = caplog.messages
    assert generator == (
        f"The generator starts from {tmp_path}/generator.keras: mapping network, mean style, "
        "blocks 4 to 16."
    )
    assert discriminator.endswith("discriminator.keras: blocks 4 to 16.")


def test_twice_the_size_begins_with_enlarged_images_and_their_logits(half, caplog):
    target = build(16)
    with caplog.at_level(logging.INFO):
        for ours, theirs in zip(target[:2], half[:2], strict=True):
            copy_matching_weights(ours, theirs, "half")
    z = latents()
    small = half.generator(z)
    np.testing.assert_allclose(target.generator(z), double_image(small), atol=1e-5)
    x = images_of(16)
    expected = logits(half.discriminator, low_pass(x, padding=1, stride=2))
    np.testing.assert_allclose(logits(target.discriminator, x), expected, rtol=1e-4, atol=1e-5)
    assert caplog.messages == [
        "The generator starts from half: mapping network, mean style, blocks 4 to 8.",
        "Starting anew, since they are missing there: block 16.",
        "The first images are those of block 8, enlarged: larger blocks begin by adding nothing.",
        "The discriminator starts from half: blocks 4 to 8.",
        "Starting anew, since they are missing there: block 16.",
        "The first logits are those of the other network for the image at half the size: block 16 "
        "begins as a low-pass filter.",
    ]
    # What begins at 0 is trained nevertheless.
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(target.discriminator(x) ** 2)
    by_name = {w.path: w for w in target.discriminator.trainable_weights}
    gradients = dict(
        zip(by_name, tape.gradient(loss, [w.value for w in by_name.values()]), strict=True)
    )
    for part in ("conv1", "skip"):
        gradient = gradients[f"b16_{part}_weight/kernel"].numpy()
        assert np.count_nonzero(gradient) > 0.9 * gradient.size


@pytest.mark.parametrize("noise", [True, False])
def test_noise_that_one_of_two_networks_lacks_changes_no_image(noise, caplog):
    source = train(build(8, noise=not noise)).generator
    z = latents()
    if not noise:
        for layer in source.get_layer("synthesis").layers:
            if layer.name.endswith("noise_strength"):
                layer.kernel.assign(np.zeros((1, 1)))
    target = build(8, noise=noise).generator
    with caplog.at_level(logging.INFO):
        copy_matching_weights(target, source, "other")
    np.testing.assert_allclose(target(z), source(z), atol=1e-6)
    assert caplog.messages == [
        "The generator starts from other: mapping network, mean style, blocks 4 to 8."
    ]


def test_a_plain_discriminator_of_twice_the_size_begins_with_the_same_logits():
    source = train(build(8, architecture="plain")).discriminator
    target = build(16, architecture="plain").discriminator
    copy_matching_weights(target, source, "half")
    x = images_of(16)
    expected = logits(source, low_pass(x, padding=1, stride=2))
    np.testing.assert_allclose(logits(target, x), expected, rtol=1e-4, atol=1e-5)


def test_half_the_size_takes_all_but_what_reads_the_image(full, caplog):
    target = build(8)
    with caplog.at_level(logging.INFO):
        for ours, theirs in zip(target[:2], full[:2], strict=True):
            copy_matching_weights(ours, theirs, "full")
    assert caplog.messages == [
        "The generator starts from full: mapping network, mean style, blocks 4 to 8.",
        "The discriminator starts from full: block 4, conv0, conv1 and skip of block 8.",
        "Starting anew, since they are missing there: fromrgb of block 8.",
    ]
    styles = np.random.default_rng(3).normal(size=(2, 4, 8)).astype(np.float32)
    noises = [
        np.zeros((1, *x.shape[1:]), np.float32)
        for x in target.generator.get_layer("synthesis").inputs[1:]
    ]
    small = target.generator.get_layer("synthesis")([styles, *noises])
    assert small.shape == (2, 8, 8, 3) and np.isfinite(small).all()


def test_classes_begin_with_the_images_of_a_network_without(half, caplog):
    target = build(8, classes=3)
    with caplog.at_level(logging.INFO):
        for ours, theirs in zip(target[:2], half[:2], strict=True):
            copy_matching_weights(ours, theirs, "plain")
    z = latents()
    for label in range(3):
        one_hot = np.eye(3, dtype=np.float32)[[label] * len(z)]
        np.testing.assert_allclose(target.generator([z, one_hot]), half.generator(z), atol=1e-5)
    assert "fc0 and fc1 of the mapping network" in caplog.messages[0]
    assert caplog.messages[1].endswith("missing there: embed of the mapping network.")
    assert "have another shape there: out of block 4." in caplog.text
    # Another number of classes leaves only their embeddings anew.
    other = build(8, classes=5)
    copy_matching_weights(other.generator, target.generator, "three")
    (first,) = (n.generator.get_layer("mapping").get_layer("fc0_weight") for n in [other])
    np.testing.assert_array_equal(
        first.kernel, target.generator.get_layer("mapping").get_layer("fc0_weight").kernel
    )


def test_a_mapping_network_of_another_depth_starts_anew(half, caplog):
    target = build(8, mapping_layers=4).generator
    before = target.get_layer("mapping").get_weights()
    with caplog.at_level(logging.INFO):
        copy_matching_weights(target, half.generator, "half")
    for a, b in zip(target.get_layer("mapping").get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert caplog.messages[0] == "The generator starts from half: blocks 4 to 8."
    assert caplog.messages[-1] == (
        "The mapping network has 2 layers there, and 4 here: to take it, set "
        "network.stylegan2.mapping_layers=2."
    )


def test_blocks_of_other_widths_add_nothing_to_the_image_at_first(full, caplog):
    target = build(16, channel_base=256)
    with caplog.at_level(logging.INFO):
        copy_matching_weights(target.generator, full.generator, "narrow")
    assert "starts from narrow: mapping network, mean style, blocks 4 to 8." in caplog.text
    assert "have another shape there: block 16." in caplog.text
    synthesis = target.generator.get_layer("synthesis")
    assert not np.any(synthesis.get_layer("b16_torgb_weight").kernel)
    assert np.any(synthesis.get_layer("b8_torgb_weight").kernel)


def test_another_aspect_ratio_takes_all_but_what_has_the_shape_of_the_image(half, caplog):
    target = build((8, 12))
    with caplog.at_level(logging.INFO):
        for ours, theirs in zip(target[:2], half[:2], strict=True):
            copy_matching_weights(ours, theirs, "square")
    assert [message for message in caplog.messages if "anew" in message] == [
        "Starting anew, since they have another shape there: const of block 4.",
        "Starting anew, since they have another shape there: fc of block 4.",
    ]
    synthesis = target.generator.get_layer("synthesis")
    assert np.any(synthesis.get_layer("b8_torgb_weight").kernel)


def test_networks_without_a_common_layer_are_refused(half):
    target = build(8, max_width=4, style=4)
    before = target.discriminator.get_weights()
    with pytest.raises(GanvasError, match=r"No layer of here fits the discriminator: .*\.$"):
        copy_matching_weights(target.discriminator, half.discriminator, "here")
    for a, b in zip(target.discriminator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_are_described_by_blocks():
    layers = ["fc0", "fc1", "style_mean", "truncation", "b4_const", "b4_conv1", "b4_torgb"]
    layers += [f"b{side}_{part}" for side in (8, 16, 32) for part in ("conv0", "conv1", "torgb")]
    layers += ["b8_conv0_noise_const"]
    assert describe_layers(layers, set(layers)) == "mapping network, mean style, blocks 4 to 32"
    some = {"fc1", "b4_const", "b8_conv0", "b8_conv1", "b8_torgb", "b32_conv0"}
    assert describe_layers(layers, some | {"b32_conv1", "b32_torgb"}) == (
        "fc1 of the mapping network, block 8, block 32, const of block 4"
    )
    assert describe_layers(layers, {"truncation"}) == ""


def test_the_first_layers_after_the_image_are_frozen(full):
    frozen = build(16, freeze_layers=5).discriminator
    copy_matching_weights(frozen, full.discriminator, "full")
    kept = {weight.path.split("/")[0] for weight in frozen.non_trainable_weights}
    # As the original counts: fromrgb, conv0, conv1 and skip, then conv0 of the next block.
    layers = [f"b16_{part}" for part in ("fromrgb", "conv0", "conv1")] + ["b8_conv0"]
    expected = {f"{layer}_{kind}" for layer in layers for kind in ("weight", "bias")}
    assert kept == expected | {"b16_skip_weight"}
    for a, b in zip(frozen.get_weights(), full.discriminator.get_weights(), strict=True):
        assert a.shape == b.shape
    plain = build(16, freeze_layers=64, architecture="plain").discriminator
    trained = {weight.path.split("_")[0] for weight in plain.trainable_weights}
    assert trained == {"b4"}
