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
    "projected": {"generator_width": 8, "projection": 8, "head_width": 8, "pixel_width": 4},
    "r3gan": {"width": 8, "max_width": 32, "blocks": 2},
}
CASES = [(name, classes) for name in NARROW for classes in (0, 5) if classes or name != "artgan"]


@functools.cache
def make(name: str, classes: int) -> GanNetworks:
    params = NetworkParams.model_validate({"name": name, name: NARROW[name]})
    return build(params, (32, 32, 3), classes)


def maps(model: keras.Model) -> dict[int, tuple]:
    """What the last layer at each resolution gives, models within it left out."""
    found = {}
    for layer in model.layers:
        shape = getattr(layer.output, "shape", ())
        # Zeros around maps, for a blur, give sides in between.
        if len(shape) == 4 and shape[1] in (2, 4, 8, 16, 32):
            found[shape[1]] = shape[1:]
    return found


def told(shape: tuple) -> str:
    return " × ".join(map(str, shape))


def read(text: str) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """The lines of each box by its name, and the arrows between boxes."""
    text = text.replace("\u00a0", " ")
    boxes = dict(re.findall(r'^(\w+)(?:\[|\(\[)"(.*)"(?:\]|\]\)):::\w+$', text, re.MULTILINE))
    arrows = re.findall(r"^(\w+\d) --> (\w+)$", text, re.MULTILINE)
    return {name: re.sub("</?b>", "", box).split("<br/>") for name, box in boxes.items()}, arrows


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_each_resolution_is_a_box_with_the_shape_that_the_network_gives(name, classes):
    pair = make(name, classes)
    boxes, _ = read(draw_networks(pair))
    for model in pair[:2]:
        parts = [layer for layer in model.layers if isinstance(layer, keras.Model)]
        shown = [box[0] for key, box in boxes.items() if key.startswith(model.name)]
        for part in parts or [model]:
            expected = {told(shape) for side, shape in maps(part).items() if side < 32}
            assert expected and expected <= set(shown), part.name
    first = boxes["generator0"], boxes["generator1"]
    inputs = {"latent": told(pair.generator.inputs[0].shape[1:])} | (
        {"classes": str(classes)} if classes else {}
    )
    assert inputs.items() <= {box[0]: box[1] for box in first if len(box) == 2}.items()
    ends = [box for key, box in boxes.items() if key.startswith("generator")][-2:]
    assert ends[0][0] == ends[1][1] == "32 × 32 × 3" and ends[1][0] == "images"


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_no_layer_and_no_parameter_is_lost_or_told_twice(name, classes):
    for model in make(name, classes)[:2]:
        blocks = find_blocks(model)
        assert sum(block.parameters for block in blocks) == model.count_params()
        inner = [
            layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Conv2D)
        ]
        told = sum(block.kinds.get("Conv2D", 0) for block in blocks)
        plain = [layer for layer in inner if type(layer) is keras.layers.Conv2D]
        assert told == len(plain)


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_arrows_lead_from_what_goes_in_to_what_comes_out(name, classes):
    pair = make(name, classes)
    boxes, arrows = read(draw_networks(pair))
    assert {box for arrow in arrows for box in arrow} == set(boxes)
    for model in pair[:2]:
        own = [box for box in boxes if box.startswith(model.name)]
        ends = set(own) - {source for source, _ in arrows}
        starts = set(own) - {taker for _, taker in arrows}
        assert {boxes[box][0] for box in starts} == {each.name for each in model.inputs}
        assert len(ends) == len(model.outputs)
        reached = set(starts)
        for _ in own:
            reached |= {taker for source, taker in arrows if source in reached}
        assert reached == set(own)


def test_what_never_learns_is_told():
    pair = make("projected", 0)
    frozen = [block for block in find_blocks(pair.discriminator) if block.frozen]
    learning = sum(
        block.parameters for block in find_blocks(pair.discriminator) if not block.frozen
    )
    assert {(16, 16), (8, 8), (4, 4)} <= {block.shape[:2] for block in frozen}
    weights = pair.discriminator.trainable_weights
    assert learning >= sum(weight.numpy().size for weight in weights)
    assert ":::frozen" in draw_networks(pair) and "frozen" not in [
        line for line in draw_networks(make("dcgan", 0)).splitlines() if ":::" in line
    ]


def test_outputs_of_a_network_that_tells_classes_keep_their_names():
    boxes, _ = read(draw_networks(make("artgan", 5)))
    ends = {
        box[0]: box[1] for key, box in boxes.items() if key.startswith("disc") and len(box) == 2
    }
    assert ends == {
        "images": "32 × 32 × 3",
        "logits": "1",
        "sigmoid classes": "5",
        "features": "8 × 8 × 32",
    }


def test_a_network_of_ones_own_is_drawn_with_its_own_layers():
    x = latent = keras.Input((7,), name="latent")
    x = keras.layers.Reshape((4, 4, 3))(keras.layers.Dense(48)(x))
    images = keras.layers.UpSampling2D(8)(x)
    generator = keras.Model(latent, images, name="generator")
    pair = GanNetworks(generator, make("dcgan", 0).discriminator)
    boxes, arrows = read(draw_networks(pair))
    assert boxes["generator1"] == ["4 × 4 × 3", "Dense", "384 parameters"]
    assert boxes["generator2"] == ["32 × 32 × 3", "UpSampling2D"]
    assert ("generator1", "generator2") in arrows


def test_all_networks_are_drawn_here():
    assert set(NARROW) == set(NETWORKS)
