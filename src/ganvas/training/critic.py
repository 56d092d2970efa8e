"""What the discriminator says of images, and what both networks pay for it."""

from typing import NamedTuple

import keras
import tensorflow as tf
from keras import layers, ops

from ganvas.errors import GanvasError
from ganvas.training.augmentation import augment
from ganvas.training.auxiliary import (
    reconstruction_loss,
    sigmoid_class_loss,
    softmax_class_loss,
)
from ganvas.training.config import TrainParams
from ganvas.training.fused_ops import with_fused_norms
from ganvas.training.losses import make_loss
from ganvas.training.penalties import (
    interpolate,
    lecam_penalty,
    move_average,
    one_centered_penalty,
    zero_centered_penalty,
)
from ganvas.training.replicas import make_seed


class Word(NamedTuple):
    """What the discriminator says of images.

    Attributes:
        logits: (N, 1), float32, positive for real.
        more: Its other outputs; see `ganvas.networks.gan_networks.GanNetworks`.
        images: (N, H, W, 3), float32 in [-1, 1].
        seen: The same as it saw them, augmented.
        classes: Rows of classes that they show or were asked to, (N, K); None: no classes.
    """

    logits: tf.Tensor
    more: dict[str, tf.Tensor]
    images: tf.Tensor
    seen: tf.Tensor
    classes: tf.Tensor | None


class Critic:
    """The discriminator with its losses and penalties.

    Args:
        discriminator: See `ganvas.networks.gan_networks.GanNetworks`.
        params: Of training.

    Attributes:
        probability: With which an image is augmented.
        real_average: Of the means of past logits of real images.
        fake_average: The same of generated ones.

    Raises:
        GanvasError: A gradient penalty is asked for with a discriminator that has batch norm.
    """

    def __init__(self, discriminator: keras.Model, params: TrainParams) -> None:
        _check_norms(discriminator, params)
        self.params = params
        self.network = with_fused_norms(discriminator)
        self.looks_at_classes = len(discriminator.inputs) == 2
        self.seed = make_seed(params.seed)
        self.loss = make_loss(params.loss, self.seed)
        always = params.augment.name == "diffaugment"
        self.probability = make_number("probability", 1.0 if always else 0.0)
        self.real_average = make_number("real_average", 0.0, aggregation="mean")
        self.fake_average = make_number("fake_average", 0.0, aggregation="mean")

    def look(self, images: tf.Tensor, classes: tf.Tensor | None) -> Word:
        """Judge images (N, H, W, 3) in [-1, 1], augmented where that is asked for."""
        seen = images
        if self.params.augment.name != "none":
            policy = tuple(self.params.augment.policy)
            seen = augment(images, policy, self.probability, self.seed)
        inputs = [seen, classes] if self.looks_at_classes else seen
        outputs = self.network(inputs, training=True)
        more = dict(outputs) if isinstance(outputs, dict) else {"logits": outputs}
        more = {name: ops.cast(value, "float32") for name, value in more.items()}
        return Word(more.pop("logits"), more, images, seen, classes)

    def discriminator_loss(self, real: Word, fake: Word) -> tf.Tensor:
        """What the discriminator minimizes, penalties aside."""
        total = self.loss.discriminator(real.logits, fake.logits)
        return total + self._tell_classes(real) + self._deny_classes(fake) + self._paint_again(real)

    def generator_loss(self, real: Word, fake: Word) -> tf.Tensor:
        """What the generator minimizes by its images."""
        total = self.loss.generator(real.logits, fake.logits)
        return total + self._tell_classes(fake) + self._paint_again(fake)

    def penalize(self, real: Word, fake: Word, step: tf.Tensor) -> tf.Tensor:
        """Give the sum of the penalties that are asked for; real and fake must be of one size."""
        params = self.params.penalty
        total = ops.zeros(())
        if params.lecam:
            total += self._follow_logits(real.logits, fake.logits, step)
        if params.r1 or params.r2 or params.wgan_gp:
            total += (
                self._penalize_steepness(real, fake)
                if params.interval == 1
                else tf.cond(
                    step % params.interval == 0,
                    lambda: params.interval * self._penalize_steepness(real, fake),
                    lambda: tf.zeros(()),
                )
            )
        return total

    def _tell_classes(self, word: Word) -> tf.Tensor:
        weight = self.params.loss.auxiliary_class_weight
        if "softmax_classes" in word.more:
            return weight * softmax_class_loss(word.more["softmax_classes"], word.classes)
        if "sigmoid_classes" in word.more:
            return weight * sigmoid_class_loss(word.more["sigmoid_classes"], word.classes)
        return ops.zeros(())

    def _deny_classes(self, word: Word) -> tf.Tensor:
        """Where each class is a question of its own, generated images are of none."""
        if "sigmoid_classes" not in word.more:
            return ops.zeros(())
        none = ops.zeros_like(word.classes)
        return self.params.loss.auxiliary_class_weight * sigmoid_class_loss(
            word.more["sigmoid_classes"], none
        )

    def _paint_again(self, word: Word) -> tf.Tensor:
        if "reconstruction" not in word.more:
            return ops.zeros(())
        loss = reconstruction_loss(word.more["reconstruction"], word.seen)
        return self.params.loss.reconstruction_weight * loss

    def _follow_logits(self, real: tf.Tensor, fake: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        params = self.params.penalty
        started = step >= params.lecam_start
        # Until then the averages follow the last value alone.
        decay = ops.where(started, params.lecam_decay, 0.0)
        for average, logits in ((self.real_average, real), (self.fake_average, fake)):
            average.assign(move_average(average, ops.mean(logits), decay))
        lecam = lecam_penalty(real, fake, self.real_average, self.fake_average)
        return params.lecam * ops.cast(started, "float32") * lecam

    def _penalize_steepness(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        params = self.params.penalty
        total = ops.zeros(())
        for weight, word in ((params.r1, real), (params.r2, fake)):
            if weight:
                slope = self._slope(word.images, word.classes)
                total += weight / 2 * zero_centered_penalty(slope)
        if params.wgan_gp:
            between = interpolate(real.images, fake.images, self.seed)
            slope = self._slope(between, real.classes)
            total += params.wgan_gp * one_centered_penalty(slope)
        return total

    def _slope(self, images: tf.Tensor, classes: tf.Tensor | None) -> tf.Tensor:
        """Give the gradient at each image's pixels of its logit, the mean where it has several.

        A loss takes their mean too: the sum of M logits is M times as steep.
        """
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = ops.sum(ops.mean(self.look(images, classes).logits, axis=-1))
        return tape.gradient(total, images)


def make_number(
    name: str, value: float, dtype: str = "float32", aggregation: str = "none"
) -> keras.Variable:
    """Make a variable that training counts or averages in."""
    return keras.Variable(value, trainable=False, dtype=dtype, name=name, aggregation=aggregation)


def _check_norms(discriminator: keras.Model, params: TrainParams) -> None:
    """Batch norm ties the images of a batch together, and a slope belongs to one alone."""
    penalty = params.penalty
    wanted = [name for name in ("r1", "r2", "wgan_gp") if getattr(penalty, name)]
    norms = [each for each in discriminator.layers if isinstance(each, layers.BatchNormalization)]
    if wanted and norms:
        raise GanvasError(
            f"train.penalty.{wanted[0]} can't be had with batch norm in the discriminator: take "
            "network.name=r3gan, which has none, or dcgan with "
            "network.dcgan.discriminator_norm=none, or set the penalty to 0."
        )
