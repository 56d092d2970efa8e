"""ADA's augmentation: the 18 transforms of StyleGAN2-ADA, each applied with a probability.

From Karras et al., "Training Generative Adversarial Networks with Limited Data" (arXiv 2006.06676,
appendix B): the transforms, their order, their parameters' distributions and the sets by which
the official code names them. `ganvas.training.augmentation.adapt_probability` adapts the
probability. The transforms of a group are combined before images are touched:

| group | transforms | file |
|---|---|---|
| blit | flip, quarter turns, integer translation | `ada_geometry.py` |
| geom | scaling, rotation before and after stretching, fractional translation | `ada_geometry.py` |
| color | brightness, contrast, luma flip, hue, saturation | `ada_color.py` |
| filter | amplification of four frequency bands | `ada_filter.py` |
| noise, cutout | additive noise; a hole | `ada_corruption.py` |

The original knows gray and RGB images. Here geometry moves alpha with the image; color, filter
and noise change the channels that have color and leave alpha as it is; pixels from beyond the
image's reflection and holes are gray and fully transparent. All is computed in float32.
"""

import keras
from keras import KerasTensor, ops

from ganvas.training.ada_color import change_color, draw_color_change
from ganvas.training.ada_corruption import add_noise, cut_out, draw_cutout, draw_noise
from ganvas.training.ada_filter import draw_band_gains, filter_bands
from ganvas.training.ada_geometry import draw_motion, move
from ganvas.training.config import AdaSet

# The groups that the letters of a set's name stand for, in the order in which they are applied.
LETTERS = {"b": "blit", "g": "geom", "c": "color", "f": "filter", "n": "noise"}


def ada_alike(
    batches: list[KerasTensor],
    transforms: AdaSet,
    probability: float | KerasTensor,
    seed: keras.random.SeedGenerator,
    static_shapes: bool = False,
) -> list[KerasTensor]:
    """Apply each transform of a set to each image with a probability, independently.

    The i-th images of all batches are transformed by the same random numbers.

    Args:
        batches: Batches of the same shape (N, H, W, C) in [-1, 1], of any float dtype: gray
            (C = 1), RGB (3) or RGB with alpha (4). N may be unknown.
        transforms: Name of the set, such as "bgc".
        probability: Probability of each transform for each image, a scalar.
        seed: Source of all random numbers.
        static_shapes: Whether XLA compiles it, which requires static shapes; slower.

    Returns:
        Batches of the same shapes and dtypes; values may leave [-1, 1].

    Example:
        >>> seed = keras.random.SeedGenerator(0)
        >>> ada_alike([keras.ops.zeros((4, 64, 64, 3))], "bgc", 0.5, seed)[0].shape
        TensorShape([4, 64, 64, 3])
    """
    groups = list_groups(transforms)
    dtype, first = batches[0].dtype, batches[0]
    count = ops.shape(first)[0]
    batches = [ops.cast(images, "float32") for images in batches]
    if groups & {"blit", "geom"}:
        motion = draw_motion(count, probability, seed, groups, is_square=_is_square(first))
        batches = [move(images, motion, static_shapes) for images in batches]
    if "color" in groups:
        color = draw_color_change(count, probability, seed)
        batches = [change_color(images, color) for images in batches]
    if "filter" in groups:
        gains = draw_band_gains(count, probability, seed)
        batches = [filter_bands(images, gains) for images in batches]
    if "noise" in groups:
        noise = draw_noise(ops.shape(first), probability, seed)
        batches = [add_noise(images, noise) for images in batches]
    if "cutout" in groups:
        hole = draw_cutout(count, probability, seed)
        batches = [cut_out(images, hole) for images in batches]
    return [ops.cast(images, dtype) for images in batches]


def list_groups(transforms: AdaSet) -> set[str]:
    """Return the groups of transforms of a set.

    Example:
        >>> sorted(list_groups("bg")), sorted(list_groups("bgcfnc"))[:2], list_groups("noise")
        (['blit', 'geom'], ['blit', 'color'], {'noise'})
    """
    if transforms in (*LETTERS.values(), "cutout"):
        return {transforms}
    # The second c is that of cutout.
    return {LETTERS[letter] for letter in transforms} | (
        {"cutout"} if transforms.count("c") > 1 else set()
    )


def _is_square(images: KerasTensor) -> bool:
    return bool(images.shape[1] == images.shape[2])
