"""Base class of typed parameters, and their validation with one error sentence a mistake."""

import difflib
import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ErrorType

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

# Types of errors whose messages are Pydantic's; those of validators are written by this project.
KNOWN_ERRORS = {*get_args(ErrorType)} - {"value_error", "assertion_error"}
# A name that can be part of a dotted key.
PLAIN_NAME = re.compile(r"[\w-]+")
# A JSON schema, as Pydantic derives it from a model, and the groups that it refers to.
Schema = dict[str, Any]
# Wrong parameters, similar names, names of a group and characters of a value in a message, at most.
MAX_SENTENCES, MAX_SIMILAR, MAX_NAMES, MAX_VALUE = 5, 3, 12, 80


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

    # A name such as 2024 is read as a number from YAML, and is text where text is allowed.
    model_config = ConfigDict(
        extra="forbid", frozen=True, ser_json_inf_nan="strings", coerce_numbers_to_str=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans_as_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        # In Python, true is the number 1.
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and not _takes_booleans(field.annotation):
            raise PydanticKnownError("int_type")
        return value

    def check_if_chosen(self) -> None:
        """Check that the values of a group go together, if its parent has chosen the group.

        A validator would also refuse values of a group that the run doesn't use.

        Raises:
            ValueError: They don't.
        """


def _takes_booleans(annotation: Any) -> bool:
    values = get_args(annotation)
    return annotation in (bool, Any) or any(
        isinstance(value, bool) or _takes_booleans(value) for value in values
    )


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
        raise GanvasError(_describe_errors(model, error)) from error


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested parameters to one level with dotted keys.

    A group with a name that can't be part of such a key, such as the label column "Fine art", stays
    a value.

    Example:
        >>> flatten({"train": {"loss": {"name": "hinge"}, "epochs": 2}})
        {'train.loss.name': 'hinge', 'train.epochs': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and all(PLAIN_NAME.fullmatch(str(name)) for name in value):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def find_text_keys(model: type[Params]) -> set[str]:
    """Return the dotted keys whose values may be any text, or a list of texts.

    Example:
        >>> sorted(find_text_keys(ProjectParams) & {"ingest.dataset", "ingest.size"})
        ['ingest.dataset']
    """
    root, groups = _read_schema(model)
    return {key for key, field in _list_fields(root, groups) if _accepts_text(field, groups)}


def find_text_mappings(model: type[Params]) -> set[str]:
    """Return the dotted keys whose values may be mappings of texts, nested or not.

    Example:
        >>> "ingest.only" in find_text_mappings(ProjectParams)
        True
    """
    root, groups = _read_schema(model)
    return {key for key, field in _list_fields(root, groups) if _maps_to_text(field, groups)}


def describe_allowed(field: Schema, groups: Schema, mark: str = "") -> str:
    """Describe the type and the bounds of a field's JSON schema in words.

    Args:
        field: The schema, of a model's property.
        groups: `$defs` of the model's schema.
        mark: What stands around values: "" in messages, "`" in Markdown.

    Example:
        >>> describe_allowed({"type": "integer", "minimum": 1}, {})
        'whole number from 1'
    """
    field = resolve_field(field, groups)
    if "anyOf" in field and "description" in field:
        null = {"type": "null"} in field["anyOf"]
        return field["description"] + f" or {mark}null{mark}" * null
    if "anyOf" in field:
        return " or ".join(describe_allowed(choice, groups, mark) for choice in field["anyOf"])
    if "enum" in field or "const" in field:
        values = field.get("enum", [field.get("const")])
        return ", ".join(f"{mark}{value}{mark}" for value in values)
    kind = field.get("type")
    if kind == "null":
        return f"{mark}null{mark}"
    if kind == "boolean":
        return f"{mark}true{mark}, {mark}false{mark}"
    if kind == "array":
        return f"list of {describe_allowed(field['items'], groups, mark)}"
    if kind == "object":
        return ", ".join(f"{mark}{name}{mark}" for name in field.get("properties", ())) or "mapping"
    if kind == "string":
        # A pattern is described in words by the field: a regular expression is no explanation.
        return field.get("description", "text")
    templates = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "exclusiveMaximum": "to below {}",
        "multipleOf": "in steps of {}",
    }
    bounds = [text.format(field[name]) for name, text in templates.items() if name in field]
    return " ".join(["whole number" if kind == "integer" else "number", *bounds])


def resolve_field(field: Schema, groups: Schema) -> Schema:
    """Return the schema that a reference to a group stands for, and any other as it is."""
    return groups[field["$ref"].rpartition("/")[2]] if "$ref" in field else field


class _Place(NamedTuple):
    """Where an error is: its key without Pydantic's marks of union members, and its schema."""

    key: str
    field: Schema | None


def _describe_errors(model: type[Params], error: ValidationError) -> str:
    root, groups = _read_schema(model)
    sentences: dict[str, str] = {}
    # What is unknown comes first: it is often the other name of what is missing.
    errors = _without_consequences(error.errors(include_url=False))
    errors.sort(key=lambda error: error["type"] == "missing")
    for details in errors:
        place = _locate(root, groups, details["loc"])
        # Each member of a union reports an error of its own, and a list those of its items too.
        if not any(_is_within(place.key, key) or _is_within(key, place.key) for key in sentences):
            sentences[place.key] = _describe_error(root, groups, place, details)
    more = len(sentences) - MAX_SENTENCES
    shown = list(sentences.values())[:MAX_SENTENCES]
    return " ".join([*shown, f"And {more} more are wrong."] if more > 0 else shown)


def _without_consequences(errors: list[Any]) -> list[Any]:
    """Drop an error of a list whose items have errors: Pydantic counts the valid items alone."""
    paths = [details["loc"] for details in errors]
    return [
        details
        for details in errors
        if details["type"] != "too_short"
        or not any(path[:-1] == details["loc"] for path in paths if path)
    ]


def _is_within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")


def _describe_error(root: Schema, groups: Schema, place: _Place, details: Any) -> str:
    key, field, kind = place.key, place.field, details["type"]
    if kind not in KNOWN_ERRORS:
        message = (
            str(details["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
        )
        # An error of a whole group: values that are not allowed together, as the message explains.
        if isinstance(details["input"], dict):
            where = f" in '{key}'" if key else ""
            return f"Parameters{where} don't go together: {message}."
        return f"Parameter '{key}' can't be {_quote(details['input'])}: {message}."
    if field is None:
        return _describe_unknown(root, groups, key)
    names = list(field.get("properties", ()))
    if kind == "missing":
        return _describe_missing(key, is_group=bool(names))
    if not names:
        allowed = _add_article(describe_allowed(field, groups))
        return f"Parameter '{key}' can't be {_quote(details['input'])}: it must be {allowed}."
    holds = f"holds parameters of its own, such as {'.'.join(filter(None, [key, names[0]]))}"
    if details["input"] is None:
        return f"'{key}' is empty, but {holds}: indent some below it, or delete the line."
    return f"'{key}' can't be {_quote(details['input'])}: it {holds}."


def _describe_missing(key: str, is_group: bool) -> str:
    if is_group:
        return f"The parameters of '{key}' are missing: set them in conf/base."
    # Parameters in lists can't be set on the command line.
    in_list = any(part.isdecimal() for part in key.split("."))
    option = "" if in_list else f" or by --params={key}=…"
    return f"Parameter '{key}' is missing: set it in conf{option}."


def _add_article(allowed: str) -> str:
    """Make an object of a sentence of what `describe_allowed` returns."""
    articles = {"whole": "a ", "number": "a ", "list": "a ", "mapping": "a ", "address": "an "}
    return (
        articles.get(allowed.partition(" ")[0], "" if allowed.startswith("text") else "one of ")
        + allowed
    )


def _describe_unknown(root: Schema, groups: Schema, key: str) -> str:
    """Return that there is no such parameter, with the name of similar ones."""
    group, _, name = key.rpartition(".")
    fields = dict(_list_fields(root, groups))
    place = _locate(root, groups, group.split(".") if group else [])
    names = list((place.field or {}).get("properties", ()))
    # Without the indices of lists.
    general = ".".join(part for part in key.split(".") if not part.isdecimal())
    if general in RENAMED:
        hint = f" (it is now called '{RENAMED[general]}')"
    elif similar := _find_similar(name, group, names, fields):
        hint = f" (did you mean {' or '.join(map(repr, similar))}?)"
    else:
        hint = ""
    where = f"in '{group}'" if group else "at the top"
    if not names:
        return f"Unknown parameter '{key}'{hint}: there is no group '{group}'."
    if len(names) <= MAX_NAMES:
        return f"Unknown parameter '{key}'{hint}: allowed {where} are {', '.join(names)}."
    return (
        f"Unknown parameter '{key}'{hint}: all that are allowed {where} are in conf/base, with "
        "their meaning."
    )


def _find_similar(
    name: str, group: str, names: Sequence[str], fields: dict[str, Schema]
) -> list[str]:
    """Return the names in the same group that are similar, or else keys of other groups."""
    similar = difflib.get_close_matches(name, names, n=1)
    similar = similar or [other for other in names if name and name in other]
    if not similar:
        similar = [key for key in fields if key.rpartition(".")[2] == name]
    if not similar:
        last = {key.rpartition(".")[2]: key for key in reversed(fields)}
        similar = [last[match] for match in difflib.get_close_matches(name, last, cutoff=0.75)]
    return similar[:MAX_SIMILAR]


def _quote(value: Any) -> str:
    """Write a value as in YAML, on one line of limited length."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    is_group = isinstance(value, dict)
    text = f"a group with {', '.join(map(str, value)) or 'no values'}" if is_group else repr(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


@functools.lru_cache(maxsize=4)  # deriving it takes longer than a validation
def _read_schema(model: type[Params]) -> tuple[Schema, Schema]:
    root = model.model_json_schema()
    groups = root.get("$defs", {})
    return resolve_field(root, groups), groups


def _list_fields(root: Schema, groups: Schema, prefix: str = "") -> list[tuple[str, Schema]]:
    """Return all groups and parameters with their dotted keys."""
    fields = []
    for name, reference in root.get("properties", {}).items():
        field = resolve_field(reference, groups)
        fields += [(prefix + name, field), *_list_fields(field, groups, f"{prefix}{name}.")]
    return fields


def _locate(root: Schema, groups: Schema, path: Sequence[str | int]) -> _Place:
    """Return the key and the schema of a place in the parameters; no schema: it is unknown."""
    field, parts = root, list[str]()
    for part in path:
        name = str(part)
        if "properties" in field:
            parts.append(name)
            if name not in field["properties"]:
                return _Place(".".join(parts), None)
            field = resolve_field(field["properties"][name], groups)
        elif name.isdecimal() and (items := _find_items(field)):
            parts.append(name)
            field = resolve_field(items, groups)
        # Anything else is Pydantic's mark of a member of a union, or a key within a value.
    return _Place(".".join(parts), field)


def _find_items(field: Schema) -> Schema | None:
    choices = field.get("anyOf", [field])
    return next((choice["items"] for choice in choices if "items" in choice), None)


def _accepts_text(field: Schema, groups: Schema) -> bool:
    field = resolve_field(field, groups)
    if "anyOf" in field:
        return any(_accepts_text(choice, groups) for choice in field["anyOf"])
    if field.get("type") == "array":
        return _accepts_text(field.get("items", {}), groups)
    return field.get("type") == "string" and "enum" not in field and "const" not in field


def _maps_to_text(field: Schema, groups: Schema) -> bool:
    values = (choice.get("additionalProperties") for choice in field.get("anyOf", [field]))
    mapped = [resolve_field(value, groups) for value in values if isinstance(value, dict)]
    return any(_accepts_text(value, groups) or _maps_to_text(value, groups) for value in mapped)
