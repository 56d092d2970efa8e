"""Classes of several label columns of a collection."""

import numpy as np
import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import match_classes, read_classes
from ganvas.label_columns import MAX_NAMED, read_class_list, write_class_list

SHAPES = ["disk", "star", "star", "star", "", "disk", "star", "disk", "star", "cube"]
REDS = ["no", "yes", "yes", "no", "yes", "no", "yes", None, "no", "no"]
SPLITS = ["train"] * 8 + ["validation"] * 2
BOTH = ["shape", "red"]


@pytest.fixture
def index():
    paths = [f"{number}.png" for number in range(10)]
    return pd.DataFrame({"path": paths, "shape": SHAPES, "red": REDS, "split": SPLITS})


def test_classes_are_combinations_the_most_frequent_first(index, caplog):
    caplog.set_level("INFO")
    classes = read_classes(index, BOTH)
    assert classes.names == ["shape=star, red=yes", "shape=disk, red=no", "shape=star, red=no"]
    # Two images lack a value, and the last has one that no training image has.
    assert classes.labels.tolist() == [1, 0, 0, 2, -1, 1, 0, -1, 2, -1]
    assert classes.labels.dtype == np.int32
    assert "2 training images have no shape or no red and are skipped." in caplog.text
    expected = np.zeros((10, 4), np.float32)
    for row, (shape, red) in enumerate(zip(SHAPES, REDS, strict=True)):
        if shape in ("disk", "star") and red:
            expected[row, ["disk", "star"].index(shape)] = 0.5
            expected[row, 2 + ["no", "yes"].index(red)] = 0.5
    np.testing.assert_array_equal(classes.table.weigh(classes.labels), expected)


def test_combinations_of_validation_images_alone_come_last(index):
    index.loc[8, ["shape", "red"]] = ["disk", "yes"]
    classes = read_classes(index, BOTH)
    assert classes.labels[8] == 3 and classes.names[3] == "shape=disk, red=yes"
    training = classes.labels[classes.in_split(np.arange(8))]
    assert set(training) == {0, 1, 2}


def test_one_column_in_a_list_is_that_column(index):
    one, plain = read_classes(index, ["shape"]), read_classes(index, "shape")
    assert one.table[:3] == plain.table[:3]
    np.testing.assert_array_equal(one.labels, plain.labels)


def test_columns_that_are_missing_or_have_one_value_are_named(index):
    with pytest.raises(GanvasError, match=r"network.label has 'size', but the collection has sha"):
        read_classes(index, ["shape", "size"])
    index["gray"] = "no"
    with pytest.raises(GanvasError, match=r"'gray' has 1 value for.*leave 'gray' out of network"):
        read_classes(index, [*BOTH, "gray"])


def test_a_generator_keeps_the_numbers_of_its_combinations(index):
    saved = read_class_list(write_class_list(read_classes(index, BOTH).table))
    # Packed again with other frequencies, and with a combination that it doesn't know.
    index.loc[[0, 1, 2], "red"] = ["yes", "no", "no"]
    classes = match_classes(index, saved)
    assert classes.names == saved.names
    assert classes.labels.tolist() == [3, 2, 2, 2, -1, 1, 0, -1, 2, -1]
    expected = [[0.5, 0, 0, 0.5], [0, 0.5, 0.5, 0]]
    assert classes.table.weigh(classes.labels[[0, 1]]).tolist() == expected
    index.loc[0, "shape"] = "cube"
    with pytest.raises(GanvasError, match="The generator has 4 values of 'shape, red'"):
        match_classes(index.assign(shape=["cube"] * 4 + SHAPES[4:]), saved)


def test_forty_attributes_have_thousands_of_combinations():
    rng = np.random.default_rng(0)
    values = np.where(rng.random((3000, 40)) < rng.uniform(0.05, 0.6, 40), "yes", "no")
    columns = [f"Attribute_{number}" for number in range(40)]
    index = pd.DataFrame(values, columns=columns).assign(split="train", path="x")
    classes = read_classes(index, columns)
    assert len(classes.table.combinations) > 2500 and len(classes.names) == MAX_NAMED
    rows = classes.table.weigh(classes.labels)
    assert rows.shape == (3000, 80)
    np.testing.assert_array_equal(rows[:, 1::2] > 0, values == "yes")
    saved = read_class_list(write_class_list(classes.table))
    np.testing.assert_array_equal(match_classes(index, saved).labels, classes.labels)
