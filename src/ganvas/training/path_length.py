"""Path length regularization of style-based generators (Karras et al., arXiv 1912.04958).

A step of a fixed length in the space of styles should change an image by a fixed amount, whatever
the style and the direction. So the length of the gradient of an image's random projection by its
styles is pulled towards its mean over training.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from ganvas.training.losses import safe_root
from ganvas.training.styled_generator import StyledImages


def path_lengths(
    generate: Callable[[], StyledImages], seed: keras.random.SeedGenerator
) -> tf.Tensor:
    """Generate images, and compute ‖∂(Σ images · noise / √(H · W)) / ∂styles‖ of each, (N,).

    The square of a length is the mean over layers of the sum over a style's elements, as in
    StyleGAN2's code. The result has a gradient by the generator's weights.

    Args:
        generate: Generates images from styles.
        seed: Source of the noise, which is from N(0, 1).
    """
    with tf.GradientTape() as tape:
        generated = generate()
        images, styles = generated.images, generated.styles
        height, width = images.shape[1:3]
        noise = keras.random.normal(ops.shape(images), seed=seed) / (height * width) ** 0.5
        projection = ops.sum(images * noise)
    gradient = tape.gradient(projection, styles)
    return safe_root(ops.mean(ops.sum(ops.square(gradient), axis=2), axis=1))


def path_length_penalty(
    lengths: tf.Tensor, mean_length: tf.Tensor, decay: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute E(length - a)², a being the mean length after these lengths, and their mean.

    As in StyleGAN2's code, a has a gradient too, if a small one.

    Args:
        lengths: (N,).
        mean_length: The mean length before, a scalar.
        decay: Weight of these lengths in the mean.
    """
    mean = ops.mean(lengths)
    target = mean_length + decay * (mean - mean_length)
    return ops.mean(ops.square(lengths - target)), mean
