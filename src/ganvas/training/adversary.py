"""Gradients of the adversarial losses, for the discriminator and for the generator."""

from typing import NamedTuple

import keras
import tensorflow as tf
from keras import layers, ops

from ganvas.errors import GanvasError
from ganvas.training.ada import ada_alike
from ganvas.training.augmentation import augment_alike
from ganvas.training.config import TrainParams
from ganvas.training.distribution import make_seed_generator
from ganvas.training.fused_ops import with_fused_norms
from ganvas.training.losses import (
    interpolate,
    lecam_penalty,
    make_loss,
    moving_average,
    one_centered_penalty,
    reconstruction_loss,
    sigmoid_class_loss,
    softmax_class_loss,
    zero_centered_penalty,
)
from ganvas.training.optimizers import follow_cosine

Gradients = list[tf.Tensor]


class MicroBatch(NamedTuple):
    """The part of a batch that goes through the networks at once.

    Attributes:
        images: Real images (N, H, W, C), float32 in [-1, 1].
        latents: Latents of the generated images, (N, Z).
        real_labels: One-hot labels of the real images, (N, K); None without classes.
        fake_labels: One-hot target classes of the generated images.
    """

    images: tf.Tensor
    latents: tf.Tensor
    real_labels: tf.Tensor | None = None
    fake_labels: tf.Tensor | None = None


class DiscriminatorOutput(NamedTuple):
    """Images with the discriminator's outputs for them.

    Attributes:
        logits: (N, 1) or (N, M), float32, positive for real.
        aux_outputs: Further outputs by name; see `ganvas.networks.gan_networks.GanNetworks`.
        images: (N, H, W, C), float32 in [-1, 1].
        augmented_images: The same after augmentation, the discriminator's input.
        labels: One-hot labels or target classes, (N, K); None without classes.
    """

    logits: tf.Tensor
    aux_outputs: dict[str, tf.Tensor]
    images: tf.Tensor
    augmented_images: tf.Tensor
    labels: tf.Tensor | None


class AdversarialGradients(NamedTuple):
    """Gradients and values of both networks' losses on a micro-batch.

    Attributes:
        weight_gradients: Gradients of the discriminator's loss, regularization included, by its
            trainable weights; empty if only the generator is updated.
        image_gradient: Gradient of the generator's loss by the generated images, (N, H, W, C);
            None if only the discriminator is updated.
        loss_d: The discriminator's loss without regularization, a scalar.
        loss_g: The generator's loss, a scalar.
        real: The discriminator's outputs for the real images.
        fake: Its outputs for the generated images.
    """

    weight_gradients: Gradients
    image_gradient: tf.Tensor | None
    loss_d: tf.Tensor
    loss_g: tf.Tensor
    real: DiscriminatorOutput
    fake: DiscriminatorOutput


class Adversary:
    """The discriminator with its losses: the gradients that train both networks.

    Args:
        discriminator: See `ganvas.networks.gan_networks.GanNetworks`.
        params: Parameters of training.
        schedule_steps: Steps after which `penalty_factor` of a cosine schedule is reached; None
            without one.

    Attributes:
        augment_probability: Probability of each augmentation, a variable.
        real_logits_ema: Moving average of the mean logit of real images, for LeCam.
        fake_logits_ema: The same for generated images.
        keep_orientation_every: Interval of the real images of a batch that are never flipped or
            rotated; None: all may be.

    Raises:
        GanvasError: A gradient penalty is set, and the discriminator has batch normalization.
    """

    keep_orientation_every: int | None = None

    def __init__(
        self,
        discriminator: keras.Model,
        params: TrainParams,
        schedule_steps: int | None = None,
    ) -> None:
        refuse_penalty_with_batch_norm(discriminator, params)
        self.params = params.resolve(*discriminator.inputs[0].shape[1:3])
        self.schedule_steps = schedule_steps
        self.discriminator = discriminator
        self.fused_discriminator = with_fused_norms(discriminator)
        self.is_conditional = len(discriminator.inputs) == 2
        self.seed = make_seed_generator(params.seed)
        self.adversarial_loss = make_loss(params.loss, self.seed)
        self.augment_probability = state_variable(
            "augment_probability", params.augment.initial_probability
        )
        self.real_logits_ema = state_variable("real_logits_ema", 0.0, aggregation="mean")
        self.fake_logits_ema = state_variable("fake_logits_ema", 0.0, aggregation="mean")

    def compile(
        self, generator_optimizer: keras.Optimizer, discriminator_optimizer: keras.Optimizer
    ) -> None:
        """Set the optimizers, by whose loss scales (1 except in float16) losses are multiplied."""
        self.scale_loss_g = generator_optimizer.scale_loss
        self.scale_loss_d = discriminator_optimizer.scale_loss

    def discriminator_gradients(
        self, batch: MicroBatch, generated: tf.Tensor, step: tf.Tensor
    ) -> AdversarialGradients:
        """Compute the gradients of the discriminator's loss by its weights.

        Args:
            batch: Real images, and labels of both kinds.
            generated: Generated images, (N, H, W, C).
            step: Number of steps before this one, for lazy regularization and LeCam.
        """
        with tf.GradientTape() as tape:
            # Two forward passes, so that batch norm sees real and generated images separately.
            real = self.forward(batch.images, batch.real_labels)
            fake = self.forward(generated, batch.fake_labels)
            loss_d = self.discriminator_loss(real, fake)
            scaled_loss = self.scale_loss_d(loss_d + self.regularization(real, fake, step))
        weight_gradients = tape.gradient(scaled_loss, self.discriminator.trainable_variables)
        loss_g = self.generator_loss(real, fake)
        return AdversarialGradients(weight_gradients, None, loss_d, loss_g, real, fake)

    def generator_gradients(
        self, batch: MicroBatch, generated: tf.Tensor, forward_real: bool = False
    ) -> AdversarialGradients:
        """Compute the gradient of the generator's loss by the generated images.

        Args:
            batch: Real images, and labels of both kinds.
            generated: Generated images, (N, H, W, C).
            forward_real: Whether to compute the outputs for real images too; relativistic losses
                do so anyway. Otherwise `real` of the result is `fake`.
        """
        needs_real = forward_real or self.params.loss.name == "relativistic"
        # Watch the images alone: this loss trains no weight of the discriminator.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(generated)
            fake = self.forward(generated, batch.fake_labels)
            real = self.forward(batch.images, batch.real_labels) if needs_real else fake
            loss_g = self.generator_loss(real, fake)
            scaled_loss = self.scale_loss_g(loss_g)
        image_gradient = tape.gradient(scaled_loss, generated)
        return AdversarialGradients([], image_gradient, ops.zeros(()), loss_g, real, fake)

    def joint_gradients(
        self, batch: MicroBatch, generated: tf.Tensor, step: tf.Tensor
    ) -> AdversarialGradients:
        """Compute the gradients of both losses from one forward pass.

        Args:
            batch: Real images, and labels of both kinds.
            generated: Generated images, (N, H, W, C).
            step: Number of steps before this one.
        """
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(generated)
            real = self.forward(batch.images, batch.real_labels)
            fake = self.forward(generated, batch.fake_labels)
            loss_d, loss_g, scaled_d, scaled_g = self.compute_losses(real, fake, step)
        image_gradient = tape.gradient(scaled_g, generated)
        weight_gradients = tape.gradient(scaled_d, self.discriminator.trainable_variables)
        return AdversarialGradients(weight_gradients, image_gradient, loss_d, loss_g, real, fake)

    def forward(self, images: tf.Tensor, labels: tf.Tensor | None) -> DiscriminatorOutput:
        """Augment images (N, H, W, C) in [-1, 1] if set, and run the discriminator on them."""
        (augmented,) = self.augment_alike([images])
        outputs = self.fused_discriminator(
            [augmented, labels] if self.is_conditional else augmented, training=True
        )
        outputs = dict(outputs) if isinstance(outputs, dict) else {"logits": outputs}
        outputs = {name: ops.cast(value, "float32") for name, value in outputs.items()}
        return DiscriminatorOutput(outputs.pop("logits"), outputs, images, augmented, labels)

    def augment_alike(self, batches: list[tf.Tensor]) -> list[tf.Tensor]:
        """Augment batches (N, H, W, C) if set, the i-th image of each in the same way."""
        params = self.params.augment
        if params.name == "none":
            return batches
        if params.name == "ada":
            static = self.params.jit_compile
            return ada_alike(batches, params.set, self.augment_probability, self.seed, static)
        return augment_alike(batches, params.policy, self.augment_probability, self.seed)

    def compute_losses(
        self, real: DiscriminatorOutput, fake: DiscriminatorOutput, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Compute both losses, and the values to differentiate.

        Returns:
            The discriminator's loss without regularization and the generator's loss; then the
            same with regularization of the discriminator and multiplied by the loss scales.
        """
        loss_d = self.discriminator_loss(real, fake)
        loss_g = self.generator_loss(real, fake)
        total_d = loss_d + self.regularization(real, fake, step)
        return loss_d, loss_g, self.scale_loss_d(total_d), self.scale_loss_g(loss_g)

    def discriminator_loss(self, real: DiscriminatorOutput, fake: DiscriminatorOutput) -> tf.Tensor:
        """Compute the discriminator's loss without regularization."""
        return (
            self.adversarial_loss.discriminator(real.logits, fake.logits)
            + self._class_loss(real)
            + self._fake_class_loss(fake)
            + self._reconstruction_loss(real)
        )

    def generator_loss(self, real: DiscriminatorOutput, fake: DiscriminatorOutput) -> tf.Tensor:
        """Compute the generator's loss, to which a decoder's loss is added in `GAN`."""
        total = self.adversarial_loss.generator(real.logits, fake.logits)
        return total + self._class_loss(fake) + self._reconstruction_loss(fake)

    def regularization(
        self, real: DiscriminatorOutput, fake: DiscriminatorOutput, step: tf.Tensor
    ) -> tf.Tensor:
        """Compute the sum of the regularization terms; N must be equal for real and fake.

        Gradient penalties are lazy (Karras et al., arXiv 1912.04958): computed every
        `penalty.interval` steps, and multiplied by it.
        """
        params = self.params.penalty
        total = ops.zeros(())
        if params.lecam:
            total += self._lecam_regularization(real.logits, fake.logits, step)
        if params.r1 or params.r2 or params.wgan_gp:
            penalties = (
                self._gradient_penalties(real, fake)
                if params.interval == 1
                else tf.cond(
                    step % params.interval == 0,
                    lambda: params.interval * self._gradient_penalties(real, fake),
                    lambda: tf.zeros(()),
                )
            )
            total += self._scheduled_penalty_factor(step) * penalties
        return total

    def _scheduled_penalty_factor(self, step: tf.Tensor) -> tf.Tensor | float:
        """Return the factor of gradient penalties in this step: 1, or that of a cosine."""
        end = self.params.schedule.penalty_factor
        if self.schedule_steps is None or end == 1:
            return 1.0
        return follow_cosine(1.0, end, step, self.schedule_steps)

    def _class_loss(self, output: DiscriminatorOutput) -> tf.Tensor:
        weight = self.params.loss.auxiliary_class_weight
        if "softmax_classes" in output.aux_outputs:
            return weight * softmax_class_loss(output.aux_outputs["softmax_classes"], output.labels)
        if "sigmoid_classes" in output.aux_outputs:
            return weight * sigmoid_class_loss(output.aux_outputs["sigmoid_classes"], output.labels)
        return ops.zeros(())

    def _fake_class_loss(self, output: DiscriminatorOutput) -> tf.Tensor:
        """Compute the discriminator's class loss of generated images: with sigmoids, towards 0."""
        if "sigmoid_classes" not in output.aux_outputs:
            return ops.zeros(())
        loss = sigmoid_class_loss(
            output.aux_outputs["sigmoid_classes"], ops.zeros_like(output.labels)
        )
        return self.params.loss.auxiliary_class_weight * loss

    def _reconstruction_loss(self, output: DiscriminatorOutput) -> tf.Tensor:
        if "reconstruction" not in output.aux_outputs:
            return ops.zeros(())
        loss = reconstruction_loss(output.aux_outputs["reconstruction"], output.augmented_images)
        return self.params.loss.reconstruction_weight * loss

    def _lecam_regularization(
        self, real_logits: tf.Tensor, fake_logits: tf.Tensor, step: tf.Tensor
    ) -> tf.Tensor:
        params = self.params.penalty
        started = step >= params.lecam_start
        # Before `lecam_start`, and in the first step, decay 0 sets the averages to the current
        # means: they start at the first ones, not at 0.
        decay = ops.where(started & (step > 0), params.lecam_decay, 0.0)
        for ema, logits in (
            (self.real_logits_ema, real_logits),
            (self.fake_logits_ema, fake_logits),
        ):
            ema.assign(moving_average(ema, ops.mean(logits), decay))
        penalty = lecam_penalty(
            real_logits, fake_logits, self.real_logits_ema, self.fake_logits_ema
        )
        return params.lecam * ops.cast(started, "float32") * penalty

    def _gradient_penalties(
        self, real: DiscriminatorOutput, fake: DiscriminatorOutput
    ) -> tf.Tensor:
        params = self.params.penalty
        total = ops.zeros(())
        for gamma, output in ((params.r1, real), (params.r2, fake)):
            assert not isinstance(gamma, str), "resolved in __init__"
            if gamma:
                gradient = self._input_gradient(output.images, output.labels)
                total += gamma / 2 * zero_centered_penalty(gradient)
        if params.wgan_gp:
            between = interpolate(real.images, fake.images, self.seed)
            gradient = self._input_gradient(between, real.labels)
            total += params.wgan_gp * one_centered_penalty(gradient)
        return total

    def _input_gradient(self, images: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Compute the gradient of each image's logit, or mean of M logits, by its pixels.

        The mean, as in the losses. Published code differentiates the sum of all logits, which is M
        times as steep: its γ times M² is the γ here; see `train.penalty.r1`.
        """
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = ops.sum(ops.mean(self.forward(images, labels).logits, axis=-1))
        return tape.gradient(total, images)


def state_variable(
    name: str, value: float, dtype: str = "float32", aggregation: str = "none"
) -> keras.Variable:
    """Create a scalar variable of the training state, such as a counter or a moving average."""
    return keras.Variable(value, trainable=False, dtype=dtype, name=name, aggregation=aggregation)


def refuse_penalty_with_batch_norm(discriminator: keras.Model, params: TrainParams) -> None:
    """Refuse gradient penalties with batch norm; `ProjectParams` has refused most already."""
    if any(isinstance(layer, layers.BatchNormalization) for layer in discriminator.layers):
        try:
            params.penalty.check_batch_norm()
        except ValueError as error:
            raise GanvasError(f"{error}.") from error
