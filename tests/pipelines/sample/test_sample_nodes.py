"""Which classes are sampled."""

import pytest

from ganvas.errors import GanvasError
from ganvas.pipelines.sample.nodes import select_classes


def test_classes_are_sampled_in_the_order_requested():
    names = ["17", "18", "19"]
    assert select_classes(names, ["19", "17"]) == [2, 0]
    assert select_classes(names, None) == [0, 1, 2]
    with pytest.raises(GanvasError, match="has '20', but this generator has the classes 17, 18, 1"):
        select_classes(names, "20")
    with pytest.raises(GanvasError, match="has '20', but this generator has no classes"):
        select_classes([], "20")
