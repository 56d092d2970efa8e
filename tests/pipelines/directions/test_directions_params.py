"""Parameters of directions: what a run does by default, and what doesn't go together."""

import pytest

from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.pipelines.directions.params import DirectionsParams


@pytest.mark.parametrize(
    ("given", "methods"),
    [
        ({}, ["ganspace"]),
        ({"method": "sefa"}, ["sefa"]),
        ({"method": ["sefa", "ganspace", "sefa"]}, ["sefa", "ganspace"]),
        ({"measure": "warmth"}, ["supervised"]),
        ({"column": "genre"}, ["supervised"]),
        ({"remove": ["a"]}, []),
        ({"rename": {"a": "b"}}, []),
        ({"method": "sefa", "rename": {"a": "b"}}, ["sefa"]),
    ],
)
def test_method_follows_from_what_is_set(given, methods):
    assert check_params(DirectionsParams, given).methods == methods


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "pca"}, "can't be 'pca'"),
        ({"method": "supervised"}, "needs what directions are to change"),
        ({"method": "sefa", "measure": "warmth"}, "leave method out"),
        ({"measure": "beauty"}, "can't be 'beauty'.*brightness"),
        ({"table": "a.csv"}, "set column to one of its columns"),
        ({"names": ["../a"]}, "a name has 1 to 64 letters"),
        ({"names": ["a", "A"]}, "two of names are the same"),
        ({"rename": {"a": ""}}, "a name has 1 to 64 letters"),
        ({"columns": 4}, "it must be odd"),
        ({"layers": "all but one"}, "all, coarse, middle, fine, a number or a range"),
        ({"method": []}, "method"),
        ({"pairs": "encoded", "measure": "warmth"}, "but column is null"),
        ({"orthogonal_to": ["a"]}, "set measure or column"),
        ({"names": ["a"], "rename": {"b": "c"}}, "only renames or removes"),
        ({"remove": ["a"], "rename": {"a": "b"}}, "'a' is both in rename and in remove"),
        ({"count": 0}, "whole number from 1"),
    ],
)
def test_mistakes_are_one_sentence(given, message):
    with pytest.raises(GanvasError, match=message):
        check_params(DirectionsParams, given)


def test_one_name_needs_no_brackets():
    params = check_params(DirectionsParams, {"names": "turn", "remove": "a", "column": "b"})
    assert (params.names, params.remove, params.column) == (["turn"], ["a"], "b")
