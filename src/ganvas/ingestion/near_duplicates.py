"""Find images that are nearly equal: the same one as PNG and JPEG, resized or compressed again.

Each image is reduced to 8×8 colors and 16×16 levels of gray. Two images are nearly equal if these
differ by little, compared with the contrast within them. Comparing all pairs would take hours for a
large collection, so only images in the same cell of a coarse grid of a few features are compared.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.arrays import limit_count
from ganvas.channels import to_rgb
from ganvas.ingestion.shards import ShardedImages

# Sides of the reduced images, which divide all sizes of collections.
SIDE, GRAY_SIDE = 8, 16
# Largest difference of the colors (root mean square), in levels and as a share of the contrast, the
# standard deviation within each channel; and of the gray levels, as a share. Of 4 million pairs of
# paintings and of faces, the closest differ in color by a share of 0.31; copies as JPEG of quality
# 50 or of half the size by 0.16 at most, and in gray by 0.19.
MAX_DIFFERENCE, MAX_SHARE, MAX_GRAY_SHARE = 6.0, 0.17, 0.25
# Flat images can't be told apart.
MIN_CONTRAST = 2.0
# Width of a cell, in levels of a feature. Each shifted grid separates copies that differ by one of
# FEATURES + 1 parts of it in a feature at most once.
FEATURES = 8
CELL = 12.0
# Images read at a time, fewer of large ones, and pairs compared at a time.
READ, COMPARED = 256, 2**16
# Neither black nor white shapes vanish before it.
BACKGROUND = (128, 128, 128)
# Members of cells that are compared pair by pair, and as a matrix of this many rows at most.
SMALL, LARGE = 32, 1024


class _Reduced(NamedTuple):
    """Reduced images: colors, uint8 (N, 192), gray, uint8 (N, 256), and contrast, float32 (N,)."""

    colors: np.ndarray
    gray: np.ndarray
    contrast: np.ndarray


def group_near_duplicates(images: ShardedImages | np.ndarray) -> np.ndarray:
    """Group images that are nearly equal; also those that are so only through others.

    Memory is 600 bytes an image, and 200,000 images take about a minute.

    Args:
        images: uint8 of shape (N, H, W, C), H and W multiples of 16. Transparent ones are compared
            on gray.

    Returns:
        Group of each image, int64 of shape (N,): the first position of its images.

    Example:
        >>> group_near_duplicates(np.stack([cat, dog, cat_as_jpeg]))
        array([0, 1, 0])
    """
    reduced = _reduce(images)
    groups = np.arange(len(images))
    # Flat images are in no cell.
    chosen = np.flatnonzero(reduced.contrast >= MIN_CONTRAST)
    features = _features(reduced.colors[chosen])
    mixing = np.random.default_rng(0).integers(1, 2**62, FEATURES) * 2 + 1
    for shift in range(FEATURES + 1):
        cells = np.floor(features / CELL + shift / (FEATURES + 1)).astype(np.int64)
        # Different cells with the same key are rare, and their images are compared all the same.
        for first, second in _compare_cells(cells @ mixing, chosen, reduced, groups):
            _join(groups, first, second)
    return groups


def join_groups(groups: np.ndarray, keys: pd.Series) -> np.ndarray:
    """Join the groups of images with equal keys, such as those of one file.

    Args:
        groups: Group of each image, as `group_near_duplicates` returns it.
        keys: Key of each image.

    Example:
        >>> join_groups(np.array([0, 1, 2, 1]), pd.Series(["a", "a", "b", "c"]))
        array([0, 0, 2, 0])
    """
    joined = groups.copy()
    positions = np.arange(len(groups))
    first = pd.Series(positions).groupby(keys.to_numpy()).transform("first").to_numpy()
    _join(joined, positions, first)
    return joined


def _reduce(images: ShardedImages | np.ndarray) -> _Reduced:
    count = len(images)
    colors = np.empty((count, SIDE * SIDE * 3), np.uint8)
    gray = np.empty((count, GRAY_SIDE * GRAY_SIDE), np.uint8)
    contrast = np.empty(count, np.float32)
    read = limit_count(READ, images.shape[1:])
    for start in range(0, count, read):
        block = to_rgb(images[start : start + read], BACKGROUND)
        end = start + len(block)
        fine = _average_tiles(block)
        gray[start:end] = np.rint(fine.mean(-1)).reshape(len(block), -1)
        coarse = fine.reshape(-1, SIDE, 2, SIDE, 2, 3).mean((2, 4))
        colors[start:end] = np.rint(coarse).reshape(len(block), -1)
        contrast[start:end] = np.sqrt(coarse.var((1, 2)).mean(1))
    return _Reduced(colors, gray, contrast)


def _average_tiles(images: np.ndarray) -> np.ndarray:
    """Return the means of 16×16 tiles of each image, float32 of shape (n, 16, 16, 3).

    Sums of integers, first of whole rows, are ten times as fast as NumPy's mean.
    """
    height, width = (side // GRAY_SIDE for side in images.shape[1:3])
    rows = images.reshape(len(images), GRAY_SIDE, height, -1).sum(2, dtype=np.uint32)
    columns = rows.reshape(len(images), GRAY_SIDE, GRAY_SIDE, width, 3)
    sums = columns[:, :, :, 0].copy()
    for column in range(1, width):
        sums += columns[:, :, :, column]
    return sums.astype(np.float32) / np.float32(height * width)


def _features(colors: np.ndarray) -> np.ndarray:
    """Return the coarsest frequencies of the brightness and the mean colors, (n, FEATURES).

    In levels: two images whose colors differ by x (root mean square) differ by at most 2x in each.
    """
    pixels = colors.reshape(-1, SIDE, SIDE, 3).astype(np.float32)
    positions = (np.arange(SIDE) + 0.5) * np.pi / SIDE
    waves = np.stack([np.ones(SIDE), *(np.sqrt(2) * np.cos(k * positions) for k in (1, 2))])
    spectrum = np.einsum("nyx,uy,vx->nuv", pixels.mean(-1), waves, waves, optimize=True) / SIDE**2
    red, green, blue = np.moveaxis(pixels.mean((1, 2)), -1, 0)
    low = [spectrum[:, u, v] for u, v in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0))]
    return np.stack([*low, red - green, (red + green) / 2 - blue], axis=1)


def _compare_cells(
    keys: np.ndarray, chosen: np.ndarray, reduced: _Reduced, groups: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of images with equal keys that are nearly equal: arrays of both positions.

    Large cells whose images are in one group already are left out.
    """
    order = np.argsort(keys, kind="stable")
    keys, members = keys[order], chosen[order]
    _, starts, counts = np.unique(keys, return_index=True, return_counts=True)
    # Of small cells, each member with the next, the second next and so on, of all cells at once.
    small = np.repeat(counts <= SMALL, counts)
    for offset in range(1, min(SMALL, len(keys))):
        same = np.flatnonzero((keys[:-offset] == keys[offset:]) & small[offset:])
        for start in range(0, len(same), COMPARED):
            at = same[start : start + COMPARED]
            yield _keep_near(members[at], members[at + offset], reduced)
    # Of large ones, overlapping blocks.
    for start, count in zip(starts[counts > SMALL], counts[counts > SMALL], strict=True):
        for begin in range(start, start + max(1, count - LARGE // 2), LARGE // 2):
            block = members[begin : min(begin + LARGE, start + count)]
            if (groups[block] != groups[block[0]]).any():
                yield block, block[_group_block(block, reduced)]


def _keep_near(a: np.ndarray, b: np.ndarray, reduced: _Reduced) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of positions whose images are nearly equal."""
    contrast = np.minimum(reduced.contrast[a], reduced.contrast[b])
    limits = np.minimum(MAX_DIFFERENCE, MAX_SHARE * contrast)
    near = _distances(reduced.colors, a, b) <= limits
    a, b, contrast = a[near], b[near], contrast[near]
    near = _distances(reduced.gray, a, b) <= MAX_GRAY_SHARE * contrast
    return a[near], b[near]


def _distances(vectors: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return root mean squares of the differences of rows."""
    difference = vectors[a].astype(np.float32) - vectors[b]
    return np.sqrt(np.einsum("ij,ij->i", difference, difference) / vectors.shape[1])


def _group_block(block: np.ndarray, reduced: _Reduced) -> np.ndarray:
    """Compare all pairs of a block; return the first member of the group of each."""
    contrast = np.minimum(reduced.contrast[block][:, None], reduced.contrast[block])
    near = np.eye(len(block), dtype=bool)
    colors = _square_distances(reduced.colors[block])
    limits = np.minimum(MAX_DIFFERENCE, MAX_SHARE * contrast)
    near |= colors <= limits**2
    if near.sum() > len(block):
        near &= _square_distances(reduced.gray[block]) <= (MAX_GRAY_SHARE * contrast) ** 2
        near |= np.eye(len(block), dtype=bool)
    groups = np.arange(len(block))
    while True:
        lowest = np.where(near, groups, len(block)).min(1)
        lowest = lowest[lowest]
        if np.array_equal(lowest, groups):
            return groups
        groups = lowest


def _square_distances(vectors: np.ndarray) -> np.ndarray:
    """Return the mean squares of the differences of all pairs of rows, (n, n)."""
    pixels = vectors.astype(np.float32)
    squares = np.einsum("ij,ij->i", pixels, pixels)
    return (squares[:, None] + squares - 2 * pixels @ pixels.T) / vectors.shape[1]


def _join(groups: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
    """Join the groups of pairs of positions, in place; each is named after its first position."""
    while True:
        lower = np.minimum(groups[first], groups[second])
        if np.array_equal(lower, np.maximum(groups[first], groups[second])):
            return
        for positions in (first, second):
            # Also the first members of both groups, so that all members follow.
            np.minimum.at(groups, groups[positions], lower)
            np.minimum.at(groups, positions, lower)
        while not np.array_equal(groups, groups[groups]):
            groups[:] = groups[groups]
