"""Class names in the parameters of sampling."""

import pytest
import yaml

from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.pipelines.sample.params import SampleParams


def read(text: str) -> SampleParams:
    return check_params(SampleParams, yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("classes: Night Skies", "Night Skies"),
        ("classes: 19", "19"),
        ("classes: [19, 0, 1, late]", ["19", "0", "1", "late"]),
        ("classes: 'yes'", "yes"),
        ("classes: null", None),
    ],
)
def test_class_names_are_text_whatever_type_yaml_reads(text, expected):
    assert read(text).classes == expected


@pytest.mark.parametrize("text", ["classes: yes", "classes: [no, 'yes']"])
def test_class_names_that_yaml_reads_as_booleans_raise_an_error(text):
    with pytest.raises(GanvasError, match=r"'sample\.classes|'classes") as caught:
        read(text)
    assert "needs quotation marks" in str(caught.value)


def test_latents_may_be_scaled_to_twice_their_length():
    assert read("truncation: 2").truncation == 2
    with pytest.raises(GanvasError, match="must be a number above 0 to 2"):
        read("truncation: 2.01")
