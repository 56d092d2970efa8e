"""What every network's file builds: a generator and a discriminator that fit each other."""

from typing import NamedTuple

import keras


class GanNetworks(NamedTuple):
    """A generator and a discriminator.

    Classes are rows (N, K) of weights that sum to 1: one-hot in training, and mixtures of classes
    where someone likes to paint between two.

    Attributes:
        generator: Latent (N, Z), standard normal, to images (N, H, W, 3), float32, made for
            [-1, 1] and clipped to it when they are saved. With classes its inputs are [latent,
            classes].
        discriminator: Such images to logits (N, 1), float32, positive for real, or (N, M) where
            it judges M parts of an image, each by itself; or to a dict with `logits` and any of
            these, on each of which training puts a loss of its own:
            `softmax_classes` (N, K): logits of which class an image shows;
            `sigmoid_classes` (N, K): the same, each class a question of its own, and for a
            generated image the answer that the discriminator learns is no to all of them;
            `reconstruction` (N, H, W, 3): the image painted again;
            `features` (N, h, w, c): what `decoder` paints the image again from.
            With inputs [images, classes] it judges whether an image is a real one of its class.
            One that looks through a frozen network is made of two: `trunk`, images to a list of
            themselves and of maps, and `heads`, this list, with classes at its end, to logits.
        decoder: `features` of real images to these images; it is made of layers of the
            generator, which is the one that learns by it. None: nothing of the kind.
    """

    generator: keras.Model
    discriminator: keras.Model
    decoder: keras.Model | None = None


def has_pretrained_backbone(discriminator: keras.Model) -> bool:
    """Tell whether a discriminator is made of `trunk` and `heads`; see `GanNetworks`."""
    return "trunk" in {layer.name for layer in discriminator.layers}
