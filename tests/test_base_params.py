import re
from typing import Any, Literal, get_args

import pytest
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticKnownError
from pydantic_core._pydantic_core import list_all_errors

from ganvas.base_params import RENAMED, Params, check_params, find_text_keys
from ganvas.errors import GanvasError
from ganvas.project_params import ProjectParams
from projects import load_config


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
    assert message == "Parameter 'inner.width' can't be 9: it must be a whole number from 1 to 8."


def test_true_is_no_number():
    message = error_message({"rate": True, "inner": {"width": False}})
    assert "Parameter 'rate' can't be true: it must be a number." in message
    assert "Parameter 'inner.width' can't be false: it must be a whole number" in message


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


# What no message may hold: Pydantic's words, Python's names of types, or a regular expression.
FOREIGN = re.compile(
    r"nput should|pydantic|https?:|instance of|dictionary|NoneType|\bNone\b|Params\b|\^\[|True"
)


@pytest.mark.parametrize("known", list_all_errors(), ids=lambda known: known["type"])
def test_no_message_is_in_the_words_of_pydantic(known):
    class Broken(Params):
        rate: float | None = None

        @field_validator("rate", mode="before")
        @classmethod
        def _fail(cls, value: Any) -> Any:
            if known["type"] in ("value_error", "assertion_error"):
                raise ValueError("it is too fast")
            raise PydanticKnownError(known["type"], known["example_context"])

    for value in (3, None, True, {"a": None}, [None]):
        with pytest.raises(GanvasError) as error:
            check_params(Broken, {"rate": value})
        assert not FOREIGN.search(str(error.value).replace(repr([None]), "")), error.value
        assert "'rate'" in str(error.value)


WRONG = (None, True, -1, 1e9, float("nan"), "a b/c", "x" * 500, [], [None], [{}], {}, {"a": 1})


def set_value(tree: dict, key: str, value: object) -> dict:
    """Return parameters with a value at a dotted key."""
    first, _, rest = key.partition(".")
    return tree | {first: set_value(tree.get(first, {}), rest, value) if rest else value}


def all_keys(tree: dict, prefix: str = "") -> list[str]:
    return [
        key
        for name, value in tree.items()
        for key in [
            prefix + name,
            *(all_keys(value, f"{prefix}{name}.") if isinstance(value, dict) else []),
        ]
    ]


def test_every_wrong_value_of_every_parameter_is_described_in_words():
    base, wrong = load_config("parameters"), 0
    for key in all_keys(base):
        for value in WRONG:
            try:
                check_params(ProjectParams, set_value(base, key, value))
            except GanvasError as error:
                wrong += 1
                assert not FOREIGN.search(str(error).replace(repr(value), "")), error
                assert len(str(error)) < 600
    assert wrong > 500


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("ingest", None, "'ingest' is empty, but holds parameters of its own, such as ingest."),
        ("train.loss", "hinge", "'train.loss' can't be 'hinge': it holds parameters of its own"),
        ("ingest.dataset", "my.set", "'my.set': it must be text of letters, digits, _ and -, with"),
        ("network.label", "a/b", "'a/b': it must be text without slashes and dots or list of text"),
        ("fetch.wikiart", "x", "'x': it must be text of the form owner/name."),
        ("train.augment.policy", ["blur"], "policy.0' can't be 'blur': it must be one of color, "),
        ("profile", None, "Parameter 'profile' can't be null: it must be one of auto, cpu, gpu."),
        ("train.resume", 3, "Parameter 'train.resume' can't be 3: it must be one of true, false."),
        ("epochs", 3, "Unknown parameter 'epochs' (did you mean 'train.epochs'?): all that are"),
        ("train.learning_rate", 1, "(did you mean 'generator_learning_rate'?): all that are"),
        ("train.zzz", 1, "Unknown parameter 'train.zzz': all that are allowed in 'train' are in"),
    ],
)
def test_a_sentence_says_what_is_allowed(key, value, sentence):
    with pytest.raises(GanvasError) as error:
        check_params(ProjectParams, set_value(load_config("parameters"), key, value))
    assert sentence in str(error.value)


def test_a_group_that_conf_lacks_is_reported_by_its_name():
    base = load_config("parameters")
    del base["report"]
    with pytest.raises(GanvasError, match="The parameters of 'report' are missing: set them in"):
        check_params(ProjectParams, base)


def test_at_most_five_wrong_parameters_are_described():
    raw = {"rate": 1, "entries": [{"width": 0}] * 8}
    with pytest.raises(GanvasError) as error:
        check_params(WithList, {"entries": raw["entries"]})
    assert str(error.value).count("it must be") == 5
    assert str(error.value).endswith("And 3 more are wrong.")


def test_text_may_look_like_a_number():
    raw = set_value(load_config("parameters"), "ingest.dataset", 2024)
    assert check_params(ProjectParams, raw).ingest.dataset == "2024"
    assert {"ingest.dataset", "ingest.source.path", "sample.classes"} <= find_text_keys(
        ProjectParams
    )
    assert not {"ingest.size", "train.loss.name"} & find_text_keys(ProjectParams)
