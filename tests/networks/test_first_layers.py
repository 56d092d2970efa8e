"""The first affine maps of each network are found, and are what the network computes."""

import keras
import numpy as np
import pytest

from ganvas.networks.artgan import build_artgan
from ganvas.networks.config import (
    ArtganParams,
    DcganParams,
    FastganParams,
    R3ganParams,
    Stylegan2Params,
)
from ganvas.networks.dcgan import build_dcgan
from ganvas.networks.fastgan import build_fastgan, build_fastgan_generator
from ganvas.networks.first_layers import compute_first_maps, find_first_weights
from ganvas.networks.r3gan import build_r3gan
from ganvas.networks.self_modulated import build_self_modulated
from ganvas.networks.stylegan2 import build_stylegan2

SHAPE = (32, 32, 3)
SMALL_DCGAN = DcganParams(latent=6, generator_width=2, discriminator_width=2)
BUILDERS = {
    "dcgan": lambda k: build_dcgan(SMALL_DCGAN, SHAPE, k).generator,
    "self_modulated": lambda k: build_self_modulated(SHAPE, 6, [8, 4, 2], 4, k),
    "r3gan": lambda k: build_r3gan(R3ganParams(width=8, max_width=16), SHAPE, k).generator,
    "fastgan": lambda k: build_fastgan(FastganParams(generator_width=2), SHAPE, k).generator,
    "projected_fastgan": lambda k: build_fastgan_generator(SHAPE, 6, 2, k, unit_latents=True),
}
# Building the others takes seconds.
QUICK = ["dcgan", "self_modulated"]
NAMES = [*QUICK, *(pytest.param(x, marks=pytest.mark.exhaustive) for x in [*BUILDERS][2:])]
# Values of the maps that take w itself: the smallest map, and scales and offsets of each norm.
MAPS = {
    "dcgan": lambda model: 4 * 4 * 8,
    "self_modulated": lambda model: 4 * 4 * 8 + 2 * (8 + 4 + 2),
}


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", NAMES)
def test_weights_that_take_latents_are_found_without_those_of_classes(name, classes):
    generator = BUILDERS[name](classes)
    matrix = find_first_weights(generator)
    assert matrix.shape[0] == generator.inputs[0].shape[-1]
    assert np.linalg.matrix_rank(matrix) == min(matrix.shape)
    if name in MAPS:
        assert matrix.shape[1] == MAPS[name](generator)


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", ["original", "improved"])
def test_artgan_has_them_too(variant):
    params = ArtganParams(variant=variant, width=4, latent=6)
    assert find_first_weights(build_artgan(params, SHAPE, 3).generator).shape[0] == 6


def test_transposed_convolutions_are_linear_maps_of_their_kernels():
    generator = BUILDERS["dcgan"](0)
    kernel = next(x for x in generator.layers if "transpose" in x.name).kernel
    # (h, w, out, in) to (in, h·w·out).
    expected = np.moveaxis(np.asarray(kernel), 3, 0).reshape(6, -1)
    np.testing.assert_allclose(find_first_weights(generator), expected, atol=1e-5)


def test_stylegan2s_styles_are_those_of_their_convolutions():
    params = Stylegan2Params(channel_base=256, max_width=8, latent=6, style=6, mapping_layers=1)
    generator = build_stylegan2(params, SHAPE).generator
    synthesis = generator.get_layer("synthesis")
    names = ["b4_conv1", "b8_conv0", "b8_conv1", "b16_conv0", "b16_conv1", "b32_conv0"]
    names += ["b32_conv1", "b32_torgb"]
    for number, name in enumerate(names):
        expected = np.asarray(synthesis.get_layer(f"{name}_affine_weight").kernel)[0]
        np.testing.assert_array_equal(find_first_weights(generator, [number]), expected)
    everything = find_first_weights(generator)
    assert everything.shape[1] == sum(
        synthesis.get_layer(f"{name}_affine_weight").kernel.shape[2] for name in names
    )


def test_an_activation_of_the_layer_itself_is_no_part_of_the_map():
    latent = keras.Input((3,))
    dense = keras.layers.Dense(12, activation="relu", bias_initializer="ones")
    generator = keras.Model(latent, keras.layers.Reshape((2, 2, 3))(dense(latent * 2)))
    np.testing.assert_allclose(find_first_weights(generator), np.asarray(dense.kernel))


@pytest.mark.parametrize("name", NAMES)
def test_first_maps_are_the_smallest(name):
    generator = BUILDERS[name](3)
    w = np.random.default_rng(0).standard_normal((3, generator.inputs[0].shape[-1]))
    labels = np.eye(3, dtype=np.float32)
    maps = compute_first_maps(generator, w.astype(np.float32), labels)
    assert maps.shape[:3] == (3, 4, 4)
    alone = compute_first_maps(generator, w[1:2].astype(np.float32), labels[1:2])
    np.testing.assert_array_equal(alone[0], maps[1])
