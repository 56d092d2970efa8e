import runpy
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ganvas import settings
from ganvas.base_params import Params, check_params, flatten
from ganvas.project_params import ProjectParams

ROOT = Path(__file__).parents[2]
PAGE = runpy.run_path(str(ROOT / "docs" / "parameters_page.py"))


def fields(model: type[Params], prefix: str = "") -> dict[str, FieldInfo]:
    """All keys of a model and of those in it."""
    found = {}
    for name, field in model.model_fields.items():
        found[prefix + name] = field
        if is_group(field):
            found |= fields(field.annotation, f"{prefix}{name}.")
    return found


def is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Params)


def shown() -> dict[str, list[str]]:
    """What the page's tables say of each key: allowed, default, meaning."""
    lines = [line for line in PAGE["render"]().splitlines() if line.startswith(("| `", "| **`"))]
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]
    return {row[0].split("`")[1]: row[1:] for row in rows}


ROWS, FIELDS = shown(), fields(ProjectParams)
LEAVES = [key for key, field in FIELDS.items() if not is_group(field)]


def test_every_parameter_has_a_row_with_its_meaning():
    sections = {line[3:].split(" ")[0] for line in PAGE["render"]().splitlines() if "## " in line}
    assert sections == {key for key in FIELDS if "." not in key}
    assert set(ROWS) | sections == set(FIELDS)
    assert not [key for key, row in ROWS.items() if len(row) != 3 or not row[2].strip()]


def test_sections_come_in_the_order_of_the_configuration_with_a_sentence_each():
    text = PAGE["render"]()
    stages = [name for name in ProjectParams.model_fields if name != "profile"]
    places = [text.index(f"## {name} {{#{name}}}\n\n") for name in stages]
    assert places == sorted(places)
    for name in stages:
        sentence = text.split(f"{{#{name}}}\n\n")[1].partition("\n")[0]
        assert sentence[0].isupper() and sentence.endswith(".") and not sentence.endswith("..")


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_the_default_is_what_a_run_takes(profile):
    loader = settings.CONFIG_LOADER_CLASS(
        str(ROOT / "conf"),
        env="base",
        runtime_params={"profile": profile},
        **settings.CONFIG_LOADER_ARGS,
    )
    taken = flatten(check_params(ProjectParams, loader["parameters"]).model_dump(mode="json"))
    assert set(taken) == set(LEAVES)
    for key in set(LEAVES) - {"profile"}:
        first, _, second = ROWS[key][1].strip("`").partition("; ")
        value = yaml.safe_load(second if second and profile == "gpu" else first)
        assert value == taken[key], key


def takes(adapter: TypeAdapter, value: Any) -> bool:
    try:
        adapter.validate_python(value, strict=not isinstance(value, list))
    except ValidationError:
        return False
    return True


def check_numbers(adapter: TypeAdapter, text: str) -> None:
    """Try values at the bounds that are told, and beyond."""
    words = text.split(" or ")[0].split()
    told = {}
    for word, after in pairwise(words):
        if word in ("from", "above", "to", "below", "of") and after[0].isdigit():
            told[word] = float(after)
    whole, step = words[0] == "whole", told.get("of", 1)
    make = int if whole else float
    small = step if whole else 1e-9
    tries = {
        "from": lambda bound: {bound: True, bound - small: False},
        "above": lambda bound: {bound: False, bound + small: True},
        "to": lambda bound: {bound: True, bound + small: False},
        "below": lambda bound: {bound: False, bound - small: True},
        "of": lambda bound: {64 * bound: True, 64 * bound + 1: False},
    }
    for word, bound in told.items():
        for value, allowed in tries[word](bound).items():
            assert takes(adapter, make(value)) == allowed, (text, value)
    assert takes(adapter, 10**12) != bool({"to", "below"} & set(told))
    assert takes(adapter, -(10**12)) != bool({"from", "above"} & set(told))
    assert not (whole and takes(adapter, 64.5))


@pytest.mark.parametrize("key", LEAVES)
def test_what_is_allowed_is_what_the_model_takes(key):
    field, allowed = FIELDS[key], ROWS[key][0]
    adapter = TypeAdapter(Annotated[field.annotation, field])
    assert takes(adapter, None) == allowed.endswith("`null`")
    choices = [part.strip("`") for part in allowed.removesuffix(" or `null`").split(", ")]
    if allowed.startswith("`true`"):
        assert takes(adapter, True) and takes(adapter, False) and not takes(adapter, "maybe")
    elif allowed.startswith("`"):
        assert all(takes(adapter, yaml.safe_load(choice)) for choice in choices)
        assert not takes(adapter, "another")
    elif allowed.startswith(("number", "whole")):
        check_numbers(adapter, allowed)
    elif allowed.startswith("list of `"):
        assert not takes(adapter, ["another"])
    elif allowed.startswith("text"):
        free = "matches" not in allowed
        assert takes(adapter, (field.default if free else None) or "/ another") == free
        assert not takes(adapter, 3)
