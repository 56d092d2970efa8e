"""Classes of a collection: the values of a label column of its index, or of several."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError
from ganvas.label_columns import ClassTable, make_table
from ganvas.plain_text import one_line

logger = logging.getLogger(__name__)

# All other columns of an index are labels.
FILE_COLUMNS = ("path", "face_number", "hash", "split", "original_width", "original_height")
# Training images per class, on average, that a label column needs: excludes titles, for example.
MIN_IMAGES_PER_CLASS = 2


class Classes(NamedTuple):
    """Classes for conditional generation.

    Attributes:
        table: The label columns with their values, and the classes, K of one column. Of several
            columns, a class is a combination of values that an image has; those of training images
            come first, the most frequent ones before the others.
        labels: Class number of each image, int32 of shape (N,); -1 for images that lack a value in
            a column, or have one that no training image has. All 0 if there are no classes.
    """

    table: ClassTable
    labels: np.ndarray

    @property
    def column(self) -> str | None:
        """The label column, or the joint name of several; None: no classes."""
        return self.table.column

    @property
    def names(self) -> list[str]:
        """Names of the classes, each as one line; of combinations the most frequent ones."""
        return self.table.names

    def in_split(self, positions: np.ndarray) -> np.ndarray:
        """Return the positions whose images have a class; all if there are no classes."""
        return positions[self.labels[positions] >= 0]


def label_columns(index: pd.DataFrame) -> list[str]:
    """Return the columns of an index that can be classes."""
    return [name for name in index.columns if name not in FILE_COLUMNS]


def read_classes(index: pd.DataFrame, column: str | Sequence[str] | None) -> Classes:
    """Determine the classes of a collection.

    Args:
        index: One row an image: label columns and split.
        column: The label column, or several; None: no classes.

    Raises:
        GanvasError: There is no such column, or its values can't be classes.

    Example:
        >>> index = pd.DataFrame({"genre": ["b", "a", "b", "a"], "split": ["train"] * 4})
        >>> classes = read_classes(index, "genre")
        >>> classes.names, classes.labels.tolist()
        (['a', 'b'], [1, 0, 1, 0])
    """
    names = list_columns(column)
    if not names:
        return Classes(make_table([], np.zeros((0, 0), int)), np.zeros(len(index), np.int32))
    for name in names:
        _check_column(index, name, names)
    texts = {name: index[name].fillna("").astype(str) for name in names}
    lines = {name: texts[name].map(_to_lines(texts[name])) for name in names}
    is_labeled = np.logical_and.reduce([lines[name] != "" for name in names])
    is_training = (index["split"] == "train") & is_labeled
    values = {name: _list_values(name, texts[name][is_training], index, names) for name in names}
    numbers = [
        lines[name].map({value: i for i, value in enumerate(values[name])}).fillna(-1)
        for name in names
    ]
    codes = np.stack([x.to_numpy(np.int32) for x in numbers], axis=1)
    codes[(codes < 0).any(axis=1) | ~np.asarray(is_labeled)] = -1
    unlabeled = int((codes[index["split"] == "train", 0] < 0).sum())
    if unlabeled:
        logger.info(
            "%d training images have no %s and are skipped.", unlabeled, " or no ".join(names)
        )
    if len(names) == 1:
        table = make_table(values.items(), np.arange(len(values[names[0]]))[:, None])
        return Classes(table, codes[:, 0])
    combinations, labels = _combine(codes, np.asarray(is_training))
    return Classes(make_table(values.items(), combinations), labels)


def list_columns(column: str | Sequence[str] | None) -> list[str]:
    """Return the label columns of `network.label` as a list; empty for none."""
    if column is None:
        return []
    return [column] if isinstance(column, str) else list(column)


def _to_lines(texts: pd.Series) -> dict[str, str]:
    return {text: one_line(text) for text in texts.unique()}


def _check_column(index: pd.DataFrame, column: str, chosen: list[str]) -> None:
    allowed = label_columns(index)
    if column in allowed:
        return
    available = f"has {', '.join(allowed)}" if allowed else "has no label columns"
    subject = f"is '{column}'" if len(chosen) == 1 else f"has '{column}'"
    raise GanvasError(
        f"network.label {subject}, but the collection {available}: choose "
        f"{'one of these' if len(chosen) == 1 else 'among these'}, "
        "or a source with labels, or network.label=null for images without classes."
    )


def _list_values(
    column: str, texts: pd.Series, index: pd.DataFrame, chosen: list[str]
) -> list[str]:
    """Return the values of a column among labeled training images, as lines.

    Raises:
        GanvasError: They are too few or too many.
    """
    lines = _to_lines(texts)
    # In the order of the texts before they become one line, as in runs of earlier versions.
    names = list(dict.fromkeys(lines[text] for text in sorted(texts.unique())))
    if len(names) >= 2 and len(texts) >= MIN_IMAGES_PER_CLASS * len(names):
        return names
    others = [name for name in label_columns(index) if name not in chosen]
    if len(chosen) > 1:
        remedy = f"leave '{column}' out of network.label"
    else:
        choices = f"to another column ({', '.join(others)}), or " if others else ""
        remedy = (
            f"set network.label {choices}to null, with a network other than artgan, for images "
            "without classes"
        )
    raise GanvasError(
        f"The column '{column}' has {len(names)} value{'s' * (len(names) != 1)} for "
        f"{len(texts)} labeled training images; there must be at least two classes, with "
        f"{MIN_IMAGES_PER_CLASS} images each on average: {remedy}."
    )


def _combine(codes: np.ndarray, is_training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the combinations of values: those of training images first, by their frequency.

    Args:
        codes: Number of each image's value in each column, int of shape (N, C), or -1.
        is_training: Whether it is a training image, (N,).

    Returns:
        Combinations, int of shape (M, C), and each image's combination, int32 of shape (N,), or -1.
    """
    known = codes[:, 0] >= 0
    found, numbers = np.unique(codes[known], axis=0, return_inverse=True)
    counts = np.bincount(numbers.ravel()[is_training[known]], minlength=len(found))
    # Of equally many images, in the order of their values.
    order = np.argsort(-counts, kind="stable")
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    labels = np.full(len(codes), -1, np.int32)
    labels[known] = ranks[numbers.ravel()]
    return found[order], labels


def match_classes(index: pd.DataFrame, saved: ClassTable) -> Classes:
    """Determine the classes of a collection and check that a saved generator has the same.

    Args:
        index: One row an image.
        saved: The generator's classes, see `ganvas.label_columns.read_class_list`.

    Returns:
        The collection's classes. Of several columns, the generator's named combinations keep their
        numbers.

    Raises:
        GanvasError: The collection has other classes.
    """
    several = len(saved.columns) > 1
    chosen = [column.column for column in saved.columns] if several else saved.column
    classes = read_classes(index, chosen)
    # Earlier versions saved names of several lines.
    ours, theirs = classes.table.value_names, list(map(one_line, saved.value_names))
    if ours != theirs:
        kind = "values" if several else "classes"
        raise GanvasError(
            f"The generator has {len(theirs)} {kind} of '{saved.column}', but the collection now "
            f"has {len(ours)}, or others: train again, or restore the old images."
        )
    return _renumber(classes, saved) if several else classes


def _renumber(classes: Classes, saved: ClassTable) -> Classes:
    """Put the combinations of a saved generator first, in its order."""
    first, ours = saved.combinations, classes.table.combinations
    numbers = {tuple(row): number for number, row in enumerate(first.tolist())}
    ranks = np.array([numbers.setdefault(tuple(row), len(numbers)) for row in ours.tolist()])
    combinations = np.array(list(numbers), int).reshape(-1, first.shape[1])
    labels = np.where(classes.labels >= 0, ranks[classes.labels], -1).astype(np.int32)
    return Classes(saved._replace(combinations=combinations), labels)
