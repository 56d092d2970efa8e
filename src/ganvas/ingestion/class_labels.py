"""Classes of a collection: the values of a label column of its index."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.plain_text import one_line

logger = logging.getLogger(__name__)

# All other columns of an index are labels.
FILE_COLUMNS = ("path", "face_number", "hash", "split", "original_width", "original_height")
# Training images per class, on average, that a label column needs: excludes titles, for example.
MIN_IMAGES_PER_CLASS = 2


class Classes(NamedTuple):
    """Classes for conditional generation.

    Attributes:
        column: The label column; None: no classes.
        names: Sorted values of the column among training images, each as one line, K of them.
        labels: Class index of each image, int32 of shape (N,); -1 for images without a class or
            of one that no training image has. All 0 if there are no classes.
    """

    column: str | None
    names: list[str]
    labels: np.ndarray

    def in_split(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions whose images have a class; all if there are no classes."""
        return positions[self.labels[positions] >= 0]


def label_columns(index: pd.DataFrame) -> list[str]:
    """Return the columns of an index that can be classes."""
    return [name for name in index.columns if name not in FILE_COLUMNS]


def read_classes(index: pd.DataFrame, column: str | None) -> Classes:
    """Determine the classes of a collection.

    Args:
        index: One row an image: label columns and split.
        column: The label column; None: no classes.

    Raises:
        GanvasError: There is no such column, or its values can't be classes.

    Example:
        >>> index = pd.DataFrame({"genre": ["b", "a", "b", "a"], "split": ["train"] * 4})
        >>> classes = read_classes(index, "genre")
        >>> classes.names, classes.labels.tolist()
        (['a', 'b'], [1, 0, 1, 0])
    """
    if column is None:
        return Classes(None, [], np.zeros(len(index), np.int32))
    allowed = label_columns(index)
    if column not in allowed:
        available = f"has {', '.join(allowed)}" if allowed else "has no label columns"
        raise GanvasError(
            f"network.label is '{column}', but the collection {available}: choose one of these, "
            "or a source with labels, or network.label=null for images without classes."
        )
    texts = index[column].fillna("").astype(str)
    lines = {text: one_line(text) for text in texts.unique()}
    values = texts.map(lines)
    is_training = (index["split"] == "train") & (values != "")
    training = values[is_training]
    # In the order of the texts before they become one line, as in runs of earlier versions.
    names = list(dict.fromkeys(lines[text] for text in sorted(texts[is_training].unique())))
    if len(names) < 2 or len(training) < MIN_IMAGES_PER_CLASS * len(names):
        others = [name for name in allowed if name != column]
        choices = f"to another column ({', '.join(others)}), or " if others else ""
        raise GanvasError(
            f"The column '{column}' has {len(names)} value{'s' * (len(names) != 1)} for "
            f"{len(training)} labeled training images; there must be at least two classes, with "
            f"{MIN_IMAGES_PER_CLASS} images each on average: set network.label {choices}to null, "
            "with a network other than artgan, "
            "for images without classes."
        )
    indices = {name: index for index, name in enumerate(names)}
    labels = values.map(indices).fillna(-1).to_numpy(np.int32)
    unlabeled = int((labels[index["split"] == "train"] < 0).sum())
    if unlabeled:
        logger.info("%d training images have no %s and are skipped.", unlabeled, column)
    return Classes(column, names, labels)


def match_classes(index: pd.DataFrame, column: str | None, names: list[str]) -> Classes:
    """Determine the classes of a collection and check that a saved generator has the same.

    Args:
        index: One row an image.
        column: Label column that the generator was trained with; None: no classes.
        names: Class names of the generator.

    Raises:
        GanvasError: The collection has other classes.
    """
    classes = read_classes(index, column)
    # Earlier versions saved names of several lines.
    if classes.names != list(map(one_line, names)):
        raise GanvasError(
            f"The generator has {len(names)} classes of '{column}', but the collection now has "
            f"{len(classes.names)}, or others: train again, or restore the old images."
        )
    return classes
