"""The HTML pages Edit and My image of the latent studio, and the files that they link to.

Each page is a form whose buttons load it again; its script does the same without that.
"""

import math
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import numpy as np
from flask import Blueprint, Response, request, url_for
from pydantic import Field

from ganvas.gallery import encoding, generation, schemas, studio
from ganvas.gallery.api import MAX_AGE, PNG, WEBP
from ganvas.gallery.inverter import Distances, FoundImage
from ganvas.gallery.model_store import LoadedModel, NotFoundError
from ganvas.gallery.page_rendering import (
    Fields,
    exact_fields,
    file_name,
    load_named_model,
    read_fields,
    render_page,
)
from ganvas.gallery.point_images import (
    encode_point,
    generate_points,
    show_image,
    show_points,
    to_image_request,
)
from ganvas.gallery.point_query import (
    EditedPoint,
    is_point_field,
    is_short,
    read_picks,
    read_point,
    write_number,
)
from ganvas.gallery.request_checks import MAX_UPLOAD, InvalidRequestError, accept_latents
from ganvas.gallery.schemas import ModelRequest
from ganvas.gallery.services import services
from ganvas.gallery.studio_schemas import (
    InvertRequest,
    Point,
)
from ganvas.latents.directions import Direction
from ganvas.latents.latent_text import encode_w

METHODS = {
    "supervised": "Directions of labels and measures",
    "ganspace": "GANSpace",
    "sefa": "SeFa",
}
# Up to how many times the distance of generated images a distance is as small as theirs, or near.
AS_SMALL, NEAR = 1.25, 2.0

studio_pages = Blueprint("studio", __name__)


# Edit


@studio_pages.route("/edit", methods=["GET", "POST"])
@accept_latents
def edit() -> str:
    """Show a point before and after its edits, with the controls that change it."""
    fields = read_fields()
    picks = read_picks(fields)
    if len(picks) > 1:
        raise InvalidRequestError(
            f"One image is edited at a time, and {len(picks)} are selected: go back and select one."
        )
    named = dict(fields)
    own = [pair for pair in fields if is_point_field(pair[0])] + [p for pick in picks for p in pick]
    model, _ = load_named_model(own)
    point = read_point(model, own)
    base = named.get("base_truncation", write_number(point.query.truncation))
    origin = read_point(model, [*_origin_fields(point), ("truncation", base)])
    shown = point.to_fields()
    if origin.query.truncation != point.query.truncation:
        shown.append(("base_truncation", base))
    exact = exact_fields(model)
    link = reset = None
    if is_short(exact + shown):
        link = f"{url_for('studio.edit')}?{urlencode(exact + shown)}"
        reset = f"{url_for('studio.edit')}?{urlencode(exact + origin.to_fields())}"
    try:
        directions, fault = _describe_directions(model, point), None
    except NotFoundError as error:
        directions, fault = [], str(error)
    return render_page(
        "edit.html",
        model,
        point.query,
        point=point,
        origin=origin,
        uris=show_points(model, [origin, point], encoding.FILM_SIDE),
        link=link,
        reset=reset,
        origin_fields=[*_origin_fields(point), ("base_truncation", base)],
        seed_favorite=_find_seed_favorite(model, origin),
        directions=directions,
        fault=fault,
        number=write_number,
        step=find_step,
    )


def _origin_fields(point: EditedPoint) -> Fields:
    """Return the fields of a point without its truncation, labels and strengths."""
    names = ("seed", "number") if point.query.w is None else ("w",)
    values = [(name, getattr(point.query, name)) for name in (*names, "class_name", "weights")]
    return [(name.removesuffix("_name"), str(x)) for name, x in values if x is not None]


def _find_seed_favorite(model: LoadedModel, origin: EditedPoint) -> dict[str, object] | None:
    """Return the favorite of an unedited image of a seed, as other pages keep it."""
    if origin.query.w is not None or origin.query.weights is not None:
        return None
    metadata = generation.describe_image(model, to_image_request(model, origin))
    return {key: value for key, value in metadata.items() if key != "Software"}


class _Slider(NamedTuple):
    """The slider of a direction.

    Attributes:
        position: Number of the direction, for ids of elements.
        name: Its name.
        value: Its strength.
        low: The least strength.
        high: The largest one.
        step: Step of the slider, of which 0 is a multiple.
        about: What a unit of strength changes, in words.
    """

    position: int
    name: str
    value: float
    low: float
    high: float
    step: float
    about: str


def _describe_directions(model: LoadedModel, point: EditedPoint) -> list[tuple[str, list[_Slider]]]:
    """Return the sliders of a model's directions by their methods, those of labels first."""
    groups: dict[str, list[_Slider]] = {}
    for position, direction in enumerate(studio.list_directions(model)):
        value = point.strengths.get(direction.name, 0.0)
        # A link may go beyond the range of plausible images.
        low, high = min(direction.low, value, 0.0), max(direction.high, value, 0.0)
        step = find_step(value, step=0.05 if high - low > 1 else 0.01)
        # The range ends at multiples of the step, so that a slider can stop at 0.
        low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
        about = describe_direction(direction)
        slider = _Slider(position, direction.name, value, low, high, step, about)
        groups.setdefault(direction.method, []).append(slider)
    order = [*METHODS, *groups]
    return [(METHODS.get(x, x), groups[x]) for x in sorted(groups, key=order.index)]


def find_step(*values: float, step: float = 0.05) -> float:
    """Return the step of a slider that can stop at values; browsers round those between steps.

    Example:
        >>> find_step(0.35, 0), find_step(0.3333)
        (0.05, 0.0001)
    """
    for fine in (step, 0.01, 0.001):
        if all(abs(value / fine - round(value / fine)) < 1e-6 for value in values):
            return fine
    # Those of four decimals, as `write_number` writes them.
    return 0.0001


def describe_direction(direction: Direction) -> str:
    """Return what a unit of a direction's strength changes, in words.

    Example:
        >>> describe_direction(Direction("1", "sefa", np.ones(2), -2, 2, 0.31, {}))
        'A unit changes the image by 31 % of the distance between two images.'
    """
    about, effect = direction.about, direction.effect
    if direction.method == "supervised":
        attribute = about.get("attribute", direction.name)
        rising = about.get("rising")
        share = f", and raises it in {rising:.0%} of images" if isinstance(rising, float) else ""
        return f"A unit changes {attribute} by {effect:+.2g}{share.replace('%', ' %')}."
    changes = about.get("changes")
    text = f"A unit changes the image by {effect * 100:.0f} % of the distance between two images"
    # The file may be another program's.
    items = changes.items() if isinstance(changes, dict) else []
    sizes = {name: abs(x) for name, x in items if isinstance(x, int | float)}
    if not sizes:
        return f"{text}."
    measure = max(sizes, key=lambda name: sizes[name])
    return f"{text}, and above all its {measure.replace('_', ' ')}."


@studio_pages.route("/edit/image.<any('png', 'webp'):suffix>", methods=["GET", "POST"])
@accept_latents
def edited_image(suffix: str) -> Response:
    """Return the image of an edited point: a PNG file that holds the point, or a WebP to show."""
    fields = read_fields()
    own = [pair for pair in fields if is_point_field(pair[0])]
    model, _ = load_named_model(own)
    point = read_point(model, own)
    if suffix == "webp":
        (pixels,) = generate_points(model, [point])
        content = encoding.encode_image(pixels, "webp", encoding.FILM_SIDE)
        response = Response(content, mimetype=WEBP)
    else:
        response = Response(encode_point(model, point), mimetype=PNG)
    if "download" in dict(fields):
        name = f"{file_name(model)}-{'edited' if point.is_edited else 'image'}.{suffix}"
        response.headers.set("Content-Disposition", "attachment", filename=name)
    elif request.method == "GET" and point.query.version:
        response.cache_control.max_age = MAX_AGE
    return response


# My image


class InvertUpload(InvertRequest):
    """The fields of the form of an uploaded image."""

    search: Literal["1"] | None = Field(None, description="Search even if the file has its point.")


@studio_pages.get("/invert")
def invert() -> str:
    """Show the form to upload an image."""
    model, query = load_named_model(read_fields())
    return _render_upload(model, query)


@studio_pages.post("/invert")
def invert_upload() -> str:
    """Show the latent of an uploaded image, or the point that a saved PNG file holds."""
    content, upload = schemas.read_file(InvertUpload)
    notice = None
    if not upload.search:
        try:
            opened, point = studio.open_image(services.models, content)
        except InvalidRequestError:
            pass
        except NotFoundError as error:
            notice = f"The file holds its point, which can't be opened: {error}"
        else:
            return _render_opened(upload, opened, point)
    model = services.models.load(upload.model, upload.version)
    found = services.inverter.invert(model, content, upload.class_name, upload.steps)
    return _render_upload(
        model,
        upload,
        point=read_point(model, _found_fields(model, found)),
        result=_describe_found(found),
        notice=notice,
    )


def _render_opened(upload: InvertUpload, model: LoadedModel, point: Point) -> str:
    requested = services.models.load(upload.model, upload.version).saved
    notice = None
    if requested != model.saved:
        notice = (
            f"The file was saved by “{model.saved.name}”, version {model.saved.version}, which "
            "this page shows now."
        )
    opened = read_point(model, _point_fields(point))
    (uri,) = show_points(model, [opened], encoding.FILM_SIDE)
    exact = ModelRequest(model=model.saved.name, version=model.saved.version)
    result = {"found": uri, "neighbors": []}
    return _render_upload(model, exact, point=opened, result=result, notice=notice, exact=True)


def _point_fields(point: Point) -> Fields:
    fields = [("class", point.class_name), ("truncation", write_number(point.truncation))]
    if point.w is None:
        fields += [("seed", str(point.seed)), ("number", str(point.number))]
    else:
        fields.append(("w", encode_w(point.w)))
    if point.weights is not None:
        fields.append(("weights", encode_w(point.weights)))
    return [(name, value) for name, value in fields if value is not None]


def _found_fields(model: LoadedModel, found: FoundImage) -> Fields:
    fields = [("w", encode_w(found.w))]
    if found.class_name in model.class_names:
        named = model.one_hot(np.array([model.class_index(found.class_name)]))[0]
        if np.array_equal(named, found.weights):
            return [*fields, ("class", str(found.class_name))]
    return [*fields, ("weights", encode_w(found.weights))] if len(found.weights) else fields


def _describe_found(found: FoundImage) -> dict[str, Any]:
    """Return the template variables of a found image."""
    rows = [
        {"name": name, "value": f"{value:.3g}", "reference": f"{reference:.3g}"}
        for name, value, reference in zip(
            ("Features", "Pixels"),
            (found.distances.feature, found.distances.pixel),
            (found.generated.feature, found.generated.pixel),
            strict=True,
        )
    ]
    neighbors = [
        {
            "uri": show_image(neighbor.image, encoding.THUMBNAIL_SIDE),
            "distance": f"{neighbor.distance:.3g}",
        }
        for neighbor in found.neighbors
    ]
    return {
        "original": show_image(found.target, encoding.FILM_SIDE),
        "found": show_image(found.image, encoding.FILM_SIDE),
        "verdict": _describe_distance(found.distances, found.generated),
        "distances": rows,
        "class_name": found.class_name,
        "neighbors": neighbors,
    }


def _describe_distance(distances: Distances, generated: Distances) -> str:
    ratio = distances.feature / max(generated.feature, 1e-9)
    if ratio <= AS_SMALL:
        return (
            "The generator has this image: it was found as exactly as images that the generator "
            "made itself."
        )
    if ratio <= NEAR:
        return (
            "The generator has a similar image. It is somewhat farther than images that the "
            "generator made itself."
        )
    return (
        "The generator has no such image: this is the nearest that was found. The more an image "
        "resembles those of the collection, the nearer it is."
    )


def _render_upload(
    model: LoadedModel,
    query: ModelRequest,
    point: EditedPoint | None = None,
    result: dict[str, Any] | None = None,
    notice: str | None = None,
    exact: bool = False,
) -> str:
    return render_page(
        "invert.html",
        model,
        query,
        point=point,
        result=result,
        notice=notice,
        exact=exact,
        class_name=getattr(query, "class_name", None),
        is_short=point is not None and is_short(exact_fields(model) + point.to_fields()),
        max_bytes=MAX_UPLOAD,
    )
