"""ADA's image-space filtering: four frequency bands are amplified (arXiv 2006.06676, appendix B).

The bands are those of a wavelet packet of sym2, an octave each. The filter of an image is the sum
of the bands' filters with the image's gains, applied along rows and columns. Filters are matrices
here that also reflect the image at its borders, as in `ada_geometry.py`.
"""

import functools

import keras
import numpy as np
from keras import KerasTensor, ops

from ganvas.training.ada_draws import draw_normal, draw_uniform, keep_with, power_of_2
from ganvas.training.augmentation import ALPHA, RGBA

# Low-pass filter of the wavelet sym2 (Daubechies, Ten Lectures on Wavelets, table 6.1).
SYM2 = np.array([1 - 3**0.5, 3 - 3**0.5, 3 + 3**0.5, 1 + 3**0.5]) / (4 * 2**0.5)
BANDS = 4
GAIN_STD = 1.0
# Share of the bands in the power of natural images, whose spectrum is 1/f.
EXPECTED_POWER = np.array([10, 1, 1, 1]) / 13


def draw_band_gains(
    count: int | KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Draw the amplitudes' factors of the four bands, from low to high; 1 is neutral.

    Each band is amplified with the probability. After each, all are divided so that the power of a
    natural image stays the same.

    Args:
        count: N.
        probability: Probability of each amplification.
        seed: Source of the random numbers.

    Returns:
        (N, 4), float32.
    """
    coins, normal = draw_uniform(count, BANDS, seed), draw_normal(count, BANDS, seed)
    factors = keep_with(coins, probability, power_of_2(normal * GAIN_STD), 1.0)
    return combine_gains(factors)


def combine_gains(factors: KerasTensor) -> KerasTensor:
    """Return the gains of all bands after each has been amplified and the power normalized.

    Args:
        factors: Amplification of each band alone, (N, 4).
    """
    power = ops.convert_to_tensor(EXPECTED_POWER, "float32")
    # Of all powers, that of the amplified band alone changes.
    total = 1 + power * (ops.square(factors) - 1)
    return factors / ops.sqrt(ops.prod(total, axis=-1, keepdims=True))


def filter_bands(images: KerasTensor, gains: KerasTensor) -> KerasTensor:
    """Amplify frequency bands.

    Args:
        images: (N, H, W, C), float32. Alpha stays as it is.
        gains: Factors of the bands, (N, 4).
    """
    if images.shape[-1] == RGBA:
        filtered = filter_bands(images[..., :ALPHA], gains)
        return ops.concatenate([filtered, images[..., ALPHA:]], axis=-1)
    height, width, channels = images.shape[1:]
    rows, columns = (
        ops.reshape(
            ops.matmul(gains, ops.convert_to_tensor(band_matrices(side).reshape(BANDS, -1))),
            (-1, side, side),
        )
        for side in (height, width)
    )
    filtered = ops.matmul(rows, ops.reshape(images, (-1, height, width * channels)))
    filtered = ops.transpose(ops.reshape(filtered, (-1, height, width, channels)), (0, 2, 1, 3))
    filtered = ops.matmul(columns, ops.reshape(filtered, (-1, width, height * channels)))
    return ops.transpose(ops.reshape(filtered, (-1, width, height, channels)), (0, 2, 1, 3))


@functools.lru_cache(maxsize=16)
def band_matrices(side: int) -> np.ndarray:
    """Return the filters of all bands along an axis of S pixels, reflected, as (4, S, S)."""
    filters = band_filters()
    reach = filters.shape[1] // 2
    reflect = np.pad(np.eye(side), ((reach, reach), (0, 0)), "reflect")
    windows = np.stack([reflect[tap : tap + side] for tap in range(filters.shape[1])])
    return np.tensordot(filters, windows, 1).astype(np.float32)


@functools.lru_cache(maxsize=1)
def band_filters() -> np.ndarray:
    """Return the impulse responses of the bands, from low to high, as (4, 43); their sum is 1.

    All are symmetric, since each filter is applied forwards and backwards.
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    # Every other sign makes a high-pass filter of a low-pass filter.
    high = low * (-1.0) ** np.arange(len(low)) * -1
    bands = [np.ones(1)]
    for _ in range(BANDS - 1):
        # An octave lower: zeros between the taps, and the low-pass filter over their images.
        bands = [np.convolve(_spread(band), low) for band in bands]
        missing = (len(bands[0]) - len(high)) // 2
        bands.append(np.pad(high, missing))
    return np.stack(bands)


def _spread(taps: np.ndarray) -> np.ndarray:
    spread = np.zeros(2 * len(taps) - 1)
    spread[::2] = taps
    return spread
