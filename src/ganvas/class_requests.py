"""Which classes of a generator a user's text means: names of classes, or values of label columns.

`ganvas.label_columns` has the tables in which they are looked up.
"""

from collections.abc import Sequence

import numpy as np

from ganvas.errors import GanvasError
from ganvas.label_columns import ClassTable, LabelColumn, name_combination, name_values


def find_classes(table: ClassTable, requested: Sequence[str] | None, key: str) -> ClassTable:
    """Return the requested classes, in their order; by default all that have a name.

    With several label columns, values of some of them may be requested, such as `Smiling=yes`: it
    stands for all named combinations that have them. If there are none, for all of them with these
    values in place of their own.

    Args:
        table: The classes of a generator.
        requested: Names of classes, or values of label columns.
        key: The parameter that names them, for messages.

    Raises:
        GanvasError: There is no such class or value.

    Example:
        >>> from ganvas.label_columns import make_table
        >>> table = make_table([("shape", ["disk", "square"]), ("red", ["no", "yes"])],
        ...                    np.array([[0, 0], [1, 0]]))
        >>> find_classes(table, ["shape=disk", "red=yes"], "sample.classes").names
        ['shape=disk, red=no', 'shape=disk, red=yes', 'shape=square, red=yes']
    """
    if requested is None:
        return table._replace(combinations=table.combinations[: len(table.names)])
    chosen: list[tuple[str, np.ndarray]] = []
    for text in requested:
        found = _find_requested(table, text)
        if not found:
            raise GanvasError(f"{key} has '{text}', but this generator has {_describe(table)}")
        chosen += found
    names, rows = zip(*chosen, strict=True)
    return table._replace(names=list(names), combinations=np.stack(rows))


def _find_requested(table: ClassTable, text: str) -> list[tuple[str, np.ndarray]]:
    """Return names and combinations of what a text requests; none if it can't be read."""
    if text in table.names:
        number = table.names.index(text)
        return [(text, table.combinations[number])]
    positions = read_values(table.columns, text) if len(table.columns) > 1 else None
    if not positions:
        return []
    named = table._replace(combinations=table.combinations[: len(table.names)])
    if len(found := find_labels(named, text)):
        return [(table.names[label], named.combinations[label]) for label in found]
    changed = _replace_values(table, positions)
    return [(name_combination(table.columns, row), row) for row in changed]


def _replace_values(table: ClassTable, positions: Sequence[int]) -> np.ndarray:
    """Return the named combinations with some values replaced, each once and in their order."""
    changed = table.combinations[: len(table.names)].copy()
    for position in positions:
        changed[:, _column_of(table.columns, position)] = position
    return changed[np.sort(np.unique(changed, axis=0, return_index=True)[1])]


def add_rare_values(table: ClassTable) -> ClassTable:
    """Return a table with further combinations, for values that no named combination has.

    They are the named ones with the rare value in place of their own, and get no names.
    """
    if len(table.columns) < 2 or not table.names:
        return table
    named = table.combinations[: len(table.names)]
    rare = np.setdiff1d(np.arange(table.num_weights), named)
    added = [_replace_values(table, [position]) for position in rare]
    return table._replace(combinations=np.concatenate([named, *added]))


def find_labels(table: ClassTable, text: str) -> np.ndarray:
    """Return the numbers of the classes that have some values, of named ones if there are any.

    Args:
        table: The classes of several label columns; of one, there are none.
        text: Values of some of its columns, such as `Smiling=yes`.

    Example:
        >>> from ganvas.label_columns import make_table
        >>> table = make_table([("shape", ["disk", "square"]), ("red", ["no", "yes"])],
        ...                    np.array([[0, 0], [1, 0], [1, 1]]))
        >>> find_labels(table, "shape=square").tolist(), find_labels(table, "square").tolist()
        ([1, 2], [])
    """
    positions = read_values(table.columns, text) if len(table.columns) > 1 else None
    if not positions:
        return np.zeros(0, int)
    rows = table.combinations
    found = np.flatnonzero(np.logical_and.reduce([(rows == x).any(axis=1) for x in positions]))
    named = found[found < len(table.names)]
    return named if len(named) else found


def read_values(columns: Sequence[LabelColumn], text: str) -> list[int] | None:
    """Return the positions of the values that a text names; None if it can't be read.

    Args:
        columns: Label columns.
        text: Such as `Smiling=yes, Eyeglasses=no`; each column once at most.

    Example:
        >>> from ganvas.label_columns import make_columns
        >>> columns = make_columns([("Smiling", ["no", "yes"]), ("Eyeglasses", ["no", "yes"])])
        >>> read_values(columns, "Eyeglasses=no,Smiling=yes"), read_values(columns, "Smiling")
        ([2, 1], None)
    """
    known = {
        name: column.first + number
        for column in columns
        for number, name in enumerate(name_values(column))
    }
    positions, rest = [], text.strip()
    while rest:
        # Values may have commas: the longest name is meant.
        names = [name for name in known if rest == name or rest.startswith(f"{name},")]
        if not names:
            return None
        name = max(names, key=len)
        positions.append(known[name])
        rest = rest[len(name) :].removeprefix(",").strip()
    numbers = [_column_of(columns, position) for position in positions]
    return positions if len(set(numbers)) == len(numbers) else None


def _column_of(columns: Sequence[LabelColumn], position: int) -> int:
    """Return the number of the column that has a position of a row."""
    return sum(column.first <= position for column in columns) - 1


def _describe(table: ClassTable) -> str:
    """Return what classes there are to choose among, for a message."""
    if not table.names:
        return "no classes: set it to null."
    if len(table.columns) == 1:
        return f"the classes {', '.join(table.names)}: choose among them, or set it to null."
    values = "; ".join(f"{x.column} ({', '.join(x.values)})" for x in table.columns)
    example = name_values(table.columns[0])[-1]
    return (
        f"the label columns {values}: name values such as {example}, of each column once at most, "
        "or set it to null."
    )
