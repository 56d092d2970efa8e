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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("style_mixing: {rows: [1], columns: []}", "in both rows and columns, or in none"),
        ("style_mixing: {rows: [-1], columns: [1]}", "style_mixing.rows.*whole number from 0"),
        ("style_mixing: {layers: finest}", "coarse, middle, fine, a number or a range of layers"),
        ("style_mixing: {layers: 1-}", "can't be '1-'"),
        ("noise: fixed", "const, random, none"),
        ("truncation_mean: mine", "class, global"),
        ("truncation_cutoff: 0", "truncation_cutoff"),
    ],
)
def test_wrong_values_of_styles_are_refused_with_what_is_allowed(text, message):
    with pytest.raises(GanvasError, match=message):
        read(text)


@pytest.mark.parametrize("layers", ["fine", "0-6", 3])
def test_layers_are_a_name_a_number_or_a_range(layers):
    assert read(f"style_mixing: {{layers: {layers}}}").style_mixing.layers == str(layers)


def test_latents_may_be_scaled_to_twice_their_length():
    assert read("truncation: 2").truncation == 2
    with pytest.raises(GanvasError, match="must be a number above 0 to 2"):
        read("truncation: 2.01")
