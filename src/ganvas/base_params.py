"""Base class of typed parameters, and their validation with one error sentence a mistake."""

import difflib
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from ganvas.errors import GanvasError

# Keys of earlier versions and their present names, for the error sentence.
RENAMED = {
    "device": "profile",
    "ingest.source.artworks.pictures": "ingest.source.artworks.images",
    "ingest.source.celeba.pictures": "ingest.source.celeba.images",
    "ingest.source.sample.pictures": "ingest.source.sample.images",
    "network.dcgan.initialiser": "network.dcgan.initializer",
    "network.projected.magnify": "network.projected.input_upscale",
    "report.published.figure": "report.published.metric",
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
    """Base class of parameter groups: immutable, and unknown keys are errors.

    A parameter's meaning is written once, as its comment in conf/base/parameters_*.yml, which
    docs/parameters_page.py turns into the reference page. A model holds names, types, bounds and
    checks; its docstring has no "Attributes:" section, at most the source of a method.

    Example:
        >>> class Blur(Params):
        ...     sigma: float = Field(1.0, ge=0)
        >>> check_params(Blur, {"sigma": 2}).sigma
        2.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    def check_if_chosen(self) -> None:
        """Check that the values of a group go together, if its parent has chosen the group.

        A validator would also refuse values of a group that the run doesn't use.

        Raises:
            ValueError: They don't.
        """


Model = TypeVar("Model", bound=Params)


def check_params(model: type[Model], raw: dict[str, Any]) -> Model:
    """Validate raw parameters and return them as a model.

    Args:
        model: Class of the parameter group.
        raw: Parameters as read from configuration files and the command line.

    Raises:
        GanvasError: One sentence for each wrong parameter: its key, its value, what is allowed.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        errors = _without_consequences(error.errors())
        sentences = [_describe_error(model, details) for details in errors]
        raise GanvasError(" ".join(sentences)) from error


def _without_consequences(errors: list[Any]) -> list[Any]:
    """Drop an error of a list whose items have errors: Pydantic counts the valid items alone."""
    paths = [details["loc"] for details in errors]
    return [
        details
        for details in errors
        if details["type"] != "too_short"
        or not any(path[:-1] == details["loc"] for path in paths if path)
    ]


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested parameters to one level with dotted keys.

    Example:
        >>> flatten({"train": {"loss": {"name": "hinge"}, "epochs": 2}})
        {'train.loss.name': 'hinge', 'train.epochs': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _describe_error(model: type[Params], details: Any) -> str:
    message = str(details["msg"]).removeprefix("Value error, ")
    path = [str(part) for part in details["loc"]]
    key = ".".join(path)
    # An error of a whole group: values that are not allowed together, as the message explains.
    if details["type"] == "value_error" and isinstance(details["input"], dict):
        where = f" in '{key}'" if key else ""
        return f"Parameters{where} don't go together: {message}."
    if details["type"] == "extra_forbidden":
        allowed = _keys_of_group(model, path[:-1])
        where = f"in '{'.'.join(path[:-1])}'" if path[:-1] else "at the top"
        hint = _suggest(key, allowed)
        return f"Unknown parameter '{key}'{hint}: allowed {where} are {', '.join(allowed)}."
    if details["type"] == "missing":
        return f"Parameter '{key}' is missing: set it in conf or by --params={key}=…."
    return f"Parameter '{key}' can't be {details['input']!r}: {message[0].lower()}{message[1:]}."


def _suggest(key: str, allowed: list[str]) -> str:
    # Without the indices of lists.
    general = ".".join(part for part in key.split(".") if not part.isdecimal())
    if general in RENAMED:
        return f" (it is now called '{RENAMED[general]}')"
    similar = difflib.get_close_matches(key.rpartition(".")[2], allowed, n=1)
    return f" (did you mean '{similar[0]}'?)" if similar else ""


def _keys_of_group(model: type[Params], path: list[str]) -> list[str]:
    for name in path:
        if name.isdecimal():  # an index of a list
            continue
        annotation = model.model_fields[name].annotation
        if get_origin(annotation) is list:
            (annotation,) = get_args(annotation)
        assert isinstance(annotation, type) and issubclass(annotation, Params)
        model = annotation
    return list(model.model_fields)
