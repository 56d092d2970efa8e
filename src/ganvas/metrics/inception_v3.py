"""The Inception network of 2015-12-05, on whose features papers compute FID and KID.

Szegedy et al. (arXiv 1512.00567), trained by Google on ImageNet and published that day; Heusel et
al. (arXiv 1706.08500) define FID by it. It is Keras's InceptionV3 but for the last block, which
takes the maximum where all others average, and for 1008 classes, 8 of them without a meaning. Its
weights are read from the port to PyTorch that pytorch-fid and torch-fidelity publish.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers

from ganvas.backbones.precision import full_precision

SIDE = 299
FEATURES = 2048
CLASSES = 1008

# Convolutions in the order in which Keras makes them, by the names that the port gives them.
STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
BLOCKS = (
    ("bcd", 5, "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool"),
    ("a", 6, "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3"),
    ("bcde", 6, "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool"),
    ("a", 7, "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4"),
    ("bc", 7, "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool"),
)


def build_inception(weights: dict[str, np.ndarray]) -> tuple[keras.Model, keras.Model]:
    """Build the network with its weights.

    Args:
        weights: The port's state dict.

    Returns:
        A network from images (N, 299, 299, 3), RGB in [0, 255], to features (N, 2048), 0 or
        more; and one from features to the probabilities of classes, (N, 1008). The latter leaves
        out the biases, as the Inception Score does since Salimans et al. (arXiv 1606.03498). Both
        are frozen: batch normalization uses its moving averages.

    Raises:
        ValueError: The weights aren't this network's.
    """
    with full_precision():
        original = keras.applications.InceptionV3(weights=None, classes=CLASSES)
        last_pool = _in_order(original, layers.AveragePooling2D)[-1]
        # The original graph's scale; some ports divide by 127.5.
        images = keras.Input((SIDE, SIDE, 3), name="images")
        changed = keras.models.clone_model(
            original, clone_function=lambda layer: _change(layer, layer is last_pool)
        )
        trunk = keras.Model(changed.input, changed.get_layer("avg_pool").output)
        network = keras.Model(
            images, trunk(layers.Rescaling(1 / 128, offset=-1)(images)), name="inception"
        )
        head = keras.Sequential(
            [layers.Dense(CLASSES, use_bias=False), layers.Softmax()], name="inception_head"
        )
        head.build((None, FEATURES))
    _load(trunk, head, dict(weights))
    network.trainable = head.trainable = False
    return network, head


def _change(layer: keras.Layer, last_pool: bool) -> keras.Layer:
    config = layer.get_config()
    if last_pool:
        return layers.MaxPooling2D.from_config(config)
    if isinstance(layer, layers.BatchNormalization):
        # The port has scales, though all are 1.
        config["scale"] = True
    return layer.__class__.from_config(config)


def _load(trunk: keras.Model, head: keras.Model, left: dict[str, np.ndarray]) -> None:
    convolutions = _in_order(trunk, layers.Conv2D)
    norms = _in_order(trunk, layers.BatchNormalization)
    try:
        for name, convolution, norm in zip(_names(), convolutions, norms, strict=True):
            # PyTorch's (out, in, H, W).
            convolution.set_weights([left.pop(f"{name}.conv.weight").transpose(2, 3, 1, 0)])
            parts = ("weight", "bias", "running_mean", "running_var")
            norm.set_weights([left.pop(f"{name}.bn.{part}") for part in parts])
        head.set_weights([left.pop("fc.weight").T])
    except KeyError as error:
        raise ValueError(f"inception lacks the weights {error}") from error
    strange = [each for each in left if not each.endswith((".num_batches_tracked", "fc.bias"))]
    if strange:
        raise ValueError(f"inception has no place for the weights {', '.join(strange)}")


def _names() -> Iterator[str]:
    yield from STEM
    for letters, number, branches in BLOCKS:
        for letter in letters:
            for branch in branches.split():
                yield f"Mixed_{number}{letter}.branch{branch}"


def _in_order(network: keras.Model, kind: type[keras.Layer]) -> list[keras.Layer]:
    """Give a network's layers of a kind in the order in which they were made.

    Keras numbers them in their names; the network itself lists them by depth.
    """
    found = [layer for layer in network.layers if isinstance(layer, kind)]
    return sorted(found, key=_number)


def _number(layer: keras.Layer) -> int:
    # The first of its kind in a process has none.
    end = layer.name.rpartition("_")[2]
    return int(end) if end.isdigit() else 0
