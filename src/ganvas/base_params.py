"""What all typed parameters share, and the check that speaks of a wrong one in one sentence."""

import difflib
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.errors import GanvasError

# Keys of earlier versions, with what they are called now.
RENAMED = {
    "device": "profile",
    "ingest.source.artworks.pictures": "ingest.source.artworks.images",
    "ingest.source.celeba.pictures": "ingest.source.celeba.images",
    "ingest.source.sample.pictures": "ingest.source.sample.images",
    "network.dcgan.initialiser": "network.dcgan.initializer",
    "network.projected.magnify": "network.projected.input_upscale",
    "train.accumulate": "train.gradient_accumulation_steps",
    "train.augment.every": "train.augment.interval",
    "train.average": "train.ema_decay",
    "train.balance": "train.uniform_class_sampling",
    "train.checkpoint.every": "train.checkpoint.interval",
    "train.fresh_latents": "train.resample_latents",
    "train.judge": "train.kid_validation",
    "train.loss.class_weight": "train.loss.auxiliary_class_weight",
    "train.optimiser": "train.optimizer",
    "train.penalty.every": "train.penalty.interval",
    "train.penalty.gradient": "train.penalty.wgan_gp",
    "train.schedule.every": "train.schedule.interval",
    "train.simultaneous": "train.simultaneous_updates",
    "train.snapshot_every": "train.snapshot_interval",
}


class Params(BaseModel):
    """Base of every group of parameters: unknown keys are errors, values can't be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


Model = TypeVar("Model", bound=Params)


def check_params(model: type[Model], raw: dict[str, Any]) -> Model:
    """Make a model of raw parameters.

    Args:
        model: The group's model.
        raw: The parameters as read from configuration files and the command line.

    Raises:
        GanvasError: One sentence for each wrong parameter: its key, its value, what is allowed.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        sentences = [_describe(model, details) for details in error.errors()]
        raise GanvasError(" ".join(sentences)) from error


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn a tree of parameters into one level, with dots in its keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _describe(model: type[Params], details: Any) -> str:
    broken = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "value_error" and isinstance(details["input"], dict):
        # Parameters that don't go together; the rule names them.
        where = f" in '{'.'.join(map(str, details['loc']))}'" if details["loc"] else ""
        return f"Parameters{where} don't go together: {broken}."
    *parents, last = map(str, details["loc"])
    key = ".".join([*parents, last])
    if details["type"] == "extra_forbidden":
        allowed = _keys_at(model, parents)
        hint = _hint(key, last, allowed)
        where = f"in '{'.'.join(parents)}'" if parents else "at the top"
        return f"Unknown parameter '{key}'{hint}: allowed {where} are {', '.join(allowed)}."
    if details["type"] == "missing":
        return f"Parameter '{key}' is missing: set it in conf or by --params={key}=…."
    rule = broken[0].lower() + broken[1:]
    return f"Parameter '{key}' can't be {details['input']!r}: {rule}."


def _hint(key: str, last: str, allowed: list[str]) -> str:
    """Name the parameter that an unknown key probably means."""
    if key in RENAMED:
        return f" (it is now called '{RENAMED[key]}')"
    close = difflib.get_close_matches(last, allowed, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _keys_at(model: type[Params], parents: list[str]) -> list[str]:
    # Numbers are places in lists.
    for name in (each for each in parents if not each.isdecimal()):
        annotation = model.model_fields[name].annotation
        if get_origin(annotation) is list:
            (annotation,) = get_args(annotation)
        assert isinstance(annotation, type) and issubclass(annotation, Params)
        model = annotation
    return list(model.model_fields)
