"""ADA's geometric transforms: pixel blitting and general geometry, as one resampling.

All transforms of an image are one affine map (arXiv 2006.06676, appendix B.1). The image is
continued by reflection, upsampled by 2 with a wavelet's low-pass filter (sym6), sampled bilinearly
and downsampled with the same filter, which leaves an image that isn't moved unchanged: the wavelet
is orthogonal.

The reflection reaches as far as the corners of any image of the batch need, but no further than
once around the image; beyond it is zero, mid-gray. As in the official code, other images of a batch
thus decide how far an image is continued.

Reflection and upsampling along an axis are one linear map of the axis, and so is downsampling. Such
maps are matrices here, of sizes that don't depend on the random numbers: matrix multiplications
are fast on CPUs and GPUs, have gradients of any order, and XLA compiles them. Between them is a
single gather of the four neighbors of each sample.
"""

import functools
import math
from typing import NamedTuple

import keras
import numpy as np
from keras import KerasTensor, ops

from ganvas.training.ada_draws import draw_normal, draw_uniform, keep_with, power_of_2
from ganvas.training.augmentation import RGBA, TRANSPARENT

# Low-pass filter of the wavelet sym6 (Daubechies, Ten Lectures on Wavelets, table 6.3).
SYM6 = np.array(
    [
        0.015404109327027373,
        0.0034907120842174702,
        -0.11799011114819057,
        -0.048311742585633,
        0.4910559419267466,
        0.787641141030194,
        0.3379294217276218,
        -0.07263752278646252,
        -0.021060292512300564,
        0.04472490177066578,
        0.0017677118642428036,
        -0.007800708325034148,
    ]
)
# Pixels around the image that the filters need, for each of both.
BORDER = len(SYM6) // 4
# Integer translation of up to this share of a side; standard deviations of the other transforms.
MAX_SHIFT, SCALE_STD, STRETCH_STD, OFFSET_STD = 0.125, 0.2, 0.2, 0.125


class Motion(NamedTuple):
    """Draws of all geometric transforms, each float32; neutral values are 0, of scales 1.

    Attributes:
        flip: 1 flips left to right, (N,).
        turns: Number of quarter turns, (N,).
        shift: Integer translation to the right and down, as shares of the sides, (N, 2); it is
            rounded to whole pixels.
        scale: Enlargement, (N,).
        rotation: Angle before stretching, (N,), in radians.
        stretch: Enlargement of the width, and reduction of the height, (N,).
        last_rotation: Angle after stretching, (N,).
        offset: Fractional translation to the right and down, as shares of the sides, (N, 2).
    """

    flip: KerasTensor
    turns: KerasTensor
    shift: KerasTensor
    scale: KerasTensor
    rotation: KerasTensor
    stretch: KerasTensor
    last_rotation: KerasTensor
    offset: KerasTensor


NEUTRAL = Motion(0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)


def draw_motion(
    count: int | KerasTensor,
    probability: float | KerasTensor,
    seed: keras.random.SeedGenerator,
    groups: set[str] | frozenset[str] = frozenset({"blit", "geom"}),
    is_square: bool = True,
) -> Motion:
    """Draw the geometric transforms of N images.

    Args:
        count: N.
        probability: Probability of each transform.
        seed: Source of the random numbers.
        groups: Transforms that are not in "blit" or "geom" are neutral.
        is_square: Whether images are square; others have no quarter turns but half turns.
    """
    blit = probability if "blit" in groups else 0.0
    geom = probability if "geom" in groups else 0.0
    numbers = draw_uniform(count, 14, seed)
    coins, values = numbers[:, :8], numbers[:, 8:]
    normal = draw_normal(count, 4, seed)
    # Each with this probability, so that an image is rotated at all with the given one.
    rotate = 1 - ops.sqrt(ops.clip(1 - ops.cast(geom, "float32"), 0.0, 1.0))
    turns = ops.floor(values[:, 1] * 4) if is_square else 2 * ops.floor(values[:, 1] * 2)
    return Motion(
        flip=keep_with(coins[:, 0], blit, ops.floor(values[:, 0] * 2), 0.0),
        turns=keep_with(coins[:, 1], blit, turns, 0.0),
        shift=keep_with(coins[:, 2:3], blit, (values[:, 2:4] * 2 - 1) * MAX_SHIFT, 0.0),
        scale=keep_with(coins[:, 3], geom, power_of_2(normal[:, 0] * SCALE_STD), 1.0),
        rotation=keep_with(coins[:, 4], rotate, (values[:, 4] * 2 - 1) * math.pi, 0.0),
        stretch=keep_with(coins[:, 5], geom, power_of_2(normal[:, 1] * STRETCH_STD), 1.0),
        last_rotation=keep_with(coins[:, 6], rotate, (values[:, 5] * 2 - 1) * math.pi, 0.0),
        offset=keep_with(coins[:, 7:8], geom, normal[:, 2:4] * OFFSET_STD, 0.0),
    )


def move(images: KerasTensor, motion: Motion, static_shapes: bool = False) -> KerasTensor:
    """Flip, turn, shift, scale, rotate, stretch and shift again.

    Args:
        images: (N, H, W, C), float32. Beyond their reflection is 0, and alpha -1.
        motion: The draws.
        static_shapes: Whether no shape may depend on the draws, as XLA requires: the same result,
            but slower, since images are then always continued as far as they could be.
    """
    matrix = inverse_matrices(motion, *images.shape[1:3])
    # Resampling changes nothing but roundings if no image is moved, as while the probability is 0.
    # Asked of the draws, since the matrix has roundings in a graph.
    pairs = zip(motion, NEUTRAL, strict=True)
    is_moved = functools.reduce(ops.logical_or, [ops.any(draw != value) for draw, value in pairs])
    return ops.cond(is_moved, lambda: resample(images, matrix, static_shapes), lambda: images)


def resample(images: KerasTensor, matrix: KerasTensor, static_shapes: bool = False) -> KerasTensor:
    """Resample images (N, H, W, C) by the maps of `inverse_matrices`."""
    height, width, channels = images.shape[1:]
    # 1. How far the images are continued: all of a batch alike.
    left, top, right, bottom = ops.unstack(find_margins(matrix, height, width), 4)
    # 2. Reflect and upsample: columns, then rows.
    if channels == RGBA:
        images = images - ops.convert_to_tensor(TRANSPARENT)
    up_x, up_y = upsampling_matrix(width, left, right), upsampling_matrix(height, top, bottom)
    if not static_shapes:
        up_x = up_x[2 * (width - 1 - left) : 2 * (2 * width - 1 + right)]
        up_y = up_y[2 * (height - 1 - top) : 2 * (2 * height - 1 + bottom)]
    # A ring of zeros, of which all samples are that are further outside.
    up_x, up_y = (ops.pad(up, ((1, 1), (0, 0))) for up in (up_x, up_y))
    large = _map_rows(_map_columns(images, up_x), up_y)
    # 3. Sample, on a grid of twice the image's size and its border.
    rows, columns = 2 * (height + 2 * BORDER), 2 * (width + 2 * BORDER)
    x, y = sample_positions(matrix, height, width)
    x0 = width + 2 * (width - 1 if static_shapes else left)
    y0 = height + 2 * (height - 1 if static_shapes else top)
    sampled = sample_bilinearly(large, x, y, x0, y0)
    sampled = ops.reshape(sampled, (-1, rows, columns, channels))
    # 4. Downsample.
    small = _map_rows(sampled, downsampling_matrix(height))
    small = _map_columns(small, downsampling_matrix(width))
    if channels == RGBA:
        small = small + ops.convert_to_tensor(TRANSPARENT)
    return ops.reshape(small, (-1, height, width, channels))


def inverse_matrices(motion: Motion, height: int, width: int) -> KerasTensor:
    """Return the maps of a point of the result to the point of the image that it shows.

    Returns:
        (N, 2, 3), of coordinates (x, y, 1) in pixels from the center, to the right and down.
    """
    zero, one = ops.zeros_like(motion.scale), ops.ones_like(motion.scale)

    def rotate(angle: KerasTensor) -> list[KerasTensor]:
        cos, sin = ops.cos(angle), ops.sin(angle)
        return [cos, -sin, zero, sin, cos, zero]

    def translate(shift: KerasTensor) -> list[KerasTensor]:
        return [one, zero, -shift[:, 0], zero, one, -shift[:, 1]]

    sides = ops.convert_to_tensor([width, height], "float32")
    steps = [
        [1 - 2 * motion.flip, zero, zero, zero, one, zero],
        rotate(motion.turns * (math.pi / 2)),
        translate(ops.round(motion.shift * sides)),
        [1 / motion.scale, zero, zero, zero, 1 / motion.scale, zero],
        rotate(motion.rotation),
        [1 / motion.stretch, zero, zero, zero, motion.stretch, zero],
        rotate(motion.last_rotation),
        translate(motion.offset * sides),
    ]
    return ops.reshape(ops.stack(functools.reduce(_compose, steps), axis=-1), (-1, 2, 3))


def _compose(a: list[KerasTensor], b: list[KerasTensor]) -> list[KerasTensor]:
    """Return the affine map that applies b, then a, each as six numbers, row by row."""
    return [
        a[i] * b[j] + a[i + 1] * b[j + 3] + (a[i + 2] if j == 2 else 0)
        for i in (0, 3)
        for j in range(3)
    ]


def find_margins(matrix: KerasTensor, height: int, width: int) -> KerasTensor:
    """Return how many pixels the images are continued to the left, top, right and bottom.

    (4,), int32. As many as the corners of any image of the batch and the filters need, at most the
    side less one.
    """
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = ops.convert_to_tensor([[-x, x, x, -x], [-y, -y, y, y], [1.0] * 4], "float32")
    reached = ops.matmul(matrix, corners)
    needed = ops.concatenate([ops.max(-reached, axis=(0, 2)), ops.max(reached, axis=(0, 2))])
    needed = needed + ops.convert_to_tensor([2 * BORDER - x, 2 * BORDER - y] * 2, "float32")
    limits = ops.convert_to_tensor([width - 1, height - 1] * 2, "float32")
    return ops.cast(ops.ceil(ops.clip(needed, 0.0, limits)), "int32")


def upsampling_matrix(side: int, before: KerasTensor, after: KerasTensor) -> KerasTensor:
    """Return the linear map that continues an axis by reflection and upsamples it by 2.

    Args:
        side: Number of pixels of the axis, S.
        before: Pixels by which it is continued before the first one, at most S - 1.
        after: The same after the last one.

    Returns:
        (2 (3 S - 2), S): room for S - 1 pixels on both sides; zeros where the axis isn't continued.
    """
    reflect, upsample = _upsampling_parts(side)
    pixel = ops.arange(len(reflect), dtype="int32") - (side - 1)
    inside = ops.cast((pixel >= -before) & (pixel < side + after), "float32")
    doubled = ops.repeat(inside, 2)
    reflect, upsample = ops.convert_to_tensor(reflect), ops.convert_to_tensor(upsample)
    return doubled[:, None] * ops.matmul(upsample, inside[:, None] * reflect)


@functools.lru_cache(maxsize=16)
def _upsampling_parts(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the reflection (P, S) and the upsampling (2 P, P) of P = 3 S - 2 pixels."""
    reflect = np.pad(np.eye(side), ((side - 1, side - 1), (0, 0)), "reflect")
    count = len(reflect)
    # Zeros between pixels, then the filter, with a sum of 2.
    tap = np.arange(2 * count)[:, None] + len(SYM6) // 2 - 1 - 2 * np.arange(count)
    return reflect.astype(np.float32), _filter_matrix(tap, 2.0)


@functools.lru_cache(maxsize=16)
def downsampling_matrix(side: int) -> np.ndarray:
    """Return the linear map (S, 2 (S + 2 BORDER)) that filters an axis, halves it and crops it."""
    tap = np.arange(2 * (side + 2 * BORDER)) - 2 * np.arange(side)[:, None] - 1
    return _filter_matrix(tap, 1.0)


def _filter_matrix(tap: np.ndarray, total: float) -> np.ndarray:
    """Return the filter's coefficients at given places, 0 outside of it."""
    inside = (tap >= 0) & (tap < len(SYM6))
    coefficients = SYM6 * (total / SYM6.sum())
    return np.where(inside, coefficients[np.clip(tap, 0, len(SYM6) - 1)], 0.0).astype(np.float32)


def _map_columns(images: KerasTensor, matrix: KerasTensor) -> KerasTensor:
    """Apply a linear map (M, W) to the rows of images (N, H, W, C): (N, H, M, C)."""
    # Channels before columns make it one large multiplication.
    planes = ops.matmul(ops.transpose(images, (0, 1, 3, 2)), ops.transpose(matrix))
    return ops.transpose(planes, (0, 1, 3, 2))


def _map_rows(images: KerasTensor, matrix: KerasTensor) -> KerasTensor:
    """Apply a linear map (M, H) to the columns of images (N, H, W, C): (N, M, W, C)."""
    _, height, width, channels = ops.shape(images)
    flat = ops.matmul(matrix, ops.reshape(images, (-1, height, width * channels)))
    return ops.reshape(flat, (-1, ops.shape(matrix)[0], width, channels))


def sample_positions(
    matrix: KerasTensor, height: int, width: int
) -> tuple[KerasTensor, KerasTensor]:
    """Return where in the upsampled image each sample is, (N, samples) of columns and of rows.

    In pixels of the upsampled image, from the image's center or half a pixel before it: float32 is
    more precise for small numbers.
    """
    rows, columns = 2 * (height + 2 * BORDER), 2 * (width + 2 * BORDER)
    # The coordinates of samples in the result, from its center; an upsampled pixel is half of one.
    u = ops.arange(columns, dtype="float32") + (1 - columns / 2)
    v = ops.arange(rows, dtype="float32") + (1 - rows / 2)
    u, v = ops.tile(u, rows), ops.repeat(v, columns)
    m = matrix[:, :, :, None]
    x, y = (m[:, i, 0] * u + m[:, i, 1] * v + 2 * m[:, i, 2] for i in (0, 1))
    return x, y


def sample_bilinearly(
    images: KerasTensor,
    x: KerasTensor,
    y: KerasTensor,
    x0: int | KerasTensor = 0,
    y0: int | KerasTensor = 0,
) -> KerasTensor:
    """Return values of images at fractional positions, outside those of their borders.

    Args:
        images: (N, H, W, C).
        x: Columns, counted from the column x0, (N, M).
        y: Rows, counted from the row y0, (N, M).
        x0: A column.
        y0: A row.

    Returns:
        (N, M, C).
    """
    _, height, width, channels = ops.shape(images)
    x, y = _clip(x, -x0, width - 1 - x0), _clip(y, -y0, height - 1 - y0)
    # The left and upper neighbors; at the last column and row all of the weight is on the other.
    left = ops.minimum(ops.cast(ops.floor(x), "int32"), width - 2 - x0)
    top = ops.minimum(ops.cast(ops.floor(y), "int32"), height - 2 - y0)
    right_share = (x - ops.cast(left, "float32"))[..., None]
    lower_share = (y - ops.cast(top, "float32"))[..., None]
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None] * height
    index = (first + top + y0) * width + left + x0
    pixels = ops.reshape(images, (-1, channels))
    a, b, c, d = (ops.take(pixels, index + step, axis=0) for step in (0, 1, width, width + 1))
    upper, lower = a + right_share * (b - a), c + right_share * (d - c)
    return upper + lower_share * (lower - upper)


def _clip(x: KerasTensor, low: int | KerasTensor, high: int | KerasTensor) -> KerasTensor:
    return ops.clip(x, ops.cast(low, "float32"), ops.cast(high, "float32"))
