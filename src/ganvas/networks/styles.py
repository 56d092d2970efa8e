"""Styles of StyleGAN2's generator: mapping, truncation, mixing, and images with noise of a choice.

A generator's own image is `synthesize(generator, map_latents(generator, latents, labels))`.
Styles are changed in between. The generator's stored ψ, 1 unless a converter or an export set
another, acts last: `synthesize` moves all styles towards the generator's mean style by it, in each
layer, as the generator itself does. So truncation of 1 is always the generator's own image.

Batches are padded to a constant size, so an image depends on nothing but its styles and noise.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

import numpy as np

from ganvas.errors import GanvasError
from ganvas.keras_types import Model
from ganvas.networks.batches import as_inputs, batch_size, join_batches, pad_rows, to_uint8
from ganvas.networks.freeing_call import call_freeing

# Mean styles of classes, or a function from rows of class weights to theirs.
ClassMeans = np.ndarray | Callable[[np.ndarray], np.ndarray]
Noise = Literal["const", "random", "none"]
# First layers of the groups of the papers, whose maps have up to about 8×8, 32×32 and more pixels.
GROUPS = {"coarse": 0, "middle": 4, "fine": 8}
# Latents of which a class's mean style is computed: its error is 1/32 of the styles' deviation.
MEAN_LATENTS = 1024
# Mean styles of rows of class weights that are kept.
MAX_ROWS = 4096


def count_layers(generator: Model) -> int:
    """Return the number L of layers of a style-based generator that take a style.

    Example:
        >>> from ganvas.networks.config import Stylegan2Params
        >>> from ganvas.networks.stylegan2 import build_stylegan2
        >>> params = Stylegan2Params(channel_base=1024, max_width=64, latent=64, style=64)
        >>> count_layers(build_stylegan2(params, (64, 64, 3)).generator)
        10
    """
    return generator.get_layer("synthesis").inputs[0].shape[1]


def has_noise(generator: Model) -> bool:
    """Return whether a style-based generator adds noise to its feature maps."""
    return len(generator.get_layer("synthesis").inputs) > 1


def group_layers(count: int) -> dict[str, range]:
    """Return the groups of `count` layers, as in the papers, without those that have none.

    Example:
        >>> group_layers(10)
        {'coarse': range(0, 4), 'middle': range(4, 8), 'fine': range(8, 10)}
    """
    stops = [*list(GROUPS.values())[1:], count]
    groups = {
        name: range(start, min(stop, count))
        for (name, start), stop in zip(GROUPS.items(), stops, strict=True)
    }
    return {name: layers for name, layers in groups.items() if layers}


def select_layers(text: str, count: int, key: str = "sample.style_mixing.layers") -> range:
    """Return the layers of a name, a number or a range.

    Args:
        text: Such as `fine`, `5` or `0-6`, both ends included.
        count: Number of layers of the generator.
        key: Parameter that has the text, for messages.

    Raises:
        GanvasError: The generator lacks some or all of them.

    Example:
        >>> select_layers("fine", 10), select_layers("0-2", 10)
        (range(8, 10), range(0, 3))
    """
    groups = group_layers(count)
    if text in groups:
        return groups[text]
    if text in GROUPS:
        allowed = ", ".join(f"{name} ({x[0]}-{x[-1]})" for name, x in groups.items())
        raise GanvasError(
            f"{key}={text}: this generator has no such layers, but {allowed}: choose among them."
        )
    first, _, last = text.partition("-")
    layers = range(int(first), int(last or first) + 1)
    if not layers or layers[-1] >= count:
        raise GanvasError(
            f"{key}={text} is no range of layers of this generator, which "
            f"are 0 to {count - 1}: choose a first and a last one among them."
        )
    return layers


def map_latents(
    generator: Model, latents: np.ndarray, one_hot_labels: np.ndarray | None = None
) -> np.ndarray:
    """Map latents (N, Z), and with classes labels (N, K), to styles, float32 of shape (N, W).

    Example:
        >>> from ganvas.networks.config import Stylegan2Params
        >>> from ganvas.networks.stylegan2 import build_stylegan2
        >>> params = Stylegan2Params(channel_base=1024, max_width=64, latent=64, style=32)
        >>> generator = build_stylegan2(params, (64, 64, 3)).generator
        >>> map_latents(generator, np.ones((3, 64), np.float32)).shape
        (3, 32)
    """
    return _map(generator, latents, one_hot_labels, batch_size(*generator.output_shape[1:3]))


def _map(generator: Model, latents: np.ndarray, labels: np.ndarray | None, size: int) -> np.ndarray:
    mapping = generator.get_layer("mapping")
    arrays = [latents] if labels is None else [latents, labels]
    styles = np.empty((len(latents), mapping.output_shape[-1]), np.float32)
    for start in range(0, len(latents), size):
        padded = [pad_rows(x[start : start + size], size) for x in arrays[: len(mapping.inputs)]]
        styles[start : start + size] = np.asarray(mapping(as_inputs(padded), training=False))[
            : len(latents) - start
        ]
    return styles


def mean_style(generator: Model) -> np.ndarray:
    """Return the mean style of all images, float32 of shape (W,), as training recorded it."""
    return np.asarray(generator.get_layer("style_mean").kernel)[0]


def class_mean_styles(generator: Model) -> np.ndarray:
    """Return the mean style of each class, float32 of shape (K, W); (0, W) without classes.

    It is the mean over `MEAN_LATENTS` latents, always the same ones. It takes a second or more
    for many classes: keep it where it is needed again.
    """
    latents, *labels = generator.get_layer("mapping").inputs
    classes = labels[0].shape[-1] if labels else 0
    # The second number makes them independent of latents of the same seed.
    rng = np.random.default_rng([0, 2])
    sampled = rng.standard_normal((MEAN_LATENTS, latents.shape[-1]), dtype=np.float32)
    means = np.empty((classes, len(mean_style(generator))), np.float32)
    for number, label in enumerate(np.eye(classes, dtype=np.float32)):
        repeated = np.broadcast_to(label, (MEAN_LATENTS, classes))
        styles = _map(generator, sampled, repeated, MEAN_LATENTS)
        means[number] = styles.mean(axis=0, dtype=np.float64)
    return means


def find_class_means(generator: Model, columns: int) -> ClassMeans | None:
    """Return the mean styles for `mean_styles` and `ganvas.networks.sampling.generate_images`.

    Args:
        generator: A style-based generator.
        columns: Number of label columns.

    Returns:
        None for 0, `class_mean_styles` for 1, `mean_styles_by_row` for more.
    """
    if columns > 1:
        return mean_styles_by_row(generator)
    return class_mean_styles(generator) if columns else None


def mean_styles(
    generator: Model, one_hot_labels: np.ndarray, class_means: ClassMeans | None
) -> np.ndarray:
    """Return the mean style of each image's class, float32 of shape (N, W).

    Args:
        generator: A style-based generator.
        one_hot_labels: float32 of shape (N, K), one-hot or mixtures of classes, whose means are
            mixed alike.
        class_means: See `find_class_means`. None for an unconditional generator, whose images have
            one mean style.
    """
    if callable(class_means):
        return class_means(one_hot_labels)
    count = len(one_hot_labels)
    if class_means is None or not one_hot_labels.shape[1]:
        return np.repeat(mean_style(generator)[None], count, axis=0)
    # Sums of floats may depend on the number of rows.
    size = batch_size(*generator.output_shape[1:3])
    batches = [one_hot_labels[start : start + size] for start in range(0, count, size)]
    return np.concatenate([(pad_rows(x, size) @ class_means)[: len(x)] for x in batches])


def mean_styles_by_row(generator: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from rows of class weights (N, K) to their mean styles (N, W).

    It is for generators of several label columns, where the mean style of a combination is no mean
    of those of its values: each row's own is computed as in `class_mean_styles`, and kept.
    """
    latents = generator.get_layer("mapping").inputs[0]
    rng = np.random.default_rng([0, 2])
    sampled = rng.standard_normal((MEAN_LATENTS, latents.shape[-1]), dtype=np.float32)
    known: dict[bytes, np.ndarray] = {}

    def find(row: np.ndarray) -> np.ndarray:
        key = row.tobytes()
        if key not in known:
            if len(known) >= MAX_ROWS:
                known.clear()
            repeated = np.broadcast_to(row, (MEAN_LATENTS, len(row)))
            styles = _map(generator, sampled, repeated, MEAN_LATENTS)
            known[key] = styles.mean(axis=0, dtype=np.float64).astype(np.float32)
        return known[key]

    return lambda rows: np.stack([find(row) for row in np.asarray(rows, np.float32)])


def truncate(
    styles: np.ndarray,
    mean: np.ndarray,
    psi: float | np.ndarray,
    cutoff: int | None = None,
) -> np.ndarray:
    """Move styles towards a mean style (the truncation trick, arXiv 1812.04948).

    Args:
        styles: (N, W), or (N, L, W) for L layers.
        mean: Mean style, (W,), or (N, W) one for each image.
        psi: ψ, the factor of the distance from the mean: 0 is the mean, 1 changes nothing, above 1
            exaggerates, below 0 is the opposite. A number or an array (N,).
        cutoff: Number of layers, the coarsest first, that are truncated; None: all. Less than all
            needs styles of shape (N, L, W).

    Returns:
        float32 of the shape of `styles`.

    Example:
        >>> styles = np.array([[[2.0], [2.0]]], np.float32)
        >>> truncate(styles, np.zeros(1, np.float32), psi=0.5, cutoff=1).ravel().tolist()
        [1.0, 2.0]
    """
    by_layer = styles.ndim == 3
    if cutoff is not None and not by_layer:
        raise ValueError("a cutoff needs styles for each layer, of shape (N, L, W)")
    factors = np.broadcast_to(np.asarray(psi, np.float32), len(styles))[:, None]
    means = np.broadcast_to(np.asarray(mean, np.float32), (len(styles), styles.shape[-1]))
    if by_layer:
        factors, means = factors[:, None], means[:, None]
    # In this form, 0 is exactly the mean and 1 exactly the style.
    truncated = factors * styles + (1 - factors) * means
    if cutoff is None:
        return truncated
    return np.concatenate([truncated[:, :cutoff], styles[:, cutoff:]], axis=1)


def repeat_styles(generator: Model, styles: np.ndarray) -> np.ndarray:
    """Repeat styles (N, W) for each layer of a generator: (N, L, W)."""
    return np.repeat(styles[:, None], count_layers(generator), axis=1)


def mix_styles(coarse: np.ndarray, fine: np.ndarray, layers: Collection[int]) -> np.ndarray:
    """Replace the styles of some layers by those of other images (arXiv 1812.04948).

    Args:
        coarse: (…, L, W), styles of the other layers.
        fine: (…, L, W), styles of `layers`; its first axes and those of `coarse` are broadcast.
        layers: Numbers of the layers to replace, from 0, the coarsest, to L - 1.

    Returns:
        (…, L, W).

    Raises:
        ValueError: There is no such layer.

    Example:
        >>> a, b = np.zeros((1, 3, 1)), np.ones((1, 3, 1))
        >>> mix_styles(a, b, range(2, 3)).ravel().tolist()
        [0.0, 0.0, 1.0]
    """
    count = coarse.shape[-2]
    if not set(layers) <= set(range(count)):
        raise ValueError(f"layers must be within 0 and {count - 1}")
    replaced = np.isin(np.arange(count), list(layers))
    return np.where(replaced[:, None], fine, coarse)


def synthesize_batches(
    generator: Model,
    styles: np.ndarray,
    noise: Noise = "const",
    seed: int = 0,
    numbers: Sequence[int] | np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Generate images from styles, batch by batch.

    Args:
        generator: A style-based generator.
        styles: (N, W), or (N, L, W) for each layer.
        noise: `const`, the generator's own noise, the same in all images; `random`, new noise for
            each image; `none`.
        seed: Random seed of random noise, which depends on it and on the image's number alone.
        numbers: Numbers of the images (N,), from 0; None: 0 to N - 1.

    Yields:
        uint8 of shape (n, H, W, C), n at most `batch_size(H, W)`, N images in all.
    """
    synthesis = generator.get_layer("synthesis")
    if styles.ndim == 2:
        styles = repeat_styles(generator, styles)
    numbers = range(len(styles)) if numbers is None else numbers
    mean = mean_style(generator)
    stored = np.asarray(generator.get_layer("truncation").kernel)
    size = batch_size(*generator.output_shape[1:3])
    shapes = [x.shape[1:] for x in synthesis.inputs[1:]]
    if noise == "const":
        names = [x.name.removeprefix("noise_") for x in synthesis.inputs[1:]]
        noises = [np.asarray(generator.get_layer(f"{x}_noise_const").kernel) for x in names]
    else:
        noises = [np.zeros((1, *shape), np.float32) for shape in shapes]
    for start in range(0, len(styles), size):
        batch = styles[start : start + size]
        if noise == "random":
            drawn = [_draw_noise(shapes, seed, x) for x in numbers[start : start + size]]
            noises = [pad_rows(np.stack(maps), size) for maps in zip(*drawn, strict=True)]
        # The formula of the generator, so that results are equal bit by bit.
        truncated = mean + stored * (pad_rows(batch, size) - mean)
        images = call_freeing(synthesis, [truncated, *noises])
        yield to_uint8(images[: len(batch)])


def _draw_noise(shapes: list[tuple[int, ...]], seed: int, number: int) -> list[np.ndarray]:
    # The third number makes it independent of latents of the same seed.
    rng = np.random.default_rng([seed, int(number), 3])
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def synthesize(
    generator: Model,
    styles: np.ndarray,
    noise: Noise = "const",
    seed: int = 0,
    numbers: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Generate all images, uint8 of shape (N, H, W, C), at once; see `synthesize_batches`.

    Example:
        >>> from ganvas.networks.config import Stylegan2Params
        >>> from ganvas.networks.stylegan2 import build_stylegan2
        >>> params = Stylegan2Params(channel_base=1024, max_width=64, latent=64, style=64)
        >>> generator = build_stylegan2(params, (64, 64, 3)).generator
        >>> styles = map_latents(generator, np.ones((2, 64), np.float32))
        >>> mean = mean_style(generator)
        >>> synthesize(generator, truncate(styles, mean, psi=0.7), noise="none").shape
        (2, 64, 64, 3)
    """
    batches = synthesize_batches(generator, styles, noise, seed, numbers)
    return join_batches(batches, (len(styles), *generator.output_shape[1:]))
