from typing import Literal, get_args

import pytest
from pydantic import Field, model_validator

from ganvas.base_params import RENAMED, Params, check_params
from ganvas.errors import GanvasError
from ganvas.project_params import ProjectParams


class Inner(Params):
    width: int = Field(4, ge=1, le=8)
    name: str = "a"


class Outer(Params):
    inner: Inner = Inner()
    rate: float


def error_message(raw: dict) -> str:
    with pytest.raises(GanvasError) as caught:
        check_params(Outer, raw)
    return str(caught.value)


def test_valid_parameters_become_a_model():
    assert check_params(Outer, {"rate": 1, "inner": {"width": 8}}).inner.width == 8


def test_a_value_out_of_range_is_reported_with_its_key_and_bound():
    message = error_message({"rate": 1, "inner": {"width": 9}})
    assert "'inner.width'" in message and "9" in message and "less than or equal to 8" in message


def test_an_unknown_key_is_reported_with_the_allowed_ones():
    message = error_message({"rate": 1, "inner": {"widht": 2}})
    assert "'inner.widht'" in message
    assert "did you mean 'width'" in message
    assert "width, name" in message


def test_an_unknown_top_level_key_is_reported():
    assert "at the top are inner, rate" in error_message({"rate": 1, "zzz": 2})


class Range(Params):
    low: int = 1
    high: int = 2

    @model_validator(mode="after")
    def _check_order(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and above high: lower it")
        return self


class Ranges(Params):
    first: Range = Range()

    @model_validator(mode="after")
    def _check_first(self) -> "Ranges":
        if self.first.high > 9:
            raise ValueError("first is too high")
        return self


def test_inconsistent_parameters_are_reported_by_the_rule_they_break():
    for raw, sentence in (
        (
            {"first": {"low": 3}},
            "Parameters in 'first' don't go together: low is 3 and above high: lower it.",
        ),
        ({"first": {"high": 10}}, "Parameters don't go together: first is too high."),
    ):
        with pytest.raises(GanvasError) as caught:
            check_params(Ranges, raw)
        assert str(caught.value) == sentence


def test_a_missing_key_is_reported():
    assert "'rate' is missing" in error_message({})


def test_each_wrong_parameter_has_a_sentence():
    message = error_message({"rate": "fast", "inner": {"width": 0}})
    assert "'rate'" in message and "'inner.width'" in message


class WithList(Params):
    entries: list[Inner] = Field(default_factory=list)


def test_an_unknown_key_in_a_list_is_reported_with_the_allowed_ones():
    with pytest.raises(GanvasError) as caught:
        check_params(WithList, {"entries": [{"width": 2}, {"widht": 2}]})
    message = str(caught.value)
    assert "'entries.1.widht'" in message and "did you mean 'width'" in message


class WithTuple(Params):
    sides: tuple[Literal["left", "right"], ...] = Field(("left",), min_length=1)


def test_a_wrong_item_of_a_list_is_reported_without_a_count_of_the_others():
    for raw, key in (({"sides": ["top"]}, "'sides.0'"), ({"sides": []}, "'sides'")):
        with pytest.raises(GanvasError) as caught:
            check_params(WithTuple, raw)
        assert str(caught.value).startswith(f"Parameter {key} can't be ")
        assert str(caught.value).count("Parameter") == 1


def test_parameters_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        Inner().width = 3


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_parameter_is_reported_with_its_new_name(old, new):
    raw: dict = {"value": 1}
    for part in reversed(old.split(".")):
        raw = {part: [raw] if part == "published" else raw}
    key = old.replace("published.", "published.0.")
    with pytest.raises(GanvasError) as error:
        check_params(ProjectParams, raw)
    assert f"Unknown parameter '{key}' (it is now called '{new}')" in str(error.value)
    model = ProjectParams
    for part in new.split("."):
        assert part in model.model_fields
        model = model.model_fields[part].annotation
        model = (get_args(model) or [model])[0]
