"""Starting from the weights of another run."""

import logging
from pathlib import Path

import keras

from ganvas.errors import GanvasError

logger = logging.getLogger(__name__)


def load_matching_weights(network: keras.Model, folder: Path) -> None:
    """Copy weights from a saved network, layer by layer where the shapes agree.

    Layers are matched in their order, so that a network of another size keeps what it can. Frozen
    ones are copied too, but not counted: some are the same in all runs.

    Args:
        network: Takes the weights.
        folder: Holds `<network's name>.keras`, a file or Kedro's folder of its versions.

    Raises:
        GanvasError: There is no such file, or no layer that learns fits.
    """
    file = _newest(folder / f"{network.name}.keras")
    other = keras.saving.load_model(file, compile=False, safe_mode=True)
    taken, layers = 0, _list_layers(network)
    for layer, theirs in zip(layers, _list_layers(other), strict=False):
        if [each.shape for each in layer.weights] == [each.shape for each in theirs.weights]:
            layer.set_weights(theirs.get_weights())
            taken += _learns(layer)
    if not taken:
        raise GanvasError(
            f"No layer of {file} fits the {network.name}: set train.weights_from to a run of the "
            "same network and widths."
        )
    count = sum(map(_learns, layers))
    logger.info("The %s starts from %d of %d layers of %s.", network.name, taken, count, file)


def _list_layers(network: keras.Model) -> list[keras.Layer]:
    """Give the layers that have weights, in the place of a network within it its own."""
    layers: list[keras.Layer] = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            layers += _list_layers(layer)
        elif layer.weights:
            layers.append(layer)
    return layers


def _learns(layer: keras.Layer) -> bool:
    return bool(layer.trainable_weights)


def _newest(file: Path) -> Path:
    versions = sorted(file.glob(f"*/{file.name}")) if file.is_dir() else [file]
    if not versions or not versions[-1].is_file():
        raise GanvasError(
            f"There is no {file}: train.weights_from must name a folder with generator.keras and "
            "discriminator.keras of another run, such as data/06_models/<dataset>/<network>."
        )
    return versions[-1]
