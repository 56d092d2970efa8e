from typing import get_args

from ganvas.augment_names import PARAMETERS, keep_used, with_present_names
from ganvas.training.config import AugmentParams
from ganvas.visualization.report import list_parameters, used_parameters

OLD = {"name": "ada", "policy": ["cutout"], "target": 0.6, "speed": 100, "interval": 4}
NEW = OLD | {"set": "bgc", "probability": None}


def test_all_names_and_parameters_are_known():
    assert tuple(PARAMETERS) == get_args(AugmentParams.model_fields["name"].annotation)
    known = set().union(*PARAMETERS.values())
    assert known | {"name"} == set(AugmentParams.model_fields)


def test_records_of_earlier_versions_have_the_present_name():
    old = list_parameters({"train": {"augment": OLD}})
    assert old["train.augment.name"] == "adaptive_diffaugment"
    assert old["train.augment.policy"] == ["cutout"]
    assert list_parameters({"train": {"augment": NEW}})["train.augment.name"] == "ada"
    for flat in ({}, {"train.augment.name": "none"}, {"train.augment.policy": ["color"]}):
        assert with_present_names(flat) == flat


def test_reports_list_the_parameters_that_count():
    def used(**augment):
        return used_parameters({"train": {"seed": 1, "augment": augment}})["train"]["augment"]

    assert used(**OLD) == OLD | {"name": "adaptive_diffaugment"}
    assert used(**NEW) == {"name": "ada", "set": "bgc", "target": 0.6, "speed": 100, "interval": 4}
    assert used(**NEW | {"probability": 0.2}) == {"name": "ada", "set": "bgc", "probability": 0.2}
    assert used(**NEW | {"name": "diffaugment"}) == {"name": "diffaugment", "policy": ["cutout"]}
    assert keep_used({"name": "none"} | {"set": "bgc"}) == {"name": "none"}
