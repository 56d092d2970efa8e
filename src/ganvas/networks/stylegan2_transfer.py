"""Start StyleGAN2's networks from the weights of others, matched by their names.

A layer is taken where all of its weights have equal shapes. Blocks have the names of their sides,
so that those of images of half or twice the size are the same ones.
"""

import logging
import re
from collections.abc import Iterable
from math import sqrt

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.networks.equalized import ACTIVATION_GAIN, SLOPE

logger = logging.getLogger(__name__)

# Weights of one layer: of b8_conv0, for example, b8_conv0_affine_weight, b8_conv0_bias and others.
LAYER = re.compile(r"(.+?)_(?:affine_weight|affine_bias|weight|bias|noise_strength)")
BLOCK = re.compile(r"b(\d+)_(.+)")
# Layers besides those of blocks, and their name in messages.
GROUPS = (
    (r"fc\d+|embed", "mapping network"),
    (r"style_mean", "mean style"),
    (r"mapping_.+", "mapping of classes"),
)
# Weights by their names, each the kernel of a layer of Keras.
Weights = dict[str, keras.Variable]


def has_named_weights(network: keras.Model) -> bool:
    """Return whether a network is one of StyleGAN2's, whose weights have names of their own."""
    return not {"b4_conv1_weight", "b4_out_weight"}.isdisjoint(list_weights(network))


def copy_named_weights(network: keras.Model, saved: keras.Model, where: str) -> None:
    """Copy the layers of another network that have the same name and shapes.

    - A mapping network of another depth is not taken: a part of it maps to no style. One with
      classes starts from one without as if there were no classes, and reversely.
    - A generator with noise starts from one without, and generates the same images at first.
    - Blocks of the generator that start anew above others add nothing to the image at first, which
      so begins as that of the smaller blocks, enlarged.
    - The new first block of a discriminator of twice the size begins as a low-pass filter, so that
      the logits are those of the other network for the image at half the size.

    Args:
        network: The network whose weights are set.
        saved: The other one, of StyleGAN2 too.
        where: Where it comes from, for messages.

    Raises:
        GanvasError: No layer fits.
    """
    weights, sources = list_weights(network), list_weights(saved)
    taken = _choose_layers(weights, sources)
    if not any(f"{layer}_weight" in weights for layer in taken):
        raise GanvasError(
            f"No layer of {where} fits the {network.name}: set train.weights_from to a run with "
            "the same network.stylegan2.channel_base, max_width, latent and style."
        )
    for name, weight in weights.items():
        if _layer_of(name) in taken and name in sources:
            weight.assign(sources[name])
    if "fc0" not in taken and _takes_latents(network, saved, weights, sources):
        _copy_latent_rows(weights["fc0_weight"], sources["fc0_weight"], network)
        weights["fc0_bias"].assign(sources["fc0_bias"])
        taken.add("fc0")
    _log(network.name, weights, sources, taken, where)
    if "b4_out_weight" in weights:
        _begin_with_low_pass(weights, sources, taken)
    else:
        _begin_with_smaller_image(weights, taken)


def list_weights(network: keras.Model) -> Weights:
    """Return the weights of all layers by their names, those of nested models included."""
    weights: Weights = {}
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            weights |= list_weights(layer)
        elif layer.weights:
            weights[layer.name] = layer.weights[0]
    return weights


def _layer_of(name: str) -> str:
    found = LAYER.fullmatch(name)
    return found[1] if found else name


def _choose_layers(weights: Weights, sources: Weights) -> set[str]:
    """Return the layers whose weights all have equal shapes in both networks.

    A strength of noise that the other network lacks begins at 0, which adds none either.
    """
    fits = {
        name: sources[name].shape == weight.shape
        if name in sources
        else name.endswith("_noise_strength")
        for name, weight in weights.items()
    }
    taken = {_layer_of(name) for name in weights}
    taken -= {_layer_of(name) for name, fit in fits.items() if not fit}
    if _count_mapping_layers(weights) != _count_mapping_layers(sources):
        taken -= {layer for layer in taken if re.fullmatch(r"fc\d+|embed|style_mean", layer)}
    return taken


def _count_mapping_layers(weights: Iterable[str]) -> int:
    return sum(re.fullmatch(r"fc\d+_weight", name) is not None for name in weights)


def _takes_latents(
    network: keras.Model, saved: keras.Model, weights: Weights, sources: Weights
) -> bool:
    """Return whether two mapping networks differ only in that one has classes."""
    if "fc0_weight" not in weights or _count_mapping_layers(weights) != _count_mapping_layers(
        sources
    ):
        return False
    latents = [model.inputs[0].shape[-1] for model in (network, saved)]
    return (
        latents[0] == latents[1]
        and weights["fc0_weight"].shape[-1] == sources["fc0_weight"].shape[-1]
    )


def _copy_latent_rows(weight: keras.Variable, source: keras.Variable, network: keras.Model) -> None:
    """Copy the rows of the latent, scaled for another fan-in; those of classes become 0."""
    latent = network.inputs[0].shape[-1]
    values = np.zeros(weight.shape, np.float32)
    # An equalized weight is divided by the square root of its fan-in.
    scale = sqrt(weight.shape[1] / source.shape[1])
    values[:, :latent] = keras.ops.convert_to_numpy(source)[:, :latent] * scale
    weight.assign(values)


def _begin_with_smaller_image(weights: Weights, taken: set[str]) -> None:
    """Let blocks add nothing to the image from the first one on that is not taken as a whole."""
    blocks = _group_by_block(map(_layer_of, weights))
    sides = sorted(blocks)
    # The constant of another aspect ratio starts anew, as it does in a network of one's own.
    parts = [{f"b{side}_{part}" for part in blocks[side] if part != "const"} for side in sides]
    whole = [names <= taken for names in parts]
    first = whole.index(False) if False in whole else len(sides)
    if first in (0, len(sides)):
        return
    logger.info(
        "The first images are those of block %d, enlarged: larger blocks begin by adding nothing.",
        sides[first - 1],
    )
    for side in sides[first:]:
        for name in (f"b{side}_torgb_weight", f"b{side}_torgb_bias"):
            weights[name].assign(np.zeros(weights[name].shape, np.float32))


def _begin_with_low_pass(weights: Weights, sources: Weights, taken: set[str]) -> None:
    """Let a new first block compute what `fromrgb` of the next one did for a smaller image.

    Pairs of channels hold the positive and the negative image, whose leaky ReLUs differ by a
    multiple of the image. The last convolution reads only them, after its low-pass filter.
    """
    sides = sorted(_group_by_block(map(_layer_of, weights)))
    side, source_side = sides[-1], sides[-2]
    rgb = sources.get(f"b{source_side}_fromrgb_weight")
    block = f"b{side}_"
    if rgb is None or any(f"{block}{part}_weight" in sources for part in ("conv0", "fromrgb")):
        return
    kernels = {
        part: np.array(weights[f"{block}{part}_weight"])[0]
        for part in ("fromrgb", "conv0", "conv1")
    }
    (colors, width), outputs = kernels["fromrgb"].shape[2:], kernels["conv1"].shape[-1]
    if f"b{source_side}_conv0" not in taken or rgb.shape[-2:] != (colors, outputs):
        return
    if width < 2 * colors:
        return
    is_residual = f"{block}skip_weight" in weights
    gain = sqrt(0.5) if is_residual else 1.0
    signs = np.concatenate([np.eye(colors), -np.eye(colors)])
    # Of a pair of leaky ReLUs, times the gain, to the image; and the scale of equalized weights.
    unpair = signs / ((1 + SLOPE) * ACTIVATION_GAIN)
    scale = sqrt(9 * width)
    pairs = slice(0, 2 * colors)
    kernels["fromrgb"][0, 0, :, pairs] = sqrt(colors) * signs.T
    kernels["conv0"][..., pairs] = 0
    kernels["conv0"][1, 1, pairs, pairs] = scale * unpair @ signs.T
    kernels["conv1"][:] = 0
    kernels["conv1"][1, 1, pairs] = scale / gain * unpair @ (np.array(rgb)[0, 0, 0] / sqrt(colors))
    logger.info(
        "The first logits are those of the other network for the image at half the size: block %d "
        "begins as a low-pass filter.",
        side,
    )
    for part, kernel in kernels.items():
        weights[f"{block}{part}_weight"].assign(kernel[None])
    # Biases of the pairs are 0, as those of a new network.
    bias = np.array(sources[f"b{source_side}_fromrgb_bias"])
    weights[f"{block}conv1_bias"].assign(bias / gain)
    if is_residual:
        skip = weights[f"{block}skip_weight"]
        skip.assign(np.zeros(skip.shape, np.float32))


def _group_by_block(layers: Iterable[str]) -> dict[int, list[str]]:
    """Return the parts of each block by its side, but for its constant noise."""
    blocks: dict[int, list[str]] = {}
    for layer in layers:
        found = BLOCK.fullmatch(layer)
        if found and not found[2].endswith("noise_const"):
            parts = blocks.setdefault(int(found[1]), [])
            parts += [found[2]] if found[2] not in parts else []
    return blocks


def _log(name: str, weights: Weights, sources: Weights, taken: set[str], where: str) -> None:
    """Log which blocks are taken and which start anew."""
    layers = list(dict.fromkeys(map(_layer_of, weights)))
    there = {_layer_of(name) for name in sources}
    logger.info("The %s starts from %s: %s.", name, where, describe_layers(layers, taken))
    anew = [layer for layer in layers if layer not in taken]
    for why, chosen in (
        ("are missing there", {layer for layer in anew if layer not in there}),
        ("have another shape there", {layer for layer in anew if layer in there}),
    ):
        if words := describe_layers(layers, chosen):
            logger.info("Starting anew, since they %s: %s.", why, words)
    depths = [_count_mapping_layers(names) for names in (weights, sources)]
    if depths[0] != depths[1]:
        logger.info(
            "The mapping network has %d layers there, and %d here: to take it, set "
            "network.stylegan2.mapping_layers=%d.",
            *reversed(depths),
            depths[1],
        )


def describe_layers(layers: Iterable[str], chosen: set[str]) -> str:
    """Return in words which layers of a network are chosen.

    Args:
        layers: Names of all layers, such as b8_conv0.
        chosen: Names of those to describe.

    Example:
        >>> layers = ["fc0", "b4_conv1", "b8_conv0", "b8_conv1", "b8_torgb"]
        >>> describe_layers(layers, {"fc0", "b4_conv1", "b8_torgb"})
        'mapping network, block 4, torgb of block 8'
    """
    layers = list(layers)
    words = []
    for pattern, title in GROUPS:
        group = {layer for layer in layers if re.fullmatch(pattern, layer)}
        found = sorted(group & chosen)
        if found:
            words.append(title if len(found) == len(group) else f"{_join(found)} of the {title}")
    blocks, kept = _group_by_block(layers), _group_by_block(sorted(chosen))
    runs: list[list[int]] = []
    partly = []
    for position, side in enumerate(sorted(blocks)):
        if not kept.get(side):
            continue
        if len(kept[side]) < len(blocks[side]):
            partly.append(f"{_join(kept[side])} of block {side}")
        elif runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    sides = sorted(blocks)
    for run in runs:
        first, last = sides[run[0]], sides[run[-1]]
        words.append(f"block {first}" if first == last else f"blocks {first} to {last}")
    return ", ".join([*words, *partly])


def _join(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
