"""Features of images: what a trained network sees in them, for figures that compare sets.

Figures made with different extractors can't be compared; name them after their extractor.
"""

from dataclasses import dataclass

import keras
import numpy as np
from PIL import Image

from ganvas.progress import track

# On a processor larger batches are no faster; this one takes about 0.2 GiB.
BATCH = 16


@dataclass(frozen=True)
class Extractor:
    """A network that turns images into features.

    Attributes:
        name: What figures are named after.
        side: The side S of the images it takes.
        length: How many features it gives, d.
        network: float32 images (N, S, S, 3) in [0, 255] to float32 features (N, d).
        head: Features (N, d) to the probabilities of ImageNet's classes, (N, C); None: it tells
            none.
    """

    name: str
    side: int
    length: int
    network: keras.Model
    head: keras.Model | None


def extract(extractor: Extractor, images: np.ndarray, description: str | None = None) -> np.ndarray:
    """Compute images' features, batch by batch.

    Images are resized as clean-fid does (Parmar et al., arXiv 2104.11222): PIL's bicubic filter
    with antialiasing, each channel in float32, clipped to [0, 255] and not rounded. An image's
    features don't depend on the others in the array.

    Args:
        extractor: Which network looks.
        images: uint8 of shape (N, H, W, 3), any H and W; may be memory-mapped.
        description: What the progress bar says; without it there is none.

    Returns:
        float32 of shape (N, d).
    """
    features = np.empty((len(images), extractor.length), np.float32)
    starts = range(0, len(images), BATCH)
    for start in track(starts, description) if description else starts:
        batch = images[start : start + BATCH]
        # Always whole batches, so that the last one is computed as the others are.
        resized = np.zeros((BATCH, extractor.side, extractor.side, 3), np.float32)
        for position, image in enumerate(batch):
            resized[position] = resize(image, extractor.side)
        computed = extractor.network.predict_on_batch(resized)
        features[start : start + BATCH] = computed[: len(batch)]
    return features


def resize(image: np.ndarray, side: int) -> np.ndarray:
    """Resize one image, uint8 (H, W, 3), to float32 (side, side, 3) in [0, 255]."""
    channels = [
        Image.fromarray(image[..., channel].astype(np.float32)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for channel in range(3)
    ]
    # The bicubic filter overshoots at edges.
    return np.stack([np.asarray(channel) for channel in channels], axis=-1).clip(0, 255)
