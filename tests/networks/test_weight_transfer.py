import logging

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.projected_gan import ProjectedParams, build_projected
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
