"""Properties of images by formula, such as brightness, for collections without labels.

Gray and transparent images are measured as feature extractors see them, see
`ganvas.metrics.transparency`.
"""

from collections.abc import Callable

import numpy as np

from ganvas.arrays import Images, limit_count
from ganvas.metrics.transparency import for_extractor

# Of ITU-R BT.601: the brightness of red, green and blue.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Images that are measured at once, fewer of large ones.
BATCH = 64


def measure_images(images: Images, name: str) -> np.ndarray:
    """Measure a property of images.

    Args:
        images: uint8 of shape (N, H, W, C).
        name: One of `MEASURES`, whose docstrings have the formulas.

    Returns:
        float64 of shape (N,).

    Example:
        >>> white = np.full((1, 8, 8, 3), 255, np.uint8)
        >>> measure_images(white, "brightness").round(3).tolist()
        [1.0]
    """
    values = np.empty(len(images))
    step = limit_count(BATCH, images.shape[1:])
    for start in range(0, len(images), step):
        rows = slice(start, start + step)
        rgb = for_extractor(np.asarray(images[rows])).astype(np.float32) / 255
        values[rows] = MEASURES[name](rgb)
    return values


def brightness(rgb: np.ndarray) -> np.ndarray:
    """Mean luma, 0 (black) to 1 (white)."""
    return _luma(rgb).mean(axis=(1, 2))


def contrast(rgb: np.ndarray) -> np.ndarray:
    """Standard deviation of luma within the image, 0 to 0.5."""
    return _luma(rgb).std(axis=(1, 2))


def saturation(rgb: np.ndarray) -> np.ndarray:
    """Mean difference of the largest and the smallest of red, green and blue, 0 to 1."""
    return (rgb.max(axis=3) - rgb.min(axis=3)).mean(axis=(1, 2))


def colorfulness(rgb: np.ndarray) -> np.ndarray:
    """Hasler and Süsstrunk's M3 (Human Vision and Electronic Imaging, 2003), of values 0 to 1."""
    red, green, blue = np.moveaxis(rgb, 3, 0)
    opponents = [(red - green).reshape(len(rgb), -1), ((red + green) / 2 - blue)]
    opponents = [x.reshape(len(rgb), -1) for x in opponents]
    deviation = np.sqrt(sum(x.var(axis=1) for x in opponents))
    mean = np.sqrt(sum(np.square(x.mean(axis=1)) for x in opponents))
    return deviation + 0.3 * mean


def warmth(rgb: np.ndarray) -> np.ndarray:
    """Mean of red minus blue, -1 (blue) to 1 (red, orange)."""
    return (rgb[..., 0] - rgb[..., 2]).mean(axis=(1, 2))


def greenness(rgb: np.ndarray) -> np.ndarray:
    """Mean of green minus the mean of red and blue, -1 (magenta) to 1 (green)."""
    return (rgb[..., 1] - (rgb[..., 0] + rgb[..., 2]) / 2).mean(axis=(1, 2))


def sharpness(rgb: np.ndarray) -> np.ndarray:
    """Mean size of the Laplacian of luma, of the four neighbors of inner pixels."""
    luma = _luma(rgb)
    inner = luma[:, 1:-1, 1:-1]
    neighbors = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    return np.abs(neighbors - 4 * inner).mean(axis=(1, 2))


def right_brightness(rgb: np.ndarray) -> np.ndarray:
    """Mean luma of the right half minus that of the left half."""
    luma, half = _luma(rgb), rgb.shape[2] // 2
    return luma[:, :, -half:].mean(axis=(1, 2)) - luma[:, :, :half].mean(axis=(1, 2))


def top_brightness(rgb: np.ndarray) -> np.ndarray:
    """Mean luma of the upper half minus that of the lower half."""
    luma, half = _luma(rgb), rgb.shape[1] // 2
    return luma[:, :half].mean(axis=(1, 2)) - luma[:, -half:].mean(axis=(1, 2))


def center_brightness(rgb: np.ndarray) -> np.ndarray:
    """Mean luma of the center, half as high and wide as the image, minus that of the rest."""
    luma = _luma(rgb)
    is_center = np.zeros(luma.shape[1:], bool)
    top, left = luma.shape[1] // 4, luma.shape[2] // 4
    is_center[top : luma.shape[1] - top, left : luma.shape[2] - left] = True
    return luma[:, is_center].mean(axis=1) - luma[:, ~is_center].mean(axis=1)


def symmetry(rgb: np.ndarray) -> np.ndarray:
    """One minus the mean difference from the mirror image, left and right exchanged, 0 to 1."""
    return 1 - np.abs(rgb - rgb[:, :, ::-1]).mean(axis=(1, 2, 3))


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    measure.__name__: measure
    for measure in (
        brightness,
        contrast,
        saturation,
        colorfulness,
        warmth,
        greenness,
        sharpness,
        right_brightness,
        top_brightness,
        center_brightness,
        symmetry,
    )
}


def _luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ LUMA
