"""Classes: the values of a label column of a collection's index."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError

logger = logging.getLogger(__name__)

# What the index says of files; every other column is a label.
FILE_COLUMNS = ("path", "hash", "split")
# Training images a class must have on average: a label that nearly every image has to itself,
# such as a title, is none to paint by.
FEWEST = 2


class Classes(NamedTuple):
    """The classes that a collection is painted by.

    Attributes:
        column: The label column; None: no classes.
        names: Values of the column among training images, sorted; K of them.
        labels: The number of each image's class, int32 of shape (N,), -1 where it has none or
            one that no training image has; 0 for all without classes.
    """

    column: str | None
    names: list[str]
    labels: np.ndarray

    def in_split(self, positions: np.ndarray) -> np.ndarray:
        """Those of some positions whose images have a class; all of them without classes."""
        return positions[self.labels[positions] >= 0]


def label_columns(index: pd.DataFrame) -> list[str]:
    """Columns of an index that can be painted by."""
    return [name for name in index.columns if name not in FILE_COLUMNS]


def read_classes(index: pd.DataFrame, column: str | None) -> Classes:
    """Read the classes of a collection.

    Args:
        index: One row an image: the label columns and split.
        column: The label column; None: no classes.

    Raises:
        GanvasError: There is no such column, or its values are no classes.
    """
    if column is None:
        return Classes(None, [], np.zeros(len(index), np.int32))
    allowed = label_columns(index)
    if column not in allowed:
        told = f"has {', '.join(allowed)}" if allowed else "has no label columns"
        raise GanvasError(
            f"network.label is '{column}', but the collection {told}: take one of these, or a "
            "source with labels, or network.label=null for images without classes."
        )
    values = index[column].fillna("").astype(str)
    training = values[(index["split"] == "train") & (values != "")]
    names = sorted(training.unique())
    if len(names) < 2 or len(training) < FEWEST * len(names):
        raise GanvasError(
            f"The column '{column}' has {len(names)} values for {len(training)} labeled training "
            f"images; classes to paint by are at least two with {FEWEST} images each on "
            f"average: set network.label to another of {', '.join(allowed)}, or to null."
        )
    numbers = {name: number for number, name in enumerate(names)}
    labels = values.map(numbers).fillna(-1).to_numpy(np.int32)
    without = int((labels[index["split"] == "train"] < 0).sum())
    if without:
        logger.info("%d training images have no %s and are left out.", without, column)
    return Classes(column, names, labels)


def match_classes(index: pd.DataFrame, column: str | None, names: list[str]) -> Classes:
    """Read the classes of a collection that a saved generator paints.

    Args:
        index: One row an image.
        column: The label column that the generator was trained by; None: no classes.
        names: Its classes.

    Raises:
        GanvasError: The collection has other classes.
    """
    classes = read_classes(index, column)
    if classes.names != names:
        raise GanvasError(
            f"The generator paints {len(names)} classes of '{column}', but the collection now has "
            f"{len(classes.names)}, or others: train again, or bring the old images back."
        )
    return classes
