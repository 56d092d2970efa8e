"""The Inception network of 2015-12-05, on whose features papers compute FID and KID.

Szegedy et al. (arXiv 1512.00567), trained by Google on ImageNet and published that day; Heusel et
al. (arXiv 1706.08500) define FID by it. It differs from Keras's InceptionV3 in the last block,
which pools by the maximum, and in its 1008 classes, 8 of them unused. The weights are those of the
PyTorch port that pytorch-fid and torch-fidelity publish.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

from ganvas.backbones.precision import dtype_policy
from ganvas.backbones.state_dict import assign_weights

SIDE = 299
FEATURES = 2048
CLASSES = 1008

# The port's names of the convolutions, in the order in which Keras creates them.
STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
BLOCKS = (
    ("bcd", 5, "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool"),
    ("a", 6, "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3"),
    ("bcde", 6, "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool"),
    ("a", 7, "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4"),
    ("bc", 7, "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool"),
)


def build_inception(weights: dict[str, np.ndarray]) -> tuple[keras.Model, keras.Model]:
    """Build the frozen network with its weights.

    Args:
        weights: The port's state dict.

    Returns:
        A network from images (N, 299, 299, 3), RGB in [0, 255], to features (N, 2048), 0 or
        more; and one from features to class probabilities (N, 1008), without the biases, as in
        the Inception Score since Salimans et al. (arXiv 1606.03498). Batch normalization uses its
        moving averages.

    Raises:
        ValueError: The weights are not this network's.

    Example:
        >>> from pathlib import Path
        >>> from ganvas.backbones.state_dict import read_state_dict
        >>> file = Path("pt_inception-2015-12-05-6726825d.pth")
        >>> network, head = build_inception(read_state_dict(file))
    """
    with dtype_policy("float32"):
        original = keras.applications.InceptionV3(weights=None, classes=CLASSES)
        last_pool = _in_creation_order(original, layers.AveragePooling2D)[-1]
        changed = keras.models.clone_model(
            original, clone_function=lambda layer: _clone_layer(layer, layer is last_pool)
        )
        backbone = keras.Model(changed.input, changed.get_layer("avg_pool").output)
        # The original graph's scale; some ports divide by 127.5.
        images = keras.Input((SIDE, SIDE, 3), name="images")
        network = keras.Model(
            images, backbone(layers.Rescaling(1 / 128, offset=-1)(images)), name="inception"
        )
        head = keras.Sequential(
            [layers.Dense(CLASSES, use_bias=False), layers.Softmax()], name="inception_head"
        )
        head.build((None, FEATURES))

    convolutions = _in_creation_order(backbone, layers.Conv2D)
    norms = _in_creation_order(backbone, layers.BatchNormalization)
    named_layers = [("fc", head.layers[0])]
    for name, convolution, norm in zip(_conv_names(), convolutions, norms, strict=True):
        named_layers += [(f"{name}.conv", convolution), (f"{name}.bn", norm)]
    assign_weights("inception", named_layers, weights, ignored=("fc.bias",))
    network.trainable = head.trainable = False
    return network, head


def _clone_layer(layer: keras.Layer, is_last_pool: bool) -> keras.Layer:
    config = layer.get_config()
    if is_last_pool:
        return layers.MaxPooling2D.from_config(config)
    if isinstance(layer, layers.BatchNormalization):
        # The port has scales, though all are 1.
        config["scale"] = True
    return layer.__class__.from_config(config)


def _conv_names() -> Iterator[str]:
    yield from STEM
    for letters, number, branches in BLOCKS:
        for letter in letters:
            for branch in branches.split():
                yield f"Mixed_{number}{letter}.branch{branch}"


def _in_creation_order(network: keras.Model, kind: type[keras.Layer]) -> list[keras.Layer]:
    """Sort layers of one type by the number in their name; the network lists them by depth."""

    def number(layer: keras.Layer) -> int:
        # The first layer of its type in a process has no number.
        suffix = layer.name.rpartition("_")[2]
        return int(suffix) if suffix.isdigit() else 0

    return sorted((layer for layer in network.layers if isinstance(layer, kind)), key=number)
