import logging

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.projected_gan import ProjectedParams, build_projected
from ganvas.networks.self_modulated import build_self_modulated
from ganvas.networks.weight_transfer import load_matching_weights, match_layers

pytestmark = pytest.mark.slow

WIDTHS = {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2}


def build(seed: int, **widths: int | str) -> keras.Model:
    """Build a discriminator with a frozen backbone."""
    keras.utils.set_random_seed(seed)
    return build_projected(ProjectedParams(**WIDTHS | widths), (32, 32, 3)).discriminator


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    discriminator = build(0)
    discriminator.save(folder / "discriminator.keras")
    return folder, discriminator


def test_layers_of_nested_models_are_copied(saved):
    folder, source = saved
    target = build(1)
    load_matching_weights(target, folder)
    for a, b in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_of_another_size_takes_the_layers_that_match(saved, caplog):
    folder, source = saved
    target = build(1, pixel_width=3)
    with caplog.at_level(logging.INFO):
        load_matching_weights(target, folder)
    # The head on the image has four, all of another width; those on maps have 3, 2, 2 and 2.
    assert "The discriminator starts from 9 of 13 layers" in caplog.text
    equal = [
        (a == b).all()
        for a, b in zip(target.get_weights(), source.get_weights(), strict=True)
        if a.shape == b.shape and a.size > 1
    ]
    assert all(equal)


def test_a_matching_frozen_backbone_alone_is_rejected(saved):
    target = build(1, projection=8, head_width=8, pixel_width=4)
    with pytest.raises(GanvasError, match=r"No layer of .* fits the discriminator: .*\.$"):
        load_matching_weights(target, saved[0])


def test_a_pretrained_backbone_is_not_replaced_by_another(saved):
    target = build(1, backbone="efficientnet_lite1")
    before = target.get_layer("backbone").get_weights()
    load_matching_weights(target, saved[0])
    for a, b in zip(target.get_layer("backbone").get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    # The heads have the same shapes on both.
    for a, b in zip(*(x.get_layer("heads").get_weights() for x in (target, saved[1])), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_number_of_channels_leaves_the_layers_at_the_image_anew(saved, caplog):
    keras.utils.set_random_seed(1)
    target = build_projected(ProjectedParams(**WIDTHS), (32, 32, 4)).discriminator
    with caplog.at_level(logging.INFO):
        load_matching_weights(target, saved[0])
    assert "The discriminator starts from 12 of 13 layers" in caplog.text
    assert caplog.messages[-1].startswith("Starting anew: ") and "×4×2" in caplog.messages[-1]


def test_the_prior_of_a_saved_generator_is_left_out(tmp_path, caplog):
    keras.utils.set_random_seed(0)
    source, target = (build_self_modulated((32, 32, 3), 6, [8, 4, 2], 4, 3) for _ in range(2))
    rng = np.random.default_rng(0)
    prior = LatentPrior(
        rng.standard_normal((9, 6), dtype=np.float32),
        np.ones(6, np.float32),
        noise=0.3,
        labels=np.arange(9) % 3,
        num_classes=3,
    )
    add_prior(source, prior).save(tmp_path / "generator.keras")
    with caplog.at_level(logging.INFO):
        load_matching_weights(target, tmp_path)
    # Four transposed convolutions, six affine layers and an embedding.
    assert "The generator starts from 11 of 11 layers" in caplog.text
    for a, b in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def fill(network: keras.Model, seed: int) -> None:
    """Give all weights random values, those of batch norms too."""
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        weight.assign(rng.random(weight.shape) + 0.5)


def layers_by_shape(network: keras.Model, kind: type[keras.Layer]) -> dict:
    """Return the weights of layers of a kind by the shape of the first; shapes must differ."""
    found = [layer for layer in network.layers if isinstance(layer, kind)]
    named = {tuple(layer.weights[0].shape): layer.get_weights() for layer in found}
    assert len(named) == len(found)
    return named


def transfer(tmp_path, source: keras.Model, target: keras.Model) -> list[np.ndarray]:
    """Save one network, start another from it, and return the other's weights before."""
    fill(source, 1)
    fill(target, 2)
    before = target.get_weights()
    source.save(tmp_path / f"{source.name}.keras")
    load_matching_weights(target, tmp_path)
    return before


@pytest.mark.parametrize("part", ["generator", "discriminator"])
@pytest.mark.parametrize(("small", "large"), [(32, 64), (64, 32)])
def test_a_network_of_another_side_takes_the_stages_that_both_have(
    tmp_path, caplog, part, small, large
):
    params = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    source, target = (
        getattr(build_dcgan(params, (side, side, 3)), part) for side in (small, large)
    )
    with caplog.at_level(logging.INFO):
        transfer(tmp_path, source, target)
    shared = 0
    for kind in (keras.layers.Conv2DTranspose, keras.layers.Conv2D):
        theirs, ours = layers_by_shape(source, kind), layers_by_shape(target, kind)
        for shape in theirs.keys() & ours.keys():
            np.testing.assert_array_equal(ours[shape][0], theirs[shape][0])
            shared += 1
    # All but those at the smallest side.
    assert shared == 3
    first, taken, anew = caplog.messages
    assert first.startswith(f"The {part} starts from ") and taken.startswith("Taken: ")
    assert anew.startswith("Starting anew: ") and "×" in anew


def test_a_network_with_classes_takes_what_one_without_has(tmp_path, caplog):
    params = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    plain, by_class = (build_dcgan(params, (32, 32, 3), classes=n) for n in (0, 3))
    with caplog.at_level(logging.INFO):
        transfer(tmp_path, plain.generator, by_class.generator)
        transfer(tmp_path, plain.discriminator, by_class.discriminator)
    theirs, ours = (
        layers_by_shape(networks.generator, keras.layers.Conv2DTranspose)
        for networks in (plain, by_class)
    )
    # All but the first, which takes the class embedding too.
    for shape in theirs.keys() & ours.keys():
        np.testing.assert_array_equal(ours[shape][0], theirs[shape][0])
    assert len(theirs.keys() & ours.keys()) == 3
    # The moving mean and variance, which are all that a conditional batch norm has.
    norms, conditional = (
        [x for x in networks.generator.layers if isinstance(x, keras.layers.BatchNormalization)]
        for networks in (plain, by_class)
    )
    for a, b in zip(norms, conditional, strict=True):
        for x, y in zip(a.get_weights()[2:], b.get_weights(), strict=True):
            np.testing.assert_array_equal(x, y)
    # The discriminator takes everything.
    for a, b in zip(
        plain.discriminator.get_weights(),
        [w for w in by_class.discriminator.get_weights() if w.shape[0] != 3 or w.ndim == 4],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert caplog.text.count("Starting anew: ") == 2 and "class_embedding (3×" in caplog.text


def test_one_version_of_both_models_can_be_chosen(tmp_path):
    params = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    networks, target = (build_dcgan(params, (32, 32, 3))[:2] for _ in range(2))
    # The last one is the newest.
    for seed, version in enumerate(("2026-01-01T00.00.00.000Z", "2026-02-02T00.00.00.000Z")):
        for network in networks:
            fill(network, seed)
            file = tmp_path / f"{network.name}.keras" / version / f"{network.name}.keras"
            file.parent.mkdir(parents=True)
            network.save(file)
    folder = tmp_path / "generator.keras/2026-01-01T00.00.00.000Z"
    # A version, its file as a run logs it, and all versions.
    for path, seed in ((folder, 0), (folder / "generator.keras", 0), (folder.parent, 1)):
        for ours, theirs in zip(target, networks, strict=True):
            load_matching_weights(ours, path)
            fill(theirs, seed)
            for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    other = tmp_path / "other.keras"
    with pytest.raises(GanvasError, match=r"There is no .*/other\.keras/generator\.keras"):
        load_matching_weights(target[0], other)
    with pytest.raises(GanvasError, match=r"There is no .*/2025/generator\.keras"):
        load_matching_weights(target[0], tmp_path / "generator.keras" / "2025")


def test_layers_are_matched_by_kind_and_shape_in_their_order():
    def dense(rows, columns):
        layer = keras.layers.Dense(columns, use_bias=False)
        layer.build((None, rows))
        return layer

    shapes = [(2, 3), (3, 3), (3, 3), (3, 1)]
    layers = [dense(*shape) for shape in shapes]
    assert match_layers(layers, layers) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    # One of two equal layers is missing: the first has the same position.
    assert match_layers(layers, [layers[0], layers[1], layers[3]]) == [(0, 0), (1, 1), (3, 2)]
    assert match_layers(layers, [dense(9, 9), *layers]) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert match_layers(layers, [dense(9, 9)]) == []
