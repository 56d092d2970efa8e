"""ADA's image-space corruptions: noise and cutout (arXiv 2006.06676, appendix B)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import KerasTensor, ops

from ganvas.training.ada_draws import draw_normal, draw_uniform, keep_with
from ganvas.training.augmentation import ALPHA, RGBA, TRANSPARENT

NOISE_STD = 0.1
# Sides of the hole relative to those of the image.
HOLE_SIZE = 0.5


class Hole(NamedTuple):
    """Draws of cutout, each float32.

    Attributes:
        center: Horizontal and vertical position in [0, 1), (N, 2).
        size: Share of the sides, (N, 1); 0 is neutral.
    """

    center: KerasTensor
    size: KerasTensor


def draw_noise(
    shape: Sequence[Any], probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Draw white noise, whose standard deviation is that of each image; 0 is neutral.

    Args:
        shape: Shape of the images, (N, H, W, C).
        probability: Probability that an image has noise.
        seed: Source of the random numbers.

    Returns:
        (N, H, W, C), float32; alpha has none.
    """
    count = shape[0]
    coins, normal = draw_uniform(count, 1, seed), draw_normal(count, 1, seed)
    sigma = keep_with(coins, probability, ops.abs(normal) * NOISE_STD, 0.0)
    noise = keras.random.normal((*shape[:-1], min(shape[-1], ALPHA)), dtype="float32", seed=seed)
    noise = sigma[:, :, None, None] * noise
    return ops.pad(noise, ((0, 0),) * 3 + ((0, 1),)) if shape[-1] == RGBA else noise


def add_noise(images: KerasTensor, noise: KerasTensor) -> KerasTensor:
    """Add noise of the same shape."""
    return images + noise


def draw_cutout(
    count: int | KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> Hole:
    """Draw a hole for each image.

    Args:
        count: N.
        probability: Probability that an image has a hole.
        seed: Source of the random numbers.
    """
    numbers = draw_uniform(count, 3, seed)
    size = ops.full_like(numbers[:, :1], HOLE_SIZE)
    return Hole(numbers[:, 1:], keep_with(numbers[:, :1], probability, size, 0.0))


def cut_out(images: KerasTensor, hole: Hole) -> KerasTensor:
    """Set a rectangle to zero, of transparent images to transparent.

    Args:
        images: (N, H, W, C), float32.
        hole: The draws; part of a hole may lie outside of the image.
    """
    height, width, channels = images.shape[1:]
    x = (ops.arange(width, dtype="float32") + 0.5) / width
    y = (ops.arange(height, dtype="float32") + 0.5) / height
    outside_x = ops.abs(x - hole.center[:, :1]) >= hole.size / 2
    outside_y = ops.abs(y - hole.center[:, 1:]) >= hole.size / 2
    visible = (outside_y[:, :, None] | outside_x[:, None, :])[..., None]
    if channels == RGBA:
        return ops.where(visible, images, ops.convert_to_tensor(TRANSPARENT))
    return images * ops.cast(visible, "float32")
