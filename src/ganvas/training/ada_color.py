"""ADA's color transforms, as one affine map of colors (arXiv 2006.06676, appendix B)."""

import math
from typing import NamedTuple

import keras
from keras import KerasTensor, ops

from ganvas.training.ada_draws import draw_normal, draw_uniform, keep_with, power_of_2
from ganvas.training.augmentation import ALPHA, RGBA

BRIGHTNESS_STD, CONTRAST_STD, SATURATION_STD = 0.2, 0.5, 1.0


class ColorChange(NamedTuple):
    """Draws of all color transforms, each float32 of shape (N,).

    Attributes:
        brightness: Added to all values; 0 is neutral.
        contrast: Factor of all values; 1 is neutral.
        luma_flip: 1 mirrors the luma, 0 is neutral.
        hue: Angle of rotation around the luma axis, in radians; 0 is neutral.
        saturation: Factor of the distance to the luma axis; 1 is neutral.
    """

    brightness: KerasTensor
    contrast: KerasTensor
    luma_flip: KerasTensor
    hue: KerasTensor
    saturation: KerasTensor


def draw_color_change(
    count: int | KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> ColorChange:
    """Draw the color transforms of N images.

    Args:
        count: N.
        probability: Probability of each transform.
        seed: Source of the random numbers.
    """
    numbers, normal = draw_uniform(count, 7, seed), draw_normal(count, 3, seed)
    coins, flip, angle = numbers[:, :5], numbers[:, 5], numbers[:, 6]
    return ColorChange(
        keep_with(coins[:, 0], probability, normal[:, 0] * BRIGHTNESS_STD, 0.0),
        keep_with(coins[:, 1], probability, power_of_2(normal[:, 1] * CONTRAST_STD), 1.0),
        keep_with(coins[:, 2], probability, ops.floor(flip * 2), 0.0),
        keep_with(coins[:, 3], probability, (angle * 2 - 1) * math.pi, 0.0),
        keep_with(coins[:, 4], probability, power_of_2(normal[:, 2] * SATURATION_STD), 1.0),
    )


def change_color(images: KerasTensor, draws: ColorChange) -> KerasTensor:
    """Change brightness, contrast, luma, hue and saturation, in this order.

    Args:
        images: (N, H, W, C), float32. Alpha stays as it is; gray images have no hue and no
            saturation.
        draws: The draws.
    """
    channels = images.shape[-1]
    if channels == RGBA:
        changed = change_color(images[..., :ALPHA], draws)
        return ops.concatenate([changed, images[..., ALPHA:]], axis=-1)
    brightness, contrast, luma_flip, hue, saturation = (x[:, None, None, None] for x in draws)
    # The luma axis is an eigenvector of all the linear maps: mirroring multiplies a color's part
    # along it, the mean, by -1; hue and saturation rotate and scale the rest.
    factor = contrast * (1 - 2 * luma_flip)
    shift = factor * brightness
    if channels == 1:
        return factor * images + shift
    mean = ops.mean(images, axis=-1, keepdims=True)
    # Across the axis contrast and saturation scale, and hue rotates: v cos + (axis × v) sin.
    scale = contrast * saturation
    red, green, blue = ops.split(images, 3, axis=-1)
    turned = ops.concatenate([blue - green, red - blue, green - red], axis=-1)
    along, across = factor - scale * ops.cos(hue), scale * ops.cos(hue)
    return across * images + (scale * ops.sin(hue) / math.sqrt(3)) * turned + along * mean + shift
