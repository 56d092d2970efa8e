"""The HTML page Film of the latent studio, and the files that it links to."""

import math
from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, send_file, url_for
from pydantic import Field
from werkzeug.wrappers import Response as Redirect

from ganvas.errors import GanvasError
from ganvas.gallery import encoding, generation, schemas
from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.page_rendering import (
    Fields,
    exact_fields,
    file_name,
    image_url,
    load_named_model,
    read_fields,
    render_page,
    to_data_uris,
)
from ganvas.gallery.point_images import show_points
from ganvas.gallery.point_query import (
    EditedPoint,
    find_latents,
    is_point_field,
    is_short,
    read_picks,
    read_point,
    read_text,
    write_number,
)
from ganvas.gallery.request_checks import InvalidRequestError, accept_latents
from ganvas.gallery.studio_films import make_film
from ganvas.gallery.studio_schemas import (
    MAX_FPS,
    MAX_KEYFRAMES,
    MAX_SECONDS,
    FilmRequest,
    Point,
)
from ganvas.latents.latent_text import encode_w
from ganvas.latents.video import check_film
from ganvas.visualization.image_cells import data_uri

# Images of the grid that keyframes are picked from.
GRID_COUNT = 24
# Longer sides in pixels of keyframes and of the preview of a film, and its frames a second.
KEYFRAME_SIDE, PREVIEW_SIDE, PREVIEW_FPS = 192, 384, 12
INTERPOLATIONS = {"slerp": "Arcs (slerp)", "spline": "Smooth curve (spline)", "linear": "Lines"}
EASINGS = {
    "linear": "Constant",
    "ease_in_out": "Slow at keyframes",
    "ease_in": "Slow after each keyframe",
    "ease_out": "Slow before each keyframe",
}
FORMATS = {"webp": "WebP", "gif": "GIF", "mp4": "MP4", "zip": "Frames (ZIP)"}
FILM_FIELDS = ("seconds", "fps", "interpolation", "easing", "format")
# Fields of the film's form that change its keyframes.
ACTIONS = ("add", "add_point", "pick", "earlier", "later", "remove")

film_pages = Blueprint("film", __name__)


class FilmQuery(FilmRequest):
    """A film as the fields of its page, apart from its keyframes and loop."""

    keyframes: list[Point] = Field([])


@film_pages.route("/film", methods=["GET", "POST"])
@accept_latents
def film() -> str | Redirect:
    """Show the keyframes of a film and the images to pick others from, or change the keyframes."""
    fields = read_fields()
    model, query = load_named_model(fields)
    keys, is_changed = _change_keyframes(model, fields)
    points = [read_text(model, key) for key in keys]
    settings = _read_settings(fields)
    grid = _read_grid(model, fields)
    shown = _film_fields(model, keys, settings)
    link = f"{url_for('film.film')}?{urlencode(shown)}" if is_short(shown) else None
    if link and (is_changed or "grid_next" in dict(fields)):
        browsed = [("grid_seed", str(grid.seed)), ("grid_class", grid.class_name or "")]
        return redirect(f"{link}&{urlencode([pair for pair in browsed if pair[1]])}", 303)
    preview = None
    if "preview" in dict(fields):
        with make_film(model, _to_request(model, points, settings, preview=True)) as file:
            preview = data_uri(file.read(), "webp")
    uris = show_points(model, points, KEYFRAME_SIDE)
    return render_page(
        "film.html",
        model,
        query,
        keyframes=[
            {"key": key, "title": point.title, "caption": point.caption, "uri": uri}
            for key, point, uri in zip(keys, points, uris, strict=True)
        ],
        settings=settings,
        grid=grid,
        candidates=_list_candidates(model, grid),
        preview=preview,
        link=link,
        formats=_list_formats(),
        interpolations=list(INTERPOLATIONS.items()),
        easings=list(EASINGS.items()),
        max_keyframes=MAX_KEYFRAMES,
        max_seconds=MAX_SECONDS,
        max_fps=MAX_FPS,
        number=write_number,
    )


@film_pages.route("/film/file", methods=["GET", "POST"])
@accept_latents
def film_file() -> Response:
    """Return a film as a file, or its preview."""
    fields = read_fields()
    model, _ = load_named_model(fields)
    points = [read_text(model, value) for name, value in fields if name == "key"]
    settings = _read_settings(fields)
    film_request = _to_request(model, points, settings, preview="preview" in dict(fields))
    file = make_film(model, film_request)
    response = send_file(
        file,
        mimetype=encoding.FILM_TYPES[film_request.format],
        as_attachment=True,
        download_name=f"{file_name(model)}-film.{film_request.format}",
        conditional=False,
        etag=False,
    )
    response.call_on_close(file.close)
    return response


def _change_keyframes(model: LoadedModel, fields: Fields) -> tuple[list[str], bool]:
    """Return the keyframes after the form's button was pressed, and whether one was.

    Positions on buttons count from 1, as on the page.
    """
    keys = [value for name, value in fields if name == "key"]
    added = [value for name, value in fields if name == "add"]
    picked = read_picks(fields)
    truncation = [pair for pair in fields if pair[0] == "truncation"]
    added += [read_point(model, [*pick, *truncation]).to_text() for pick in picked]
    if "add_point" in dict(fields):
        own = [pair for pair in fields if is_point_field(pair[0])]
        added.append(read_point(model, own).to_text())
    keys += added
    for name, value in fields:
        if name in ("earlier", "later", "remove"):
            position = _read_position(name, value, len(keys))
            key = keys.pop(position)
            if name != "remove":
                keys.insert(max(position + (1 if name == "later" else -1), 0), key)
    if len(keys) > MAX_KEYFRAMES:
        raise InvalidRequestError(
            f"A film has at most {MAX_KEYFRAMES} keyframes, not {len(keys)}: go back and remove "
            "some."
        )
    return keys, any(name in ACTIONS for name, _ in fields)


def _read_position(name: str, text: str, count: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= count):
        raise InvalidRequestError(f"{name}: a keyframe from 1 to {count}, not '{text[:60]}'.")
    return int(text) - 1


def _read_settings(fields: Fields) -> FilmQuery:
    settings = schemas.read_query(FilmQuery, [pair for pair in fields if pair[0] in FILM_FIELDS])
    return settings.model_copy(update={"loop": "loop" in dict(fields)})


def _film_fields(model: LoadedModel, keys: Sequence[str], settings: FilmQuery) -> Fields:
    """Return the fields of a film without those that have their defaults."""
    fields = [*exact_fields(model), *(("key", key) for key in keys)]
    for name in FILM_FIELDS[:-1]:
        value = getattr(settings, name)
        if value != FilmQuery.model_fields[name].default:
            text = write_number(value) if isinstance(value, int | float) else value
            fields.append((name, text))
    return [*fields, ("loop", "1")] if settings.loop else fields


def _to_request(
    model: LoadedModel, points: Sequence[EditedPoint], settings: FilmQuery, preview: bool
) -> FilmRequest:
    if not 2 <= len(points) <= MAX_KEYFRAMES:
        raise InvalidRequestError(
            f"A film needs 2 to {MAX_KEYFRAMES} keyframes, not {len(points)}: go back and pick "
            "images."
        )
    latents = find_latents(model, points)
    keyframes = [
        {"w": encode_w(w)} | ({"weights": encode_w(weights)} if len(weights) else {})
        for w, weights in zip(*latents, strict=True)
    ]
    chosen = settings.model_dump(include={*FILM_FIELDS, "loop"})
    if preview:
        # As many frames as keyframes need, and few more.
        fps = max(PREVIEW_FPS, math.ceil((len(points) + 1) / settings.seconds))
        chosen |= {"format": "webp", "side": PREVIEW_SIDE, "fps": min(settings.fps, fps)}
    return FilmRequest(keyframes=list(map(Point.model_validate, keyframes)), **chosen)


def _list_formats() -> list[tuple[str, str]]:
    """Return the formats of films that this installation can write, with their titles."""
    try:
        check_film("mp4", 24)
    except GanvasError:
        return [(name, title) for name, title in FORMATS.items() if name != "mp4"]
    return list(FORMATS.items())


def _read_grid(model: LoadedModel, fields: Fields) -> schemas.GenerateRequest:
    """Return which images can be picked."""
    own = [
        (name.removeprefix("grid_"), value)
        for name, value in fields
        if name in ("grid_seed", "grid_class")
    ]
    count = min(GRID_COUNT, model.max_images)
    grid = schemas.read_query(schemas.GenerateRequest, [*own, ("count", str(count))])
    if "grid_next" in dict(fields):
        grid = grid.model_copy(update={"seed": (grid.seed + 1) % 2**32})
    return grid


def _list_candidates(model: LoadedModel, grid: schemas.GenerateRequest) -> list[dict[str, str]]:
    """Return the images of the grid, each with its text form and address."""
    if model.is_small:
        generated = generation.generate_series(model, grid)
        images = list(zip(to_data_uris(generated), generated.metadata, strict=True))
    else:
        described = generation.describe_series(model, grid)
        side = encoding.THUMBNAIL_SIDE
        images = [(image_url(x, format="webp", side=side), x) for x in described]
    candidates = []
    for uri, metadata in images:
        fields = [("seed", str(metadata["seed"])), ("number", str(metadata["number"]))]
        if grid.class_name is not None:
            fields.append(("class", grid.class_name))
        point = read_point(model, fields)
        shown = {"title": point.title, "caption": point.caption, "uri": uri}
        candidates.append({"key": point.to_text()} | shown)
    return candidates
