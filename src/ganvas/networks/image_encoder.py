"""An image encoder: a linear map from an image's backbone features to its latent.

The features are those of a frozen pretrained network, see `ganvas.backbones.efficientnet`, and
colors, each averaged over a coarse grid. For generators with anchors they are what the anchors were
computed from, see `ganvas.training.latent_anchoring`, so the encoder is exact. For others the map
is fitted, see `ganvas.latents.fit_encoder`.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import numpy as np

from ganvas.arrays import Images
from ganvas.keras_types import Model
from ganvas.networks.batches import pad_rows, to_float
from ganvas.networks.config import ProjectedParams

# Sides of the grids that feature maps and colors are averaged over; of rectangles, the sides of
# square grids with about as many cells.
FEATURE_GRID, COLOR_GRID = 4, 8
# Images that are encoded at once, and their pixels at most. Always as many, so that the code of an
# image doesn't depend on the others.
BATCH, BATCH_PIXELS = 16, 16 * 256**2
# Names of backbones as parameters have them, and the variants that they are.
BACKBONES = get_args(ProjectedParams.model_fields["backbone"].annotation)
# Backbones that stay in memory.
MAX_LOADED = 4


class FeatureProjection(NamedTuple):
    """A linear map from pooled features, in blocks, to latents.

    Attributes:
        means: Mean of each feature, float32 of shape (D,).
        scales: Size of each block, by which its features are divided, float32 of shape (B,).
        counts: Number of features of each block, int of shape (B,).
        matrix: Map from standardized features, float32 of shape (D, Z).
        offset: float32 of shape (Z,).
    """

    means: np.ndarray
    scales: np.ndarray
    counts: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray

    def project(self, features: np.ndarray) -> np.ndarray:
        """Map features (N, D) to latents, float32 of shape (N, Z)."""
        standardized = (features - self.means) / np.repeat(self.scales, self.counts)
        return (standardized @ self.matrix + self.offset).astype(np.float32)


class ImageEncoder(NamedTuple):
    """What finds the latents of images, as plain values and arrays.

    Attributes:
        backbone: Name of the backbone, one of `BACKBONES`.
        input_upscale: Factor of both sides of the images for the backbone.
        image_shape: (H, W, C) of the images.
        w_shape: Shape of an image's w, see `ganvas.networks.latent_spaces.w_shape`; if that is
            (L, W), all layers have the same style.
        projection: Map from pooled features to w.
    """

    backbone: str
    input_upscale: float
    image_shape: tuple[int, int, int]
    w_shape: tuple[int, ...]
    projection: FeatureProjection


def encode(encoder: ImageEncoder, images: Images) -> np.ndarray:
    """Find the latents of images.

    Args:
        encoder: The encoder of a generator.
        images: uint8 of shape (N, H, W, C), with the encoder's image shape.

    Returns:
        Latents w, float32 of shape (N, *w_shape). That of an image doesn't depend on the others.

    Example:
        >>> w = encode(from_arrays(read_arrays(Path("encoder.npz"))), images)
        >>> generate_from_w(generator, w).shape == images.shape
        True
    """
    count = encoder.projection.matrix.shape[1]
    codes = np.empty((len(images), count), np.float32)
    backbone = load_backbone(encoder.backbone, encoder.image_shape, encoder.input_upscale)
    size = encoding_batch(encoder.image_shape)
    for start in range(0, len(images), size):
        batch = np.asarray(images[start : start + size])
        features = np.concatenate(pool_features(backbone, pad_rows(batch, size)), axis=1)
        codes[start : start + size] = encoder.projection.project(features)[: len(batch)]
    # Latents of generators have more values than features of few images have components.
    w = np.zeros((len(images), encoder.w_shape[-1]), np.float32)
    w[:, :count] = codes
    if len(encoder.w_shape) == 2:
        return np.repeat(w[:, None], encoder.w_shape[0], axis=1)
    return w


def encoding_batch(image_shape: tuple[int, ...]) -> int:
    """Return how many images of a shape (H, W, C) are encoded at once."""
    return min(BATCH, max(1, BATCH_PIXELS // math.prod(image_shape[:2])))


@lru_cache(maxsize=MAX_LOADED)
def load_backbone(name: str, image_shape: tuple[int, int, int], input_upscale: float) -> Model:
    """Return a frozen backbone from images in [-1, 1] to a list of them and its feature maps.

    Raises:
        GanvasError: Its weights aren't installed.
    """
    # Keras takes seconds to import.
    import keras

    from ganvas.backbones.efficientnet import build_pyramid
    from ganvas.backbones.precision import dtype_policy

    variant: Any = name.removeprefix("efficientnet_")
    with dtype_policy("float32"):
        pyramid = build_pyramid(variant, image_shape, input_upscale)
    return keras.Model(pyramid.input, [pyramid.input, *pyramid.outputs])


def pool_features(backbone: Model, images: np.ndarray) -> list[np.ndarray]:
    """Average feature maps and colors of images over grids.

    Args:
        backbone: From images in [-1, 1] to a list of the images and its feature maps.
        images: uint8 of shape (n, H, W, C).

    Returns:
        Blocks, float32 of shape (n, values): one for each feature map, then that of the colors.
    """
    batch = to_float(images)
    maps = backbone.predict_on_batch(batch)[1:]
    # Averages over many pixels would lose precision in half precision.
    pooled = [average_over_grid(x.astype(np.float32), FEATURE_GRID) for x in maps]
    pooled.append(average_over_grid(batch, COLOR_GRID))
    return [np.asarray(x).reshape(len(x), -1) for x in pooled]


def average_over_grid(maps: Any, grid: int) -> Any:
    """Average (N, H, W, C) over square cells, about `grid`² of them; coarser maps stay unchanged.

    Where cells don't divide a side, those at its ends are smaller.
    """
    from keras import ops

    maps = ops.convert_to_tensor(maps)
    cell = math.isqrt(maps.shape[1] * maps.shape[2]) // grid
    return ops.average_pool(maps, cell, padding="same") if cell > 1 else maps


def to_arrays(encoder: ImageEncoder) -> dict[str, np.ndarray]:
    """Return an encoder as arrays to save, the large matrix in half precision.

    Example:
        >>> write_arrays(Path("encoder.npz"), to_arrays(encoder))
    """
    return {
        "backbone": np.array(encoder.backbone),
        "input_upscale": np.array(float(encoder.input_upscale)),
        "image_shape": np.array(encoder.image_shape),
        "w_shape": np.array(encoder.w_shape),
        **encoder.projection._asdict(),
        # Rounding changes a code by less than a thousandth of its deviation.
        "matrix": encoder.projection.matrix.astype(np.float16),
    }


def from_arrays(arrays: dict[str, np.ndarray]) -> ImageEncoder:
    """Return the encoder that `to_arrays` has made arrays of.

    Raises:
        ValueError: They are no encoder.
    """
    try:
        encoder = ImageEncoder(
            str(arrays["backbone"]),
            float(arrays["input_upscale"]),
            tuple(arrays["image_shape"].tolist()),
            tuple(arrays["w_shape"].tolist()),
            FeatureProjection(
                arrays["means"].astype(np.float32),
                arrays["scales"].astype(np.float32),
                arrays["counts"].astype(int),
                arrays["matrix"].astype(np.float32),
                arrays["offset"].astype(np.float32),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the arrays are no encoder: {error}") from error
    _check(encoder)
    return encoder


def _check(encoder: ImageEncoder) -> None:
    means, scales, counts, matrix, offset = encoder.projection
    fits = (
        encoder.backbone in BACKBONES
        and len(encoder.image_shape) == 3
        and len(encoder.w_shape) in (1, 2)
        and matrix.ndim == 2
        and means.shape == matrix.shape[:1]
        and offset.shape == matrix.shape[1:]
        and matrix.shape[1] <= encoder.w_shape[-1]
        and scales.shape == counts.shape
        and counts.sum() == len(means)
    )
    if not fits:
        raise ValueError("the arrays are no encoder: their shapes don't fit together")
    numbers = (means, scales, matrix, offset, np.array(encoder.input_upscale))
    if not all(np.isfinite(x).all() for x in numbers):
        raise ValueError("the arrays are no encoder: they have values that are no numbers")
    if not (scales > 0).all() or encoder.input_upscale <= 0:
        raise ValueError("the arrays are no encoder: a scale is not above 0")
