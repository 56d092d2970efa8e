"""Augmentation of what the discriminator sees, differentiable by the images.

Shown to the discriminator alone, and alike for real and generated images, it keeps a small
collection from being learnt by heart and yet does not leak into what is generated (Zhao et al.,
arXiv 2006.10738; Karras et al., arXiv 2006.06676). The three augmentations are DiffAugment's, with
the ranges of its official code, whose images lie in [-1, 1] as ours do: the zeros that come in
are mid-gray, and values may leave [-1, 1].

Each augmentation is a pair of functions: one draws random numbers, one image's independent of
another's, and the other applies them. For images that the coin leaves out the numbers are
neutral, so these come out exactly as they went in.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import keras
from keras import KerasTensor, ops
from pydantic import Field

from ganvas.base_params import Params

Policy = Literal["color", "translation", "cutout"]


class AugmentParams(Params):
    """What is done to images before the discriminator sees them.

    Attributes:
        name: none; diffaugment: always (arXiv 2006.10738); ada: with a probability that follows
            how well the discriminator knows real images (arXiv 2006.06676).
        policy: Which augmentations, in the order of their doing.
        target: ada: the mean sign of the logits of real images that it steers for.
        speed: ada: images after which the probability can have gone from 0 to 1.
        interval: ada: steps between two moves of the probability.
    """

    name: Literal["none", "diffaugment", "ada"] = "none"
    policy: tuple[Policy, ...] = Field(("color", "translation", "cutout"), min_length=1)
    target: float = Field(0.6, gt=0, lt=1)
    speed: int = Field(500_000, ge=1)
    interval: int = Field(4, ge=1)


class Color(NamedTuple):
    """Draws of `color`, each float32 of shape (N, 1, 1, 1); neutral are 0, 1 and 1."""

    brightness: KerasTensor
    saturation: KerasTensor
    contrast: KerasTensor


class PixelOffset(NamedTuple):
    """Draws of `translation` and `cutout`, each int32 of shape (N, 1, 1, 1)."""

    y: KerasTensor
    x: KerasTensor


def augment(
    images: KerasTensor,
    policy: tuple[Policy, ...],
    probability: float | KerasTensor,
    seed: keras.random.SeedGenerator,
) -> KerasTensor:
    """Augment each image with a probability, by each member of the policy independently.

    Args:
        images: (N, H, W, 3) in [-1, 1], float32 or shorter; N may be unknown.
        policy: Which augmentations, in the order of their doing.
        probability: Of each of them for each image; a scalar, 1 for DiffAugment.
        seed: Of all random numbers.

    Returns:
        Images of the same shape and type, values perhaps beyond [-1, 1].
    """
    (augmented,) = augment_alike([images], policy, probability, seed)
    return augmented


def augment_alike(
    batches: list[KerasTensor],
    policy: tuple[Policy, ...],
    probability: float | KerasTensor,
    seed: keras.random.SeedGenerator,
) -> list[KerasTensor]:
    """Augment as `augment` does, the images at one place of several batches all in one way.

    Args:
        batches: Each (N, H, W, 3), all of one shape.
        policy: As for `augment`.
        probability: As for `augment`.
        seed: As for `augment`.
    """
    for name in policy:
        draw, apply = AUGMENTATIONS[name]
        draws = draw(batches[0], probability, seed)
        batches = [apply(each, draws) for each in batches]
    return batches


def draw_color(
    images: KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> Color:
    """Draw brightness from ±0.5, saturation from [0, 2], contrast from [0.5, 1.5]."""
    chosen = _toss(images, probability, seed)
    shape = (3, ops.shape(images)[0], 1, 1, 1)
    brightness, saturation, contrast = ops.unstack(
        keras.random.uniform(shape, dtype="float32", seed=seed), 3
    )
    return Color(
        ops.where(chosen, brightness - 0.5, 0.0),
        ops.where(chosen, saturation * 2, 1.0),
        ops.where(chosen, contrast + 0.5, 1.0),
    )


def color(images: KerasTensor, draws: Color) -> KerasTensor:
    """Shift the brightness, then scale the distances to each pixel's gray, then to the mean.

    Args:
        images: (N, H, W, 3).
        draws: What is added to an image (brightness); factor of its pixels' distances to the
            mean of their own channels (saturation); factor of all its values' distances to the
            image's mean (contrast).
    """
    # The three in turn, c(s(x + b - gray') + gray' - mean') + mean' with gray' = gray + b and
    # mean' = mean + b, multiplied out: one pass over the images instead of three.
    brightness, saturation, contrast = draws
    gray = ops.mean(ops.cast(images, "float32"), axis=-1, keepdims=True)
    mean = ops.mean(gray, axis=(1, 2), keepdims=True)
    shift = contrast * (1 - saturation) * gray + ((1 - contrast) * mean + brightness)
    return images * ops.cast(contrast * saturation, images.dtype) + ops.cast(shift, images.dtype)


def draw_translation(
    images: KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> PixelOffset:
    """Draw whole pixels from ±1/8 of each side; 0 is neutral."""
    chosen = _toss(images, probability, seed)
    farthest = _farthest(images)
    steps = (_draw_whole(chosen, -most, most + 1, seed) for most in farthest)
    return PixelOffset(*(ops.where(chosen, step, 0) for step in steps))


def translation(images: KerasTensor, draws: PixelOffset) -> KerasTensor:
    """Move images, with zeros where nothing comes from.

    Args:
        images: (N, H, W, C).
        draws: Pixels to move down and to the right, at most 1/8 of the side.
    """
    _, height, width, channels = images.shape
    down, right = _farthest(images)
    padded = ops.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
    rows, columns = height + 2 * down, width + 2 * right
    number = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None]
    row = ops.arange(height, dtype="int32")[:, None] + down - draws.y[..., 0]
    column = ops.arange(width, dtype="int32") + right - draws.x[..., 0]
    # A pixel is a slice of the flat tensor, so a single gather copies all of them at once.
    index = (number * rows + row) * columns + column
    return ops.take(ops.reshape(padded, (-1, channels)), index, axis=0)


def draw_cutout(
    images: KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> PixelOffset:
    """Draw the upper left corner of the hole; below the image is neutral.

    Its center lies anywhere in the image, so that part of the hole may lie beyond.
    """
    chosen = _toss(images, probability, seed)
    height, width = images.shape[1:3]
    corners = []
    for side in (height, width):
        hole = side // 2
        corners.append(_draw_whole(chosen, 0, side + 1 - hole % 2, seed) - hole // 2)
    return PixelOffset(*(ops.where(chosen, corner, height + width) for corner in corners))


def cutout(images: KerasTensor, draws: PixelOffset) -> KerasTensor:
    """Put zeros into a hole of half the image's sides.

    Args:
        images: (N, H, W, C).
        draws: Row and column of the hole's upper left corner, perhaps outside of the image.
    """
    height, width = images.shape[1:3]
    row = ops.arange(height, dtype="int32")[:, None, None] - draws.y
    column = ops.arange(width, dtype="int32")[:, None] - draws.x
    in_rows = ops.logical_and(row >= 0, row < height // 2)
    in_columns = ops.logical_and(column >= 0, column < width // 2)
    seen = ops.logical_not(ops.logical_and(in_rows, in_columns))
    return images * ops.cast(seen, images.dtype)


Draw = Callable[[KerasTensor, float | KerasTensor, keras.random.SeedGenerator], Any]
Apply = Callable[[KerasTensor, Any], KerasTensor]
AUGMENTATIONS: dict[str, tuple[Draw, Apply]] = {
    "color": (draw_color, color),
    "translation": (draw_translation, translation),
    "cutout": (draw_cutout, cutout),
}


def adapt_probability(
    probability: float | KerasTensor,
    sign_mean: float | KerasTensor,
    images: int | KerasTensor,
    target: float = 0.6,
    speed: float = 500_000,
) -> KerasTensor:
    """Move ADA's probability: up where the discriminator knows real images too well.

    From Karras et al. (arXiv 2006.06676); unlike the official code it ends at 1 too, where more
    would only delay the way back.

    Args:
        probability: As it was, a scalar in [0, 1].
        sign_mean: r_t, the mean sign of the logits of real images since the last move.
        images: How many real images were seen since then.
        target: Of r_t.
        speed: Images after which the probability can have gone from 0 to 1.

    Returns:
        The new probability, a float32 scalar in [0, 1].
    """
    probability, sign_mean, images = (
        ops.cast(x, "float32") for x in (probability, sign_mean, images)
    )
    step = ops.sign(sign_mean - target) * images / speed
    return ops.clip(probability + step, 0.0, 1.0)


def random_flip(images: KerasTensor, seed: keras.random.SeedGenerator) -> KerasTensor:
    """Mirror each image left to right with probability ½: (N, H, W, C) of any type."""
    return ops.where(_toss(images, 0.5, seed), ops.flip(images, axis=2), images)


def _toss(
    images: KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Toss a coin for each image: bool of shape (N, 1, 1, 1)."""
    shape = (ops.shape(images)[0], 1, 1, 1)
    # From [0, 1): below 0 never, below 1 always.
    return keras.random.uniform(shape, dtype="float32", seed=seed) < ops.cast(
        probability, "float32"
    )


def _draw_whole(
    like: KerasTensor, low: int, end: int, seed: keras.random.SeedGenerator
) -> KerasTensor:
    return keras.random.randint(ops.shape(like), low, end, dtype="int32", seed=seed)


def _farthest(images: KerasTensor) -> tuple[int, int]:
    """How many pixels down and to the right translation goes at most."""
    height, width = images.shape[1:3]
    return height // 8, width // 8
