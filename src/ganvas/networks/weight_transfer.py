"""Initialize a network with the weights of another run."""

import logging
from pathlib import Path

import keras

from ganvas.errors import GanvasError
from ganvas.networks.latent_prior import remove_prior

logger = logging.getLogger(__name__)


def load_matching_weights(network: keras.Model, folder: Path) -> None:
    """Copy the weights of a saved network, layer by layer where the shapes match.

    Layers are matched by their order, so a network of another size takes what fits. Frozen layers
    are copied too, but not counted, since some are equal in all runs. A generator's latent prior is
    left out: it belongs to the images of its run.

    Args:
        network: The network whose weights are set.
        folder: Folder of `<network.name>.keras`, a file or Kedro's folder of its versions.

    Raises:
        GanvasError: There is no such file, or no trainable layer matches.

    Example:
        >>> networks = build_dcgan(DcganParams(), (64, 64, 3))
        >>> load_matching_weights(networks.generator, Path("data/06_models/celeba/dcgan"))
    """
    file = _newest(folder / f"{network.name}.keras")
    saved = remove_prior(keras.saving.load_model(file, compile=False, safe_mode=True))
    copied, layers = 0, _list_layers(network)
    for layer, source in zip(layers, _list_layers(saved), strict=False):
        if [w.shape for w in layer.weights] == [w.shape for w in source.weights]:
            layer.set_weights(source.get_weights())
            copied += bool(layer.trainable_weights)
    if not copied:
        raise GanvasError(
            f"No layer of {file} fits the {network.name}: set train.weights_from to a run of the "
            "same network and widths."
        )
    total = sum(bool(layer.trainable_weights) for layer in layers)
    logger.info("The %s starts from %d of %d layers of %s.", network.name, copied, total, file)


def _list_layers(network: keras.Model) -> list[keras.Layer]:
    """List the layers with weights, those of nested models included."""
    layers: list[keras.Layer] = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            layers += _list_layers(layer)
        elif layer.weights:
            layers.append(layer)
    return layers


def _newest(file: Path) -> Path:
    versions = sorted(file.glob(f"*/{file.name}")) if file.is_dir() else [file]
    if not versions or not versions[-1].is_file():
        raise GanvasError(
            f"There is no {file}: train.weights_from must be a folder with generator.keras and "
            "discriminator.keras of another run, such as data/06_models/<dataset>/<network>."
        )
    return versions[-1]
