"""Which classes are painted."""

import pytest
import yaml

from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.pipelines.sample.nodes import SampleParams, choose_classes


def read(text: str) -> SampleParams:
    return check_params(SampleParams, yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("classes: Night Skies", "Night Skies"),
        ("classes: 19", "19"),
        ("classes: [19, 0, 1, late]", ["19", "0", "1", "late"]),
        ("classes: 'yes'", "yes"),
        ("classes: null", None),
    ],
)
def test_names_are_text_whatever_yaml_makes_of_them(text, wanted):
    assert read(text).classes == wanted


@pytest.mark.parametrize("text", ["classes: yes", "classes: [no, 'yes']"])
def test_names_that_yaml_has_made_truth_of_are_told(text):
    with pytest.raises(GanvasError, match=r"'sample\.classes|'classes") as caught:
        read(text)
    assert "quotation marks of its own" in str(caught.value)


def test_classes_are_painted_in_the_order_of_their_names_in_the_parameter():
    names = ["17", "18", "19"]
    assert choose_classes(names, read("classes: [19, 17]").classes) == [2, 0]
    assert choose_classes(names, None) == [0, 1, 2]
    with pytest.raises(GanvasError, match="has '20', but this generator paints 17, 18, 19"):
        choose_classes(names, "20")
