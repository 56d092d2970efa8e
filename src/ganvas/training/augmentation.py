"""DiffAugment: differentiable augmentation of the discriminator's input; ADA's probability.

Applied to real and generated images alike, and to the discriminator's input alone, it keeps the
discriminator from memorizing a small dataset without leaking into the generated images (Zhao et
al., arXiv 2006.10738; Karras et al., arXiv 2006.06676). The three operations are DiffAugment's,
with the ranges of its official code, for images in [-1, 1]: borders and holes are filled with zeros
(mid-gray), and values may leave [-1, 1].

Both codes know RGB only. Here operations on colors change the channels that have color: gray images
have brightness and contrast but no saturation, and alpha is never changed, since a lighter or more
contrasting image is as transparent as before. Borders and holes of transparent images are fully
transparent, not half transparent as zeros would be: a border continues the empty ground around an
object, and through a hole nothing of the image can be seen. Any constant would do, for DiffAugment
needs only that real and generated images are treated alike.

Each operation is a pair of functions: one draws random numbers, independent for each image, the
other applies them. Images that are left out by chance get neutral numbers and come out unchanged.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import KerasTensor, ops

from ganvas.errors import GanvasError
from ganvas.training.config import AugmentOperation, TrainParams

# Channels of an image with alpha, and the place of alpha among them.
RGBA, ALPHA = 4, 3
# A pixel that fills borders and holes of such an image: mid-gray, and fully transparent.
TRANSPARENT = (0.0, 0.0, 0.0, -1.0)


class ColorShift(NamedTuple):
    """Draws of `color`, each float32 of shape (N, 1, 1, 1); neutral values are 0, 1 and 1."""

    brightness: KerasTensor
    saturation: KerasTensor
    contrast: KerasTensor


class PixelOffset(NamedTuple):
    """Draws of `translation` and `cutout` in pixels, each int32 of shape (N, 1, 1, 1)."""

    y: KerasTensor
    x: KerasTensor


def augment(
    images: KerasTensor,
    policy: tuple[AugmentOperation, ...],
    probability: float | KerasTensor,
    seed: keras.random.SeedGenerator,
) -> KerasTensor:
    """Apply each operation of a policy to each image with a probability, independently.

    Args:
        images: (N, H, W, C) in [-1, 1], of any float dtype: gray (C = 1), RGB (3) or RGB with
            alpha (4). N may be unknown.
        policy: Operations, in the order in which they are applied.
        probability: Probability of each operation for each image, a scalar; 1 for DiffAugment.
        seed: Source of all random numbers.

    Returns:
        Images of the same shape and dtype; values may leave [-1, 1].

    Example:
        >>> seed = keras.random.SeedGenerator(0)
        >>> augment(keras.ops.zeros((4, 64, 64, 3)), ("translation", "cutout"), 1.0, seed).shape
        TensorShape([4, 64, 64, 3])
    """
    (augmented,) = augment_alike([images], policy, probability, seed)
    return augmented


def augment_alike(
    batches: list[KerasTensor],
    policy: tuple[AugmentOperation, ...],
    probability: float | KerasTensor,
    seed: keras.random.SeedGenerator,
) -> list[KerasTensor]:
    """Augment as `augment` does, with the same random numbers for the i-th image of each batch.

    Args:
        batches: Batches of the same shape (N, H, W, C).
        policy: As for `augment`.
        probability: As for `augment`.
        seed: As for `augment`.
    """
    for name in policy:
        draw, apply = AUGMENTATIONS[name]
        draws = draw(batches[0], probability, seed)
        batches = [apply(images, draws) for images in batches]
    return batches


def draw_color(
    images: KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> ColorShift:
    """Draw brightness from ±0.5, saturation from [0, 2], contrast from [0.5, 1.5]."""
    chosen = _toss_coins(images, probability, seed)
    shape = (3, ops.shape(images)[0], 1, 1, 1)
    brightness, saturation, contrast = ops.unstack(
        keras.random.uniform(shape, dtype="float32", seed=seed), 3
    )
    return ColorShift(
        ops.where(chosen, brightness - 0.5, 0.0),
        ops.where(chosen, saturation * 2, 1.0),
        ops.where(chosen, contrast + 0.5, 1.0),
    )


def color(images: KerasTensor, draws: ColorShift) -> KerasTensor:
    """Change brightness, then saturation, then contrast.

    Args:
        images: (N, H, W, C). Alpha, the fourth channel, stays as it is; of gray images,
            saturation changes nothing.
        draws: Offset of all values (brightness); factor of the distance to each pixel's gray
            (saturation); factor of the distance to the image's mean (contrast).
    """
    channels = images.shape[-1]
    if channels == RGBA:
        rgb, alpha = images[..., :ALPHA], images[..., ALPHA:]
        return ops.concatenate([color(rgb, draws), alpha], axis=-1)
    if channels == 1:
        # A gray pixel is its own gray, at any saturation.
        draws = draws._replace(saturation=ops.ones_like(draws.saturation))
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
    chosen = _toss_coins(images, probability, seed)
    limits = _translation_limits(images)
    offsets = (_draw_integers(chosen, -limit, limit + 1, seed) for limit in limits)
    return PixelOffset(*(ops.where(chosen, offset, 0) for offset in offsets))


def translation(images: KerasTensor, draws: PixelOffset) -> KerasTensor:
    """Shift images, filling with zeros; transparent images with transparent pixels.

    Args:
        images: (N, H, W, C).
        draws: Pixels to shift down and to the right, at most 1/8 of the side.
    """
    _, height, width, channels = images.shape
    down, right = _translation_limits(images)
    padded = _pad(images, down, right)
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

    The hole's center is uniform over the image, so that part of the hole may lie outside.
    """
    chosen = _toss_coins(images, probability, seed)
    height, width = images.shape[1:3]
    corners = []
    for side in (height, width):
        hole = side // 2
        corners.append(_draw_integers(chosen, 0, side + 1 - hole % 2, seed) - hole // 2)
    return PixelOffset(*(ops.where(chosen, corner, height + width) for corner in corners))


def cutout(images: KerasTensor, draws: PixelOffset) -> KerasTensor:
    """Set a hole of half the image's sides to zero, of transparent images to transparent.

    Args:
        images: (N, H, W, C).
        draws: Row and column of the hole's upper left corner, which may lie outside the image.
    """
    height, width = images.shape[1:3]
    row = ops.arange(height, dtype="int32")[:, None, None] - draws.y
    column = ops.arange(width, dtype="int32")[:, None] - draws.x
    in_rows = ops.logical_and(row >= 0, row < height // 2)
    in_columns = ops.logical_and(column >= 0, column < width // 2)
    visible = ops.logical_not(ops.logical_and(in_rows, in_columns))
    if images.shape[-1] == RGBA:
        return ops.where(visible, images, ops.convert_to_tensor(TRANSPARENT, images.dtype))
    return images * ops.cast(visible, images.dtype)


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
    """Update ADA's probability: raise it while the discriminator overfits (r_t above target).

    From Karras et al. (arXiv 2006.06676); unlike the official code it is clipped at 1 too, since
    an excess would only delay its return.

    Args:
        probability: Current probability, a scalar in [0, 1].
        sign_mean: r_t, the mean sign of the real images' logits since the last update.
        images: Number of real images since the last update.
        target: Target of r_t.
        speed: Number of images in which the probability can go from 0 to 1.

    Returns:
        The new probability, a float32 scalar in [0, 1].

    Example:
        >>> round(float(adapt_probability(0.5, sign_mean=0.9, images=5000)), 2)
        0.51
    """
    probability, sign_mean, images = (
        ops.cast(x, "float32") for x in (probability, sign_mean, images)
    )
    step = ops.sign(sign_mean - target) * images / speed
    return ops.clip(probability + step, 0.0, 1.0)


def random_orientation(
    images: KerasTensor,
    params: TrainParams,
    seed: keras.random.SeedGenerator,
    keep_every: int | None = None,
) -> KerasTensor:
    """Flip and rotate real images at random, as far as parameters ask for it.

    Args:
        images: (N, H, W, C) of any dtype.
        params: `flip`, `flip_vertically` and `rotate_quarters`.
        seed: Source of the random numbers.
        keep_every: Leave the first and then every n-th image unchanged; None: none.
    """
    changed = images
    if params.flip:
        changed = random_flip(changed, seed)
    if params.flip_vertically:
        changed = random_flip(changed, seed, axis=1)
    if params.rotate_quarters:
        changed = random_quarter_turns(changed, seed)
    if keep_every is None or changed is images:
        return changed
    kept = ops.arange(ops.shape(images)[0]) % keep_every == 0
    return ops.where(kept[:, None, None, None], images, changed)


def random_flip(
    images: KerasTensor, seed: keras.random.SeedGenerator, axis: int = 2
) -> KerasTensor:
    """Flip each image with probability ½.

    Args:
        images: (N, H, W, C) of any dtype.
        seed: Source of the random numbers.
        axis: 2 flips left to right, 1 upside down.
    """
    return ops.where(_toss_coins(images, 0.5, seed), ops.flip(images, axis=axis), images)


def random_quarter_turns(images: KerasTensor, seed: keras.random.SeedGenerator) -> KerasTensor:
    """Rotate each image counterclockwise by 0, 90, 180 or 270 degrees, each with probability ¼.

    Args:
        images: (N, S, S, C) of any dtype.
        seed: Source of the random numbers.
    """
    turns = keras.random.randint((ops.shape(images)[0], 1, 1, 1), 0, 4, "int32", seed=seed)
    # A quarter turn is a transposition and a flip of the rows, and three are one of the columns.
    rotated = ops.where(turns % 2 == 1, ops.transpose(images, (0, 2, 1, 3)), images)
    rotated = ops.where((turns == 1) | (turns == 2), ops.flip(rotated, axis=1), rotated)
    return ops.where(turns >= 2, ops.flip(rotated, axis=2), rotated)


def check_quarter_turns(height: int, width: int) -> None:
    """Refuse `train.rotate_quarters` for images that have another shape after a quarter turn.

    Raises:
        GanvasError: Height and width differ.
    """
    if height != width:
        raise GanvasError(
            f"train.rotate_quarters=true needs square images, and these have {width}×{height} "
            "pixels, which a quarter turn would change: set train.rotate_quarters=false, and "
            "train.flip and train.flip_vertically if you like."
        )


def _toss_coins(
    images: KerasTensor, probability: float | KerasTensor, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Draw a bool for each image, (N, 1, 1, 1), true with a probability."""
    shape = (ops.shape(images)[0], 1, 1, 1)
    # Uniform on [0, 1): below 0 never, below 1 always.
    return keras.random.uniform(shape, dtype="float32", seed=seed) < ops.cast(
        probability, "float32"
    )


def _draw_integers(
    like: KerasTensor, low: int, end: int, seed: keras.random.SeedGenerator
) -> KerasTensor:
    return keras.random.randint(ops.shape(like), low, end, dtype="int32", seed=seed)


def _translation_limits(images: KerasTensor) -> tuple[int, int]:
    """Return the largest translation down and to the right, in pixels."""
    height, width = images.shape[1:3]
    return height // 8, width // 8


def _pad(images: KerasTensor, rows: int, columns: int) -> KerasTensor:
    """Pad images on all sides with zeros, and alpha with -1."""
    padding = ((0, 0), (rows, rows), (columns, columns), (0, 0))
    if images.shape[-1] != RGBA:
        return ops.pad(images, padding)
    rgb, alpha = images[..., :ALPHA], images[..., ALPHA:]
    padded_alpha = ops.pad(alpha, padding, constant_values=TRANSPARENT[ALPHA])
    return ops.concatenate([ops.pad(rgb, padding), padded_alpha], axis=-1)
