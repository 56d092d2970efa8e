import logging

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.projected_gan import ProjectedParams, build_projected
from ganvas.networks.weight_transfer import load_matching_weights

WIDTHS = {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2}


def build(seed: int, **widths: int) -> keras.Model:
    """A discriminator that looks through a frozen trunk."""
    keras.utils.set_random_seed(seed)
    return build_projected(ProjectedParams(**WIDTHS | widths), (32, 32, 3)).discriminator


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    discriminator = build(0)
    discriminator.save(folder / "discriminator.keras")
    return folder, discriminator


def test_all_layers_of_a_network_within_a_network_are_taken(saved):
    folder, theirs = saved
    ours = build(1)
    load_matching_weights(ours, folder)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_of_another_size_keeps_what_it_can(saved, caplog):
    folder, theirs = saved
    ours = build(1, pixel_width=3)
    with caplog.at_level(logging.INFO):
        load_matching_weights(ours, folder)
    # The head on the image, all of another width, has four; those on maps have 3, 2, 2 and 2.
    assert "The discriminator starts from 9 of 13 layers" in caplog.text
    same = [
        (one == other).all()
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True)
        if one.shape == other.shape and one.size > 1
    ]
    assert all(same)


def test_a_frozen_trunk_alone_is_nothing_to_start_from(saved):
    ours = build(1, projection=8, head_width=8, pixel_width=4)
    with pytest.raises(GanvasError, match=r"No layer of .* fits the discriminator: .*\.$"):
        load_matching_weights(ours, saved[0])
