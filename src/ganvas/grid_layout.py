"""Which class each row of an image grid shows.

Images of a class-conditional generator lie in rows by class, so that repetition within a class is
seen.
"""

import numpy as np

# Rows of a grid that has a row for each class; of more classes, evenly spaced ones are shown.
MAX_CLASS_ROWS = 32


def divide_rows(classes: int, rows: int) -> np.ndarray:
    """Return the class of each row of a grid, int of shape (at most `rows`,).

    All classes have the same number of rows. Where there are more classes than rows, evenly spaced
    ones have a row each.

    Args:
        classes: Number of classes K; 0 or 1: all rows are of class 0.
        rows: Maximum number of rows, 1 or more.

    Example:
        >>> divide_rows(2, rows=5).tolist(), divide_rows(8, rows=4).tolist()
        ([0, 0, 1, 1], [0, 2, 4, 6])
    """
    classes = max(classes, 1)
    if classes > rows:
        return np.arange(rows) * classes // rows
    return np.repeat(np.arange(classes), rows // classes)


def fill_rows(classes: int, rows: int) -> np.ndarray:
    """Return the class of each row of a grid with a number of rows, int of shape (`rows`,).

    Example:
        >>> fill_rows(3, rows=4).tolist()
        [0, 1, 2, 0]
    """
    return np.resize(divide_rows(classes, rows), rows)


def label_rows(classes: int, rows: int, columns: int) -> np.ndarray:
    """Return the class of each image of a grid to generate, row by row: int of shape (n,).

    Args:
        classes: Number of classes K; 0: no classes.
        rows: Rows of a grid without classes; with classes there is a row for each of at most 32.
        columns: Images per row.

    Example:
        >>> label_rows(3, rows=4, columns=2).tolist(), label_rows(0, rows=1, columns=2).tolist()
        ([0, 0, 1, 1, 2, 2], [0, 0])
    """
    rows = min(classes, MAX_CLASS_ROWS) or rows
    return np.repeat(divide_rows(classes, rows), columns)


def describe_ignored_rows(key: str, rows: int, default: int, classes: int) -> str | None:
    """Return that a grid with classes ignores a number of rows; None if it was not chosen.

    Args:
        key: The parameter.
        rows: Its value.
        default: Its default, which nobody has asked for.
        classes: Number of classes K.

    Example:
        >>> describe_ignored_rows("report.rows", 10, default=6, classes=8)
        'report.rows=10 is not used: with classes a grid has one row for each of the 8.'
    """
    used = min(classes, MAX_CLASS_ROWS)
    if not classes or rows in (default, used):
        return None
    some = f"the {classes}" if used == classes else f"{used} of the {classes}"
    return f"{key}={rows} is not used: with classes a grid has one row for each of {some}."


def round_columns(classes: int, columns: int) -> int:
    """Return a number of columns in which images whose classes alternate have a column a class.

    Args:
        classes: Number of classes K, which image i has as i % K.
        columns: The number of columns wanted; kept where a multiple of K would be twice as many.

    Example:
        >>> round_columns(3, columns=8), round_columns(59, columns=8)
        (6, 8)
    """
    if not 1 < classes <= 2 * columns:
        return columns
    return max(columns // classes, 1) * classes


def find_rows(labels: np.ndarray, rows: int, columns: int) -> list[np.ndarray]:
    """Choose the first images of each class for the rows of a grid; see `divide_rows`.

    Args:
        labels: Class of each image, int of shape (n,); all 0 without classes.
        rows: Maximum number of rows.
        columns: Maximum number of images per row.

    Returns:
        Positions of each row's images in `labels`; none for a row without images.

    Example:
        >>> [row.tolist() for row in find_rows(np.array([1, 0, 1, 1, 0]), rows=2, columns=2)]
        [[1, 4], [0, 2]]
    """
    classes = np.unique(labels)
    chosen, counts = np.unique(classes[divide_rows(len(classes), rows)], return_counts=True)
    found = []
    for label, count in zip(chosen, counts, strict=True):
        positions = np.flatnonzero(labels == label)
        found += [positions[row * columns : (row + 1) * columns] for row in range(count)]
    return [row for row in found if len(row)]
