"""A GAN some of whose latents belong to real images, which it must paint again.

As in VAE-GAN (Larsen et al., arXiv 1512.09300) the maps of a network that knows images say how
far apart two of them are, here of the frozen one that the discriminator looks through, and as in
IC-GAN (Casanova et al., arXiv 2109.05070) each real image stands for a part of the latent space.
A generator that has to find its way to all of them can't fall back on a few shapes.
"""

import keras
import tensorflow as tf
from keras import ops

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.augmentation import augment_alike
from ganvas.training.config import TrainParams
from ganvas.training.critic import Word
from ganvas.training.gan import GAN, Gradients
from ganvas.training.pieces import Piece, Verdict

# Keeps ratios of lengths finite.
TINY = 1e-12
# Likeness is asked for in what is coarse alone, in images of this side and in maps from the
# second on: no latent tells where each hair lies, and a generator that must know it paints fog.
COARSE = 16
FIRST_MAP = 2


class AnchoredGAN(GAN):
    """A GAN whose every `train.anchor.every`-th image of a batch has its real one's latent.

    Args:
        networks: As for `GAN`; the discriminator has a `trunk` and `heads`.
        averaged: As for `GAN`.
        params: As for `GAN`.
    """

    def __init__(self, networks: GanNetworks, averaged: keras.Model, params: TrainParams) -> None:
        super().__init__(networks, averaged, params)
        self.trunk = self.discriminator.get_layer("trunk")
        self.heads = self.discriminator.get_layer("heads")

    def _mirror(self, real: tf.Tensor) -> tf.Tensor:
        """Mirror half of the images that have no latent of their own."""
        anchored = ops.arange(ops.shape(real)[0]) % self.params.anchor.every == 0
        return ops.where(anchored[:, None, None, None], real, super()._mirror(real))

    def _judge_pair(
        self, piece: Piece, images: tf.Tensor, both: bool = False
    ) -> tuple[Gradients, tf.Tensor | None, Verdict, Word]:
        if not both:
            return super()._judge_pair(piece, images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            real_seen, fake_seen = self._show_alike(piece.real, images)
            fake_maps = self.trunk(fake_seen)
            pixels = self._differ(_make_coarse(images), _make_coarse(piece.real))
            pixels = self.generator_optimizer.scale_loss(pixels * self.params.anchor.pixels)
        real_maps = self.trunk(real_seen)
        with tf.GradientTape(persistent=True) as at_maps:
            at_maps.watch(fake_maps)
            real = self._hear(real_maps, piece.real, real_seen, piece.shown)
            fake = self._hear(fake_maps, images, fake_seen, piece.asked)
            loss_d = self.critic.discriminator_loss(real, fake)
            loss_g = self.critic.generator_loss(real, fake)
            total = loss_d + self.critic.penalize(real, fake, self.steps)
            scaled_d = self.discriminator_optimizer.scale_loss(total)
            # Scaled before their gradients at the maps, which float16 would round to zeros.
            scaled_g = self.generator_optimizer.scale_loss(loss_g)
            apart = self._differ_relatively(fake_maps[FIRST_MAP:], real_maps[FIRST_MAP:])
            apart = self.generator_optimizer.scale_loss(apart)
        likeness = [ops.zeros_like(each) for each in fake_maps[:FIRST_MAP]]
        likeness += at_maps.gradient(apart, fake_maps[FIRST_MAP:])
        by_maps = self._balance(at_maps.gradient(scaled_g, fake_maps), likeness)
        by_images = tape.gradient([*fake_maps, pixels], images, [*by_maps, ops.ones(())])
        by_weights = at_maps.gradient(scaled_d, self.discriminator.trainable_variables)
        return by_weights, by_images, Verdict(loss_d, loss_g, real.logits, fake.logits), real

    def _show_alike(self, real: tf.Tensor, images: tf.Tensor) -> list[tf.Tensor]:
        """Augment a real image and the one that must look like it in the same way."""
        params = self.params.augment
        if params.name == "none":
            return [real, images]
        policy = tuple(params.policy)
        return augment_alike([real, images], policy, self.critic.probability, self.critic.seed)

    def _hear(
        self,
        maps: list[tf.Tensor],
        images: tf.Tensor,
        seen: tf.Tensor,
        classes: tf.Tensor | None,
    ) -> Word:
        inputs = [*maps, classes] if self.critic.looks_at_classes else maps
        return Word(self.heads(inputs, training=True), {}, images, seen, classes)

    def _differ(self, some: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """Give the mean absolute difference over the images with latents of their own."""
        every = self.params.anchor.every
        return ops.mean(ops.abs(_in_float32(some[::every]) - _in_float32(others[::every])))

    def _differ_relatively(self, fake: list[tf.Tensor], real: list[tf.Tensor]) -> tf.Tensor:
        """Give the sum over maps of their differences, each as a share of the real map's size."""
        every = self.params.anchor.every
        return sum(
            self._differ(one, other) / ops.mean(ops.abs(_in_float32(other[::every])))
            for one, other in zip(fake, real, strict=True)
        )

    def _balance(self, adversarial: list[tf.Tensor], likeness: list[tf.Tensor]) -> list[tf.Tensor]:
        """Add gradients at the maps, the adversarial one scaled to its share of the other.

        Left to itself either may be hundreds of times the longer one, and at another time the
        shorter. The share is that of the images that have both.
        """
        every = self.params.anchor.every
        shared = _length([each[::every] for each in adversarial])
        scale = self.params.anchor.adversarial * _length(likeness) / (shared + TINY)
        both = zip(adversarial, likeness, strict=True)
        return [one * ops.cast(scale, one.dtype) + other for one, other in both]


def _make_coarse(images: tf.Tensor) -> tf.Tensor:
    side = images.shape[1] // COARSE
    return ops.average_pool(images, side) if side > 1 else images


def _length(gradients: list[tf.Tensor]) -> tf.Tensor:
    return tf.linalg.global_norm([_in_float32(each) for each in gradients])


def _in_float32(values: tf.Tensor) -> tf.Tensor:
    return ops.cast(values, "float32")
