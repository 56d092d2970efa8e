"""Records whose values no run has are refused with the key."""

import re

import pytest

from ganvas.errors import GanvasError
from ganvas.record_schemas import check_metrics, check_summary

SUMMARY = {
    **dict.fromkeys(("dataset", "network", "started", "finished", "ended_by", "snapshots"), "a"),
    **dict.fromkeys(("epochs", "images_seen", "seconds", "held_out"), 1),
    **{"message": "", "warnings": [], "versions": {}, "parameters": {"train": {}}},
    "classes": {"column": None, "names": []},
}
METRIC = {"title": "Recall", "value": 0.5, "spread": None, "unit": "", "protocol": "", "real": None}


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -1, 10**400, 10**5000, True, None], ids=range(7)
)
@pytest.mark.parametrize("key", ["epochs", "images_seen", "seconds", "held_out"])
def test_an_amount_is_a_number_from_0(key, value):
    check_summary(SUMMARY)
    with pytest.raises(GanvasError, match=f"'{key}' must be a number from 0, not "):
        check_summary(SUMMARY | {key: value})


@pytest.mark.parametrize("name", ["a\n", "a\nb", "a\0b", "\ud800", "x" * 300, "../x", "a/b", ""])
@pytest.mark.parametrize("key", ["dataset", "network", "started", "snapshots"])
def test_a_name_of_a_folder_is_one_that_exists_on_a_disk(key, name):
    with pytest.raises(GanvasError, match=re.escape(f"'{key}' can't be ")):
        check_summary(SUMMARY | {key: name})


@pytest.mark.parametrize(
    "value", [10**400, -(10**5000), False, "1"], ids=["e400", "e5000", "b", "t"]
)
def test_a_metric_is_a_number_that_can_be_written(value):
    check_metrics({"recall": METRIC})
    with pytest.raises(GanvasError, match=r"'recall.value' must be a number, not "):
        check_metrics({"recall": METRIC | {"value": value}})
