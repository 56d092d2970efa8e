"""Choose which of the listed images are packed, and join their labels."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, field_validator

from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion import SourceListing
from ganvas.ingestion.class_labels import label_columns
from ganvas.ingestion.file_index import FILE_STATS, to_nfc
from ganvas.names import suggest_names
from ganvas.plain_text import one_line

logger = logging.getLogger(__name__)

# Label that rare ones are joined into.
OTHER = "other"
# Values of a column, and names of columns, that a message lists at most.
MAX_LISTED = 10


def _to_texts(value: Any) -> Any:
    """Return one value as a list, and booleans as the words that YAML reads as such."""
    values = value if isinstance(value, list | tuple) else [value]
    if value is None or not values:
        return value
    return [("no", "yes")[item] if isinstance(item, bool) else item for item in values]


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("it must be a whole number from 1")
    return value


Texts = Annotated[list[str], BeforeValidator(_to_texts), Field(min_length=1)]
Count = Annotated[int, BeforeValidator(_refuse_boolean), Field(ge=1)]
Counts = Count | dict[str, Count | None] | None
COUNTS_ALLOWED = "whole number from 1 or a mapping of label columns to such, as {genre: 20},"


class SelectionParams(Params):
    """Which images to pack, and labels to join, in the order of the steps."""

    join: dict[str, dict[str, Texts] | None] | None = Field(
        None,
        description="mapping of label columns to new values with the old ones, as "
        "{style: {Cubism: [Analytical Cubism, Synthetic Cubism]}},",
    )
    only: dict[str, Texts | None] | None = Field(
        None, description="mapping of label columns to values, as {genre: [portrait, landscape]},"
    )
    rare: Counts = Field(None, description=COUNTS_ALLOWED)
    fewest: Counts = Field(None, description=COUNTS_ALLOWED)
    most: Counts = Field(None, description=COUNTS_ALLOWED)
    seed: int = Field(0, ge=0, lt=2**31)

    @field_validator("join")
    @classmethod
    def _check_join(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for column, groups in (value or {}).items():
            new_names: dict[str, str] = {}
            for name, olds in (groups or {}).items():
                if not _key(name):
                    raise ValueError(f"the new value of {', '.join(olds)} is empty: write a name")
                for old in olds:
                    if new_names.setdefault(_key(old), name) != name:
                        raise ValueError(
                            f"{column} '{old}' would become '{new_names[_key(old)]}' and '{name}': "
                            "leave it in one of them"
                        )
        return value


class _Chosen(NamedTuple):
    """The images that are left after a step.

    Attributes:
        records: One row an image, with the joined labels; the index is the position in the list.
        left_out: Number of images that each parameter has left out.
        joined: By column and new value, the old values that were joined into it.
    """

    records: pd.DataFrame
    left_out: dict[str, int]
    joined: dict[str, dict[str, list[str]]]


def choose_images(listing: SourceListing, params: SelectionParams) -> SourceListing:
    """Choose images by their labels: join, only, rare, fewest and most, in this order.

    Images without a label are left out by `only` alone. Which images `most` takes depends on the
    seed and on name and size of each file, neither on its folder nor on the other files. So a
    larger number for one column keeps all images that a smaller one takes.

    Args:
        listing: All images of a source.
        params: Which to choose; by default all.

    Returns:
        The listing with the chosen images and with artists that have any, whose `files` are the
        numbers of those. `choice` describes what was left out and joined.

    Raises:
        GanvasError: A column or a value does not exist, a number is for none of several columns,
            or no image is left.

    Example:
        >>> listing = list_images(Path("data/01_raw/sample"), SourceParams(name="sample"))
        >>> chosen = choose_images(listing, SelectionParams(only={"genre": ["Cubism"]}, most=50))
        >>> len(chosen.records)
        50
    """
    chosen = _Chosen(listing.records.reset_index(drop=True), {}, {})
    for column, groups in (params.join or {}).items():
        if groups is not None:
            chosen = _join(chosen, column, groups)
    chosen = _keep_only(chosen, params.only or {})
    counts = {name: _counts_by_column(chosen, name, params) for name in ("rare", "fewest", "most")}
    _check_counts(counts)
    for column, count in counts["rare"].items():
        chosen = _join_rare(chosen, column, count)
    if counts["fewest"]:
        chosen = _drop_rare(chosen, counts["fewest"])
    if counts["most"]:
        chosen = _limit(chosen, counts["most"], params.seed)
    given = params.model_dump(mode="json", include=set(SelectionParams.model_fields))
    if not any(_is_set(value) for name, value in given.items() if name != "seed"):
        return listing
    choice = {
        "parameters": given,
        "listed": len(listing.records),
        "chosen": len(chosen.records),
        "left_out": chosen.left_out,
        "joined": chosen.joined,
    }
    _log(choice)
    artists = _count_files(listing.artists, listing.records.iloc[chosen.records.index])
    records = chosen.records.reset_index(drop=True)
    return SourceListing(records, listing.skipped, artists, choice)


def _is_set(value: Any) -> bool:
    values = value.values() if isinstance(value, dict) else [value]
    return any(item is not None for item in values)


def _key(text: str) -> str:
    """Return the form in which labels are compared: systems compose accents differently."""
    return one_line(to_nfc(text))


def _labels(chosen: _Chosen, column: str) -> pd.Series:
    """Return the labels of a column as they are compared; "" for images without one."""
    texts = chosen.records[column].fillna("").astype(str)
    return texts.map({text: _key(text) for text in texts.unique()})


def _columns(chosen: _Chosen) -> list[str]:
    return [name for name in label_columns(chosen.records) if name not in FILE_STATS]


def _find_column(chosen: _Chosen, column: str, parameter: str) -> str:
    columns = {_key(name): name for name in _columns(chosen)}
    if _key(column) not in columns:
        has = f"the columns {_list(columns)}" if columns else "no labels"
        raise GanvasError(
            f"ingest.{parameter} has the label column '{column}'"
            f"{suggest_names(column, columns)}, which does not exist: the images have {has}."
        )
    return columns[_key(column)]


def _check_values(labels: pd.Series, column: str, values: list[str], parameter: str) -> None:
    """Check that the values of a parameter occur in a column."""
    counts = labels[labels != ""].value_counts()
    known = sorted(counts.index, key=lambda value: (-counts[value], value))
    for value in values:
        if _key(value) not in counts:
            hint = suggest_names(_key(value), known)
            has = f"its values are {_list(known)}" if known else "no image has a value"
            raise GanvasError(
                f"ingest.{parameter} has '{value}'{hint}, which no image has in the column "
                f"{column}: {has}."
            )


def _list(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - MAX_LISTED
    shown = ", ".join(names[:MAX_LISTED])
    return f"{shown} and {more} more" if more > 0 else shown


def _join(chosen: _Chosen, column: str, groups: dict[str, list[str]]) -> _Chosen:
    """Replace values of a column by new ones."""
    column = _find_column(chosen, column, "join")
    labels = _labels(chosen, column)
    _check_values(labels, column, [old for olds in groups.values() for old in olds], "join")
    names = {_key(old): one_line(new) for new, olds in groups.items() for old in olds}
    return _rename(chosen, column, names)


def _rename(chosen: _Chosen, column: str, names: dict[str, str]) -> _Chosen:
    if not names:
        return chosen
    renamed = _labels(chosen, column).map(names)
    records = chosen.records.assign(
        **{column: renamed.where(renamed.notna(), chosen.records[column]).astype("str")}
    )
    joined = {name: dict(groups) for name, groups in chosen.joined.items()}
    for old, new in names.items():
        group = joined.setdefault(column, {})
        group[new] = [*group.get(new, []), old]
    return chosen._replace(records=records, joined=joined)


def _keep_only(chosen: _Chosen, only: dict[str, list[str] | None]) -> _Chosen:
    """Keep images with one of the values of every column."""
    kept = np.ones(len(chosen.records), bool)
    for name, values in only.items():
        if values is not None:
            column = _find_column(chosen, name, "only")
            labels = _labels(chosen, column)
            _check_values(labels, column, values, "only")
            kept &= labels.isin([_key(value) for value in values]).to_numpy()
    if not kept.any():
        columns = [name for name, values in only.items() if values is not None]
        raise GanvasError(
            f"ingest.only leaves no image of {len(kept):,}: none has one of the given values in "
            f"each of the columns {_list(columns)}; leave out a column, or add values."
        )
    return chosen if kept.all() else _keep(chosen, kept, "only")


def _keep(chosen: _Chosen, kept: np.ndarray, parameter: str) -> _Chosen:
    left_out = chosen.left_out.get(parameter, 0) + int((~kept).sum())
    return chosen._replace(
        records=chosen.records[kept], left_out=chosen.left_out | {parameter: left_out}
    )


def _counts_by_column(chosen: _Chosen, parameter: str, params: SelectionParams) -> dict[str, int]:
    """Return the numbers of a parameter by column; a number alone is for the only one.

    Without labels, the column is "", of which all images have the same value.
    """
    given = getattr(params, parameter)
    if given is None:
        return {}
    if isinstance(given, dict):
        return {
            _find_column(chosen, column, parameter): count
            for column, count in given.items()
            if count is not None
        }
    columns = [name for name in _columns(chosen) if (_labels(chosen, name) != "").any()]
    if len(columns) > 1:
        raise GanvasError(
            f"ingest.{parameter} is {given}, but the images have several label columns "
            f"({_list(columns)}): write for which, such as ingest.{parameter}.{columns[0]}={given}."
        )
    if not columns and parameter != "most":
        raise GanvasError(
            f"ingest.{parameter} is {given}, but the images have no labels: leave it out, or "
            "choose a source with labels."
        )
    return {columns[0] if columns else "": given}


def _check_counts(counts: dict[str, dict[str, int]]) -> None:
    for column, rare in counts["rare"].items():
        fewest = counts["fewest"].get(column, 0)
        if fewest > rare:
            raise GanvasError(
                f"ingest.fewest is {fewest} and ingest.rare {rare} for the column {column}, so "
                f"values of {rare} to {fewest - 1} images would be left out, and rarer ones kept "
                f"as '{OTHER}': set ingest.fewest to at most {rare}, or one of them to null."
            )


def _join_rare(chosen: _Chosen, column: str, count: int) -> _Chosen:
    counts = _count_values(_labels(chosen, column))
    rare = [value for value, images in counts.items() if images < count and value != OTHER]
    return _rename(chosen, column, dict.fromkeys(sorted(rare), OTHER))


def _count_values(labels: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in labels[labels != ""].value_counts().items()}


def _drop_rare(chosen: _Chosen, least: dict[str, int]) -> _Chosen:
    """Leave out values with fewer images, until no column has any."""
    count = len(chosen.records)
    while True:
        for column, fewest in least.items():
            labels = _labels(chosen, column)
            counts = labels.map(labels.value_counts())
            kept = ((labels == "") | (counts >= fewest)).to_numpy()
            if not kept.any():
                largest = max(_count_values(labels).items(), key=lambda item: item[1])
                raise GanvasError(
                    f"ingest.fewest leaves no image of {len(kept):,}: the most frequent value of "
                    f"{column} is '{largest[0]}' with {largest[1]} images, less than {fewest}."
                )
            chosen = _keep(chosen, kept, "fewest")
        if len(chosen.records) == count:
            return chosen
        count = len(chosen.records)


def _limit(chosen: _Chosen, limits: dict[str, int], seed: int) -> _Chosen:
    """Keep at most so many images of each value; images without a label do not count."""
    records = chosen.records
    columns = [
        _labels(chosen, column).tolist() if column else ["all"] * len(records) for column in limits
    ]
    taken: list[Counter[str]] = [Counter() for _ in limits]
    kept = np.zeros(len(records), bool)
    for position in _order(records, seed):
        values = [(column[position], counts) for column, counts in zip(columns, taken, strict=True)]
        full = [
            value and counts[value] >= most
            for (value, counts), most in zip(values, limits.values(), strict=True)
        ]
        if not any(full):
            kept[position] = True
            for value, counts in values:
                counts[value] += 1
    return _keep(chosen, kept, "most")


def _order(records: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the positions in a random order that depends on names and sizes of files alone."""
    names = records["path"].map(lambda path: to_nfc(path.rpartition("/")[2]))
    texts = (f"{seed} {size} {name}" for size, name in zip(records["bytes"], names, strict=True))
    ranks = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.argsort(np.array(ranks, "S8").view(">u8"), kind="stable")


def _count_files(artists: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the artists that have images, with the numbers of these."""
    if "artist" not in records:
        return artists
    counts = artists["name"].map(records["artist"].value_counts()).fillna(0).astype("int64")
    return artists.assign(files=counts)[counts > 0].reset_index(drop=True)


def _log(choice: dict[str, Any]) -> None:
    parts = [
        f"{count:,} left out by ingest.{name}"
        for name, count in choice["left_out"].items()
        if count
    ]
    parts += [
        f"{len(olds)} value{'s' * (len(olds) != 1)} of {column} joined as '{new}'"
        for column, groups in choice["joined"].items()
        for new, olds in groups.items()
    ]
    logger.info(
        "%s of %s images are chosen%s.",
        f"{choice['chosen']:,}",
        f"{choice['listed']:,}",
        f": {', '.join(parts)}" if parts else "",
    )
