"""Which parameters identify a run, and which determine its generator.

The models themselves are those of `ganvas.training.config` and `ganvas.networks`.
"""

from typing import Any

from ganvas.networks import NetworkParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.redaction import redact
from ganvas.training.config import AugmentParams, TrainParams

# The feature extractor of train.kid_validation. A discriminator with it as backbone excludes
# this, as does the evaluation by it: by the features of either no epoch may be selected.
KID_EXTRACTOR = "efficientnet_lite1"
# Environment variable that names the file to which a run writes its progress after each epoch, for
# the sweep that has started it.
PROGRESS_FILE = "GANVAS_PROGRESS_FILE"
# Environment variable with values that identify a run besides those of `IDENTITY`, as JSON by key.
# A sweep over learning rates sets it, whose runs would otherwise resume one another.
SWEEP_VALUES = "GANVAS_SWEEP_VALUES"
# A change of one of these parameters starts a new run; with any other the run resumes.
IDENTITY = {
    "anchor",
    "uniform_class_sampling",
    "batch_size",
    "resample_latents",
    "loss",
    "optimizer",
    "penalty",
    "augment",
    "flip",
    "discriminator_steps",
    "gradient_accumulation_steps",
    "simultaneous_updates",
    "ema_decay",
    "precision",
    "seed",
    "weights_from",
}
# The same, of later versions: the identity has them only where they are set, so that runs of
# earlier versions keep theirs, and are resumed.
LATER_IDENTITY = {
    "ema_images",
    "ema_ramp",
    "flip_vertically",
    "path_length",
    "rotate_quarters",
}
LATER_NETWORK_IDENTITY = {"dcgan": {"max_width"}, "projected": {"backbone", "generator"}}


def identifying_parameters(params: TrainParams) -> dict[str, Any]:
    """Return the parameters of training that identify a run, in JSON's types.

    Example:
        >>> sorted(identifying_parameters(TrainParams(rotate_quarters=True)).keys() - IDENTITY)
        ['rotate_quarters']
    """
    later: dict[str, Any] = params.model_dump(
        mode="json", include=LATER_IDENTITY, exclude_defaults=True
    )
    identity: dict[str, Any] = params.model_dump(mode="json", include=IDENTITY) | later
    return identity | {"augment": identifying_augmentation(params.augment)}


def identifying_augmentation(params: AugmentParams) -> dict[str, Any]:
    """Return the parameters of augmentation that identify a run, in JSON's types.

    Example:
        >>> identifying_augmentation(AugmentParams(name="ada", probability=0.2))
        {'name': 'ada', 'set': 'bgc', 'probability': 0.2}
    """
    if params.name == "ada":
        keys = {"name", "set"} | (
            {"target", "speed", "interval"} if params.is_adaptive else {"probability"}
        )
        return params.model_dump(mode="json", include=keys)
    # As earlier versions wrote it, whose runs are resumed; they called adaptive_diffaugment ada.
    name = "ada" if params.name == "adaptive_diffaugment" else params.name
    return params.model_dump(mode="json", exclude={"set", "probability"}) | {"name": name}


def identifying_network(network: NetworkParams) -> dict[str, Any]:
    """Return the name and the parameters of a network that identify a run, in JSON's types.

    Example:
        >>> "max_width" in identifying_network(NetworkParams(name="dcgan"))
        False
    """
    later = LATER_NETWORK_IDENTITY.get(network.name, set())
    first: dict[str, Any] = network.chosen.model_dump(exclude=later)
    return (
        {"name": network.name}
        | first
        | network.chosen.model_dump(include=later, exclude_defaults=True)
    )


def run_parameters(
    ingest: IngestParams, network: NetworkParams, params: TrainParams
) -> dict[str, Any]:
    """Return the parameters that determine a generator, in JSON's types and without passwords."""
    parameters: dict[str, Any] = redact(
        {
            "ingest": ingest.model_dump(mode="json"),
            "network": network.model_dump(mode="json", include={"name", "label", network.name}),
            "train": params.model_dump(mode="json"),
        }
    )
    return parameters
