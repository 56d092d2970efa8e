"""The generator of training of a style-based network, with the styles of its images."""

from typing import NamedTuple

import keras
import tensorflow as tf
from keras import layers, ops

from ganvas.networks.style_mixing import MixStyles, NormalLike
from ganvas.training.losses import moving_average

# Decay of the mean style at each update of the generator, as in StyleGAN2's code.
STYLE_MEAN_DECAY = 0.995


class StyledImages(NamedTuple):
    """Generated images with their styles.

    Attributes:
        images: (N, H, W, C), float32.
        w: Styles that the mapping network has computed from latents, (N, W), float32.
        styles: The style of each layer of the synthesis network, some of them of a second latent,
            (N, L, W), float32.
    """

    images: tf.Tensor
    w: tf.Tensor
    styles: tf.Tensor


def with_styles(training_generator: keras.Model, seed: keras.random.SeedGenerator) -> keras.Model:
    """Clone a generator of training so that it returns what `StyledImages` has, as a list.

    All weights are shared.

    Args:
        training_generator: That of `ganvas.networks.stylegan2`.
        seed: Source of all its random numbers, in place of those of its layers.
    """

    def reseed(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, NormalLike):
            clone: layers.Layer = NormalLike(layer.row_shape, name=layer.name)
        elif isinstance(layer, MixStyles):
            clone = MixStyles(layer.layers, layer.probability, name=layer.name)
        else:
            return layer
        clone.seed = seed
        return clone

    clone = keras.models.clone_model(training_generator, clone_function=reseed)
    mix = clone.get_layer("mix_styles")
    w, _ = mix.input
    return keras.Model(clone.inputs, [clone.output, w, mix.output])


def update_style_mean(style_mean: keras.Variable, w: tf.Tensor) -> None:
    """Move the mean style (1, W) towards the mean of the styles of a step, (W,)."""
    updated = moving_average(style_mean, w[None], STYLE_MEAN_DECAY)
    # Half precision may overflow in a step, which the optimizer then skips.
    style_mean.assign(ops.where(ops.isfinite(updated), updated, style_mean))
