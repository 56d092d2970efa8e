"""The two latent spaces of a generator: Z, which is sampled from, and W, which images are made of.

Every generator is a mapping from latents z to intermediate latents w, and a synthesis from w to
images:

| generator | mapping | w of an image |
|---|---|---|
| of StyleGAN2 | the mapping network | a style for each layer, (L, W): the papers' W+ |
| with a latent prior, see `ganvas.networks.latent_prior` | the prior | (Z,), a latent of training |
| any other | the identity | (Z,) |

Images are found, edited and interpolated in W, since every w is allowed there, while z must look
like a sample of N(0, I). With classes, synthesis takes labels too, except in StyleGAN2, whose
mapping does.
"""

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ganvas.keras_types import Model
from ganvas.networks.batches import as_inputs, batch_size, join_batches, pad_rows, to_uint8
from ganvas.networks.gan_networks import PRIOR_OUTPUT, is_style_based, remove_prior
from ganvas.networks.styles import (
    MEAN_LATENTS,
    count_layers,
    map_latents,
    mean_style,
    repeat_styles,
    synthesize_batches,
)

# Mappings of latent priors by their generators; of others there is nothing to build.
_priors: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def w_shape(generator: Model) -> tuple[int, ...]:
    """Return the shape of an image's intermediate latent: (Z,), or (L, W) for StyleGAN2.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> w_shape(build_dcgan(DcganParams(), (64, 64, 3)).generator)
        (100,)
    """
    if is_style_based(generator):
        return count_layers(generator), len(mean_style(generator))
    return (generator.inputs[0].shape[-1],)


def has_mapping(generator: Model) -> bool:
    """Return whether W is another space than Z."""
    return is_style_based(generator) or remove_prior(generator) is not generator


def map_to_w(generator: Model, latents: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Map latents (N, Z), and with classes labels (N, K), to W.

    Returns:
        float32 of shape (N, *`w_shape`).

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> map_to_w(generator, np.ones((3, 100), np.float32)).shape
        (3, 100)
    """
    if is_style_based(generator):
        return repeat_styles(generator, map_latents(generator, latents, labels))
    if not has_mapping(generator):
        return latents
    mapping = _find_prior(generator)
    size = batch_size(*generator.output_shape[1:3])
    mapped = np.empty_like(latents, np.float32)
    for start in range(0, len(latents), size):
        rows = slice(start, start + size)
        arrays = [latents[rows]] if labels is None else [latents[rows], labels[rows]]
        padded = [pad_rows(x, size) for x in arrays[: len(mapping.inputs)]]
        mapped[rows] = np.asarray(mapping(as_inputs(padded), training=False))[: len(arrays[0])]
    return mapped


def _find_prior(generator: Model) -> Model:
    import keras

    if generator not in _priors:
        output = generator.get_layer(PRIOR_OUTPUT).output
        _priors[generator] = keras.Model(as_inputs(list(generator.inputs)), output)
    return _priors[generator]


def mean_w(generator: Model, labels: np.ndarray) -> np.ndarray:
    """Return the mean of W for each of some rows of labels (N, K): (N, *`w_shape`).

    It is the mean of `MEAN_LATENTS` latents, always the same ones. Equal rows are computed once;
    still it takes about a second for each hundred different ones, so keep it.
    """
    rng = np.random.default_rng([0, 2])
    shape = (MEAN_LATENTS, generator.inputs[0].shape[-1])
    latents = rng.standard_normal(shape, dtype=np.float32)
    if not has_mapping(generator):
        return np.zeros((len(labels), *w_shape(generator)), np.float32)
    unique, inverse = np.unique(labels, axis=0, return_inverse=True)
    rows = [np.broadcast_to(row, (MEAN_LATENTS, len(row))) for row in unique]
    means = [map_to_w(generator, latents, row).mean(axis=0, dtype=np.float64) for row in rows]
    return np.stack(means).astype(np.float32)[inverse.ravel()]


def synthesize_w(generator: Model, w: Any, labels: Any = None) -> Any:
    """Compute float images (N, H, W, C) in about [-1, 1] from W; gradients pass through it.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        w: Tensor (N, *`w_shape`).
        labels: Tensor of class weights (N, K); None without classes.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> synthesize_w(generator, np.ones((2, 100), np.float32)).shape
        TensorShape([2, 64, 64, 3])
    """
    from keras import ops

    if is_style_based(generator):
        # Not as an array, which a compiled function can't make of a weight.
        mean = ops.convert_to_tensor(generator.get_layer("style_mean").kernel)[0]
        stored = ops.convert_to_tensor(generator.get_layer("truncation").kernel)
        synthesis = generator.get_layer("synthesis")
        names = [x.name.removeprefix("noise_") for x in synthesis.inputs[1:]]
        noises = [
            ops.convert_to_tensor(generator.get_layer(f"{x}_noise_const").kernel) for x in names
        ]
        inputs = [mean + stored * (w - mean), *noises]
        return synthesis(inputs if noises else inputs[0], training=False)
    inner = remove_prior(generator)
    return inner([w, labels] if len(inner.inputs) > 1 else w, training=False)


def generate_batches_from_w(
    generator: Model, w: np.ndarray, labels: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Generate images from W, batch by batch, in batches of a constant size.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        w: float32 (N, *`w_shape`).
        labels: Class weights, float32 (N, K); None or (N, 0) without classes.

    Yields:
        uint8 of shape (n, H, W, C), N images in all.
    """
    if is_style_based(generator):
        yield from synthesize_batches(generator, w)
        return
    inner = remove_prior(generator)
    size = batch_size(*generator.output_shape[1:3])
    for start in range(0, len(w), size):
        rows = slice(start, start + size)
        arrays = [w[rows]] if labels is None else [w[rows], labels[rows]]
        padded = [pad_rows(x, size) for x in arrays[: len(inner.inputs)]]
        yield to_uint8(np.asarray(inner(as_inputs(padded), training=False))[: len(arrays[0])])


def generate_from_w(
    generator: Model, w: np.ndarray, labels: np.ndarray | None = None
) -> np.ndarray:
    """Generate all images, uint8 of shape (N, H, W, C), at once; see `generate_batches_from_w`.

    Images of `map_to_w` of latents are those that the generator makes of the latents.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(), (64, 64, 3)).generator
        >>> generate_from_w(generator, np.ones((2, 100), np.float32)).shape
        (2, 64, 64, 3)
    """
    shape = (len(w), *generator.output_shape[1:])
    return join_batches(generate_batches_from_w(generator, w, labels), shape)
