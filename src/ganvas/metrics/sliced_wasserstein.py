"""Sliced Wasserstein distance of image patches on a Laplacian pyramid.

It was proposed by Karras et al. (arXiv 1710.10196, section 5) and uses no trained network: each
level of the pyramid has the details of one size, and the distance of a level compares the
distributions of small patches of it. The number of images biases it upward: compare values of
equal numbers only.
"""

from collections.abc import Iterator

import numpy as np

from ganvas.arrays import Images
from ganvas.errors import GanvasError

# All as in the paper: the shorter side of the coarsest level is 16 to 31 pixels.
MIN_SIDE = 16
PATCH = 7
PATCHES = 128
DIRECTIONS = 512
MAX_IMAGES = 2**14
KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
# Images whose levels are computed at once, of 64×64 pixels; fewer of larger ones.
CHUNK_PIXELS = 256 * 64**2
# Projections held at once on each side, 34 MB.
CHUNK_PROJECTIONS = 2**23
# Values of patches held at once on each side, 134 MB, unless those of one level are more.
MAX_VALUES = 2**25


def sliced_wasserstein_by_level(
    real: Images, generated: Images, seed: int = 0, patches: int = PATCHES
) -> dict[str, float]:
    """Compute the sliced Wasserstein distance of each level of a Laplacian pyramid.

    Of each image, patches of 7×7 pixels are taken at random positions, the same ones for image k
    of both sides. The channels of a side's patches are normalized to a mean of 0 and a standard
    deviation of 1. The patches are projected to 512 random directions; the distance is the mean
    over these of the Wasserstein distance of the projections. For equal numbers of images that is
    the mean difference of sorted projections, and for others it is exact as well.

    Args:
        real: uint8 of shape (m, H, W, C); may be memory-mapped. Only the first 2¹⁴ are used.
        generated: uint8 of shape (n, H, W, C), of which the first 2¹⁴ are used.
        seed: Random seed of positions and directions.
        patches: Patches of each image.

    Returns:
        The distances by the size of their level, H×W, from the finest: levels are halved until the
        shorter side would have fewer than 16 pixels. 0 for equal sets. Papers report them × 1000.

    Raises:
        GanvasError: A side has no images, their sizes differ, or they are smaller than a patch.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), np.uint8)
        >>> sliced_wasserstein_by_level(images, images)
        {'32×48': 0.0, '16×24': 0.0}
    """
    shape = tuple(real.shape[1:])
    if shape != tuple(generated.shape[1:]) or not min(len(real), len(generated)):
        raise GanvasError(
            f"A sliced Wasserstein distance needs images of one size, and not {len(real)} of shape "
            f"{shape} and {len(generated)} of shape {tuple(generated.shape[1:])}."
        )
    if min(shape[:2]) < PATCH:
        raise GanvasError(
            f"A sliced Wasserstein distance needs images of {PATCH}×{PATCH} pixels or more, not "
            f"{shape[0]}×{shape[1]}."
        )
    sizes = level_sizes(*shape[:2])
    most = min(max(len(real), len(generated)), MAX_IMAGES)
    values = most * patches * PATCH * PATCH * shape[2]
    # As many levels at once as fit, since images are read again for those that don't.
    count = max(1, MAX_VALUES // values)
    distances = []
    for start in range(0, len(sizes), count):
        levels = range(start, min(start + count, len(sizes)))
        rngs = {level: np.random.default_rng([seed, level]) for level in levels}
        corners = {
            level: np.stack(
                [rng.integers(0, side - PATCH + 1, (most, patches)) for side in sizes[level]]
            )
            for level, rng in rngs.items()
        }
        a, b = (_describe(images, corners) for images in (real, generated))
        distances += [
            _compare_level(a.pop(level), b.pop(level), rngs[level], shape[2]) for level in levels
        ]
    return {
        f"{height}×{width}": distance
        for (height, width), distance in zip(sizes, distances, strict=True)
    }


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the size of each level, from the finest; odd sides are rounded up when halved.

    Example:
        >>> level_sizes(100, 64)
        [(100, 64), (50, 32), (25, 16)]
    """
    sizes = [(height, width)]
    while min(size := ((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2)) >= MIN_SIDE:
        sizes.append(size)
    return sizes


def laplacian_levels(images: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Yield the levels of the Laplacian pyramid of images, float32 of shape (n, H, W, C).

    A level is what reducing it by half and expanding it again loses; the coarsest one is the
    reduced images themselves.

    Args:
        images: Of shape (n, H', W', C), in any unit.
        count: Number of levels of the pyramid.
    """
    level = images.astype(np.float32)
    for _ in range(count - 1):
        reduced = _reduce(level)
        level -= _expand(reduced, *level.shape[1:3])
        yield level
        level = reduced
    yield level


def wasserstein_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Wasserstein distance of the values in each pair of rows, (K, m) and (K, n).

    Example:
        >>> wasserstein_distances(np.array([[0.0, 1.0]]), np.array([[3.0]]))
        array([2.5])
    """
    a, b = np.sort(a, axis=1), np.sort(b, axis=1)
    m, n = a.shape[1], b.shape[1]
    if m == n:
        return np.asarray(np.abs(a - b).mean(axis=1, dtype=np.float64))
    # Both quantile functions are constant between these shares, in units of 1 / (m n).
    edges = np.union1d(np.arange(m + 1) * n, np.arange(n + 1) * m)
    weights = np.diff(edges) / (m * n)
    differences = np.abs(a[:, edges[:-1] // n] - b[:, edges[:-1] // m])
    return np.asarray(differences @ weights)


def _compare_level(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, channels: int) -> float:
    """Return the distance of two sides' patches, float32 of shape (n · patches, 7 · 7 · C)."""
    directions = rng.normal(size=(DIRECTIONS, PATCH * PATCH * channels)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    a, b = (_normalize(side, channels) for side in (a, b))
    length = max(1, CHUNK_PROJECTIONS // max(len(a), len(b)))
    distances = [
        wasserstein_distances(chunk @ a.T, chunk @ b.T)
        for chunk in np.split(directions, range(length, DIRECTIONS, length))
    ]
    return float(np.mean(np.concatenate(distances)))


def _describe(images: Images, corners: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Return the patches of levels by their numbers, float32 of shape (n, patches, 7, 7, C).

    Args:
        images: uint8 of shape (n, H, W, C).
        corners: For each level rows and columns of the patches' upper left corners, of shape
            (2, n or more, patches).
    """
    count, channels = min(len(images), MAX_IMAGES), images.shape[3]
    described = {
        level: np.empty((count, each.shape[2], PATCH, PATCH, channels), np.float32)
        for level, each in corners.items()
    }
    levels, offsets = len(level_sizes(*images.shape[1:3])), np.arange(PATCH)
    for rows in _in_chunks(count, images.shape[1] * images.shape[2]):
        for level, pixels in enumerate(laplacian_levels(images[rows], levels)):
            if level in corners:
                y, x = corners[level][:, rows, :, None, None]
                numbers = np.arange(len(pixels))[:, None, None, None]
                described[level][rows] = pixels[numbers, y + offsets[:, None], x + offsets]
            if level == max(corners):
                break
    return described


def _normalize(patches: np.ndarray, channels: int) -> np.ndarray:
    """Normalize the channels of patches in place, and return one row for each patch."""
    values = patches.reshape(-1, channels)
    mean = values.mean(axis=0, dtype=np.float64)
    # Squares in chunks: those of all patches would take the same memory again.
    squares = sum(((part - mean) ** 2).sum(axis=0) for part in _split(values))
    deviation = np.sqrt(squares / len(values))
    # Patches of one level have no contrast to normalize.
    values -= mean.astype(np.float32)
    values /= np.where(deviation > 0, deviation, 1).astype(np.float32)
    return patches.reshape(-1, PATCH * PATCH * channels)


def _in_chunks(count: int, pixels: int) -> Iterator[slice]:
    """Split so many images of so many pixels."""
    length = max(1, CHUNK_PIXELS // pixels)
    return (slice(start, min(start + length, count)) for start in range(0, count, length))


def _split(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + CHUNK_PIXELS] for start in range(0, len(rows), CHUNK_PIXELS))


def _reduce(images: np.ndarray) -> np.ndarray:
    """Blur images, (n, H, W, C), and keep every second row and column, the first included."""
    return _blur(_blur(images, 1)[:, ::2], 2)[:, :, ::2]


def _expand(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Double images to a height and a width, with blur in place of the missing pixels."""
    spread = np.zeros((len(images), height, width, images.shape[3]), np.float32)
    # Three of four pixels are 0.
    spread[:, ::2, ::2] = 4 * images
    return _blur(_blur(spread, 1), 2)


def _blur(images: np.ndarray, axis: int) -> np.ndarray:
    """Convolve with `KERNEL` along an axis; borders mirror the image, without repeating its edge.

    An axis of one pixel, whose mirror image is itself, stays as it is.
    """
    length = images.shape[axis]
    if length == 1:
        return images
    margin = len(KERNEL) // 2
    widths = [(margin, margin) if number == axis else (0, 0) for number in range(images.ndim)]
    padded = np.pad(images, widths, mode="reflect")
    blurred = np.zeros_like(images)
    before = (slice(None),) * axis
    for offset, weight in enumerate(KERNEL):
        blurred += weight * padded[(*before, slice(offset, offset + length))]
    return blurred
