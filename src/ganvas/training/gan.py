"""The pair of networks as one Keras model with its training step.

The gradient tape is TensorFlow's own. Of the training step's parts, this file, `fused.py` and
`replicas.py` alone know the backend.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import layers, ops

from ganvas.errors import GanvasError
from ganvas.training.augmentation import adapt_probability, augment, flip_half
from ganvas.training.fused import with_fused_norms
from ganvas.training.losses import make_loss
from ganvas.training.params import TrainParams
from ganvas.training.penalties import (
    interpolate,
    lecam_penalty,
    move_average,
    one_centred_penalty,
    zero_centred_penalty,
)
from ganvas.training.replicas import (
    as_log,
    even_out,
    make_mean,
    make_seed,
    mean_over_replicas,
    share_gradients,
)

SCORES = ("loss_g", "loss_d", "real_score", "fake_score")


class Painted(NamedTuple):
    """Generated pictures (N, H, W, 3) with the tape that leads back to the generator."""

    pictures: tf.Tensor
    tape: tf.GradientTape


class Verdict(NamedTuple):
    """What the discriminator says of a batch: losses without penalties, logits (N, 1)."""

    loss_d: tf.Tensor
    loss_g: tf.Tensor
    real: tf.Tensor
    fake: tf.Tensor


class GAN(keras.Model):
    """Generator and discriminator, trained against each other by `fit`.

    `fit` takes batches of (pictures, latents): uint8 of shape (N, H, W, 3) and float32 of shape
    (N, Z), N being `discriminator_steps` times the batch size. It reports the means over an epoch
    of both losses, without penalties, and of the mean sigmoid outputs for real and generated
    pictures.

    Args:
        generator: Latent (N, Z) to pictures (N, H, W, 3) in [-1, 1].
        discriminator: Such pictures to logits (N, 1).
        averaged: A generator like the first, for the average of its weights.
        params: How they are trained.

    Raises:
        GanvasError: A gradient penalty is asked for with a discriminator that has batch norm.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        averaged: keras.Model,
        params: TrainParams,
    ) -> None:
        super().__init__(name="gan")
        self.generator, self.discriminator, self.averaged = generator, discriminator, averaged
        if averaged is not generator:
            averaged.set_weights(generator.get_weights())
        self.params = params
        self.loss_pair = make_loss(params.loss)
        self.fused_generator = with_fused_norms(generator)
        self.fused_discriminator = with_fused_norms(discriminator)
        self.augment_seed = make_seed(params.seed)
        always = params.augment.name == "diffaugment"
        self.probability = _number("probability", 1.0 if always else 0.0)
        self.signs = _number("signs", 0.0)
        self.real_average = _number("real_average", 0.0, aggregation="mean")
        self.fake_average = _number("fake_average", 0.0, aggregation="mean")
        self.steps = _number("steps", 0, "int64")
        self.trackers = {name: make_mean(name) for name in SCORES}
        _check_norms(discriminator, params)

    def compile(
        self,
        generator_optimizer: keras.Optimizer,
        discriminator_optimizer: keras.Optimizer,
        **options: Any,
    ) -> None:
        """Set one optimiser for each network; the options are those of `keras.Model.compile`."""
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
        """Give every variable that the next step depends on, by the part that owns it."""
        numbers = [self.probability, self.signs, self.real_average, self.fake_average, self.steps]
        return {
            "generator": self.generator.variables,
            "discriminator": self.discriminator.variables,
            "averaged": self.averaged.variables if self.averaged is not self.generator else [],
            "generator_optimizer": self.generator_optimizer.variables,
            "discriminator_optimizer": self.discriminator_optimizer.variables,
            "numbers": [*numbers, self.augment_seed.state],
            "trackers": [value for tracker in self.metrics for value in tracker.variables],
        }

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Leave out what Keras does before it trains on several devices: all is built already."""

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        """Paint: latent (N, Z) to pictures (N, H, W, 3) in [-1, 1]."""
        return self.averaged(latents)

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update the discriminator, as often as asked for, then the generator and its average."""
        images, latents = batch
        real = ops.cast(images, "float32") / 127.5 - 1.0
        if self.params.flip:
            real = flip_half(real, self.augment_seed)
        rounds = self.params.discriminator_steps
        *first, last = zip(ops.split(real, rounds), ops.split(latents, rounds), strict=True)
        for part in first:
            self._alternate(self._cut(*part), discriminator_alone=True)
        pieces = self._cut(*last)
        verdict = (self._update_both if self.params.simultaneous else self._alternate)(pieces)
        even_out([self.generator, self.discriminator])
        self._average()
        self._adapt(verdict.real)
        self.steps.assign_add(1)
        scores = ops.mean(ops.sigmoid(verdict.real)), ops.mean(ops.sigmoid(verdict.fake))
        return self._track(verdict.loss_g, verdict.loss_d, *scores)

    def _cut(self, real: tf.Tensor, latents: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Cut a batch into the pieces that go through the networks one by one."""
        count = self.params.accumulate
        return list(zip(ops.split(real, count), ops.split(latents, count), strict=True))

    def _alternate(
        self, pieces: list[tuple[tf.Tensor, tf.Tensor]], discriminator_alone: bool = False
    ) -> Verdict:
        """Update the discriminator by all pieces, then the generator by the updated one's word."""
        gradients, verdicts = [], []
        for real, latents in pieces:
            painted = self._paint(latents)
            by_weights, _, verdict = self._judge_pair(real, painted.pictures)
            gradients.append(by_weights)
            verdicts.append(verdict)
        self._apply(self.discriminator_optimizer, gradients, self.discriminator)
        verdict = _join(verdicts)
        if discriminator_alone:
            return verdict
        gradients, losses = [], []
        for real, latents in pieces:
            # Of several pieces the tapes would hold as much memory as one large batch.
            painted = painted if len(pieces) == 1 else self._paint(latents)
            loss, by_pictures = self._judge_anew(real, painted.pictures)
            gradients.append(self._lead_back(painted, by_pictures))
            losses.append(loss)
        self._apply(self.generator_optimizer, gradients, self.generator)
        return verdict._replace(loss_g=ops.mean(ops.stack(losses)))

    def _update_both(self, pieces: list[tuple[tf.Tensor, tf.Tensor]]) -> Verdict:
        """Update both networks by one forward pass."""
        for_d, for_g, verdicts = [], [], []
        for real, latents in pieces:
            painted = self._paint(latents)
            by_weights, by_pictures, verdict = self._judge_pair(real, painted.pictures, both=True)
            for_d.append(by_weights)
            for_g.append(self._lead_back(painted, by_pictures))
            verdicts.append(verdict)
        self._apply(self.discriminator_optimizer, for_d, self.discriminator)
        self._apply(self.generator_optimizer, for_g, self.generator)
        return _join(verdicts)

    def _paint(self, latents: tf.Tensor) -> Painted:
        with tf.GradientTape() as tape:
            pictures = ops.cast(self.fused_generator(latents, training=True), "float32")
        return Painted(pictures, tape)

    def _lead_back(self, painted: Painted, by_pictures: tf.Tensor) -> list[tf.Tensor]:
        variables = self.generator.trainable_variables
        return painted.tape.gradient(painted.pictures, variables, output_gradients=by_pictures)

    def _judge(self, pictures: tf.Tensor) -> tf.Tensor:
        """Give the discriminator's logits (N, 1), float32, for pictures as it gets to see them."""
        if self.params.augment.name != "none":
            policy = tuple(self.params.augment.policy)
            pictures = augment(pictures, policy, self.probability, self.augment_seed)
        return ops.cast(self.fused_discriminator(pictures, training=True), "float32")

    def _judge_pair(
        self, real: tf.Tensor, fake: tf.Tensor, both: bool = False
    ) -> tuple[list[tf.Tensor], tf.Tensor | None, Verdict]:
        """Give the gradients of the discriminator's loss, and of the generator's at `fake`."""
        variables = self.discriminator.trainable_variables
        with tf.GradientTape(persistent=both) as tape:
            if both:
                tape.watch(fake)
            # In two batches, so that batch norm sees each kind of picture by itself.
            real_logits, fake_logits = self._judge(real), self._judge(fake)
            loss_d = self.loss_pair.discriminator(real_logits, fake_logits)
            loss_g = self.loss_pair.generator(real_logits, fake_logits)
            total = loss_d + self._penalise(real, fake, real_logits, fake_logits)
            scaled_d = self.discriminator_optimizer.scale_loss(total)
            scaled_g = self.generator_optimizer.scale_loss(loss_g)
        by_pictures = tape.gradient(scaled_g, fake) if both else None
        verdict = Verdict(loss_d, loss_g, real_logits, fake_logits)
        return tape.gradient(scaled_d, variables), by_pictures, verdict

    def _judge_anew(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Give the generator's loss by the updated discriminator, and its gradient at `fake`."""
        # Only the pictures are watched: nobody needs this loss's gradient by the weights.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = self._judge(fake)
            relative = self.params.loss.name == "relativistic"
            real_logits = self._judge(real) if relative else fake_logits
            loss = self.loss_pair.generator(real_logits, fake_logits)
            scaled = self.generator_optimizer.scale_loss(loss)
        return loss, tape.gradient(scaled, fake)

    def _penalise(
        self, real: tf.Tensor, fake: tf.Tensor, real_logits: tf.Tensor, fake_logits: tf.Tensor
    ) -> tf.Tensor:
        """Give the sum of the penalties that are asked for."""
        params = self.params.penalty
        total = ops.zeros(())
        if params.lecam:
            started = self.steps >= params.lecam_start
            # Until then the averages follow the last value alone.
            decay = ops.where(started, params.lecam_decay, 0.0)
            for average, logits in (
                (self.real_average, real_logits),
                (self.fake_average, fake_logits),
            ):
                average.assign(move_average(average, ops.mean(logits), decay))
            lecam = lecam_penalty(real_logits, fake_logits, self.real_average, self.fake_average)
            total += params.lecam * ops.cast(started, "float32") * lecam
        if params.r1 or params.r2 or params.gradient:
            steep = self._penalise_steepness
            due = self.steps % params.every == 0
            total += (
                steep(real, fake)
                if params.every == 1
                else tf.cond(due, lambda: params.every * steep(real, fake), lambda: tf.zeros(()))
            )
        return total

    def _penalise_steepness(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        params = self.params.penalty
        total = ops.zeros(())
        for weight, pictures in ((params.r1, real), (params.r2, fake)):
            if weight:
                total += weight / 2 * zero_centred_penalty(self._slope(pictures))
        if params.gradient:
            between = interpolate(real, fake, self.augment_seed)
            total += params.gradient * one_centred_penalty(self._slope(between))
        return total

    def _slope(self, pictures: tf.Tensor) -> tf.Tensor:
        """Give the gradient of each picture's logit at its pixels."""
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            total = ops.sum(self._judge(pictures))
        return tape.gradient(total, pictures)

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
        decay = ops.minimum(self.params.average, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.averaged.weights, self.generator.weights, strict=True):
            average.assign(move_average(average, weight, decay))

    def _adapt(self, real_logits: tf.Tensor) -> None:
        """Move the probability of augmentation by how sure the discriminator is of real pictures.

        Its sign is taken on the pictures of `every` steps together.
        """
        params = self.params.augment
        if params.name != "ada":
            return
        (mean_sign,) = mean_over_replicas([ops.mean(ops.sign(real_logits))])
        signs = self.signs + mean_sign / params.every
        due = (self.steps + 1) % params.every == 0
        shown = params.every * self.params.batch_size
        moved = adapt_probability(self.probability, signs, shown, params.target, params.speed)
        self.probability.assign(ops.where(due, moved, self.probability))
        self.signs.assign(ops.where(due, 0.0, signs))

    def _track(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        means = mean_over_replicas(values)
        for tracker, value in zip(self.trackers.values(), means, strict=True):
            tracker.update_state(value)
        return {name: as_log(tracker.result()) for name, tracker in self.trackers.items()}


def _number(
    name: str, value: float, dtype: str = "float32", aggregation: str = "none"
) -> keras.Variable:
    return keras.Variable(value, trainable=False, dtype=dtype, name=name, aggregation=aggregation)


def _join(verdicts: list[Verdict]) -> Verdict:
    if len(verdicts) == 1:
        return verdicts[0]
    losses_d, losses_g, real, fake = zip(*verdicts, strict=True)
    means = [ops.mean(ops.stack(losses)) for losses in (losses_d, losses_g)]
    return Verdict(*means, ops.concatenate(real), ops.concatenate(fake))


def _check_norms(discriminator: keras.Model, params: TrainParams) -> None:
    """Batch norm ties the pictures of a batch together, and a slope belongs to one alone."""
    penalty = params.penalty
    wanted = [name for name in ("r1", "r2", "gradient") if getattr(penalty, name)]
    norms = [each for each in discriminator.layers if isinstance(each, layers.BatchNormalization)]
    if wanted and norms:
        raise GanvasError(
            f"train.penalty.{wanted[0]} can't be had with batch norm in the discriminator: set "
            "network.dcgan.discriminator_norm=none, or the penalty to 0."
        )
