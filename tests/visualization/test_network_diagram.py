import functools
import re

import keras
import pytest

from ganvas.networks import NETWORKS, NetworkParams, build
from ganvas.networks.gan_networks import GanNetworks
from ganvas.visualization.network_diagram import draw_networks, find_blocks

NARROW = {
    "artgan": {"width": 8},
    "dcgan": {"generator_width": 4, "discriminator_width": 4},
    "fastgan": {"generator_width": 4, "discriminator_width": 4},
    "stylegan2": {"latent": 8, "style": 8, "channel_base": 128, "max_width": 8},
    "projected": {"generator_width": 8, "projection": 8, "head_width": 8, "pixel_width": 4},
    "r3gan": {"width": 8, "max_width": 32, "blocks": 2},
}
CASES = [(name, classes) for name in NARROW for classes in (0, 5) if classes or name != "artgan"]


@functools.cache
def build_networks(name: str, classes: int) -> GanNetworks:
    params = NetworkParams.model_validate({"name": name, name: NARROW[name]})
    return build(params, (32, 32, 3), classes)


def output_shapes(model: keras.Model) -> dict[int, tuple]:
    """Output shape of the last layer at each resolution, submodels left out."""
    shapes = {}
    for layer in model.layers:
        is_input = isinstance(layer, keras.layers.InputLayer)
        shape = () if is_input else getattr(layer.output, "shape", ())
        # Feature maps padded for a blur have sides in between, and kernels no axis of images.
        if len(shape) == 4 and shape[0] is None and shape[1] in (2, 4, 8, 16, 32):
            shapes[shape[1]] = shape[1:]
    return shapes


def format_shape(shape: tuple) -> str:
    return " × ".join(map(str, shape))


def parse(text: str) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Return the lines of each box by its name, and the arrows between boxes."""
    text = text.replace("\u00a0", " ")
    boxes = dict(re.findall(r'^(\w+)(?:\[|\(\[)"(.*)"(?:\]|\]\)):::\w+$', text, re.MULTILINE))
    arrows = re.findall(r"^(\w+\d) --> (\w+)$", text, re.MULTILINE)
    return {name: re.sub("</?b>", "", box).split("<br/>") for name, box in boxes.items()}, arrows


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_each_resolution_is_a_box_with_its_output_shape(name, classes):
    networks = build_networks(name, classes)
    boxes, _ = parse(draw_networks(networks))
    for model in networks[:2]:
        submodels = [layer for layer in model.layers if isinstance(layer, keras.Model)]
        labels = [box[0] for key, box in boxes.items() if key.startswith(model.name)]
        expected = {
            format_shape(shape)
            for part in submodels or [model]
            for side, shape in output_shapes(part).items()
            if side < 32
        }
        # StyleGAN2's maps are outputs of operations, which are no layers of the model.
        assert expected or name == "stylegan2"
        assert expected <= set(labels), model.name
    first = boxes["generator0"], boxes["generator1"]
    inputs = {"latent": format_shape(networks.generator.inputs[0].shape[1:])} | (
        {"classes": str(classes)} if classes else {}
    )
    assert inputs.items() <= {box[0]: box[1] for box in first if len(box) == 2}.items()
    ends = [box for key, box in boxes.items() if key.startswith("generator")][-2:]
    # StyleGAN2's last box also has its part of the images, and is named by the maps.
    last = "32 × 32 × 4" if name == "stylegan2" else "32 × 32 × 3"
    assert ends[0][0] == last and ends[1][:2] == ["images", "32 × 32 × 3"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_every_layer_and_parameter_is_counted_once(name, classes):
    for model in build_networks(name, classes)[:2]:
        blocks = find_blocks(model)
        assert sum(block.parameters for block in blocks) == model.count_params()
        inner = [
            layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Conv2D)
        ]
        counted = sum(block.layers.get("Conv2D", 0) for block in blocks)
        plain = [layer for layer in inner if type(layer) is keras.layers.Conv2D]
        # StyleGAN2's kernels are outputs of other layers, of shape (1, h, w, C, D).
        kernels = [weight for weight in model.weights if len(weight.shape) == 5]
        assert counted == len(plain) + len(kernels)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes"), CASES)
def test_arrows_lead_from_inputs_to_outputs(name, classes):
    networks = build_networks(name, classes)
    boxes, arrows = parse(draw_networks(networks))
    assert {box for arrow in arrows for box in arrow} == set(boxes)
    for model in networks[:2]:
        own = [box for box in boxes if box.startswith(model.name)]
        ends = set(own) - {source for source, _ in arrows}
        starts = set(own) - {target for _, target in arrows}
        assert {boxes[box][0] for box in starts} == {tensor.name for tensor in model.inputs}
        assert len(ends) == len(model.outputs)
        reached = set(starts)
        for _ in own:
            reached |= {target for source, target in arrows if source in reached}
        assert reached == set(own)


@pytest.mark.slow
def test_frozen_layers_are_marked():
    networks = build_networks("projected", 0)
    frozen = [block for block in find_blocks(networks.discriminator) if block.frozen]
    trainable = sum(
        block.parameters for block in find_blocks(networks.discriminator) if not block.frozen
    )
    assert {(16, 16), (8, 8), (4, 4)} <= {block.shape[:2] for block in frozen}
    weights = networks.discriminator.trainable_weights
    assert trainable >= sum(weight.numpy().size for weight in weights)
    assert ":::frozen" in draw_networks(networks) and "frozen" not in [
        line for line in draw_networks(build_networks("dcgan", 0)).splitlines() if ":::" in line
    ]


def test_weights_that_are_tensors_belong_to_the_box_of_their_block():
    networks = build_networks("stylegan2", 0)
    found = {
        model.name: [
            (block.shape, block.layers, block.sources) for block in find_blocks(model)[1:-1]
        ]
        for model in networks[:2]
    }
    block = {"Dense": 3, "Conv2D": 3}
    assert found["generator"] == [
        # Styles of each layer, and a box for each size: affine layers and convolutions.
        ((8, 8), {"Dense": 2}, [0]),
        ((4, 4, 8), {"Dense": 2, "Conv2D": 2}, [1]),
        ((8, 8, 8), block, [1, 2]),
        ((16, 16, 8), block, [1, 3]),
        ((32, 32, 4), block, [1, 4]),
    ]
    assert found["discriminator"] == [
        ((16, 16, 8), {"Conv2D": 4}, [0]),
        ((8, 8, 8), {"Conv2D": 3}, [1]),
        ((4, 4, 8), {"Conv2D": 3}, [2]),
        ((1,), {"Conv2D": 1, "Dense": 2}, [3]),
    ]
    for model in networks[:2]:
        assert sum(block.parameters for block in find_blocks(model)) == model.count_params()


def test_named_outputs_keep_their_names():
    boxes, _ = parse(draw_networks(build_networks("artgan", 5)))
    ends = {
        box[0]: box[1] for key, box in boxes.items() if key.startswith("disc") and len(box) == 2
    }
    assert ends == {
        "images": "32 × 32 × 3",
        "logits": "1",
        "sigmoid classes": "5",
        "features": "8 × 8 × 32",
    }


def test_a_custom_network_is_drawn_with_its_layers():
    x = latent = keras.Input((7,), name="latent")
    x = keras.layers.Reshape((4, 4, 3))(keras.layers.Dense(48)(x))
    images = keras.layers.UpSampling2D(8)(x)
    generator = keras.Model(latent, images, name="generator")
    networks = GanNetworks(generator, build_networks("dcgan", 0).discriminator)
    boxes, arrows = parse(draw_networks(networks))
    assert boxes["generator1"] == ["4 × 4 × 3", "Dense", "384 parameters"]
    assert boxes["generator2"] == ["32 × 32 × 3", "UpSampling2D"]
    assert ("generator1", "generator2") in arrows


def test_every_network_is_tested_here():
    assert set(NARROW) == set(NETWORKS)
