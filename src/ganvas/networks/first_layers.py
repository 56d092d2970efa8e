"""The first layers of a generator: what its intermediate latents w are multiplied by, and become.

Both are found in the graph of the built model, not by the names of layers, so that networks of
one's own have them too. StyleGAN2's are found by the names in `ganvas.networks.stylegan2`, since
its weights are tensors.
"""

from collections.abc import Collection, Iterator
from math import prod
from typing import Any

import numpy as np

from ganvas.errors import GanvasError
from ganvas.keras_types import Model
from ganvas.networks.batches import as_inputs, batch_size, pad_rows
from ganvas.networks.gan_networks import is_style_based, remove_prior
from ganvas.networks.latent_spaces import w_shape

# Layers with weights whose outputs are affine functions of their inputs.
AFFINE = {"Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv2DTranspose", "SpectralNormalization"}
# Layers without weights that keep latents as they are, but for their scale and their shape.
SCALING = {"Rescaling", "UnitNormalization", "Erf", "Dropout", "Identity", "Activation"}
SHAPING = {"Reshape", "Flatten", "ExpandDims", "Permute", "Squeeze"}
ARITHMETIC = {"Multiply", "TrueDivide", "Divide"}


def find_first_weights(generator: Model, layers: Collection[int] | None = None) -> np.ndarray:
    """Return the matrix A of the first affine maps of w, side by side.

    They are the layers with weights that take w itself: the modulations of StyleGAN2's
    convolutions, the first dense or transposed convolution of other networks, and their layers of
    self-modulation.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        layers: Of StyleGAN2 the numbers of the styles whose modulations are used; None: all.

    Returns:
        float64 of shape (D, M): a latent w (D,) is mapped to w A + b, M values.

    Raises:
        GanvasError: No such layer is found.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> find_first_weights(build_dcgan(DcganParams(), (64, 64, 3)).generator).shape
        (100, 8192)
    """
    if is_style_based(generator):
        chosen = range(w_shape(generator)[0]) if layers is None else layers
        matrices = [_read_modulation(generator, number) for number in chosen]
    else:
        matrices = list(_read_affine_maps(remove_prior(generator)))
    if not matrices:
        raise GanvasError(
            "SeFa needs the weights of the layer that takes the latents, and this generator has no "
            "dense layer or convolution there: choose directions.method=ganspace, which needs "
            "images alone."
        )
    return np.concatenate(matrices, axis=1).astype(np.float64)


def _read_modulation(generator: Model, number: int) -> np.ndarray:
    """Return the weights (W, C) of the modulation of the convolution that uses a style."""
    synthesis = generator.get_layer("synthesis")
    if number == w_shape(generator)[0] - 1:
        # The last style is of the last conversion to an image alone.
        block, part = (number - 1) // 2, "torgb"
    else:
        block, part = (number + 1) // 2, f"conv{(number + 1) % 2}"
    name = f"b{4 << block}_{part}_affine_weight"
    try:
        layer = synthesis.get_layer(name)
    except ValueError as error:
        raise GanvasError(
            f"SeFa needs the weights of StyleGAN2's modulations, and this generator has no layer "
            f"{name}: choose directions.method=ganspace."
        ) from error
    return np.asarray(layer.kernel)[0]


def _list_nodes(model: Model) -> Iterator[Any]:
    """Yield the calls of a functional model in order."""
    # Keras has no public access to calls.
    by_depth = getattr(model, "_nodes_by_depth", {})
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if not node.is_input)


def _read_affine_maps(model: Model) -> Iterator[np.ndarray]:
    """Yield the matrix (Z, M) of each layer with weights that takes the latents."""
    latents = model.inputs[0]
    length = latents.shape[-1]
    # Tensors that hold the latents, with the place of the first of their values.
    places = {id(latents): 0}
    for node in _list_nodes(model):
        held = [x for x in node.input_tensors if id(x) in places]
        if not held:
            continue
        operation, output = node.operation, node.output_tensors[0]
        kind = type(operation).__name__
        if kind == "Concatenate":
            before = 0
            for x in node.input_tensors:
                if id(x) in places:
                    places[id(output)] = before + places[id(x)]
                    break
                before += prod(x.shape[1:])
        elif kind in AFFINE:
            yield _read_affine(operation, held[0], places[id(held[0])], length)
        elif kind in SCALING | SHAPING or (
            kind in ARITHMETIC and prod(output.shape[1:]) == prod(held[0].shape[1:])
        ):
            places[id(output)] = places[id(held[0])]


def _read_affine(layer: Any, x: Any, place: int, length: int) -> np.ndarray:
    """Return the matrix (Z, M) of an affine layer, by what it makes of unit vectors."""
    if type(layer).__name__ == "Dense":
        # An activation of its own is no part of the map.
        return np.asarray(layer.kernel)[place : place + length]
    size = prod(x.shape[1:])
    units = np.zeros((length + 1, size), np.float32)
    units[np.arange(length), place + np.arange(length)] = 1
    outputs = np.asarray(layer(units.reshape(-1, *x.shape[1:]), training=False), np.float64)
    # The last row is the offset.
    return (outputs[:-1] - outputs[-1]).reshape(length, -1)


def compute_first_maps(
    generator: Model, w: np.ndarray, labels: np.ndarray | None = None
) -> np.ndarray:
    """Compute the first feature maps of images: those of the smallest size, after all its layers.

    Args:
        generator: A generator without styles.
        w: float32 (N, Z).
        labels: Class weights, float32 (N, K); None or (N, 0) without classes.

    Returns:
        float32 (N, h, w, C); the images, if the network has no layer that enlarges maps.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> compute_first_maps(generator, np.ones((2, 100), np.float32)).shape
        (2, 4, 4, 512)
    """
    import keras

    inner = remove_prior(generator)
    inputs = inner.inputs if len(inner.inputs) > 1 else inner.inputs[0]
    maps = keras.Model(inputs, _find_first_map(inner))
    size = batch_size(*generator.output_shape[1:3])
    parts = []
    for start in range(0, len(w), size):
        rows = slice(start, start + size)
        arrays = [w[rows]] if labels is None else [w[rows], labels[rows]]
        padded = [pad_rows(x, size) for x in arrays[: len(maps.inputs)]]
        computed = maps(as_inputs(padded), training=False)
        parts.append(np.asarray(computed, np.float32)[: len(arrays[0])])
    return np.concatenate(parts)


def _find_first_map(model: Model) -> Any:
    """Return the tensor that the first layer that enlarges maps takes; else the images."""
    for node in _list_nodes(model):
        for x in node.input_tensors:
            y = node.output_tensors[0]
            if len(x.shape) == len(y.shape) == 4 and None not in (*x.shape[1:], *y.shape[1:]):
                area = x.shape[1] * x.shape[2]
                if 1 < area < y.shape[1] * y.shape[2]:
                    return x
    return model.outputs[0]
