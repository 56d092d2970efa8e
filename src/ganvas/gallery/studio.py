"""The latent studio: points in a latent space, of requests and of saved images, and their edits."""

import io
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.data_files import read_start
from ganvas.gallery.generation import describe_most, describe_origin
from ganvas.gallery.model_store import MAX_LOADED, LoadedModel, ModelStore, NotFoundError
from ganvas.gallery.png_text import read_png_text
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.gallery.schemas import parse_json
from ganvas.gallery.studio_schemas import EditRequest, Point, SavedPoint
from ganvas.latents.directions import Direction, edit_w, from_arrays
from ganvas.latents.latent_text import encode_w
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import w_shape
from ganvas.networks.sampling import latent_dim
from ganvas.saved_arrays import read_arrays

# Strengths of edits reach this many times beyond the range of plausible images.
EXTRAPOLATION = 2.0
# Bytes of a file of directions.
MAX_DIRECTIONS = 2**26


class Latents(NamedTuple):
    """Points of W with class weights: w float32 (N, *w_shape) and labels float32 (N, K)."""

    w: np.ndarray
    labels: np.ndarray


class Edit(NamedTuple):
    """An edited point.

    Attributes:
        before: The image without the edits, uint8 (H, W, C).
        after: The image with them.
        latents: The edited point, N = 1.
        metadata: The text of the PNG file of `after`, from which /api/open reads the point.
    """

    before: np.ndarray
    after: np.ndarray
    latents: Latents
    metadata: dict[str, object]


# Points


def resolve_points(model: LoadedModel, points: Sequence[Point], name: str = "points") -> Latents:
    """Return the intermediate latents of points, truncated, and their class weights.

    The images of points of seeds are those of `ganvas.gallery.generation`, pixel by pixel.

    Args:
        model: The model.
        points: One point or more.
        name: The request's field that has the points, for messages.

    Raises:
        InvalidRequestError: A latent or weights have another shape than the model's, or a model
            with classes has a point of z or w without any.
        NotFoundError: The model has no class of that name.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    return _resolve(model, {f"{name}.{number}": point for number, point in enumerate(points)})


def _resolve(model: LoadedModel, points: Mapping[str, Point]) -> Latents:
    """Return the latents of points by their places in the request."""
    labels = np.stack([weigh_point(model, point, place) for place, point in points.items()])
    truncation = np.array([point.truncation for point in points.values()], np.float32)
    shape = w_shape(model.generator)
    w = np.empty((len(points), *shape), np.float32)
    given = np.array([point.w is not None for point in points.values()])
    values = [
        find_latent(model, point, place) if point.w is None else _fit(model, point.w, shape, place)
        for place, point in points.items()
    ]
    for rows, compute in ((~given, model.batcher.map), (given, model.batcher.truncate)):
        if rows.any():
            arrays = np.stack([values[row] for row in np.flatnonzero(rows)])
            w[rows] = compute(arrays, labels[rows], truncation[rows])
    return Latents(w, labels)


def find_latent(model: LoadedModel, point: Point, place: str = "point") -> np.ndarray:
    """Return the latent z of a point, float32 (Z,), without truncation.

    Raises:
        InvalidRequestError: The point is of w, or its z has another length than the model's.
    """
    if point.w is not None:
        raise InvalidRequestError(
            f"{place}: a point given by w has no z: request the space w, or give seed and number."
        )
    if point.z is None:
        return model.sample_latent(point.seed, point.number)
    return _fit(model, point.z, (latent_dim(model.generator),), place, space="z")


def _fit(
    model: LoadedModel, values: np.ndarray, shape: tuple[int, ...], place: str, space: str = "w"
) -> np.ndarray:
    """Return the values of a latent in the model's shape, which the text form does not hold."""
    if values.shape not in (shape, (int(np.prod(shape)),)):
        raise InvalidRequestError(
            f"{place}.{space}: '{model.saved.name}' takes {_describe_shape(shape)}, not "
            f"{_describe_shape(values.shape)}."
        )
    return values.reshape(shape)


def _describe_shape(shape: tuple[int, ...]) -> str:
    return f"{'×'.join(map(str, shape))} numbers"


def weigh_point(model: LoadedModel, point: Point, place: str = "point") -> np.ndarray:
    """Return the class weights of a point, float32 (K,); of several labels 1/C for each of them.

    Raises:
        InvalidRequestError: The weights don't fit the model, or are needed and missing.
        NotFoundError: The model has no class of that name.
    """
    if point.weights is not None:
        return weigh(model, point.weights, f"{place}.weights")
    is_seed = point.z is None and point.w is None
    if point.class_name is None and model.label_columns and not is_seed:
        raise InvalidRequestError(
            f"{place}: a latent of '{model.saved.name}', which has classes, needs class or weights."
        )
    label = model.class_index(point.class_name, point.number)
    return model.one_hot(np.array([label]))[0] if model.label_columns else np.zeros(0, np.float32)


def weigh(model: LoadedModel, weights: np.ndarray, place: str = "weights") -> np.ndarray:
    """Scale class weights, float32 (K,), to the sum 1, or those of each of C labels to 1/C.

    Raises:
        InvalidRequestError: They are negative, too many or too few, or all 0 for a label.
    """
    columns = model.label_columns
    count = sum(len(column.values) for column in columns)
    if weights.shape != (count,):
        raise InvalidRequestError(
            f"{place}: '{model.saved.name}' takes {count or 'no'} weights, not "
            f"{_describe_shape(weights.shape)}."
        )
    if (weights < 0).any():
        raise InvalidRequestError(f"{place}: weights must be 0 or more.")
    scaled = np.empty(count, np.float32)
    for column in columns:
        block = weights[column.positions].astype(np.float64)
        if not block.sum():
            raise InvalidRequestError(f"{place}: one weight of '{column.column}' must be above 0.")
        scaled[column.positions] = block / block.sum() / len(columns)
    return scaled


def synthesize(model: LoadedModel, latents: Latents) -> np.ndarray:
    """Return the images of points, uint8 (N, H, W, C).

    Raises:
        InvalidRequestError: They are too many for the size of the model's images.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    check_count(model, len(latents.w))
    return model.batcher.synthesize(*latents)


def check_count(model: LoadedModel, count: int) -> None:
    """Raise an `InvalidRequestError` if a request may not have so many images."""
    if count > model.max_images:
        raise InvalidRequestError(f"points: at most {describe_most(model)}, not {count}.")


def describe_point(model: LoadedModel, latents: Latents, row: int = 0) -> dict[str, object]:
    """Return the metadata of the image of a point: model, version, and `w` and `weights` as text.

    `w` and `weights` are those of a `Point`: links and hidden fields can have them, too.
    """
    labels = latents.labels[row]
    weights = encode_w(labels) if len(labels) else None
    return describe_origin(model) | {"w": encode_w(latents.w[row]), "weights": weights}


def open_image(models: ModelStore, content: bytes) -> tuple[LoadedModel, Point]:
    """Return the model and the point that a PNG file of the gallery was generated from.

    Args:
        models: The models.
        content: The file's bytes; its pixels are not decoded.

    Raises:
        InvalidRequestError: It is no PNG file with one image of Ganvas.
        NotFoundError: The model or its version is not here.
    """
    try:
        texts = read_png_text(content)
    except ValueError as error:
        raise InvalidRequestError(f"The image can't be opened: {error}.") from error
    if "model" not in texts or not {"w", "seed"} & set(texts):
        raise InvalidRequestError(
            "The image can't be opened: only PNG files of single images that Ganvas saved, as they "
            "were saved, hold their latents."
        )
    if "number" not in texts and "w" not in texts:
        raise InvalidRequestError(
            "The image can't be opened: it is a grid, whose images are files of their own in the "
            "gallery."
        )
    fields: dict[str, Any] = {key: texts[key] for key in ("model", "version") if key in texts}
    fields["point"] = {
        key: _read_number(texts[key]) if key in ("seed", "number", "truncation") else texts[key]
        for key in _point_fields(texts)
        if key in texts
    }
    saved = parse_json(SavedPoint, json.dumps(fields).encode())
    model = models.load(saved.model, saved.version)
    weigh_point(model, saved.point)
    if saved.point.w is not None:
        _fit(model, saved.point.w, w_shape(model.generator), "point")
    return model, saved.point


def _point_fields(texts: Mapping[str, str]) -> tuple[str, ...]:
    # The w of an image is already truncated.
    return ("w", "weights") if "w" in texts else ("seed", "number", "class", "truncation")


def _read_number(text: str) -> float | str:
    """Return the number of a text; the text itself if it is none, which the schema refuses."""
    try:
        number = float(text[:40])
    except ValueError:
        return text
    return number if np.isfinite(number) else text


# Edits


def list_directions(model: LoadedModel) -> list[Direction]:
    """Return the directions that are kept with a model; empty without any.

    Raises:
        NotFoundError: They can't be read, or are of another generator.
    """
    file = model.saved.file("directions.npz")
    try:
        state = file.stat()
    except OSError:
        return []
    shape = w_shape(model.generator)
    try:
        return list(_read_directions(file, shape, (state.st_mtime_ns, state.st_size)))
    except GanvasError as error:
        raise NotFoundError(str(error)) from error
    except (OSError, ValueError) as error:
        raise NotFoundError(
            f"The directions of '{model.saved.name}' can't be read: find them again by "
            "`kedro run --pipelines=directions`."
        ) from error


@lru_cache(maxsize=MAX_LOADED)
def _read_directions(
    file: Path, shape: tuple[int, ...], _state: tuple[int, int]
) -> tuple[Direction, ...]:
    """Read directions; the state of the file is part of the cache key."""
    return tuple(from_arrays(read_arrays(io.BytesIO(read_start(file, MAX_DIRECTIONS))), shape))


def strength_range(direction: Direction) -> tuple[float, float]:
    """Return the least and largest strength of an edit, beyond the plausible range.

    Example:
        >>> strength_range(Direction("age", "sefa", np.ones(2), -2.0, 3.0, 1.0, {}))
        (-4.0, 6.0)
    """
    return EXTRAPOLATION * min(direction.low, 0.0), EXTRAPOLATION * max(direction.high, 0.0)


def edit_point(model: LoadedModel, request: EditRequest) -> Edit:
    """Move a point along directions, and generate it before and after.

    Raises:
        NotFoundError: The model has no direction of that name.
        InvalidRequestError: A strength is out of range, or see `resolve_points`.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    before = EditRequest(point=request.point)
    both = edit_latents(model, {"point": before, "edited point": request})
    images = model.batcher.synthesize(*both)
    applied = ", ".join(f"{name}: {strength:g}" for name, strength in request.edits.items())
    metadata = describe_point(model, both, row=1) | {"edits": applied or None}
    return Edit(images[0], images[1], Latents(both.w[1:], both.labels[1:]), metadata)


def _find_edits(
    model: LoadedModel, strengths: Mapping[str, float]
) -> list[tuple[Direction, float]]:
    if not strengths:
        return []
    directions = {direction.name: direction for direction in list_directions(model)}
    for name, strength in strengths.items():
        if name not in directions:
            there = ", ".join(directions) or "none: find some by `kedro run --pipelines=directions`"
            raise NotFoundError(f"'{model.saved.name}' has no direction '{name}': it has {there}.")
        low, high = strength_range(directions[name])
        if not low <= strength <= high:
            raise InvalidRequestError(
                f"edits.{name}: the strength must be between {low:g} and {high:g}, not "
                f"{strength:g}."
            )
    return [(directions[name], strength) for name, strength in strengths.items()]


def edit_latents(model: LoadedModel, requests: Mapping[str, EditRequest]) -> Latents:
    """Return the intermediate latents and class weights of edited points, without their images.

    Args:
        model: The model.
        requests: The edits by the names of their points, for messages.

    Raises:
        InvalidRequestError, NotFoundError, BusyError, RequestTimeoutError: See `edit_point`.
    """
    edits = [_find_edits(model, request.edits) for request in requests.values()]
    points, moved = {}, {}
    for row, (place, request) in enumerate(requests.items()):
        point = request.point
        if request.weights is not None:
            weights = weigh(model, request.weights)
            if point.w is None:
                point = point.model_copy(update={"weights": weights, "class_name": None})
            else:
                moved[row] = weights
        points[place] = point
    # All at once, since each call of the generator computes a whole batch.
    w, labels = _resolve(model, points)
    for row, weights in moved.items():
        w[row], labels[row] = _change_class(model, w[row], labels[row], weights), weights
    for row, strengths in enumerate(edits):
        w[row] = edit_w(w[[row]], strengths)[0]
    return Latents(w, labels)


def _change_class(
    model: LoadedModel, w: np.ndarray, old: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """Return w, float32 (*w_shape), of class weights `old` as that of the weights `new`."""
    if not is_style_based(model.generator):
        return w
    # The class is part of the style: the style moves as the mean of its class does.
    means = model.batcher.truncate(np.stack([w, w]), np.stack([old, new]), 0.0)
    return w + (means[1] - means[0])
