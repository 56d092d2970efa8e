"""Initialize a network with the weights of another run."""

import logging
import zipfile
from pathlib import Path

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.model_versions import newest_version
from ganvas.networks.gan_networks import remove_prior
from ganvas.networks.stylegan2_transfer import copy_named_weights, has_named_weights

logger = logging.getLogger(__name__)


def load_matching_weights(network: keras.Model, folder: Path) -> None:
    """Copy the weights of a saved network, layer by layer where kind and shapes match.

    Layers are matched in their order, but for StyleGAN2, whose layers have names, see
    `ganvas.networks.stylegan2_transfer`. A network of another size or with classes has more or
    fewer layers: then as many as possible are matched, see `match_layers`. What is taken and what
    starts anew is logged. Frozen layers are copied too, but not counted. Left out are a
    discriminator's backbone, whose pretrained weights are those of its name, and a generator's
    latent prior, which belongs to the images of its run.

    Args:
        network: The network whose weights are set.
        folder: Folder of `<network.name>.keras`, a file or Kedro's folder of its versions; or the
            folder of one version, `<folder>/generator.keras/<version>`. The path of either network
            within such a folder stands for the folder.

    Raises:
        GanvasError: There is no such file, or no trainable layer matches.

    Example:
        >>> networks = build_dcgan(DcganParams(), (64, 64, 3))
        >>> load_matching_weights(networks.generator, Path("data/06_models/celeba/dcgan"))
    """
    file = _find_file(folder, f"{network.name}.keras")
    try:
        saved = remove_prior(keras.saving.load_model(file, compile=False, safe_mode=True))
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise GanvasError(
            f"{file} can't be read ({str(error)[:200]}): it may be cut off by a full disk or an "
            "incomplete copy. Copy it again, or set train.weights_from to another run."
        ) from error
    copy_matching_weights(network, saved, str(file))


def copy_matching_weights(network: keras.Model, saved: keras.Model, where: str) -> None:
    """Copy the weights of another network in memory, as `load_matching_weights` does.

    Args:
        network: The network whose weights are set.
        saved: The other one.
        where: Where it comes from, for messages.

    Raises:
        GanvasError: No trainable layer matches.
    """
    if has_named_weights(network) and has_named_weights(saved):
        copy_named_weights(network, saved, where)
        return
    layers, sources = _list_layers(network), _list_layers(saved)
    taken = set()
    for position, source in match_layers(layers, sources):
        if _copy_weights(layers[position], sources[source]):
            taken.add(position)
    trainable = [i for i, layer in enumerate(layers) if layer.trainable_weights]
    if not taken:
        raise GanvasError(
            f"No layer of {where} fits the {network.name}: set train.weights_from to a run of the "
            "same network.name that has some of its widths."
        )
    logger.info(
        "The %s starts from %d of %d layers of %s.", network.name, len(taken), len(trainable), where
    )
    if len(taken) < len(trainable):
        for what, chosen in (
            ("Taken", [layers[i] for i in trainable if i in taken]),
            ("Starting anew", [layers[i] for i in trainable if i not in taken]),
        ):
            logger.info("%s: %s.", what, ", ".join(map(_describe_layer, chosen)))


def match_layers(layers: list[keras.Layer], sources: list[keras.Layer]) -> list[tuple[int, int]]:
    """Match layers that have the same role in two networks.

    In networks with equally many layers, those in the same position. In others the longest common
    subsequence of layers of the same kind and shapes: with twice as many pixels, a network has
    another stage, and with classes, embeddings between its layers. Batch norms match by their
    channels, since those with classes have no scale and offset of their own.

    Args:
        layers: Layers of the network whose weights are set, in their order.
        sources: Layers of the other network.

    Returns:
        Positions in both lists, ascending.
    """
    if len(layers) == len(sources):
        aligned = enumerate(zip(layers, sources, strict=True))
        return [(i, i) for i, (a, b) in aligned if _shapes(a) == _shapes(b)]
    ours, theirs = [_role(layer) for layer in layers], [_role(layer) for layer in sources]
    # Matches from i and j on; of as many, those in the same position come first.
    best = np.zeros((len(ours) + 1, len(theirs) + 1, 2), int)
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            options = [tuple(best[i + 1, j]), tuple(best[i, j + 1])]
            if ours[i] == theirs[j]:
                count, same = best[i + 1, j + 1]
                options.append((count + 1, same + (i == j)))
            best[i, j] = max(options)
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        count, same = best[i + 1, j + 1]
        if ours[i] == theirs[j] and tuple(best[i, j]) == (count + 1, same + (i == j)):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif tuple(best[i + 1, j]) == tuple(best[i, j]):
            i += 1
        else:
            j += 1
    return pairs


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _role(layer: keras.Layer) -> tuple[object, ...]:
    """Return what two layers must have in common to have the same role."""
    inner = layer.layer if isinstance(layer, keras.layers.Wrapper) else layer
    if isinstance(layer, keras.layers.BatchNormalization):
        return type(layer), layer.weights[0].shape[-1]
    return type(layer), type(inner), *_shapes(layer)


def _copy_weights(layer: keras.Layer, source: keras.Layer) -> bool:
    """Copy all weights, or those of the same name; return whether some of them are trainable."""
    if _shapes(layer) == _shapes(source):
        layer.set_weights(source.get_weights())
        return bool(layer.trainable_weights)
    values = {weight.name: weight for weight in source.weights}
    shared = [weight for weight in layer.weights if weight.name in values]
    for weight in shared:
        weight.assign(values[weight.name])
    return any(weight.trainable for weight in shared)


def _describe_layer(layer: keras.Layer) -> str:
    shape = max((weight.shape for weight in layer.trainable_weights), key=np.prod)
    return f"{layer.name} ({'×'.join(map(str, shape))})"


def _list_layers(network: keras.Model) -> list[keras.Layer]:
    """List the layers with weights, those of nested models included, but for the backbone."""
    layers: list[keras.Layer] = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            layers += _list_layers(layer) if layer.name != "backbone" else []
        elif layer.weights:
            layers.append(layer)
    return layers


def _find_file(folder: Path, name: str) -> Path:
    """Return the file of a network in a folder of models: of a given version, or the newest."""
    if folder.name in ("generator.keras", "discriminator.keras"):
        # The file itself, as runs log it, or Kedro's folder of its versions.
        folder = folder.parent
    file = folder / name
    if folder.parent.suffix == ".keras":
        # Kedro's folder of one version, of either network.
        file = folder.parent.with_name(name) / folder.name / name
    if file.is_file():
        return file
    versions = {path.parent.name: path for path in file.glob(f"*/{file.name}") if path.is_file()}
    if not versions:
        raise GanvasError(
            f"There is no {file}: train.weights_from must be a folder with generator.keras and "
            "discriminator.keras of another run, such as data/06_models/<dataset>/<network>, or a "
            "folder of its checkpoints, data/06_models/<dataset>/<network>/checkpoints/<run>."
        )
    return versions[newest_version(file, versions)]
