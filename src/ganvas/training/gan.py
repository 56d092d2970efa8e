"""The GAN as one Keras model: what happens in one training step, top to bottom.

Read `train_step` first. The gradients come from the adversary (`adversary.py`), whose losses are
pure functions (`losses.py`).
"""

import logging
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import layers, ops

from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import (
    GanNetworks,
    align_weights,
    copy_weights,
    is_style_based,
)
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.training.adversary import (
    AdversarialGradients,
    Adversary,
    Gradients,
    MicroBatch,
    state_variable,
)
from ganvas.training.augmentation import (
    adapt_probability,
    check_quarter_turns,
    random_orientation,
)
from ganvas.training.checkpoint_contents import VariableGroups
from ganvas.training.config import TrainParams
from ganvas.training.distribution import (
    as_log,
    divide_by_replicas,
    make_mean_metric,
    mean_over_replicas,
    sync_batch_norm_statistics,
)
from ganvas.training.fused_ops import with_fused_norms
from ganvas.training.losses import moving_average, reconstruction_loss
from ganvas.training.optimizers import follow_cosine, variables_without_learning_rate
from ganvas.training.path_length import path_length_penalty, path_lengths
from ganvas.training.styled_generator import StyledImages, update_style_mean, with_styles

logger = logging.getLogger(__name__)

# The metrics that `fit` reports, in this order.
SCORES = ("loss_g", "loss_d", "real_score", "fake_score")


class GeneratedBatch(NamedTuple):
    """Generated images (N, H, W, C), with the tape that recorded the generator's forward pass.

    With a `training_generator` of several outputs the images are a list, as these. `w` has the
    styles (N, W) of a style-based generator.
    """

    images: tf.Tensor | list[tf.Tensor]
    tape: tf.GradientTape
    w: tf.Tensor | None = None


class StepResult(NamedTuple):
    """Losses without regularization, scalars, and logits of all images of a step."""

    loss_d: tf.Tensor
    loss_g: tf.Tensor
    real_logits: tf.Tensor
    fake_logits: tf.Tensor


class GAN(keras.Model):
    """Generator and discriminator, trained against each other by `fit`.

    `fit` takes batches of (images, latents): uint8 of shape (N, H, W, C) and float32 of shape
    (N, Z), N being `discriminator_steps` times the batch size; with classes also (real_labels,
    fake_labels), the class numbers of the real images and the target classes of the generated
    ones, int32 of shape (N,), or their rows of class weights, float32 of shape (N, K). It reports
    the means over an epoch of both losses, without regularization, and of the sigmoids of the
    logits of real and generated images.

    Args:
        networks: Generator, discriminator and, for some networks, a decoder.
        ema_generator: A generator like the first, for the moving average of its weights; the
            generator itself if `params.has_ema` is false.
        params: Parameters of training.
        adversary: The discriminator with its losses; by default `Adversary`.
        prior: Maps the standard normal latents of `ema_generator`; see
            `ganvas.networks.latent_prior`. The latents of `fit` are of its distribution.

    Attributes:
        ema_generator: The generator to evaluate and save: with the averaged weights, and the prior.

    Raises:
        GanvasError: A gradient penalty is set, and the discriminator has batch normalization, or
            quarter turns are set, and images are not square, or micro-batches are of one image,
            and a network has batch normalization of vectors.
    """

    def __init__(
        self,
        networks: GanNetworks,
        ema_generator: keras.Model,
        params: TrainParams,
        adversary: Adversary | None = None,
        prior: LatentPrior | None = None,
    ) -> None:
        super().__init__(name="gan")
        networks = GanNetworks(*networks)
        self.generator, self.discriminator, decoder, training_generator = networks
        self.training_generator = training_generator or self.generator
        self.has_ema = ema_generator is not self.generator
        if self.has_ema:
            copy_weights(self.generator, ema_generator)
        self.ema_weights = align_weights(ema_generator, self.generator)
        self.ema_generator = ema_generator if prior is None else add_prior(ema_generator, prior)
        self.params = params
        if params.rotate_quarters:
            check_quarter_turns(*self.generator.output_shape[1:3])
        _check_micro_batches(networks, params)
        self.adversary = adversary or Adversary(self.discriminator, params)
        self.is_style_based = is_style_based(self.generator)
        if self.is_style_based:
            _refuse_compilation(params)
        else:
            _refuse_path_length(params)
        self.fused_generator = (
            with_styles(self.training_generator, self.adversary.seed)
            if self.is_style_based
            else with_fused_norms(self.training_generator)
        )
        if params.path_length.weight:
            self.mean_path_length = state_variable("mean_path_length", 0.0)
        # Batch norm's moving averages belong to the generator, and must follow its images alone.
        self.fused_decoder = decoder and with_fused_norms(decoder, update_statistics=False)
        self.ada_sign_sum = state_variable("ada_sign_sum", 0.0)
        self.steps = state_variable("steps", 0, "int64")
        self.score_metrics = {name: make_mean_metric(name) for name in SCORES}

    def compile(
        self,
        generator_optimizer: keras.Optimizer,
        discriminator_optimizer: keras.Optimizer,
        **options: Any,
    ) -> None:
        """Set an optimizer for each network; the options are those of `keras.Model.compile`."""
        # Keras's "auto" means XLA, which is slower than TensorFlow's own kernels on a CPU.
        super().compile(**{"jit_compile": False} | options)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        generator_optimizer.build(self.training_generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.adversary.compile(generator_optimizer, discriminator_optimizer)

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        """Generate images (N, H, W, C) in [-1, 1] from latents (N, Z), by the EMA generator."""
        return self.ema_generator(latents)

    def train_step(self, batch: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Update the discriminator `discriminator_steps` times, and the generator and its EMA once.

        Args:
            batch: Images and latents, with classes also both kinds of labels; see the class.

        Returns:
            The means of `SCORES` over the epoch so far.
        """
        # 1. uint8 images to [-1, 1], flipped and rotated if set; class numbers to one-hot labels.
        *extra_batches, batch = _split(self._preprocess(*batch), self.params.discriminator_steps)

        # 2. Extra updates of the discriminator alone, each on a separate part of the batch.
        for extra in extra_batches:
            self._update_discriminator(self._split_micro_batches(extra))

        # 3. An update of both networks: from one forward pass, or one after the other.
        micro_batches = self._split_micro_batches(batch)
        if self.params.simultaneous_updates:
            result = self._update_simultaneous(micro_batches)
        else:
            result = self._update_alternating(micro_batches)

        # 4. Batch norm statistics, EMA, augmentation's probability and the means over the epoch.
        # The mean style is equal already, and constants must stay what they are.
        own = [] if self.is_style_based else [self.generator]
        sync_batch_norm_statistics([*own, self.discriminator])
        self._update_ema()
        self._update_augment_probability(result.real_logits)
        self.steps.assign_add(1)
        return self._update_scores(result)

    def _preprocess(self, images: tf.Tensor, latents: tf.Tensor, *labels: tf.Tensor) -> MicroBatch:
        """Scale images to [-1, 1], flip and rotate them if set, and one-hot encode classes."""
        images = ops.cast(images, "float32") / 127.5 - 1.0
        adversary = self.adversary
        images = random_orientation(
            images, self.params, adversary.seed, adversary.keep_orientation_every
        )
        if labels and len(labels[0].shape) == 2:
            return MicroBatch(images, latents, *labels)
        num_classes = self.generator.inputs[-1].shape[-1]
        return MicroBatch(images, latents, *(ops.one_hot(x, num_classes) for x in labels))

    def _split_micro_batches(self, batch: MicroBatch) -> list[MicroBatch]:
        return _split(batch, self.params.gradient_accumulation_steps)

    def _update_discriminator(
        self, micro_batches: list[MicroBatch]
    ) -> tuple[StepResult, GeneratedBatch]:
        """Update the discriminator on all micro-batches; return the last generated one too."""
        results = []
        total: Gradients = []
        for batch in micro_batches:
            batch = _wait_for(total, batch)
            generated = self._generate(batch)
            result = self.adversary.discriminator_gradients(batch, generated.images, self.steps)
            total = _add(total, result.weight_gradients)
            results.append(result)
        self._update_weights(self.discriminator, total)
        return _merge(results), generated

    def _update_alternating(self, micro_batches: list[MicroBatch]) -> StepResult:
        """Update the discriminator, then the generator against the updated discriminator."""
        result, generated = self._update_discriminator(micro_batches)
        resample = self.params.resample_latents
        # Keeping the tapes of several micro-batches would take the memory of the whole batch.
        generate_again = len(micro_batches) > 1 or resample
        losses, styles = [], []
        total: Gradients = []
        for batch in micro_batches:
            batch = _wait_for(total, batch)
            if resample:
                latents = keras.random.normal(ops.shape(batch.latents), seed=self.adversary.seed)
                batch = batch._replace(latents=latents)
            if generate_again:
                generated = self._generate(batch)
            adversarial = self.adversary.generator_gradients(
                batch, generated.images, forward_real=self.fused_decoder is not None
            )
            by_weights, decoder_loss = self._generator_gradients(generated, adversarial)
            total = _add(total, by_weights)
            losses.append(adversarial.loss_g + decoder_loss)
            styles.append(generated.w)
        self._update_generator(total, micro_batches, styles)
        return result._replace(loss_g=ops.mean(ops.stack(losses)))

    def _update_simultaneous(self, micro_batches: list[MicroBatch]) -> StepResult:
        """Update both networks by the gradients of one forward pass."""
        results, styles = [], []
        total_d: Gradients = []
        total_g: Gradients = []
        for batch in micro_batches:
            batch = _wait_for(total_d + total_g, batch)
            generated = self._generate(batch)
            adversarial = self.adversary.joint_gradients(batch, generated.images, self.steps)
            by_weights, decoder_loss = self._generator_gradients(generated, adversarial)
            total_d = _add(total_d, adversarial.weight_gradients)
            total_g = _add(total_g, by_weights)
            results.append(adversarial._replace(loss_g=adversarial.loss_g + decoder_loss))
            styles.append(generated.w)
        self._update_weights(self.discriminator, total_d)
        self._update_generator(total_g, micro_batches, styles)
        return _merge(results)

    def _generate(self, batch: MicroBatch) -> GeneratedBatch:
        inputs = batch.latents if batch.fake_labels is None else [batch.latents, batch.fake_labels]
        with tf.GradientTape() as tape:
            outputs = self.fused_generator(inputs, training=True)
            styled = StyledImages(*outputs) if self.is_style_based else None
            outputs = styled.images if styled else outputs
            images = tf.nest.map_structure(lambda x: ops.cast(x, "float32"), outputs)
        return GeneratedBatch(images, tape, styled and styled.w)

    def _generator_gradients(
        self, generated: GeneratedBatch, adversarial: AdversarialGradients
    ) -> tuple[Gradients, tf.Tensor]:
        """Backpropagate the images' gradient to the generator's weights; add the decoder's loss."""
        variables = self.training_generator.trainable_variables
        gradients = generated.tape.gradient(
            generated.images, variables, output_gradients=adversarial.image_gradient
        )
        if self.fused_decoder is None:
            return gradients, ops.zeros(())
        # The decoder, which shares the generator's last layers, reconstructs real images.
        real = adversarial.real
        with tf.GradientTape() as tape:
            features = ops.stop_gradient(real.aux_outputs["features"])
            reconstructions = self.fused_decoder(features, training=True)
            loss = reconstruction_loss(reconstructions, real.augmented_images)
            loss = self.params.loss.reconstruction_weight * loss
            scaled_loss = self.generator_optimizer.scale_loss(loss)
        # None: a layer that is not part of the decoder.
        pairs = zip(gradients, tape.gradient(scaled_loss, variables), strict=True)
        return [a if b is None else a + b for a, b in pairs], loss

    def _update_generator(
        self, total: Gradients, micro_batches: list[MicroBatch], styles: list[tf.Tensor | None]
    ) -> None:
        """Update the generator; of a style-based one the mean style too.

        Args:
            total: Sum of the micro-batches' gradients.
            micro_batches: The micro-batches.
            styles: Those of their images, (N, W) each; None for other generators.
        """
        if self.params.path_length.weight:
            total = self._add_path_length(total, micro_batches)
        self._update_weights(self.training_generator, total)
        if self.is_style_based:
            (mean,) = mean_over_replicas([ops.mean(ops.concatenate(styles), axis=0)])
            update_style_mean(self.generator.get_layer("style_mean").kernel, mean)

    def _add_path_length(self, total: Gradients, micro_batches: list[MicroBatch]) -> Gradients:
        """Add the gradients of path length regularization, lazily, and update the mean length."""
        params = self.params.path_length
        # The memory of the updates before is free by then.
        with tf.control_dependencies(total):
            is_due = tf.identity(self.steps % params.interval == 0)

        def add() -> tuple[Gradients, tf.Tensor]:
            gradients = total
            means: list[tf.Tensor] = []
            for batch in micro_batches:
                if means:
                    batch = _wait_for(gradients, batch)
                new, mean = self._path_length_gradients(batch)
                gradients = _add(gradients, new)
                means.append(mean)
            return gradients, ops.mean(ops.stack(means))

        gradients, mean = tf.cond(is_due, add, lambda: (total, tf.zeros(())))
        (mean,) = mean_over_replicas([mean])
        updated = moving_average(self.mean_path_length, mean, 1 - params.decay)
        # Half precision may overflow in a step, which the optimizer then skips.
        is_due = ops.logical_and(is_due, ops.isfinite(updated))
        self.mean_path_length.assign(ops.where(is_due, updated, self.mean_path_length))
        return gradients

    def _path_length_gradients(self, batch: MicroBatch) -> tuple[Gradients, tf.Tensor]:
        """Return gradients by the generator's weights, and the mean length, for part of a batch."""
        params, seed = self.params.path_length, self.adversary.seed
        count = ops.maximum(ops.shape(batch.latents)[0] // params.batch_divisor, 1)
        latents = keras.random.normal((count, batch.latents.shape[1]), seed=seed)
        labels = None if batch.fake_labels is None else batch.fake_labels[:count]

        def generate() -> StyledImages:
            inputs = latents if labels is None else [latents, labels]
            return StyledImages(*self.fused_generator(inputs, training=True))

        with tf.GradientTape() as tape:
            lengths = path_lengths(generate, seed)
            penalty, mean = path_length_penalty(lengths, self.mean_path_length, params.decay)
            loss = self.generator_optimizer.scale_loss(params.interval * params.weight * penalty)
        variables = self.training_generator.trainable_variables
        gradients = tape.gradient(loss, variables)
        # None: a bias that is added to images, which has no influence on lengths.
        pairs = zip(gradients, variables, strict=True)
        return [ops.zeros_like(v) if g is None else g for g, v in pairs], mean

    def _update_weights(self, network: keras.Model, total: Gradients) -> None:
        """Update a network by the mean of the micro-batches' gradients, given their sum."""
        is_generator = network is self.training_generator
        optimizer = self.generator_optimizer if is_generator else self.discriminator_optimizer
        count = self.params.gradient_accumulation_steps
        mean = [gradient / count for gradient in total] if count > 1 else total
        optimizer.apply(divide_by_replicas(mean), network.trainable_variables)

    def _update_ema(self) -> None:
        """Update the EMA of the generator's weights, batch norm's statistics included."""
        if not self.has_ema:
            return
        decay = self._ema_decay()
        # A style-based generator's are constants, which an average would change by rounding, and
        # the mean style, which is an average already.
        copied = self.generator.non_trainable_weights if self.is_style_based else []
        copied_ids = {id(weight) for weight in copied}
        for ema, weight in zip(self.ema_weights, self.generator.weights, strict=True):
            is_copied = id(weight) in copied_ids
            ema.assign(weight if is_copied else moving_average(ema, weight, decay))

    def _ema_decay(self) -> tf.Tensor:
        """Return the decay of the EMA in this step: lower in the first ones.

        Without that the random initial weights would dominate the average for long.
        """
        params = self.params
        step = ops.cast(self.steps, "float32")
        if params.ema_images is None:
            return ops.minimum(params.ema_decay, (1.0 + step) / (10.0 + step))
        half_life = ops.cast(params.ema_images, "float32")
        schedule_steps = self.adversary.schedule_steps
        if params.schedule.ema and schedule_steps is not None:
            half_life = follow_cosine(0.0, params.ema_images, self.steps, schedule_steps)
        if params.ema_ramp is not None:
            half_life = ops.minimum(half_life, step * params.images_per_step * params.ema_ramp)
        return ops.power(0.5, params.images_per_step / ops.maximum(half_life, 1e-8))

    def _update_augment_probability(self, real_logits: tf.Tensor) -> None:
        """Update an adaptive probability every `interval` steps, from the logits in between."""
        params = self.params.augment
        if not params.is_adaptive:
            return
        threshold = self.params.loss.decision_threshold
        assert threshold is not None, "TrainParams refuses it without a threshold"
        (sign_mean,) = mean_over_replicas([ops.mean(ops.sign(real_logits - threshold))])
        sign_sum = self.ada_sign_sum + sign_mean / params.interval
        is_due = (self.steps + 1) % params.interval == 0
        images = params.interval * self.params.images_per_step
        probability = self.adversary.augment_probability
        updated = adapt_probability(probability, sign_sum, images, params.target, params.speed)
        probability.assign(ops.where(is_due, updated, probability))
        self.ada_sign_sum.assign(ops.where(is_due, 0.0, sign_sum))

    def _update_scores(self, result: StepResult) -> dict[str, tf.Tensor]:
        real_score, fake_score = (
            ops.mean(ops.sigmoid(logits)) for logits in (result.real_logits, result.fake_logits)
        )
        means = mean_over_replicas([result.loss_g, result.loss_d, real_score, fake_score])
        for metric, value in zip(self.metrics, means, strict=True):
            metric.update_state(value)
        return {name: as_log(metric.result()) for name, metric in self.score_metrics.items()}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics that `fit` resets at the start of an epoch."""
        return list(self.score_metrics.values())

    def state(self) -> VariableGroups:
        """Return every variable that the next step depends on, grouped by its owner.

        Constant learning rates are not among them: they may change when training resumes.
        """
        adversary = self.adversary
        own = {id(variable) for variable in self.generator.variables}
        return {
            "generator": self.generator.variables,
            # Those of outputs that the saved generator doesn't have.
            "training_generator": [
                variable for variable in self.training_generator.weights if id(variable) not in own
            ],
            "discriminator": self.discriminator.variables,
            "ema_generator": self.ema_weights if self.has_ema else [],
            "generator_optimizer": variables_without_learning_rate(self.generator_optimizer),
            "discriminator_optimizer": variables_without_learning_rate(
                self.discriminator_optimizer
            ),
            "scalars": [
                adversary.augment_probability,
                self.ada_sign_sum,
                adversary.real_logits_ema,
                adversary.fake_logits_ema,
                self.steps,
                adversary.seed.state,
            ],
            "metrics": [variable for metric in self.metrics for variable in metric.variables],
            "path_length": [self.mean_path_length] if self.params.path_length.weight else [],
        }

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Skip Keras's symbolic build for several devices: everything is built already."""


def _refuse_compilation(params: TrainParams) -> None:
    """Refuse XLA for a style-based generator, whose lazy regularization it can't compile."""
    if params.jit_compile:
        raise GanvasError(
            "train.jit_compile=true can't be used with network.name=stylegan2, since XLA needs "
            "shapes that the step computes as it runs: set train.jit_compile=false."
        )


def _refuse_path_length(params: TrainParams) -> None:
    """Refuse path length regularization of a generator without styles."""
    try:
        params.check_without_styles()
    except ValueError as error:
        raise GanvasError(f"{error}.") from error


def _check_micro_batches(networks: GanNetworks, params: TrainParams) -> None:
    """Refuse micro-batches of one image where batch normalization would make all vectors zero.

    Feature maps of one image still have many values for each channel.
    """
    steps = params.gradient_accumulation_steps
    if params.batch_size > steps:
        return
    norms = [
        (network.name, layer)
        for network in networks[:2]
        for layer in network.layers
        if isinstance(layer, layers.BatchNormalization) and layer.trainable
    ]
    for name, layer in norms:
        if len(layer.output.shape) == 2:
            raise GanvasError(
                f"train.gradient_accumulation_steps={steps} makes micro-batches of one image, and "
                f"batch normalization in the {name} would turn its vectors into zeros: set "
                f"{_largest_divisor(params.batch_size)}, for micro-batches of two or more."
            )
    if norms:
        logger.warning(
            "train.gradient_accumulation_steps=%d makes micro-batches of one image, so batch "
            "normalization is that of each image by itself, which usually trains worse: set %d for "
            "micro-batches of two or more if memory allows it.",
            *(steps, _largest_divisor(params.batch_size)),
        )


def _largest_divisor(number: int) -> int:
    """Return the largest divisor of a number, 2 or more, but the number itself."""
    return max(n for n in range(1, number) if number % n == 0)


def _split(batch: MicroBatch, count: int) -> list[MicroBatch]:
    """Split a batch into equal parts."""
    columns = [None if x is None else ops.split(x, count) for x in batch]
    return [MicroBatch(*(x and x[i] for x in columns)) for i in range(count)]


def _wait_for(gradients: Gradients, batch: MicroBatch) -> MicroBatch:
    """Return a micro-batch that can't be computed before the gradients of those before it.

    TensorFlow would compute several at once, and so need the memory of all.
    """
    if not gradients:
        return batch
    with tf.control_dependencies(gradients):
        return MicroBatch(*(None if x is None else tf.identity(x) for x in batch))


def _add(total: Gradients, gradients: Gradients) -> Gradients:
    """Add the gradients of a micro-batch to the sum of those before, which may be empty."""
    return [a + b for a, b in zip(total, gradients, strict=True)] if total else gradients


def _merge(results: list[AdversarialGradients]) -> StepResult:
    """Merge the results of equal micro-batches: mean losses, and all logits."""
    parts = [
        StepResult(result.loss_d, result.loss_g, result.real.logits, result.fake.logits)
        for result in results
    ]
    if len(parts) == 1:
        return parts[0]
    losses_d, losses_g, real_logits, fake_logits = zip(*parts, strict=True)
    mean_d, mean_g = (ops.mean(ops.stack(losses)) for losses in (losses_d, losses_g))
    return StepResult(mean_d, mean_g, ops.concatenate(real_logits), ops.concatenate(fake_logits))
