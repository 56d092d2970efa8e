import logging

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.projected_gan import ProjectedParams, build_projected
from ganvas.networks.self_modulated import build_self_modulated
from ganvas.networks.weight_transfer import load_matching_weights

pytestmark = pytest.mark.slow

WIDTHS = {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2}


def build(seed: int, **widths: int) -> keras.Model:
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
