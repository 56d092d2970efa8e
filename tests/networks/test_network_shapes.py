"""Networks for images that are no squares, gray or transparent."""

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.image_shape import LARGEST, SMALLEST, STEP, can_train, smallest_map
from ganvas.networks import NETWORKS, NetworkParams, build
from ganvas.networks.config import DcganParams, R3ganParams
from ganvas.networks.projected_gan import ProjectedParams, _build_heads
from ganvas.visualization.network_diagram import draw_networks

NARROW = {"latent": 6, "generator_width": 2, "discriminator_width": 2}
# Height, width and channels for each kind of network.
CASES = {
    "dcgan": (NARROW, (96, 64, 4)),
    "dcgan_dense": (
        NARROW | {"smallest_side": 8, "stem": "dense", "head": "dense", "output_convolution": 3},
        (64, 160, 1),
    ),
    "artgan": ({"latent": 6, "width": 4}, (32, 96, 4)),
    "artgan_improved": ({"latent": 6, "width": 4, "variant": "improved"}, (96, 64, 1)),
    "r3gan": ({"latent": 6, "width": 4, "max_width": 8, "group_width": 16}, (64, 96, 4)),
    "projected": (
        {"latent": 6, "generator_width": 2, "projection": 4, "head_width": 4, "pixel_width": 2},
        (96, 64, 4),
    ),
}
SIDES = range(SMALLEST, LARGEST + 1, STEP)
SIZES = [(height, width) for height in SIDES for width in SIDES if can_train(height, width)]


def build_case(case: str):
    name = case.partition("_")[0]
    params, shape = CASES[case]
    keras.utils.set_random_seed(0)
    classes = 3 * NETWORKS[name].always_conditional
    return build(NetworkParams(name=name, **{name: params}), shape, classes)


@pytest.mark.parametrize(
    "case", [*list(CASES)[:-1], pytest.param("projected", marks=pytest.mark.slow)]
)
def test_networks_are_built_for_rectangles_of_any_channels(case):
    generator, discriminator, decoder, _ = networks = build_case(case)
    shape = CASES[case][1]
    size = shape[:2]
    assert generator.output_shape == discriminator.inputs[0].shape == (None, *shape)
    if decoder is not None:
        assert decoder.output_shape == (None, *shape)
    # The first maps of the generator have the proportion of the image.
    smallest = smallest_map(*size, CASES[case][0].get("smallest_side", 4))
    maps = [x.output.shape[1:3] for x in generator.layers if len(x.output.shape) == 4]
    assert next(x for x in maps if x != (1, 1)) == smallest
    assert f"{' × '.join(map(str, shape))}" in draw_networks(networks).replace("\u00a0", " ")


@pytest.mark.parametrize("case", ["dcgan", "dcgan_dense"])
def test_images_and_logits_of_rectangles_can_be_computed(case):
    generator, discriminator, *_ = build_case(case)
    images = generator(np.ones((2, 6), np.float32))
    assert images.shape == (2, *CASES[case][1])
    assert discriminator(images).shape == (2, 1)


def test_widths_are_defined_for_every_size():
    for size in SIZES:
        maps = [side // s for side, s in zip(size, smallest_map(*size), strict=True)]
        # As many halvings of both sides, to whole numbers.
        assert maps[0] == maps[1] and maps[0] & (maps[0] - 1) == 0
        count = maps[0].bit_length() - 1
        params = DcganParams(generator_width=8, discriminator_width=4)
        assert len(params.list_generator_widths(*size)) == count
        assert params.list_generator_widths(*size)[-1] == 8
        assert len(params.list_discriminator_widths(*size)) == count
        assert len(R3ganParams().stage_widths(*size)) == count + 1


def test_dcgan_widths_stop_to_double_above_256_pixels():
    params = DcganParams(generator_width=32, discriminator_width=64)
    assert params.list_generator_widths(256, 256) == [1024, 512, 256, 128, 64, 32]
    assert params.list_generator_widths(1024, 1024) == [1024] * 3 + [512, 256, 128, 64, 32]
    assert params.list_discriminator_widths(512, 512)[-3:] == [1024, 2048, 2048]
    limited = DcganParams(generator_width=32, max_width=100)
    assert limited.list_generator_widths(128, 64) == [100, 100, 64, 32]


def build_heads(height: int, width: int, scale: float) -> keras.Model:
    """Build heads on maps like those of the backbone, of one channel."""
    images = keras.Input((height, width, 1))
    sides = [(int(height * scale) // s, int(width * scale) // s) for s in (4, 8, 16, 32)]
    maps = [keras.Input((*side, 1)) for side in sides]
    backbone = keras.Model([images, *maps], [images, *maps])
    params = ProjectedParams(projection=2, head_width=2, pixel_width=1, mixing="none")
    return _build_heads(params, backbone, 0)


@pytest.mark.parametrize(
    ("size", "scale", "grid"),
    [
        ((96, 64), 1, (6, 4)),
        ((32, 128), 1, (4, 16)),
        # Sides that aren't even at each halving are rounded up.
        ((480, 480), 1, (4, 4)),
        ((384, 384), 0.25, (6, 6)),
        ((896, 512), 0.5, (7, 4)),
    ],
)
def test_all_heads_have_a_grid_of_logits_of_the_proportion_of_the_image(size, scale, grid):
    assert can_train(*size)
    heads = build_heads(*size, scale)
    logits = next(x for x in heads.layers if isinstance(x, keras.layers.Concatenate)).input
    assert [x.shape[1] for x in logits] == [grid[0] * grid[1]] * 5


def test_the_scale_of_the_backbone_must_leave_whole_maps():
    for height, width in SIZES:
        ProjectedParams(input_upscale=2).check_size(height, width)
    with pytest.raises(GanvasError, match=r"would be 32×48 .*; set 1, 2, 4 or 8\."):
        ProjectedParams(input_upscale=0.5).check_size(96, 64)
