"""The parameters of training."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ganvas.base_params import Params
from ganvas.training.augmentation import AugmentParams
from ganvas.training.losses import LossParams, decision_threshold
from ganvas.training.penalties import PenaltyParams


class ScheduleParams(Params):
    """How the learning rates change.

    Attributes:
        name: constant; step: multiplied by `factor` every `interval` epochs; cosine: falling to
            `factor` times the rate until the last epoch (Loshchilov and Hutter, arXiv
            1608.03983).
        interval: Epochs between two steps.
        factor: What a step multiplies by, or the share that cosine ends at.
    """

    name: Literal["constant", "step", "cosine"] = "constant"
    interval: int = Field(50, ge=1)
    factor: float = Field(0.1, ge=0, le=1)


class AdamParams(Params):
    """Adam (Kingma and Ba, arXiv 1412.6980).

    Attributes:
        beta_1: Decay of the gradients' mean.
        beta_2: Decay of their squares' mean.
    """

    beta_1: float = Field(0.5, ge=0, lt=1)
    beta_2: float = Field(0.999, ge=0, lt=1)


class RmspropParams(Params):
    """RMSProp (Hinton, lecture 6 of his course on neural networks, 2012).

    Attributes:
        rho: Decay of the mean of the gradients' squares.
    """

    rho: float = Field(0.9, ge=0, lt=1)


class OptimizerParams(Params):
    """How gradients become steps.

    Attributes:
        name: The optimizer of both networks.
    """

    name: Literal["adam", "rmsprop"] = "adam"
    adam: AdamParams = AdamParams()
    rmsprop: RmspropParams = RmspropParams()


class CheckpointParams(Params):
    """What is kept to go on from.

    Attributes:
        interval: Epochs between two checkpoints.
        steps: Steps between two checkpoints within an epoch; None: at its end alone.
        keep: How many of the last are kept, beside the best.
    """

    interval: int = Field(1, ge=1)
    steps: int | None = Field(None, ge=1)
    keep: int = Field(2, ge=1)


class KidValidationParams(Params):
    """How epochs are compared: by the kernel distance to held-out images.

    Attributes:
        interval: Epochs between two judgments; None: none.
        images: Generated images a judgment, and held-out ones at most.
        patience: Judgments without a better one after which training ends; None: no such end.
        keep: Whether the saved networks are those of the last epoch or of the best judged.
    """

    interval: int | None = Field(None, ge=1)
    images: int = Field(500, ge=10)
    patience: int | None = Field(None, ge=1)
    keep: Literal["last", "best"] = "last"

    @model_validator(mode="after")
    def _check_judged(self) -> "KidValidationParams":
        if not self.interval and (self.patience or self.keep == "best"):
            raise ValueError(
                "train.kid_validation.patience and train.kid_validation.keep=best need "
                "train.kid_validation.interval, the epochs between two judgments"
            )
        return self


class AnchorParams(Params):
    """How latents are tied to real images; see `ganvas.training.anchors`.

    Attributes:
        every: One image in this many of a batch is painted from a real image's own latent and
            must look like it in what is coarse; None: none. Discriminators that look at the
            images alone have none.
        adversarial: Length of the adversarial gradient for these images, as a share of that
            which draws them to their real ones.
        pixels: Weight of the difference of the pixels, at 16×16, beside that of the maps.
    """

    every: int | None = Field(None, ge=1)
    adversarial: float = Field(4.0, gt=0)
    pixels: float = Field(10.0, ge=0)


class TrainParams(Params):
    """Parameters of training.

    Attributes:
        epochs: Times that every training image is seen, at most.
        max_minutes: Minutes of training after which it ends, epoch complete or not, those of
            resumed runs included; None for no limit.
        batch_size: Images a step, all devices together.
        loss: What generator and discriminator are after.
        penalty: What the discriminator pays for being steep.
        anchor: How latents are tied to real images.
        augment: What is done to images before the discriminator sees them.
        flip: Mirror half of the real images, but none that has a latent of its own.
        generator_learning_rate: The optimizer's step size for the generator.
        discriminator_learning_rate: The same for the discriminator.
        schedule: How both change.
        optimizer: How gradients become steps.
        discriminator_steps: Updates of the discriminator, each with images of its own, for one
            of the generator.
        gradient_accumulation_steps: Pieces in which a batch goes through the networks, for
            batches larger than memory.
        resample_latents: The generator is updated by images from latents of their own, as in
            algorithm 1 of Goodfellow et al. (arXiv 1406.2661), not by those that the
            discriminator was updated by.
        simultaneous_updates: Both losses share one forward pass over generated images, and both
            networks are updated after it; otherwise the discriminator first, as in the paper.
        uniform_class_sampling: Ask the generator for every class equally often; otherwise for
            the classes of the real images beside them. Without classes it means nothing.
        ema_decay: Decay of the generator's average weights, the ones that are saved; 0: the last
            weights. At step t the decay is at most (1 + t) / (10 + t).
        precision: Keras's name of the arithmetic; variables are float32 in any.
        jit_compile: Compile the step with XLA.
        steps_per_execution: Steps between two returns to Python.
        distribute: The devices: auto takes all GPUs of this machine, and the machines of
            TF_CONFIG where it is set.
        seed: Of the initial weights, the order of the images, latents and augmentations.
        resume: Go on from the last checkpoint of the same data, networks and loss.
        weights_from: Folder with generator.keras and discriminator.keras of another run, whose
            weights to start from; None: random weights.
        checkpoint: What is kept to go on from.
        kid_validation: How epochs are compared.
        snapshot_interval: Epochs between two snapshot grids; epochs 1, 2, 4, 8 … have one too.
        snapshot_rows: Rows of a snapshot grid.
        snapshot_columns: Columns of a snapshot grid.
        tensorboard: Write logs for TensorBoard.
        dry_run: Build everything, do two steps, tell sizes and times, and stop.
    """

    epochs: int = Field(100, ge=1)
    max_minutes: float | None = Field(None, gt=0)
    batch_size: int = Field(64, ge=2)
    loss: LossParams = LossParams()
    penalty: PenaltyParams = PenaltyParams()
    anchor: AnchorParams = AnchorParams()
    augment: AugmentParams = AugmentParams()
    flip: bool = False
    generator_learning_rate: float = Field(2e-4, gt=0, le=1)
    discriminator_learning_rate: float = Field(2e-4, gt=0, le=1)
    schedule: ScheduleParams = ScheduleParams()
    optimizer: OptimizerParams = OptimizerParams()
    discriminator_steps: int = Field(1, ge=1, le=100)
    gradient_accumulation_steps: int = Field(1, ge=1, le=1024)
    resample_latents: bool = False
    simultaneous_updates: bool = False
    uniform_class_sampling: bool = False
    ema_decay: float = Field(0.0, ge=0, lt=1)
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit_compile: bool = False
    steps_per_execution: int = Field(1, ge=1)
    distribute: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    seed: int = Field(0, ge=0, lt=2**31)
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
    def images_a_step(self) -> int:
        """Real images that a step takes."""
        return self.batch_size * self.discriminator_steps

    @field_validator("simultaneous_updates")
    @classmethod
    def _refuse_fresh_latents(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("resample_latents"):
            rule = "train.resample_latents needs images of their own for the generator; take one"
            raise PydanticCustomError("two_ways", "{rule}", {"rule": rule})
        return value

    @model_validator(mode="after")
    def _check_augment(self) -> "TrainParams":
        if self.augment.name == "ada" and decision_threshold(self.loss) is None:
            raise ValueError(
                "train.augment.name=ada counts real images on the two sides of a boundary, which "
                f"the {self.loss.name} loss has not: take diffaugment, or another loss"
            )
        return self

    @model_validator(mode="after")
    def _check_anchors(self) -> "TrainParams":
        every = self.anchor.every
        if not every:
            return self
        if not self.simultaneous_updates:
            raise ValueError("train.anchor.every needs train.simultaneous_updates=true")
        if self.batch_size % (every * self.gradient_accumulation_steps):
            raise ValueError(
                f"a batch of {self.batch_size} in {self.gradient_accumulation_steps} piece(s) has "
                f"no place for one anchor in every {every} images: let train.anchor.every divide "
                "each piece"
            )
        return self
