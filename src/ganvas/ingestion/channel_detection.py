"""Find out from a sample of files whether images are gray or have transparent parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganvas.channels import to_rgb
from ganvas.image_shape import Channels
from ganvas.ingestion.decode import decode_image

# Files that are looked at, evenly spaced, and the shares of these that decide.
SAMPLE, GRAY_SHARE, TRANSPARENT_SHARE = 40, 0.95, 0.5
# Height, width and channels at which they are.
SHAPE = (64, 64, 4)
# Pillow's modes of one channel.
GRAY_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# A pixel has color if its channels differ by more levels than compression makes them, and an image
# if more than this share of its pixels have.
MAX_DIFFERENCE, MAX_COLORED = 12, 0.002
# An image has transparent parts if this share of its pixels is less opaque than half.
MIN_TRANSPARENT, HALF = 0.01, 128


class FoundChannels(NamedTuple):
    """The channels that suit images.

    Attributes:
        channels: rgba if most have transparent parts, else gray if nearly all are gray, else rgb.
        reason: Which share of the sample that is; "" for rgb.
    """

    channels: Channels
    reason: str


def detect_channels(folder: Path, paths: Sequence[str]) -> FoundChannels:
    """Look at a sample of image files, decoding only as many as the answer takes.

    Files of one channel aren't decoded, and once a few images have color, none without alpha is.

    Args:
        folder: Folder of the images.
        paths: Files below it.

    Example:
        >>> detect_channels(Path("/home/ada/sprites"), ["a.png", "b.png"])
        FoundChannels(channels='rgba', reason='2 of 2 images looked at have transparent parts')
    """
    positions = np.unique(np.linspace(0, len(paths) - 1, min(SAMPLE, len(paths))).astype(int))
    count = colored = transparent = 0
    for position in positions:
        file = folder / paths[position]
        can_be_gray = colored <= (1 - GRAY_SHARE) * len(positions)
        try:
            with Image.open(file) as image:
                is_opaque = not image.has_transparency_data
                is_gray = is_opaque and image.mode in GRAY_MODES
            is_needed = not is_opaque or (can_be_gray and not is_gray)
            pixels = decode_image(file, SHAPE, "stretch").pixels if is_needed else None
        # Pillow raises all kinds of errors on damaged files; ingestion explains them.
        except Exception:
            continue
        count += 1
        colored += not is_gray if pixels is None else _has_color(pixels)
        transparent += pixels is not None and _is_transparent(pixels)
    if transparent and transparent > TRANSPARENT_SHARE * count:
        return FoundChannels(
            "rgba", f"{transparent} of {count} images looked at have transparent parts"
        )
    if count and count - colored >= GRAY_SHARE * count:
        return FoundChannels("gray", f"{count - colored} of {count} images looked at are gray")
    return FoundChannels("rgb", "")


def _has_color(pixels: np.ndarray) -> bool:
    levels = to_rgb(pixels).astype(np.int16)
    return bool((np.ptp(levels, axis=-1) > MAX_DIFFERENCE).mean() > MAX_COLORED)


def _is_transparent(pixels: np.ndarray) -> bool:
    return bool((pixels[..., 3] < HALF).mean() >= MIN_TRANSPARENT)
