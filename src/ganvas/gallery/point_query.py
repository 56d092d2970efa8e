"""Points of the latent space as query strings: what pages send, link to and keep.

One text form serves the permalink of the page Edit, the keyframes of a film and favorites. A point
is an image of a seed, or an intermediate latent `w` as text, such as that of an uploaded image. Its
labels and edits stand in fields of their own:

| field | meaning |
|---|---|
| `label.<column>` | the value of a label column |
| `mix.<column>`, `share.<column>` | a second value, and its share of the column's weights |
| `direction.<name>` | the strength of a direction |
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

import numpy as np
from pydantic import Field

from ganvas.gallery import schemas, studio
from ganvas.gallery.model_store import LoadedModel, NotFoundError
from ganvas.gallery.request_checks import MAX_FIELDS, InvalidRequestError
from ganvas.gallery.studio_schemas import MAX_EDITS, EditRequest, Point
from ganvas.label_columns import LabelColumn

LABEL, MIX, SHARE, DIRECTION = "label.", "mix.", "share.", "direction."
PREFIXES = (LABEL, MIX, SHARE, DIRECTION)
# Characters of a query string that a page puts into a link: proxies cut longer addresses.
MAX_LINK = 4000
# Characters of an encoded array: 18 layers of 1,024 values are about 98,000.
MAX_TEXT = 120_000


class PointQuery(schemas.ModelRequest):
    """A point as the fields of a page, apart from labels and directions."""

    seed: schemas.Seed = 0
    number: schemas.Number = 0
    class_name: schemas.ClassName = None
    truncation: schemas.Truncation = 1.0
    w: Annotated[str | None, Field(max_length=MAX_TEXT)] = None
    weights: Annotated[str | None, Field(max_length=MAX_TEXT)] = None


@dataclass(frozen=True)
class LabelChoice:
    """The weights of one label column, as a page's controls show them.

    Attributes:
        column: The label column.
        value: Its value of the highest weight; None for a mixture that two values can't describe.
        mix: A second value; None without one.
        share: Share of the second value in [0, 1].
    """

    column: LabelColumn
    value: str | None
    mix: str | None = None
    share: float = 0.0

    @property
    def is_binary(self) -> bool:
        """Whether one slider between both values is enough."""
        return len(self.column.values) == 2 and self.value is not None

    @property
    def title(self) -> str:
        """The value, or both of a mixture, such as those of an image's caption."""
        if self.mix is None or not self.share:
            return str(self.value)
        return str(self.mix) if self.share == 1 else f"{self.value} and {self.mix}"


@dataclass(frozen=True)
class EditedPoint:
    """A point with its labels and edits, all checked.

    Attributes:
        query: The fields of the point itself.
        choices: The weights of each label column of the model.
        changed: Names of the columns whose weights are not those of the point itself.
        strengths: Strengths of directions by name, none of them 0.
        weights: The class weights (K,).
    """

    query: PointQuery
    choices: tuple[LabelChoice, ...]
    changed: frozenset[str]
    strengths: Mapping[str, float]
    weights: tuple[float, ...]

    def to_fields(self) -> list[tuple[str, str]]:
        """Return the fields of this point without defaults, the model's name and its version."""
        query = self.query
        if query.w is not None:
            fields = [("w", query.w)] + ([("weights", query.weights)] if query.weights else [])
        else:
            fields = [("seed", str(query.seed)), ("number", str(query.number))]
            if query.weights:
                fields.append(("weights", query.weights))
        if query.class_name is not None:
            fields.append(("class", query.class_name))
        if query.truncation != 1:
            fields.append(("truncation", write_number(query.truncation)))
        for choice in self.choices:
            name = choice.column.column
            if name in self.changed and choice.value is not None:
                fields.append((LABEL + name, choice.value))
                if choice.mix is not None and choice.share:
                    fields.append((MIX + name, choice.mix))
                    fields.append((SHARE + name, write_number(choice.share)))
        fields += [(DIRECTION + name, write_number(x)) for name, x in self.strengths.items()]
        return fields

    def to_text(self) -> str:
        """Return the fields as a query string, such as a keyframe of a film."""
        return urlencode(self.to_fields())

    def to_point(self) -> Point:
        """Return the point without its edits, as the studio's functions take it."""
        return _to_point(self.query)

    def to_edit(self) -> EditRequest:
        """Return the edit, as the studio's functions take it."""
        weights = list(self.weights) if self.changed else None
        return EditRequest(point=self.to_point(), edits=dict(self.strengths), weights=weights)

    @property
    def is_edited(self) -> bool:
        """Whether the point differs from the image that it begins with."""
        return bool(self.strengths or self.changed)

    @property
    def start(self) -> str:
        """Where the point is from, as the beginning of a sentence."""
        query = self.query
        return "Found image" if query.w else f"Image no. {query.number} of seed {query.seed}"

    @property
    def caption(self) -> str:
        """Where the point is from in few words, such as below a keyframe."""
        query = self.query
        start = "found" if query.w else f"seed {query.seed} · {query.number}"
        return f"{start}, edited" if self.is_edited else start

    @property
    def title(self) -> str:
        """What the point is, as captions and descriptions of images name it."""
        labels = [choice.title for choice in self.choices if choice.value]
        edited = ["edited"] if self.is_edited else []
        return ", ".join([self.start, *labels, *edited])


def _to_point(query: PointQuery) -> Point:
    names: tuple[str, ...] = ("seed", "number") if query.w is None else ("w",)
    names += ("class_name",) if query.weights is None else ("weights",)
    values = [(name, getattr(query, name)) for name in (*names, "truncation")]
    pairs = [(name.removesuffix("_name"), str(x)) for name, x in values if x is not None]
    return schemas.read_query(Point, pairs)


def find_latents(model: LoadedModel, points: Sequence[EditedPoint]) -> studio.Latents:
    """Return the intermediate latents and class weights of edited points.

    Raises:
        InvalidRequestError, NotFoundError: See `ganvas.gallery.studio.edit_point`.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    edits = {f"points.{number}": point.to_edit() for number, point in enumerate(points)}
    return studio.edit_latents(model, edits)


def write_number(value: float) -> str:
    """Return a number as pages write it: with at most four decimals and no exponent.

    Example:
        >>> write_number(0.70), write_number(-0.00001)
        ('0.7', '0')
    """
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def is_short(fields: Iterable[tuple[str, str]]) -> bool:
    """Return whether fields fit into a link."""
    return len(urlencode(list(fields))) <= MAX_LINK


def is_point_field(name: str) -> bool:
    """Return whether a field belongs to a point, and not to the rest of a page's form."""
    return name.startswith(PREFIXES) or name in {
        field.alias or key for key, field in PointQuery.model_fields.items()
    }


def read_text(model: LoadedModel, text: str) -> EditedPoint:
    """Read the text of `EditedPoint.to_text`.

    Raises:
        InvalidRequestError, NotFoundError: See `read_point`.
    """
    try:
        fields = parse_qsl(text, strict_parsing=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        fields = [("model", "")]
    if any(name in schemas.ModelRequest.model_fields for name, _ in fields):
        raise InvalidRequestError(
            "A keyframe is the query string of a point without its model, such as "
            f"'seed=7&number=3', not '{text[:60]}'."
        )
    return read_point(model, fields)


def read_point(model: LoadedModel, fields: Iterable[tuple[str, str]]) -> EditedPoint:
    """Read a point of a model from the fields of a query string or of a form.

    Raises:
        InvalidRequestError: A field is unknown, repeated or out of range.
        NotFoundError: The model has no such class, label or direction.
    """
    pairs = [(name, value) for name, value in fields if value]
    own = [pair for pair in pairs if not pair[0].startswith(PREFIXES)]
    query = schemas.read_query(PointQuery, own)
    base = studio.weigh_point(model, _to_point(query))
    others = [pair for pair in pairs if pair[0].startswith(PREFIXES)]
    extra = dict(others)
    if len(extra) < len(others):
        raise InvalidRequestError("Each field can be given only once.")
    columns = model.label_columns
    choices, changed = [], set()
    for column in columns:
        original = _describe_block(column, _block(base, column, len(columns)))
        choice = _read_choice(column, extra, original)
        choices.append(choice)
        if choice != original:
            changed.add(column.column)
    strengths = _read_strengths(model, extra)
    if extra:
        known = ", ".join(column.column for column in columns) or "none"
        raise NotFoundError(
            f"There is no field '{next(iter(extra))[:60]}': label columns of "
            f"'{model.saved.name}' are {known}."
        )
    weights = _to_weights(choices, base)
    return EditedPoint(query, tuple(choices), frozenset(changed), strengths, weights)


def _block(weights: np.ndarray, column: LabelColumn, columns: int) -> np.ndarray:
    return weights[column.positions] * columns


def _describe_block(column: LabelColumn, block: np.ndarray) -> LabelChoice:
    """Return the choice of one or two values that has these weights, or one without a value."""
    first, *rest = map(int, np.argsort(-block, kind="stable"))
    if not rest or block[rest[0]] <= 1e-4:
        return _normalize(column, LabelChoice(column, column.values[first]))
    if len(rest) > 1 and block[rest[1]] > 1e-4:
        return LabelChoice(column, None)
    share = round(float(block[rest[0]] / block.sum()), 4)
    choice = LabelChoice(column, column.values[first], column.values[rest[0]], share)
    return _normalize(column, choice)


def _normalize(column: LabelColumn, choice: LabelChoice) -> LabelChoice:
    """Return a choice of two values as the share of the second; a share of 0 has no second."""
    if len(column.values) == 2 and choice.value is not None:
        second = column.values[1]
        share = choice.share if choice.mix else 0.0
        share = share if choice.value != second else 1 - share
        return LabelChoice(column, column.values[0], second, round(share, 4))
    if not choice.mix or not choice.share or choice.mix == choice.value:
        return LabelChoice(column, choice.value)
    return choice


def _read_choice(column: LabelColumn, extra: dict[str, str], original: LabelChoice) -> LabelChoice:
    name = column.column
    value, mix = (extra.pop(prefix + name, None) for prefix in (LABEL, MIX))
    share = _read_number(SHARE + name, extra.pop(SHARE + name, "0"), 0, 1)
    for chosen in (value, mix):
        if chosen is not None and chosen not in column.values:
            values = ", ".join(column.values[:40])
            raise NotFoundError(f"'{name}' has no value '{chosen[:60]}': it has {values}.")
    if value is None and mix is not None and share:
        # A second value is mixed with the image's own.
        if original.value is None or original.share not in (0, 1):
            raise InvalidRequestError(
                f"{LABEL}{name}: choose the value that '{mix}' is mixed with, since the image is a "
                "mixture itself."
            )
        value = original.title
    if value is None:
        return original
    return _normalize(column, LabelChoice(column, value, mix, share))


def _to_weights(choices: Sequence[LabelChoice], base: np.ndarray) -> tuple[float, ...]:
    weights = base.astype(np.float64)
    for choice in choices:
        if choice.value is None:
            continue
        column = choice.column
        weights[column.positions] = 0
        position = column.first + column.values.index(choice.value)
        weights[position] += (1 - choice.share) / len(choices)
        if choice.mix is not None:
            weights[column.first + column.values.index(choice.mix)] += choice.share / len(choices)
    return tuple(map(float, weights))


def _read_strengths(model: LoadedModel, extra: dict[str, str]) -> dict[str, float]:
    names = [name for name in extra if name.startswith(DIRECTION)]
    # Points without edits can be shown if the directions can't be read.
    by_name = {x.name: x for x in studio.list_directions(model)} if names else {}
    strengths = {}
    for field in names:
        name = field.removeprefix(DIRECTION)
        if name not in by_name:
            known = ", ".join(by_name) or "none"
            raise NotFoundError(
                f"There is no direction '{name[:60]}': there are {known}. Leave it out, or find it "
                "by `kedro run --pipelines=directions`."
            )
        low, high = studio.strength_range(by_name[name])
        if value := _read_number(field, extra.pop(field), low, high):
            strengths[name] = value
    if len(strengths) > MAX_EDITS:
        raise InvalidRequestError(
            f"At most {MAX_EDITS} directions can be used at a time, not {len(strengths)}: set "
            "others to 0."
        )
    return strengths


def _read_number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text) if len(text) < 40 else math.nan
    except ValueError:
        value = math.nan
    # Pages write rounded numbers.
    if not low - 1e-3 <= value <= high + 1e-3:
        raise InvalidRequestError(
            f"{name}: a number from {write_number(low)} to {write_number(high)}, not '{text[:60]}'."
        )
    return min(max(value, low), high)


def read_picks(fields: Iterable[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return the fields of images that were selected in the grid of the page Generate."""
    names = ("seed", "number", "class")
    return [
        [pair for pair in zip(names, value.split(":", 2), strict=False) if pair[1]]
        for name, value in fields
        if name == "pick"
    ]
