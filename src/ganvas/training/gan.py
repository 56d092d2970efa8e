"""The pair of networks as one Keras model with its training step.

The gradient tape is TensorFlow's own. Of the training step's parts, this file, `anchored.py`,
`critic.py`, `fused.py` and `replicas.py` alone know the backend.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.augmentation import adapt_probability, random_flip
from ganvas.training.auxiliary import reconstruction_loss
from ganvas.training.config import TrainParams
from ganvas.training.critic import Critic, Word, make_number
from ganvas.training.fused_ops import with_fused_norms
from ganvas.training.losses import decision_threshold
from ganvas.training.optimizers import without_rate
from ganvas.training.penalties import move_average
from ganvas.training.pieces import Piece, Verdict, cut, join
from ganvas.training.replicas import (
    as_log,
    even_out,
    make_mean,
    mean_over_replicas,
    share_gradients,
)

SCORES = ("loss_g", "loss_d", "real_score", "fake_score")


class Painted(NamedTuple):
    """Generated images (N, H, W, 3) with the tape that leads back to the generator."""

    images: tf.Tensor
    tape: tf.GradientTape


Gradients = list[tf.Tensor]


class GAN(keras.Model):
    """Generator and discriminator, trained against each other by `fit`.

    `fit` takes batches of (images, latents): uint8 of shape (N, H, W, 3) and float32 of shape
    (N, Z), N being `discriminator_steps` times the batch size; with classes also (labels, asked),
    the numbers of the classes that the images show and that the generator is asked for, int32
    of shape (N,). It reports the means over an epoch of both losses, without penalties, and of
    the mean sigmoid outputs for real and generated images.

    Args:
        networks: Generator and discriminator, and where there is one the decoder.
        averaged: A generator like the first, for the average of its weights.
        params: How they are trained.

    Raises:
        GanvasError: A gradient penalty is asked for with a discriminator that has batch norm.
    """

    def __init__(self, networks: GanNetworks, averaged: keras.Model, params: TrainParams) -> None:
        super().__init__(name="gan")
        self.generator, self.discriminator, decoder = GanNetworks(*networks)
        self.averaged = averaged
        if averaged is not self.generator:
            averaged.set_weights(self.generator.get_weights())
        self.params = params
        self.critic = Critic(self.discriminator, params)
        self.fused_generator = with_fused_norms(self.generator)
        # Its norms' averages are the generator's, and must follow what the generator paints.
        self.fused_decoder = decoder and with_fused_norms(decoder, averages=False)
        self.signs = make_number("signs", 0.0)
        self.steps = make_number("steps", 0, "int64")
        self.trackers = {name: make_mean(name) for name in SCORES}

    def compile(
        self,
        generator_optimizer: keras.Optimizer,
        discriminator_optimizer: keras.Optimizer,
        **options: Any,
    ) -> None:
        """Set one optimizer for each network; the options are those of `keras.Model.compile`."""
        # Keras's "auto" means XLA, which is slower than TensorFlow's own kernels on a CPU.
        super().compile(**{"jit_compile": False} | options)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What `fit` resets at the start of an epoch."""
        return list(self.trackers.values())

    def state(self) -> dict[str, list[keras.Variable]]:
        """Give every variable that the next step depends on, by the part that owns it.

        Constant learning rates are not among them: another one may be chosen for what is to come.
        """
        critic = self.critic
        averages = [critic.real_average, critic.fake_average]
        numbers = [critic.probability, self.signs, *averages, self.steps, critic.seed.state]
        return {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "averaged": self.averaged.variables if self.averaged is not self.generator else [],
            "generator_optimizer": without_rate(self.generator_optimizer),
            "discriminator_optimizer": without_rate(self.discriminator_optimizer),
            "numbers": numbers,
            "trackers": [value for tracker in self.metrics for value in tracker.variables],
        }

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Leave out what Keras does before it trains on several devices: all is built already."""

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        """Paint: latent (N, Z) to images (N, H, W, 3) in [-1, 1]."""
        return self.averaged(latents)

    def train_step(self, batch: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Update the discriminator, as often as asked for, then the generator and its average."""
        *first, last = cut(self._prepare(*batch), self.params.discriminator_steps)
        for part in first:
            self._alternate(
                cut(part, self.params.gradient_accumulation_steps), discriminator_alone=True
            )
        pieces = cut(last, self.params.gradient_accumulation_steps)
        verdict = (self._update_both if self.params.simultaneous_updates else self._alternate)(
            pieces
        )
        even_out([self.generator, self.discriminator])
        self._average()
        self._adapt(verdict.real)
        self.steps.assign_add(1)
        scores = ops.mean(ops.sigmoid(verdict.real)), ops.mean(ops.sigmoid(verdict.fake))
        return self._track(verdict.loss_g, verdict.loss_d, *scores)

    def _prepare(self, images: tf.Tensor, latents: tf.Tensor, *labels: tf.Tensor) -> Piece:
        """Turn what `fit` is given into what the networks take."""
        real = ops.cast(images, "float32") / 127.5 - 1.0
        if self.params.flip:
            real = self._mirror(real)
        count = self.generator.inputs[-1].shape[-1]
        return Piece(real, latents, *(ops.one_hot(each, count) for each in labels))

    def _mirror(self, real: tf.Tensor) -> tf.Tensor:
        """Mirror half of the real images."""
        return random_flip(real, self.critic.seed)

    def _alternate(self, pieces: list[Piece], discriminator_alone: bool = False) -> Verdict:
        """Update the discriminator by all pieces, then the generator by the updated one's word."""
        gradients, verdicts = [], []
        for piece in pieces:
            painted = self._paint(piece)
            by_weights, _, verdict, _ = self._judge_pair(piece, painted.images)
            gradients.append(by_weights)
            verdicts.append(verdict)
        self._apply(self.discriminator_optimizer, gradients, self.discriminator)
        verdict = join(verdicts)
        if discriminator_alone:
            return verdict
        # Of several pieces the tapes would hold as much memory as one large batch.
        anew = len(pieces) > 1 or self.params.resample_latents
        gradients, losses = [], []
        for piece in pieces:
            if self.params.resample_latents:
                latents = keras.random.normal(ops.shape(piece.latents), seed=self.critic.seed)
                piece = piece._replace(latents=latents)
            painted = self._paint(piece) if anew else painted
            loss, by_images, real = self._judge_anew(piece, painted.images)
            by_weights, loss_again = self._lead_back(painted, by_images, real)
            gradients.append(by_weights)
            losses.append(loss + loss_again)
        self._apply(self.generator_optimizer, gradients, self.generator)
        return verdict._replace(loss_g=ops.mean(ops.stack(losses)))

    def _update_both(self, pieces: list[Piece]) -> Verdict:
        """Update both networks by one forward pass."""
        for_d, for_g, verdicts = [], [], []
        for piece in pieces:
            painted = self._paint(piece)
            by_weights, by_images, verdict, real = self._judge_pair(
                piece, painted.images, both=True
            )
            for_d.append(by_weights)
            by_weights, loss_again = self._lead_back(painted, by_images, real)
            for_g.append(by_weights)
            verdicts.append(verdict._replace(loss_g=verdict.loss_g + loss_again))
        self._apply(self.discriminator_optimizer, for_d, self.discriminator)
        self._apply(self.generator_optimizer, for_g, self.generator)
        return join(verdicts)

    def _paint(self, piece: Piece) -> Painted:
        inputs = piece.latents if piece.asked is None else [piece.latents, piece.asked]
        with tf.GradientTape() as tape:
            images = ops.cast(self.fused_generator(inputs, training=True), "float32")
        return Painted(images, tape)

    def _lead_back(
        self, painted: Painted, by_images: tf.Tensor, real: Word
    ) -> tuple[Gradients, tf.Tensor]:
        """Lead the loss's gradient back to the generator; add the loss of its decoder."""
        variables = self.generator.trainable_variables
        gradients = painted.tape.gradient(painted.images, variables, output_gradients=by_images)
        if self.fused_decoder is None:
            return gradients, ops.zeros(())
        with tf.GradientTape() as tape:
            again = self.fused_decoder(ops.stop_gradient(real.more["features"]), training=True)
            loss = self.params.loss.reconstruction_weight * reconstruction_loss(again, real.seen)
            scaled = self.generator_optimizer.scale_loss(loss)
        more = tape.gradient(scaled, variables)
        # What comes before the decoder gets no gradient from it.
        both = zip(gradients, more, strict=True)
        return [one if other is None else one + other for one, other in both], loss

    def _judge_pair(
        self, piece: Piece, images: tf.Tensor, both: bool = False
    ) -> tuple[Gradients, tf.Tensor | None, Verdict, Word]:
        """Give the gradients of the discriminator's loss, and of the generator's at `images`."""
        variables = self.discriminator.trainable_variables
        with tf.GradientTape(persistent=both) as tape:
            if both:
                tape.watch(images)
            # In two batches, so that batch norm sees each kind of image by itself.
            real = self.critic.look(piece.real, piece.shown)
            fake = self.critic.look(images, piece.asked)
            loss_d = self.critic.discriminator_loss(real, fake)
            loss_g = self.critic.generator_loss(real, fake)
            total = loss_d + self.critic.penalize(real, fake, self.steps)
            scaled_d = self.discriminator_optimizer.scale_loss(total)
            scaled_g = self.generator_optimizer.scale_loss(loss_g)
        by_images = tape.gradient(scaled_g, images) if both else None
        verdict = Verdict(loss_d, loss_g, real.logits, fake.logits)
        return tape.gradient(scaled_d, variables), by_images, verdict, real

    def _judge_anew(self, piece: Piece, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Word]:
        """Give the generator's loss by the updated discriminator, and its gradient at images."""
        # Only the images are watched: nobody needs this loss's gradient by the weights.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            fake = self.critic.look(images, piece.asked)
            relative = self.params.loss.name == "relativistic" or self.fused_decoder is not None
            real = self.critic.look(piece.real, piece.shown) if relative else fake
            loss = self.critic.generator_loss(real, fake)
            scaled = self.generator_optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, images), real

    def _apply(
        self, optimizer: keras.Optimizer, pieces: list[list[tf.Tensor]], network: keras.Model
    ) -> None:
        gradients = pieces[0]
        if len(pieces) > 1:
            gradients = [sum(parts) / len(pieces) for parts in zip(*pieces, strict=True)]
        optimizer.apply(share_gradients(gradients), network.trainable_variables)

    def _average(self) -> None:
        """Move the averaged weights, batch norm's moments included, towards the generator's."""
        if self.averaged is self.generator:
            return
        step = ops.cast(self.steps, "float32")
        # Without a ramp the random weights of the start would stay in it for long.
        decay = ops.minimum(self.params.ema_decay, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.averaged.weights, self.generator.weights, strict=True):
            average.assign(move_average(average, weight, decay))

    def _adapt(self, real_logits: tf.Tensor) -> None:
        """Move the probability of augmentation by how sure the discriminator is of real images.

        Its sign is taken on the images of `every` steps together.
        """
        params = self.params.augment
        if params.name != "ada":
            return
        boundary = decision_threshold(self.params.loss)
        assert boundary is not None, "ada is refused where there is none"
        (mean_sign,) = mean_over_replicas([ops.mean(ops.sign(real_logits - boundary))])
        signs = self.signs + mean_sign / params.interval
        due = (self.steps + 1) % params.interval == 0
        shown = params.interval * self.params.images_a_step
        before = self.critic.probability
        moved = adapt_probability(before, signs, shown, params.target, params.speed)
        before.assign(ops.where(due, moved, before))
        self.signs.assign(ops.where(due, 0.0, signs))

    def _track(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        means = mean_over_replicas(values)
        for tracker, value in zip(self.trackers.values(), means, strict=True):
            tracker.update_state(value)
        return {name: as_log(tracker.result()) for name, tracker in self.trackers.items()}
