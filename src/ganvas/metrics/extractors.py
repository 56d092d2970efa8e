"""The networks whose features judge images, by name."""

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import keras

from ganvas.backbones.efficientnet import (
    FEATURES,
    SCALES,
    Variant,
    build_efficientnet,
    load_weights,
)
from ganvas.backbones.precision import full_precision
from ganvas.backbones.state_dict import read_state_dict
from ganvas.errors import GanvasError
from ganvas.metrics.features import Extractor
from ganvas.metrics.inception_v3 import FEATURES as INCEPTION_FEATURES
from ganvas.metrics.inception_v3 import SIDE as INCEPTION_SIDE
from ganvas.metrics.inception_v3 import build_inception

# Their weights come as packages, so nothing is fetched while a run is under way.
PACKAGED: dict[str, Variant] = {"efficientnet_lite0": "lite0", "efficientnet_lite2": "lite2"}
APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    name: build for name, build in vars(keras.applications).items() if name[0].isupper()
}
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"


def check_extractor(name: str) -> str:
    """Give the name of an extractor back.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in {*PACKAGED, "inception", *APPLICATIONS} and not name.endswith(".keras"):
        raise ValueError(
            f"allowed are {', '.join(PACKAGED)}, inception (of FID), a network of "
            "keras.applications, such as InceptionV3, and the path of a saved network, that ends "
            "in .keras"
        )
    return name


def metric_names(extractor: str) -> tuple[str, str, str]:
    """Give the names of the Fréchet distance, the kernel distance and the class score.

    Only the network of 2015-12-05 gives what papers call FID, KID and Inception Score.

    Args:
        extractor: Name of an `Extractor`.
    """
    if extractor == "inception":
        return "FID", "KID", "Inception Score"
    if extractor == "InceptionV3":
        return "FID-keras", "KID-keras", "IS-keras"
    return f"FD-{extractor}", f"KD-{extractor}", f"IS-{extractor}"


@cache
def load_extractor(name: str, weights: str | None = None) -> Extractor:
    """Load an extractor with its weights, once a process.

    Args:
        name: `efficientnet_lite0` or `efficientnet_lite2`, trained on ImageNet, from packages;
            `inception`, with its published weights from a file; a network of keras.applications by
            its name; or the path of a saved network, from images (N, S, S, 3), RGB in [0, 255],
            to features (N, d) or maps of them (N, h, w, d), which are averaged.
        weights: Of `inception`, the file pt_inception-2015-12-05-6726825d.pth; of a network of
            keras.applications, a file of weights without the top, None: ImageNet's, which Keras
            downloads once.

    Returns:
        Named as here; a saved network also by the beginning of its file's SHA-256.

    Raises:
        GanvasError: There is no such extractor, its weights aren't there, or they are others.
    """
    try:
        check_extractor(name)
    except ValueError as error:
        raise GanvasError(f"There is no extractor '{name}': {error}.") from error
    if name in PACKAGED:
        return _load_packaged(name)
    if name == "inception":
        return _load_inception(weights)
    return _load_saved(name) if name.endswith(".keras") else _load_application(name, weights)


def _load_packaged(name: str) -> Extractor:
    variant = PACKAGED[name]
    network = build_efficientnet(variant, load_weights(variant))
    features = keras.Input((FEATURES,), name="features")
    head = keras.Model(features, keras.ops.softmax(network.get_layer("fc")(features)))
    network = keras.Model(network.input, network.output["features"], name=name)
    return Extractor(name, SCALES[variant].side, FEATURES, network, head)


def _load_inception(weights: str | None) -> Extractor:
    path = Path(weights or INCEPTION_FILE).expanduser()
    if not path.is_file():
        raise GanvasError(
            f"The extractor 'inception' needs the weights of 2015-12-05, and '{path}' is no file: "
            f"download {INCEPTION_FILE}, which pytorch-fid publishes, and name it in "
            "evaluate.weights."
        )
    digest = _digest(path)
    # PyTorch's way to name files: their hash begins with what their name ends with. Figures of
    # any other network must not be called FID.
    if not digest.startswith(INCEPTION_FILE.rpartition("-")[2].removesuffix(".pth")):
        raise GanvasError(
            f"'{path}' is not {INCEPTION_FILE} as pytorch-fid publishes it (its SHA-256 begins "
            f"with {digest[:8]}): download it again."
        )
    network, head = build_inception(read_state_dict(path))
    return Extractor("inception", INCEPTION_SIDE, INCEPTION_FEATURES, network, head)


def _load_application(name: str, weights: str | None) -> Extractor:
    build = APPLICATIONS[name]
    preprocess = sys.modules[build.__module__].preprocess_input
    try:
        with full_precision():
            # Built without weights it tells the side that it was made for.
            side = build(weights=None).input_shape[1]
            trunk = build(
                include_top=False,
                weights=str(Path(weights).expanduser()) if weights else "imagenet",
                pooling="avg",
                input_shape=(side, side, 3),
            )
            images = keras.Input((side, side, 3), name="images")
            network = keras.Model(images, trunk(preprocess(images)), name=name)
    # Keras raises bare exceptions where a download fails.
    except Exception as error:
        where = f"read from '{weights}'" if weights else "downloaded"
        raise GanvasError(
            f"The weights of {name} can't be {where} ({error}): name a file of its weights "
            "without the top in evaluate.weights, or choose efficientnet_lite2."
        ) from error
    network.trainable = False
    return Extractor(name, side, network.output_shape[-1], network, None)


def _load_saved(name: str) -> Extractor:
    path = Path(name).expanduser()
    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        raise GanvasError(f"The extractor '{path}' can't be loaded: {error}") from error
    shapes = [tuple(each.shape) for each in (*network.inputs, *network.outputs)]
    if len(shapes) == 2 and len(shapes[1]) == 4:
        pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(network.output)
        network = keras.Model(network.input, pooled)
        shapes[1] = pooled.shape
    sides = set(shapes[0][1:3])
    if not (len(shapes) == 2 and len(shapes[0]) == 4 and len(shapes[1]) == 2) or (
        shapes[0][3] != 3 or len(sides) != 1 or None in sides
    ):
        raise GanvasError(
            f"The extractor '{path}' goes from {shapes[0]} to {', '.join(map(str, shapes[1:]))}, "
            "but features take one network from images (N, S, S, 3) to features (N, d) or maps "
            "of them: save a part of it that does."
        )
    network.trainable = False
    # By its name alone it could be taken for another one, such as that of FID.
    told = f"{path.stem}-{_digest(path)[:8]}"
    return Extractor(told, sides.pop(), shapes[1][1], network, None)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
