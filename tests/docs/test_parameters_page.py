"""The reference page of parameters agrees with the models and with conf/base."""

import re
import runpy
from itertools import pairwise
from typing import Annotated, Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ganvas.base_params import Params, check_params, flatten
from ganvas.project_params import ProjectParams
from projects import ROOT, load_config

PAGE = runpy.run_path(str(ROOT / "docs" / "parameters_page.py"))


def all_fields(model: type[Params], prefix: str = "") -> dict[str, FieldInfo]:
    """The fields of a model and of its groups by their dotted keys."""
    fields = {}
    for name, field in model.model_fields.items():
        fields[prefix + name] = field
        if is_group(field):
            fields |= all_fields(field.annotation, f"{prefix}{name}.")
    return fields


def is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Params)


def table_rows(page: str) -> dict[str, list[str]]:
    """The columns allowed, default and meaning of each key in the page's tables."""
    lines = [line for line in page.splitlines() if line.startswith(("| `", "| **`"))]
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines]
    return {row[0].split("`")[1]: row[1:] for row in rows}


TEXT = PAGE["render"]()
ROWS, FIELDS = table_rows(TEXT), all_fields(ProjectParams)
LEAVES = [key for key, field in FIELDS.items() if not is_group(field)]


def test_every_parameter_has_a_row():
    sections = {line[3:].split(" ")[0] for line in TEXT.splitlines() if "## " in line}
    assert sections == {key for key in FIELDS if "." not in key}
    assert set(ROWS) | sections == set(FIELDS)
    assert all(len(row) == 3 for row in ROWS.values())


def test_every_key_of_conf_base_has_a_comment():
    files = sorted((ROOT / "conf" / "base").glob("parameters_*.yml"))
    rows = [row for file in files for row in PAGE["read_rows"](file.read_text())]
    assert {row.key for row in rows} == set(FIELDS)
    assert not [row.key for row in rows if not row.meaning.strip()]


def test_sections_are_in_the_order_of_the_stages_and_begin_with_a_sentence():
    stages = [name for name in ProjectParams.model_fields if name != "profile"]
    positions = [TEXT.index(f"## {name} {{#{name}}}\n\n") for name in stages]
    assert positions == sorted(positions)
    for name in stages:
        sentence = TEXT.split(f"{{#{name}}}\n\n")[1].partition("\n")[0]
        assert sentence[0].isupper() and sentence.endswith(".") and not sentence.endswith("..")


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_defaults_are_those_of_a_run(profile):
    raw = load_config("parameters", params={"profile": profile})
    values = flatten(check_params(ProjectParams, raw).model_dump(mode="json"))
    assert set(values) == set(LEAVES)
    for key in set(LEAVES) - {"profile"}:
        first, _, second = ROWS[key][1].strip("`").partition("; ")
        default = yaml.safe_load(second if second and profile == "gpu" else first)
        assert default == values[key], key


def is_valid(adapter: TypeAdapter, value: Any) -> bool:
    try:
        adapter.validate_python(value, strict=not isinstance(value, list))
    except ValidationError:
        return False
    return True


def check_numbers(adapter: TypeAdapter, text: str) -> None:
    """Validate values at the bounds in the text, and beyond them."""
    words = text.split(" or ")[0].split()
    bounds = {}
    for word, after in pairwise(words):
        if word in ("from", "above", "to", "below", "of") and after[0].isdigit():
            bounds[word] = float(after)
    whole, step = words[0] == "whole", bounds.get("of", 1)
    make = int if whole else float
    small = step if whole else 1e-9
    expected = {
        "from": lambda bound: {bound: True, bound - small: False},
        "above": lambda bound: {bound: False, bound + small: True},
        "to": lambda bound: {bound: True, bound + small: False},
        "below": lambda bound: {bound: False, bound - small: True},
        "of": lambda bound: {64 * bound: True, 64 * bound + 1: False},
    }
    for word, bound in bounds.items():
        for value, allowed in expected[word](bound).items():
            assert is_valid(adapter, make(value)) == allowed, (text, value)
    assert is_valid(adapter, 10**12) != bool({"to", "below"} & set(bounds))
    assert is_valid(adapter, -(10**12)) != bool({"from", "above"} & set(bounds))
    assert not (whole and is_valid(adapter, 64.5))


@pytest.mark.parametrize("key", LEAVES)
def test_allowed_values_are_those_that_the_model_accepts(key):
    field, allowed = FIELDS[key], ROWS[key][0]
    adapter = TypeAdapter(Annotated[field.annotation, field])
    assert is_valid(adapter, None) == allowed.endswith("`null`")
    choices = [part.strip("`") for part in allowed.removesuffix(" or `null`").split(", ")]
    if allowed.startswith("`true`"):
        assert (
            is_valid(adapter, True) and is_valid(adapter, False) and not is_valid(adapter, "maybe")
        )
    elif allowed.startswith("`"):
        assert all(is_valid(adapter, yaml.safe_load(choice)) for choice in choices)
        assert not is_valid(adapter, "another")
    elif allowed.startswith(("number", "whole")):
        check_numbers(adapter, allowed)
    elif allowed.startswith("list of `"):
        assert not is_valid(adapter, ["another"])
    elif allowed.startswith("text"):
        free = "text" in allowed.split(" or ")
        assert is_valid(adapter, (field.default if free else None) or "/ another") == free
        assert not is_valid(adapter, 3)


def test_the_meaning_of_parameters_is_not_repeated_in_docstrings():
    groups = [ProjectParams, *(field.annotation for field in FIELDS.values() if is_group(field))]
    models = {model for group in groups for model in group.__mro__ if Params in model.__mro__}
    repeated = [
        f"{model.__module__}.{model.__name__}"
        for model in models
        if re.search(r"^\s*Attributes:$", model.__doc__ or "", re.MULTILINE)
    ]
    assert not sorted(repeated)
