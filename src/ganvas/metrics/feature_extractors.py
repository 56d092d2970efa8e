"""Feature extractors: the pretrained networks whose features FID-like metrics compare.

Values computed with different extractors can't be compared, so metrics are named after theirs.
"""

import hashlib
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from ganvas.arrays import Images
from ganvas.backbones.efficientnet import (
    FEATURES,
    SCALES,
    build_efficientnet,
    load_weights,
)
from ganvas.backbones.precision import dtype_policy
from ganvas.backbones.state_dict import read_state_dict
from ganvas.errors import GanvasError
from ganvas.metrics import inception_v3
from ganvas.metrics.extractor_names import INCEPTION_FILE, PACKAGED, check_extractor
from ganvas.metrics.transparency import for_extractor
from ganvas.progress import track

# Larger batches are no faster on a CPU; this one takes about 0.2 GiB.
BATCH = 16
THREADS = 2


@dataclass(frozen=True)
class FeatureExtractor:
    """A frozen network that maps images to feature vectors.

    Attributes:
        name: Suffix of the names of metrics computed with it.
        side: Height and width S of its input images.
        num_features: Length d of a feature vector.
        network: float32 images (N, S, S, 3), RGB in [0, 255], to float32 features (N, d).
        head: Features (N, d) to ImageNet class probabilities (N, C); None without a classifier.
    """

    name: str
    side: int
    num_features: int
    network: keras.Model
    head: keras.Model | None


def compute_features(
    extractor: FeatureExtractor, images: Images, description: str | None = None
) -> np.ndarray:
    """Compute the features of images, batch by batch.

    Images are resized as in clean-fid (Parmar et al., arXiv 2104.11222): PIL's bicubic filter with
    antialiasing, each channel in float32, clipped to [0, 255] and not rounded. Those that are no
    squares are stretched to one, as there. Gray and transparent ones become RGB before, see
    `ganvas.metrics.transparency`. An image's features don't depend on the other images.

    Args:
        extractor: The feature extractor.
        images: uint8 of shape (N, H, W, C), any H and W; may be memory-mapped.
        description: Text of a progress bar; None shows no bar.

    Returns:
        float32 of shape (N, d).

    Example:
        >>> extractor = load_extractor("efficientnet_lite0")
        >>> compute_features(extractor, np.zeros((2, 64, 64, 3), np.uint8)).shape
        (2, 1280)
    """

    def compute(start: int) -> np.ndarray:
        batch = for_extractor(np.asarray(images[start : start + BATCH]))
        # The last batch is padded: its sums are then rounded as those of the others.
        resized = np.zeros((BATCH, extractor.side, extractor.side, 3), np.float32)
        for position, image in enumerate(batch):
            resized[position] = resize(image, extractor.side)
        return np.asarray(extractor.network.predict_on_batch(resized)[: len(batch)])

    features = np.empty((len(images), extractor.num_features), np.float32)
    starts = range(0, len(images), BATCH)
    # Two batches at a time keep the cores busy: resizing and the network use one each at times.
    with ThreadPoolExecutor(THREADS) as pool:
        computed = pool.map(compute, starts)
        for start in track(starts, description) if description else starts:
            features[start : start + BATCH] = next(computed)
    return features


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Resize an image, uint8 (H, W, 3), to float32 (side, side, 3) in [0, 255].

    Example:
        >>> resize(np.full((4, 6, 3), 7, np.uint8), 2)[0, 0].tolist()
        [7.0, 7.0, 7.0]
    """
    channels = [
        Image.fromarray(image[..., channel].astype(np.float32)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    # The bicubic filter overshoots at edges.
    return np.stack([np.asarray(channel) for channel in channels], axis=-1).clip(0, 255)


@cache
def load_extractor(name: str, weights: str | None = None) -> FeatureExtractor:
    """Load a feature extractor with its weights, once per process.

    Args:
        name: `efficientnet_lite0`, `_lite1` or `_lite2`, with ImageNet weights from pip packages;
            `inception`, the network of FID, with its published weights from a file; the name of a
            network of keras.applications; or the path of a saved Keras model from images
            (N, S, S, 3), RGB in [0, 255], to features (N, d) or feature maps (N, h, w, d), which
            are averaged over h and w.
        weights: For `inception` the path of pt_inception-2015-12-05-6726825d.pth; for a network of
            keras.applications a weights file without the top, or None for ImageNet weights, which
            Keras downloads once.

    Returns:
        The extractor; a saved model's name ends with the first 8 digits of its file's SHA-256.

    Raises:
        GanvasError: The name is unknown, or its weights are missing, damaged or of another network.

    Example:
        >>> load_extractor("efficientnet_lite0").side
        224
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


def _load_packaged(name: str) -> FeatureExtractor:
    variant = PACKAGED[name]
    network = build_efficientnet(variant, load_weights(variant))
    features = keras.Input((FEATURES,), name="features")
    head = keras.Model(features, keras.ops.softmax(network.get_layer("fc")(features)))
    network = keras.Model(network.input, network.output["features"], name=name)
    return FeatureExtractor(name, SCALES[variant].side, FEATURES, network, head)


def _load_inception(weights: str | None) -> FeatureExtractor:
    path = Path(weights or INCEPTION_FILE).expanduser()
    if not path.is_file():
        raise GanvasError(
            f"The extractor 'inception' needs the weights of 2015-12-05, and '{path}' is no file: "
            f"download {INCEPTION_FILE}, which pytorch-fid publishes, and name it in "
            "evaluate.weights."
        )
    digest = _sha256(path)
    # By PyTorch's convention a file's name ends with the beginning of its hash. The metrics of any
    # other network must not be called FID.
    if not digest.startswith(INCEPTION_FILE.rpartition("-")[2].removesuffix(".pth")):
        raise GanvasError(
            f"'{path}' is not {INCEPTION_FILE} as pytorch-fid publishes it (its SHA-256 begins "
            f"with {digest[:8]}): download it again."
        )
    network, head = inception_v3.build_inception(read_state_dict(path))
    return FeatureExtractor("inception", inception_v3.SIDE, inception_v3.FEATURES, network, head)


def _load_application(name: str, weights: str | None) -> FeatureExtractor:
    build = getattr(keras.applications, name)
    preprocess = sys.modules[build.__module__].preprocess_input
    try:
        with dtype_policy("float32"):
            # Built without weights, the model has its default input size.
            side = build(weights=None).input_shape[1]
            backbone = build(
                include_top=False,
                weights=str(Path(weights).expanduser()) if weights else "imagenet",
                pooling="avg",
                input_shape=(side, side, 3),
            )
            images = keras.Input((side, side, 3), name="images")
            network = keras.Model(images, backbone(preprocess(images)), name=name)
    # Keras raises bare exceptions where a download fails.
    except Exception as error:
        action = f"read from '{weights}'" if weights else "downloaded"
        raise GanvasError(
            f"The weights of {name} can't be {action} ({error}): name a file of its weights "
            "without the top in evaluate.weights, or choose efficientnet_lite2."
        ) from error
    network.trainable = False
    return FeatureExtractor(name, side, network.output_shape[-1], network, None)


def _load_saved(name: str) -> FeatureExtractor:
    path = Path(name).expanduser()
    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise GanvasError(f"The extractor '{path}' can't be loaded: {error}") from error
    shapes = [tuple(tensor.shape) for tensor in (*network.inputs, *network.outputs)]
    if len(shapes) == 2 and len(shapes[1]) == 4:
        pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(network.output)
        network = keras.Model(network.input, pooled)
        shapes[1] = pooled.shape
    sides = set(shapes[0][1:3])
    if not (len(shapes) == 2 and len(shapes[0]) == 4 and len(shapes[1]) == 2) or (
        shapes[0][3] != 3 or len(sides) != 1 or None in sides
    ):
        raise GanvasError(
            f"The extractor '{path}' maps {shapes[0]} to {', '.join(map(str, shapes[1:]))}, but an "
            "extractor must map images (N, S, S, 3) to features (N, d) or feature maps "
            "(N, h, w, d): save a part of the network that does."
        )
    network.trainable = False
    # The file's name alone could be that of another extractor, such as FID's.
    unique_name = f"{path.stem}-{_sha256(path)[:8]}"
    return FeatureExtractor(unique_name, sides.pop(), shapes[1][1], network, None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
