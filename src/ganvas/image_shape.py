"""The shape of images: which sides and channels they can have, and where networks start.

Every network doubles and halves feature maps, so its smallest map is the image divided by a power
of two. It should be small: its layers see all of the image at once, and those that connect it with
the latent grow with its area. For images of height 96 and width 64 it is 6×4, for example, and for
1024×1024 it is 4×4. Of 544×544 it would be 17×17 and of 1024×64 64×4, so networks refuse these.
"""

import re
from typing import Any, Literal

from ganvas.errors import GanvasError

SMALLEST, LARGEST, STEP = 32, 1024, 32
# The shorter side of networks' smallest feature maps is 4 to 7, the longer side at most this.
FIRST, LONGEST_FIRST = 4, 16

# A side S of squares, or height and width.
Size = int | tuple[int, int]
Channels = Literal["rgb", "gray", "rgba"]
CHANNEL_COUNTS: dict[Channels, int] = {"rgb": 3, "gray": 1, "rgba": 4}
SIZE_TEXT = (
    f"a side, or [height, width], each a multiple of {STEP} from {SMALLEST} to {LARGEST}, such as "
    "64 or [96, 64]"
)


def check_size(size: Any) -> Size:
    """Return a size in its shortest form: of a square, its side.

    Raises:
        ValueError: It is no side and no pair of sides, or a side is no multiple of 32 from 32 to
            1024.

    Example:
        >>> check_size([64, 64]), check_size([96, 64])
        (64, (96, 64))
    """
    sides = size if isinstance(size, (list, tuple)) else [size, size]
    are_whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not are_whole:
        raise ValueError(f"it must be {SIZE_TEXT}")
    if any(side % STEP or not SMALLEST <= side <= LARGEST for side in sides):
        raise ValueError(f"it must be {SIZE_TEXT}")
    height, width = sides
    return height if height == width else (height, width)


def parse_size(text: str) -> Size:
    """Read a size as people write it: a side, or width and height with an x between them.

    Raises:
        GanvasError: It is neither, or no network can be built for such images.

    Example:
        >>> parse_size("128"), parse_size("64x96")
        (128, (96, 64))
    """
    sides = re.split("[x×]", text.strip().lower())
    try:
        size = check_size([int(side) for side in (sides * 2 if len(sides) == 1 else sides)[::-1]])
    except ValueError as error:
        raise GanvasError(
            f"--size can't be '{text}': it must be a side such as 64, or WIDTHxHEIGHT such as "
            f"64x96, each a multiple of {STEP} from {SMALLEST} to {LARGEST}."
        ) from error
    check_network_size(*height_and_width(size))
    return size


def height_and_width(size: Size) -> tuple[int, int]:
    """Return height and width of a size.

    Example:
        >>> height_and_width(64), height_and_width((96, 64))
        ((64, 64), (96, 64))
    """
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def describe_size(height: int, width: int) -> str:
    """Return a size as people write it, width first.

    Example:
        >>> describe_size(96, 64)
        '64×96'
    """
    return f"{width}×{height}"


def count_doublings(height: int, width: int, smallest: int = FIRST) -> int:
    """Return how often a network doubles its smallest feature map for images of a size.

    Args:
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        smallest: The least that the shorter side of the smallest map may be.

    Example:
        >>> count_doublings(64, 64), count_doublings(96, 64)
        (4, 4)
    """
    doublings = 0
    while not (height | width) >> doublings & 1 and min(height, width) >> doublings >= 2 * smallest:
        doublings += 1
    return doublings


def smallest_map(height: int, width: int, smallest: int = FIRST) -> tuple[int, int]:
    """Return height and width of the smallest feature map of networks for images of a size.

    Example:
        >>> smallest_map(64, 64), smallest_map(96, 64), smallest_map(480, 480)
        ((4, 4), (6, 4), (15, 15))
    """
    doublings = count_doublings(height, width, smallest)
    return height >> doublings, width >> doublings


def can_train(height: int, width: int) -> bool:
    """Return whether networks can be built for images of a size; see the module's description."""
    return max(smallest_map(height, width)) <= LONGEST_FIRST


def check_network_size(height: int, width: int) -> None:
    """Check that networks can be built for images of a size.

    Raises:
        GanvasError: Their smallest feature map would be too large, with the nearest sizes that
            can be trained.
    """
    if can_train(height, width):
        return
    first = describe_size(*smallest_map(height, width))
    nearest = " or ".join(f"[{h}, {w}]" for h, w in _nearest_sizes(height, width))
    raise GanvasError(
        f"No network can be built for images of {describe_size(height, width)} pixels: halved as "
        f"often as they can be, they are {first}, and a network's smallest feature map has sides "
        f"of at most {LONGEST_FIRST}. Set ingest.size to {nearest}."
    )


def _nearest_sizes(height: int, width: int, count: int = 2) -> list[tuple[int, int]]:
    """Return the sizes for which networks can be built that are nearest to another size."""
    sides = range(SMALLEST, LARGEST + 1, STEP)
    # Who wants squares is helped by squares.
    sizes = [
        (h, w) for h in sides for w in sides if can_train(h, w) and (height != width or h == w)
    ]
    return sorted(sizes, key=lambda size: (size[0] - height) ** 2 + (size[1] - width) ** 2)[:count]
