"""Label columns, and the rows of class weights that generators take.

A row has a weight for each value of each column, K in all, a block of neighboring weights for each
column. With one column a class is one of its values, and its row is one-hot. With several, a class
is a combination of values: each block of its row has one weight of 1 divided by the number of
columns, so that rows sum to 1, and so do mixtures of them.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# Combinations that have a name, the most frequent ones: they are shown, saved and measured.
MAX_NAMED = 64
# Of more columns, names of combinations leave out values `no` of columns of yes and no, and their
# joint name has the first ones alone.
MAX_WRITTEN = 4
# Characters of a combination's name; longer ones are cut off, and end with their number.
MAX_LENGTH = 200
# Characters of a class in a file's name, far more than a value has.
MAX_IN_FILE = 100
NO_VALUE, BOOLEAN_VALUES = "no", {"yes", "no"}
# Sums of saved rows differ from 1 by rounding at most.
TOLERANCE = 1e-3


class LabelColumn(NamedTuple):
    """A label column with its values.

    Attributes:
        column: Its name.
        values: Its values, as lines of text.
        first: Position of the first value's weight in a row; the others follow it.
    """

    column: str
    values: list[str]
    first: int

    @property
    def positions(self) -> slice:
        """The block of weights in a row."""
        return slice(self.first, self.first + len(self.values))


class ClassTable(NamedTuple):
    """The classes of a generator, without those of images.

    Attributes:
        column: The label column, or the joint name of several; None without classes.
        names: Name of each class; of combinations those of the `MAX_NAMED` most frequent ones.
        columns: The label columns; empty without classes.
        combinations: The value of each column as its position in a row, int of shape (M, C), for
            at least the named classes.
    """

    column: str | None
    names: list[str]
    columns: list[LabelColumn]
    combinations: np.ndarray

    @property
    def num_weights(self) -> int:
        """Length K of a row; 0 without classes."""
        return sum(len(column.values) for column in self.columns)

    @property
    def value_names(self) -> list[str]:
        """Name of each weight of a row: the class, or a column and its value."""
        if len(self.columns) == 1:
            return self.names
        return [name for column in self.columns for name in name_values(column)]

    def weigh(self, labels: np.ndarray) -> np.ndarray:
        """Return the rows of class numbers (N,): float32 of shape (N, K).

        Images without a class, of numbers below 0, have rows of zeros.

        Example:
            >>> table = make_table([("shape", ["disk", "square"]), ("red", ["no", "yes"])],
            ...                    np.array([[0, 1]]))
            >>> table.names, table.weigh(np.array([0])).tolist()
            (['shape=disk, red=yes'], [[0.5, 0.0, 0.0, 0.5]])
        """
        return make_rows(self.value_positions(labels), self.num_weights)

    def value_positions(self, labels: np.ndarray) -> np.ndarray:
        """Return the values of class numbers (N,) as positions in a row, int of shape (N, C).

        They are -1 for numbers below 0.
        """
        if not self.columns:
            return np.zeros((len(labels), 0), int)
        found = self.combinations[np.maximum(labels, 0)]
        return np.where(np.asarray(labels)[:, None] < 0, -1, found)


def make_table(named: Iterable[tuple[str, Sequence[str]]], values: np.ndarray) -> ClassTable:
    """Return the classes of label columns.

    Args:
        named: Each column's name and values.
        values: Of each class the number of each column's value among its own, int of shape (M, C).
    """
    columns = make_columns(named)
    combinations = values + np.array([column.first for column in columns], int)
    if not columns:
        return ClassTable(None, [], [], np.zeros((0, 0), int))
    if len(columns) == 1:
        names = [columns[0].values[number] for number in values[:, 0]]
    else:
        names = [name_combination(columns, row) for row in combinations[:MAX_NAMED]]
        names = [_shorten(name, number) for number, name in enumerate(names, start=1)]
    return ClassTable(join_names([x.column for x in columns]), names, columns, combinations)


def _shorten(name: str, number: int) -> str:
    return name if len(name) <= MAX_LENGTH else f"{name[: MAX_LENGTH - 10]}… ({number})"


def join_names(names: Sequence[str]) -> str:
    """Return the joint name of label columns.

    Example:
        >>> join_names(["Smiling", "Eyeglasses"]), join_names(list("abcdefg"))
        ('Smiling, Eyeglasses', 'a, b, c and 4 more')
    """
    if len(names) <= MAX_WRITTEN:
        return ", ".join(names)
    kept = names[: MAX_WRITTEN - 1]
    return f"{', '.join(kept)} and {len(names) - len(kept)} more"


def make_columns(named: Iterable[tuple[str, Sequence[str]]]) -> list[LabelColumn]:
    """Return label columns with the positions of their blocks, one after the other.

    Example:
        >>> [column.first for column in make_columns([("a", ["x", "y"]), ("b", ["z", "w"])])]
        [0, 2]
    """
    columns: list[LabelColumn] = []
    for name, values in named:
        first = columns[-1].positions.stop if columns else 0
        columns.append(LabelColumn(name, list(values), first))
    return columns


def make_rows(positions: np.ndarray, num_weights: int) -> np.ndarray:
    """Return rows of weights that are 1 / C at positions (N, C): float32 of shape (N, K).

    Negative positions have no weight.

    Example:
        >>> make_rows(np.array([[0, 3], [1, 2]]), 4).tolist()
        [[0.5, 0.0, 0.0, 0.5], [0.0, 0.5, 0.5, 0.0]]
    """
    rows = np.zeros((len(positions), num_weights), np.float32)
    numbers, columns = np.nonzero(positions >= 0)
    if len(numbers):
        rows[numbers, positions[numbers, columns]] = 1 / positions.shape[1]
    return rows


def name_values(column: LabelColumn) -> list[str]:
    """Return a column's name with each of its values.

    Example:
        >>> name_values(LabelColumn("Smiling", ["no", "yes"], 0))
        ['Smiling=no', 'Smiling=yes']
    """
    return [f"{column.column}={value}" for value in column.values]


def name_combination(columns: Sequence[LabelColumn], positions: Sequence[int] | np.ndarray) -> str:
    """Return the name of a combination of values, given by their positions in a row.

    Of many columns of yes and no, those with `no` are left out.

    Example:
        >>> columns = make_columns([("Smiling", ["no", "yes"]), ("Eyeglasses", ["no", "yes"])])
        >>> name_combination(columns, [1, 2])
        'Smiling=yes, Eyeglasses=no'
    """
    parts = []
    for column, position in zip(columns, positions, strict=True):
        value = column.values[position - column.first]
        is_left_out = value == NO_VALUE and set(column.values) == BOOLEAN_VALUES
        if len(columns) <= MAX_WRITTEN or not is_left_out:
            parts.append(f"{column.column}={value}")
    return ", ".join(parts) or f"all {NO_VALUE}"


def name_in_file(name: str) -> str:
    """Return the name of a class as names of files have it, of letters, digits, _ and -.

    Example:
        >>> name_in_file("Smiling=yes, Eyeglasses=no")
        'Smiling-yes-Eyeglasses-no'
    """
    text = re.sub(r"[^\w-]+", "-", name)
    if len(text) <= MAX_IN_FILE:
        return text
    # File systems limit names, and two long ones may begin alike.
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{text[: MAX_IN_FILE - 9]}-{digest}"


def name_all(table: ClassTable) -> list[str]:
    """Return the name of each class, also of those without one in the table."""
    if len(table.columns) < 2:
        return table.names
    rest = table.combinations[len(table.names) :]
    return table.names + [name_combination(table.columns, row) for row in rest]


def write_class_list(table: ClassTable) -> dict[str, Any]:
    """Return the content of `class_list.json`.

    With one column it has `column` and the `names` of its values. With several it has besides
    `labels`, each column with its values, and `rows`, the weights of each name.
    """
    content: dict[str, Any] = {"column": table.column, "names": table.names}
    if len(table.columns) > 1:
        content["labels"] = [{"column": x.column, "values": x.values} for x in table.columns]
        rows = table.weigh(np.arange(len(table.names))).astype(float)
        content["rows"] = [[round(weight, 6) for weight in row] for row in rows.tolist()]
    return content


def read_class_list(content: Mapping[str, Any]) -> ClassTable:
    """Return the classes of a `class_list.json`, of any version.

    Args:
        content: A content without faults, see `ganvas.record_schemas.check_class_list`.

    Example:
        >>> table = read_class_list({"column": "genre", "names": ["nights", "waves"]})
        >>> table.columns[0].values, table.weigh(np.array([1])).tolist()
        (['nights', 'waves'], [[0.0, 1.0]])
    """
    names, labels = list(content["names"]), content.get("labels") or []
    if len(labels) < 2:
        column = content.get("column")
        columns = [LabelColumn(column or "class", names, 0)] if names else []
        return ClassTable(
            column, names, columns, np.arange(len(names)).reshape(len(names), len(columns))
        )
    columns = make_columns((label["column"], label["values"]) for label in labels)
    rows = np.array(content["rows"], float).reshape(len(names), -1)
    blocks = [column.first + rows[:, column.positions].argmax(axis=1) for column in columns]
    return ClassTable(content["column"], names, columns, np.stack(blocks, axis=1))


def find_fault(names: Sequence[str], labels: Any, rows: Any) -> str | None:
    """Return what is wrong with the labels and rows of a class list, in words; None if nothing.

    Args:
        names: Names of the classes.
        labels: The columns, each with `column` and `values`.
        rows: A row of weights for each name.

    Example:
        >>> labels = [{"column": "a", "values": ["x", "y"]}, {"column": "b", "values": ["z", "w"]}]
        >>> find_fault(["a=x, b=z"], labels, [[0.5, 0, 0.5, 0]])
        >>> find_fault(["a=x, b=z"], labels, [[0.5, 0, 0.5]])
        "'rows' must have a list of 4 weights for each of the 1 names"
    """
    if not isinstance(labels, list) or len(labels) < 2:
        return "'labels' must be a list of two columns or more"
    for label in labels:
        if not isinstance(label, dict) or not isinstance(label.get("column"), str):
            return "'labels' must be objects with 'column' and 'values'"
        values = label.get("values")
        if not isinstance(values, list) or not values or not _are_texts(values):
            return "'labels' must have lists of texts as 'values'"
    columns = make_columns((label["column"], label["values"]) for label in labels)
    count = columns[-1].positions.stop
    wrong = f"'rows' must have a list of {count} weights for each of the {len(names)} names"
    if not isinstance(rows, list) or len(rows) != len(names):
        return wrong
    for row in rows:
        if not isinstance(row, list) or len(row) != count or not _are_weights(row):
            return wrong
        for column in columns:
            block = row[column.positions]
            if sum(weight > 0 for weight in block) != 1 or not np.isclose(
                sum(block), 1 / len(columns), atol=TOLERANCE
            ):
                return f"'rows' must have one weight of {1 / len(columns):.3g} for each column"
    return None


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _are_weights(row: list[Any]) -> bool:
    numbers = (int, float)
    return all(isinstance(x, numbers) and not isinstance(x, bool) and 0 <= x <= 1 for x in row)
