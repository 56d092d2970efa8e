"""Typed parameters of training; `conf/base/parameters_train.yml` documents their meaning."""

import math
from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ganvas.augment_names import PARAMETERS, list_used
from ganvas.base_params import Params
from ganvas.errors import GanvasError

# The smallest batch: statistics such as the mean distance of images need two.
MIN_BATCH = 2
# Gamma of R1 for each pixel of an image and each image of a batch: penalty.r1=auto.
R1_RULE = 0.0002
AugmentOperation = Literal["color", "translation", "cutout"]
AdaSet = Literal[
    "blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"
]
# Losses with labels, which can be smoothed or noisy.
LOSSES_WITH_LABELS = ("non_saturating", "hinge", "least_squares")
# Losses that are negative log-likelihoods, and so in nats.
LOSSES_IN_NATS = ("non_saturating", "relativistic")


class LossParams(Params):
    """Adversarial loss, and the weights of auxiliary losses."""

    name: Literal["non_saturating", "hinge", "least_squares", "wasserstein", "relativistic"] = (
        "non_saturating"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    label_noise: float = Field(0.0, ge=0, lt=0.5)
    auxiliary_class_weight: float = Field(1.0, ge=0)
    reconstruction_weight: float = Field(1.0, ge=0)

    @field_validator("label_smoothing", "label_noise")
    @classmethod
    def _refuse_without_labels(cls, value: float, info: ValidationInfo) -> float:
        name = info.data.get("name", LOSSES_WITH_LABELS[0])
        if value and name not in LOSSES_WITH_LABELS:
            *first, last = LOSSES_WITH_LABELS
            allowed = f"{', '.join(first)} or {last}"
            rule = f"the {name} loss has no labels to change; set 0, or use {allowed}"
            raise PydanticCustomError("no_labels", "{rule}", {"rule": rule})
        return value

    @property
    def decision_threshold(self) -> float | None:
        """The logit above which the discriminator classifies an image as real.

        It is the midpoint of the smoothed and noisy labels: taken directly for least squares and
        hinge, through the inverse sigmoid for the cross-entropy. None: only differences of logits
        have a meaning (wasserstein, relativistic).
        """
        midpoint = (1 - self.label_smoothing - self.label_noise) / 2
        if self.name == "least_squares":
            return midpoint
        if self.name == "non_saturating":
            return math.log(midpoint / (1 - midpoint))
        # Noise lowers both margins alike.
        return -self.label_smoothing / 2 if self.name == "hinge" else None


class PenaltyParams(Params):
    """Weights of the discriminator's regularization terms; 0 disables a term."""

    r1: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0
    r2: float = Field(0.0, ge=0)
    wgan_gp: float = Field(0.0, ge=0)
    interval: int = Field(1, ge=1)
    lecam: float = Field(0.0, ge=0)
    lecam_decay: float = Field(0.99, ge=0, lt=1)
    lecam_start: int = Field(1000, ge=0)

    def resolve(self, height: int, width: int, batch_size: int) -> Self:
        """Return the penalties with a number in place of r1=auto: 0.0002 · H · W / batch size.

        That is the rule of StyleGAN2-ADA's code (Karras et al., arXiv 2006.06676).

        Example:
            >>> PenaltyParams(r1="auto").resolve(64, 64, batch_size=16).r1
            0.0512
        """
        if not isinstance(self.r1, str):
            return self
        return self.model_copy(update={"r1": R1_RULE * height * width / batch_size})

    def check_batch_norm(self) -> None:
        """Refuse gradient penalties, which are per image, with batch norm, which mixes images.

        Raises:
            ValueError: There is a gradient penalty.
        """
        for name in ("r1", "r2", "wgan_gp"):
            if getattr(self, name):
                raise ValueError(
                    f"train.penalty.{name} can't be used with batch normalization in the "
                    "discriminator: set network.name=r3gan, which has none, or dcgan with "
                    "network.dcgan.discriminator_norm=none, or set the penalty to 0"
                )


class PathLengthParams(Params):
    """Path length regularization; see `ganvas.training.path_length`."""

    weight: float = Field(0.0, ge=0)
    interval: int = Field(4, ge=1)
    decay: float = Field(0.01, gt=0, le=1)
    batch_divisor: int = Field(2, ge=1)


class AnchorParams(Params):
    """Latents computed from real images; see `ganvas.training.latent_anchoring`."""

    every: int | None = Field(None, ge=1)
    noise: float = Field(0.3, gt=0, lt=1)
    neighbors: int = Field(8, ge=0, le=1000)
    adversarial: float = Field(4.0, gt=0)
    pixels: float = Field(10.0, ge=0)


class AugmentParams(Params):
    """Augmentation of the discriminator's input: `ganvas.training.augmentation` and `.ada`."""

    name: Literal["none", "diffaugment", "adaptive_diffaugment", "ada"] = "none"
    policy: tuple[AugmentOperation, ...] = Field(("color", "translation", "cutout"), min_length=1)
    set: AdaSet = "bgc"
    probability: float | None = Field(None, ge=0, le=1)
    target: float = Field(0.6, gt=0, lt=1)
    speed: int = Field(500_000, ge=1)
    interval: int = Field(4, ge=1)

    @property
    def is_adaptive(self) -> bool:
        """Whether training adapts the probability of each operation."""
        return self.name in ("adaptive_diffaugment", "ada") and self.probability is None

    @property
    def initial_probability(self) -> float:
        """The probability with which training starts, which is constant if it isn't adaptive."""
        if self.probability is not None:
            return self.probability
        return 1.0 if self.name == "diffaugment" else 0.0

    def check_chosen(self, keys: Collection[str]) -> None:
        """Refuse parameters that were chosen, but count for another augmentation alone.

        Presets and conf/base may have them: they are overridden with the name. So this is no
        validator.

        Args:
            keys: Dotted keys of all parameters that conf/local and the command set.

        Raises:
            GanvasError: One of them has no effect.
        """
        used = list_used(self.name, self.probability)
        for name in type(self).model_fields:
            key = f"train.augment.{name}"
            if name == "name" or name in used or key not in keys or self.name == "none":
                continue
            if name in PARAMETERS[self.name]:
                raise GanvasError(
                    f"Parameter '{key}' has no effect with train.augment.probability="
                    f"{self.probability:g}, which is constant: leave it out, or set "
                    "train.augment.probability=null."
                )
            others = [other for other, names in PARAMETERS.items() if name in names]
            earlier = (
                " (what earlier versions called ada is adaptive_diffaugment now)"
                if self.name == "ada"
                else ""
            )
            raise GanvasError(
                f"Parameter '{key}' has no effect with train.augment.name={self.name}{earlier}: "
                f"leave it out, or set train.augment.name={' or '.join(others)}."
            )

    @model_validator(mode="after")
    def _check_probability(self) -> "AugmentParams":
        if self.probability is not None and self.name != "ada":
            raise ValueError(
                f"probability={self.probability:g} needs name=ada, and the name is {self.name}: "
                "set train.augment.probability=null, or train.augment.name=ada"
            )
        return self


class ScheduleParams(Params):
    """Schedule of the learning rates, and of what R3GAN changes along the same cosine."""

    name: Literal["constant", "step", "cosine"] = "constant"
    interval: int = Field(50, ge=1)
    factor: float = Field(0.1, ge=0, le=1)
    images: int | None = Field(None, ge=1)
    penalty_factor: float = Field(1.0, ge=0)
    beta_2: float | None = Field(None, ge=0, lt=1)
    ema: bool = False

    @model_validator(mode="after")
    def _check_cosine(self) -> "ScheduleParams":
        default = ScheduleParams.model_construct()
        for name in ("images", "penalty_factor", "beta_2", "ema"):
            if self.name != "cosine" and getattr(self, name) != getattr(default, name):
                raise ValueError(
                    f"{name} belongs to the schedule named cosine, and the name is {self.name}: "
                    f"leave {name} out, or set train.schedule.name=cosine"
                )
        return self


class AdamParams(Params):
    """Parameters of Adam."""

    beta_1: float = Field(0.5, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)


class RmspropParams(Params):
    """Parameters of RMSProp."""

    rho: float = Field(0.9, ge=0, lt=1)


class OptimizerParams(Params):
    """Optimizer of both networks."""

    name: Literal["adam", "rmsprop"] = "adam"
    adam: AdamParams = AdamParams()
    rmsprop: RmspropParams = RmspropParams()


class CheckpointParams(Params):
    """When checkpoints are written, and how many are kept."""

    interval: int = Field(1, ge=1)
    steps: int | None = Field(None, ge=1)
    keep: int = Field(2, ge=1)
    keep_every: int | None = Field(None, ge=1)


class KidValidationParams(Params):
    """Comparison of epochs by the kernel distance to validation images."""

    interval: int | None = Field(None, ge=1)
    images: int = Field(500, ge=10)
    patience: int | None = Field(None, ge=1)
    keep: Literal["last", "best"] = "last"

    @model_validator(mode="after")
    def _check_interval(self) -> "KidValidationParams":
        if not self.interval and (self.patience or self.keep == "best"):
            raise ValueError(
                "train.kid_validation.patience and train.kid_validation.keep=best need "
                "train.kid_validation.interval, the epochs between two measurements"
            )
        return self


class TrainParams(Params):
    """All parameters of training."""

    epochs: int | None = Field(100, ge=1)
    max_steps: int | None = Field(None, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(64, ge=MIN_BATCH)
    generator_learning_rate: float = Field(2e-4, gt=0, le=1)
    discriminator_learning_rate: float = Field(2e-4, gt=0, le=1)
    seed: int = Field(0, ge=0, lt=2**31)
    loss: LossParams = LossParams()
    penalty: PenaltyParams = PenaltyParams()
    path_length: PathLengthParams = PathLengthParams()
    anchor: AnchorParams = AnchorParams()
    augment: AugmentParams = AugmentParams()
    flip: bool = False
    flip_vertically: bool = False
    rotate_quarters: bool = False
    optimizer: OptimizerParams = OptimizerParams()
    schedule: ScheduleParams = ScheduleParams()
    ema_decay: float = Field(0.0, ge=0, lt=1)
    ema_images: float | None = Field(None, gt=0)
    ema_ramp: float | None = Field(None, gt=0)
    discriminator_steps: int = Field(1, ge=1, le=100)
    gradient_accumulation_steps: int = Field(1, ge=1, le=1024)
    resample_latents: bool = False
    simultaneous_updates: bool = False
    uniform_class_sampling: bool = False
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit_compile: bool = False
    steps_per_execution: int = Field(1, ge=1)
    distribute: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    resume: bool = True
    weights_from: str | None = None
    checkpoint: CheckpointParams = CheckpointParams()
    kid_validation: KidValidationParams = KidValidationParams()
    snapshot_interval: int = Field(1, ge=1)
    snapshot_rows: int = Field(4, ge=1, le=32)
    snapshot_columns: int = Field(8, ge=1, le=32)
    tensorboard: bool = False
    dry_run: bool = False

    @property
    def images_per_step(self) -> int:
        """Number of real images that a step takes."""
        return self.batch_size * self.discriminator_steps

    @property
    def has_ema(self) -> bool:
        """Whether the generator's weights are averaged."""
        return self.ema_decay > 0 or self.ema_images is not None

    def resolve(self, height: int, width: int) -> Self:
        """Return the parameters of training on images of a size, with a number for penalty.r1."""
        penalty = self.penalty.resolve(height, width, self.batch_size)
        return self.model_copy(update={"penalty": penalty})

    def total_steps(self, steps_per_epoch: int) -> int | None:
        """Return the number of steps of a whole run; None if minutes alone limit it.

        Example:
            >>> TrainParams(epochs=100, max_steps=500).total_steps(steps_per_epoch=10)
            500
        """
        by_epochs = self.epochs and self.epochs * steps_per_epoch
        return min((limit for limit in (by_epochs, self.max_steps) if limit), default=None)

    def schedule_steps(self, steps_per_epoch: int) -> int | None:
        """Return the number of steps after which a cosine schedule ends; None for others.

        Example:
            >>> cosine = {"name": "cosine", "images": 6400}
            >>> TrainParams(batch_size=64, schedule=cosine).schedule_steps(steps_per_epoch=10)
            100
        """
        if self.schedule.name != "cosine":
            return None
        if self.schedule.images is not None:
            return math.ceil(self.schedule.images / self.images_per_step)
        return self.total_steps(steps_per_epoch)

    def describe_limits(self, steps_per_epoch: int) -> str | None:
        """Return which limit ends a run, and which comes after it; None if there is only one.

        Example:
            >>> TrainParams(epochs=9, max_steps=50).describe_limits(steps_per_epoch=10)
            'Training ends after 50 steps (train.max_steps=50), before train.epochs=9.'
        """
        limits = []
        if self.epochs:
            limits.append((self.epochs * steps_per_epoch, f"train.epochs={self.epochs}"))
        if self.max_steps:
            limits.append((self.max_steps, f"train.max_steps={self.max_steps}"))
        if not limits or len(limits) + bool(self.max_minutes) < 2:
            return None
        (first, name), (last, later) = min(limits), max(limits)
        after = f", before {later}" if last > first else ""
        if self.max_minutes:
            after += f", or earlier by train.max_minutes={self.max_minutes:g}"
        return f"Training ends after {first:,} steps ({name}){after}."

    def find_unused(self, steps_per_epoch: int) -> list[str]:
        """Return which of the chosen parameters would count only after the end, in sentences.

        Example:
            >>> len(TrainParams(epochs=5, penalty={"lecam": 0.3}).find_unused(steps_per_epoch=10))
            1
        """
        total = self.total_steps(steps_per_epoch)
        if total is None:
            return []
        end = f"but training ends after {total:,} steps"
        epochs = total // steps_per_epoch
        found = []
        interval = self.kid_validation.interval
        if interval and interval > epochs:
            remedy = f"set it to at most {epochs}" if epochs else "train for an epoch or longer"
            found.append(
                f"train.kid_validation.interval={interval} epochs, {end}, {epochs} complete "
                f"epoch(s), so none is measured: {remedy}."
            )
        interval = self.schedule.interval
        if self.schedule.name == "step" and interval * steps_per_epoch >= total:
            found.append(
                f"train.schedule.interval={interval} epochs, {end}, "
                f"{total / steps_per_epoch:.3g} epochs, so learning rates stay constant: set a "
                "lower interval."
            )
        if self.penalty.lecam and self.penalty.lecam_start >= total:
            found.append(
                f"train.penalty.lecam counts from step {self.penalty.lecam_start:,} on "
                f"(train.penalty.lecam_start), {end}, so it never counts: set an earlier step."
            )
        return found

    @model_validator(mode="after")
    def _check_limits(self) -> "TrainParams":
        if not (self.epochs or self.max_steps or self.max_minutes):
            raise ValueError(
                "train.epochs, train.max_steps and train.max_minutes are all null, so training "
                "would never end: set one of them"
            )
        has_end = self.epochs or self.max_steps or self.schedule.images
        if self.schedule.name == "cosine" and not has_end:
            raise ValueError(
                "train.schedule.name=cosine reaches its end with the last step, whose number "
                "train.max_minutes doesn't determine: set train.max_steps or train.epochs too, or "
                "train.schedule.images, or another schedule"
            )
        return self

    @model_validator(mode="after")
    def _check_schedule(self) -> "TrainParams":
        if self.schedule.beta_2 is not None and self.optimizer.name != "adam":
            raise ValueError(
                f"train.schedule.beta_2={self.schedule.beta_2:g} is of Adam, and "
                f"train.optimizer.name is {self.optimizer.name}: set it to null, or use adam"
            )
        if self.schedule.ema and (self.ema_images is None or self.ema_ramp is not None):
            raise ValueError(
                "train.schedule.ema=true lets train.ema_images grow from 0, in place of "
                "train.ema_ramp: set train.ema_images, and train.ema_ramp=null"
            )
        return self

    @model_validator(mode="after")
    def _check_ema(self) -> "TrainParams":
        if self.ema_images is not None and self.ema_decay:
            raise ValueError(
                f"train.ema_images={self.ema_images:g} and train.ema_decay={self.ema_decay:g} both "
                "set the decay of the EMA weights: set train.ema_decay=0, or train.ema_images=null"
            )
        if self.ema_ramp is not None and self.ema_images is None:
            raise ValueError(
                f"train.ema_ramp={self.ema_ramp:g} limits train.ema_images in the first steps, "
                "which is null: set train.ema_images, or train.ema_ramp=null"
            )
        return self

    @field_validator("simultaneous_updates")
    @classmethod
    def _refuse_resampled_latents(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("resample_latents"):
            rule = "train.resample_latents needs a separate generator update; set one of the two"
            raise PydanticCustomError("exclusive", "{rule}", {"rule": rule})
        return value

    @model_validator(mode="after")
    def _check_augment(self) -> "TrainParams":
        name = self.augment.name
        if self.augment.is_adaptive and self.loss.decision_threshold is None:
            fixed = "train.augment.probability" if name == "ada" else "diffaugment"
            raise ValueError(
                f"train.augment.name={name} counts real images on both sides of a decision "
                f"threshold, which the {self.loss.name} loss does not have: set {fixed}, or "
                "another loss"
            )
        return self

    @model_validator(mode="after")
    def _check_micro_batches(self) -> "TrainParams":
        if self.batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"a batch of {self.batch_size} (train.batch_size) can't be divided into "
                f"{self.gradient_accumulation_steps} micro-batches: set "
                f"train.gradient_accumulation_steps to {list_divisors(self.batch_size)}"
            )
        return self

    @model_validator(mode="after")
    def _check_devices(self) -> "TrainParams":
        """Refuse what several devices can't do, where it is certain that there are several."""
        if self.distribute == "mirrored" and (problem := self.find_multi_device_problem()):
            raise ValueError(problem)
        return self

    def find_multi_device_problem(self) -> str | None:
        """Return what several devices can't do, and what to set, in a sentence; None: nothing."""
        if self.jit_compile or self.steps_per_execution > 1:
            return (
                "several devices can train neither with train.jit_compile=true nor with "
                "train.steps_per_execution above 1: set false and 1, or train.distribute=none"
            )
        # Keras checks for overflows before it adds up the gradients of all devices.
        if self.precision == "mixed_float16":
            return (
                "several devices can't train with train.precision=mixed_float16, since an overflow "
                "on one of them would corrupt all: set mixed_bfloat16 or float32, or "
                "train.distribute=none"
            )
        return None

    def check_without_styles(self) -> None:
        """Check what a network without styles can't be trained with.

        Raises:
            ValueError: There is path length regularization.
        """
        if self.path_length.weight:
            raise ValueError(
                f"train.path_length.weight={self.path_length.weight:g} regularizes the styles of a "
                "style-based generator, and this network has none: set network.name=stylegan2, or "
                "train.path_length.weight=0"
            )

    def check_anchors(self) -> None:
        """Check that steps can have anchors, for a discriminator that uses them.

        Other discriminators ignore `train.anchor`, so this is no validator.

        Raises:
            ValueError: Updates are not simultaneous, or batches can't be divided.
        """
        every, accumulation = self.anchor.every, self.gradient_accumulation_steps
        if not every:
            return
        if not self.simultaneous_updates:
            raise ValueError(
                f"train.anchor.every={every} needs train.simultaneous_updates=true: set one of "
                "them, or train.anchor.every=null"
            )
        size = self.batch_size // accumulation
        if size % every:
            raise ValueError(
                f"a batch of {self.batch_size} in {accumulation} micro-batch(es) can't have "
                f"one anchor in every {every} images: set train.anchor.every to "
                f"{list_divisors(size)} or null, or train.batch_size to a multiple of "
                f"{every * accumulation}"
            )


def list_divisors(number: int) -> str:
    """List the divisors of a positive number, for an error sentence.

    Example:
        >>> list_divisors(6)
        '1, 2, 3 or 6'
    """
    *others, last = (str(n) for n in range(1, number + 1) if number % n == 0)
    return " or ".join([", ".join(others), last] if others else [last])
