"""The HTML pages of the gallery, and the files that they link to."""

import io
import json
import logging
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from flask import Blueprint, Response, redirect, request, send_file, url_for
from werkzeug.wrappers import Response as Redirect

from ganvas.gallery import generation, schemas
from ganvas.gallery.api import PNG, WEBP, send_zip
from ganvas.gallery.api_docs import list_operations
from ganvas.gallery.data_files import MAX_JSON, read_start
from ganvas.gallery.discriminator_scores import ScoreResult
from ganvas.gallery.encoding import (
    FILM_SIDE,
    PLAYER_SIDE,
    THUMBNAIL_SIDE,
    encode_animation,
    encode_lossy_webp,
    encode_png,
    encode_strip,
    scale_down,
)
from ganvas.gallery.game import IMAGES
from ganvas.gallery.headers import REPORT_POLICY
from ganvas.gallery.model_card_html import read_card
from ganvas.gallery.model_store import LoadedModel, NotFoundError
from ganvas.gallery.openapi import describe_api
from ganvas.gallery.page_rendering import (
    image_url,
    load_requested_model,
    read_fields,
    render_page,
    to_data_uris,
)
from ganvas.gallery.real_images import find_collection
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.gallery.schemas import InterpolateQuery, ModelRequest
from ganvas.gallery.score_histogram import layout_histogram
from ganvas.gallery.services import services
from ganvas.plain_text import one_line
from ganvas.visualization.image_cells import data_uri
from ganvas.visualization.report import TEMPLATES

logger = logging.getLogger(__name__)

# Images of the first page without classes, and of each class.
COUNT, PER_CLASS = 24, 8
# Fewer images of a class get no row of their own.
MIN_ROW = 3
# Random seeds of the page have at most six digits, so that they are easy to copy.
RANDOM_SEEDS = 1_000_000
# Rows of the table of rejected files that are shown, and its bytes that are read.
MAX_REJECTED, MAX_TABLE = 200, 2**22
EXAMPLES = ("real", "generated")

pages = Blueprint("pages", __name__)


# Generated images


@pages.get("/")
def generate() -> str | Redirect:
    """Show a grid of generated images, or go to a random seed."""
    if "random" in request.args:
        fields = [pair for pair in read_fields() if pair[0] not in ("random", "seed")]
        fields.append(("seed", str(secrets.randbelow(RANDOM_SEEDS))))
        return redirect(f"{url_for('pages.generate')}?{urlencode(fields)}")
    model, query = load_requested_model(schemas.GenerateRequest)
    if not request.args.get("count"):
        query = query.model_copy(update={"count": _default_count(model, query.class_name)})
    if model.is_small:
        generated = generation.generate_series(model, query)
        images = list(zip(to_data_uris(generated), generated.metadata, strict=True))
    else:
        # The browser loads thumbnails one by one, those that are seen first.
        described = generation.describe_series(model, query)
        images = [(_thumbnail_url(metadata), metadata) for metadata in described]
    # Images of a class side by side, so that repetition is seen.
    images.sort(key=lambda image: str(image[1]["class"]))
    classes = {metadata["class"] for _, metadata in images}
    in_rows = len(classes) > 1 and len(images) >= MIN_ROW * len(classes)
    return render_page("generate.html", model, query, images=images, in_rows=in_rows)


def _default_count(model: LoadedModel, class_name: str | None) -> int:
    classes, most = len(model.class_names), min(schemas.MAX_COUNT, model.max_images)
    if class_name is not None or not classes:
        return min(COUNT, most)
    # As many of each class.
    rounds = min(PER_CLASS, most // classes)
    return rounds * classes or most


@pages.get("/images.zip")
def images_file() -> Response:
    """Return the images of the grid as a ZIP file."""
    _, query = load_requested_model(schemas.GenerateRequest)
    shared = query.model_dump(include={"model", "version", "seed", "class_name", "truncation"})
    numbers = range(query.first, query.first + query.count)
    images = [schemas.ImageRequest.model_construct(**shared, number=number) for number in numbers]
    return send_zip(images)


@pages.get("/favorites")
def favorites() -> str:
    """Show the favorites, which the browser keeps and its script fills in."""
    model, query = load_requested_model(ModelRequest)
    return render_page("favorites.html", model, query, thumbnail_side=THUMBNAIL_SIDE)


@pages.get("/picture")
def image() -> str:
    """Show one image and the metadata that reproduces it."""
    model, query = load_requested_model(schemas.ImageRequest)
    if model.is_small:
        generated = generation.generate_image(model, query)
        uri, metadata = to_data_uris(generated)[0], generated.metadata[0]
    else:
        metadata = generation.describe_image(model, query)
        uri = image_url(metadata, format="webp")
    return render_page("image.html", model, query, uri=uri, metadata=metadata)


# Interpolation


@pages.get("/walk")
def interpolate() -> str:
    """Show an interpolation between two images."""
    model, query = _read_interpolation()
    return render_page("interpolate.html", model, query, **_interpolate(model, query))


@pages.get("/mix")
def mix() -> str:
    """Show an interpolation between two classes of one latent, or that the model has fewer."""
    model, query = _read_interpolation()
    names = model.class_names
    if len(names) < 2:
        return render_page("mix.html", model, query)
    # Classes that are far apart in the list, unless one of them is taken.
    first, last = names[(len(names) - 1) // 2], names[-1]
    class_a = query.class_a or next(name for name in (first, *names) if name != query.class_b)
    class_b = query.class_b or next(name for name in (last, *names) if name != class_a)
    same_latent = {"seed_b": query.seed_a, "number_b": query.number_a}
    query = query.model_copy(update=same_latent | {"class_a": class_a, "class_b": class_b})
    return render_page("mix.html", model, query, **_interpolate(model, query))


@pages.get("/walk/<any('film.webp', 'strip.png'):filename>")
def interpolation_file(filename: str) -> Response:
    """Return an interpolation as an animated WebP or as a strip of images."""
    model, query = _read_interpolation()
    generated = generation.generate_interpolation(model, query.to_request())
    if filename == "film.webp":
        return Response(encode_animation(generated.images), mimetype=WEBP)
    return Response(encode_strip(generated.images, generated.metadata[0]), mimetype=PNG)


def _read_interpolation() -> tuple[LoadedModel, InterpolateQuery]:
    """Read both ends from the form's fields, or from two images selected in the grid."""
    query = [(name, value) for name, value in read_fields() if name != "pick"]
    # Each selected image is sent as "seed:number:class", and with them an empty one.
    selected = [value.split(":", 2) for value in request.args.getlist("pick") if value]
    if "pick" in request.args and len(selected) != 2:
        raise InvalidRequestError(
            f"An interpolation needs two images, and {len(selected) or 'none'} "
            f"{'is' if len(selected) < 2 else 'are'} selected: go back and select two."
        )
    for end, values in zip("ab", selected, strict=False):
        fields = zip(schemas.END_FIELDS, values, strict=False)
        query += [(f"{name}_{end}", value) for name, value in fields if value]
    return load_requested_model(InterpolateQuery, query)


def _interpolate(model: LoadedModel, query: InterpolateQuery) -> dict[str, Any]:
    """Return the template variables of an interpolation."""
    generated = generation.generate_interpolation(model, query.to_request())
    exact = {"model": model.saved.name, "version": model.saved.version}
    url_args = query.model_copy(update=exact).model_dump(exclude_none=True)
    return {
        "images": to_data_uris(generated) if model.is_small else _reduced_uris(generated.images),
        "film_side": FILM_SIDE,
        "animation_url": url_for("pages.interpolation_file", filename="film.webp", **url_args),
        "strip_url": url_for("pages.interpolation_file", filename="strip.png", **url_args),
    }


# Discriminator scores


@pages.get("/judge")
def score_form() -> str:
    """Show the form to upload an image, or the score of an example."""
    model, query = load_requested_model(
        ModelRequest, (pair for pair in read_fields() if pair[0] != "example")
    )
    kind = request.args.get("example")
    if not kind:
        return _render_scores(model, query, None)
    if kind not in EXAMPLES:
        raise InvalidRequestError(f"example: one of {', '.join(EXAMPLES)}, not '{kind[:60]}'.")
    result = services.scorer.score_example(model, kind, secrets.randbits(64))
    return _render_scores(model, query, result, subject=f"{kind} image")


@pages.post("/judge")
def score() -> str:
    """Show the discriminator's score of an uploaded image."""
    upload = schemas.read_upload()
    model = services.models.load(upload.model, upload.version)
    result = services.scorer.score(model, upload.content, upload.class_name)
    return _render_scores(model, upload, result, class_name=upload.class_name)


def _render_scores(
    model: LoadedModel,
    query: ModelRequest | schemas.Upload,
    result: ScoreResult | None,
    class_name: str | None = None,
    subject: str = "your image",
) -> str:
    """Render the page of scores; `class_name` is the chosen class, `subject` the image's name."""
    shown: dict[str, Any] = {
        "has_discriminator": model.saved.file("discriminator.keras").is_file(),
        "has_collection": find_collection(services.data, model) is not None,
        "result": result,
        "class_name": class_name,
        "subject": subject,
    }
    if result:
        shown["uri"] = data_uri(encode_png(scale_down(result.image, FILM_SIDE)), "png")
        shown["histogram"] = layout_histogram(result)
    return render_page("discriminator.html", model, query, **shown)


# Game


@pages.get("/game")
def play() -> str:
    """Show a new round of the game, if the model's dataset is on this machine."""
    model, query = load_requested_model(ModelRequest)
    collection = find_collection(services.data, model)
    round_id = None if collection is None else services.game.new_round()
    return render_page("game.html", model, query, round_id=round_id, count=IMAGES, answers=None)


@pages.get("/game/<round_id>/<int:position>.png")
def game_image(round_id: str, position: int) -> Response:
    """Return an image of a round, without metadata."""
    model, _ = load_requested_model(ModelRequest)
    collection = find_collection(services.data, model)
    if collection is None or position >= IMAGES:
        raise NotFoundError("There is no such image in this game.")
    pixels = services.game.image(round_id, position, model, collection)
    return Response(encode_png(scale_down(pixels, FILM_SIDE)), mimetype=PNG)


@pages.post("/game")
def check_answers() -> str:
    """Compare the answers of a round with the truth."""
    form = request.form
    fields = [(name, form[name]) for name in ("model", "version") if form.get(name)]
    model, query = load_requested_model(ModelRequest, fields)
    round_id = form.get("round", "")
    answers = [form.get(f"answer{position}") for position in range(IMAGES)]
    if not round_id or set(answers) - {"real", "generated"}:
        raise InvalidRequestError("Answer for each image whether it is real or generated.")
    truth = ["real" if real else "generated" for real in services.game.is_real(round_id)]
    pairs = list(zip(answers, truth, strict=True))
    return render_page(
        "game.html",
        model,
        query,
        round_id=round_id,
        count=IMAGES,
        answers=pairs,
        points=sum(answer == actual for answer, actual in pairs),
    )


# About a model


@pages.get("/about")
def about() -> str:
    """Show a model's report, animation, model card and the files that could not be used."""
    model, query = load_requested_model(ModelRequest)
    reporting = _reporting_folder(model)
    rejected = services.data / "03_primary" / model.saved.dataset / "rejected.csv"
    return render_page(
        "about.html",
        model,
        query,
        has_report=(reporting / "report.html").is_file(),
        has_animation=(reporting / "progress.webp").is_file(),
        card=read_card(model.saved.folder / "model_card.md"),
        is_sample=_is_sample(model),
        rejected=_read_rejected(rejected),
        max_rejected=MAX_REJECTED,
    )


@pages.get("/about/report")
def report() -> Response:
    """Return a model's report, sandboxed."""
    response = _send_reporting("report.html", "text/html")
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response


@pages.get("/about/progress.webp")
def progress() -> Response:
    """Return the animation of a model's training."""
    return _send_reporting("progress.webp", WEBP)


def _reporting_folder(model: LoadedModel) -> Path:
    # The name is of a model that was found on disk, so the path stays inside the data folder.
    return services.data / "08_reporting" / model.saved.name


def _send_reporting(filename: str, kind: str) -> Response:
    # Reports have no versions.
    query = schemas.read_query(ModelRequest, read_fields())
    file = _reporting_folder(services.models.load(query.model)) / filename
    if not file.is_file():
        raise NotFoundError("This model has none yet: run `kedro run --pipelines=report`.")
    # Sent piece by piece, whatever its size.
    return send_file(file, mimetype=kind, conditional=False, etag=False)


def _is_sample(model: LoadedModel) -> bool:
    """Return whether a model was trained on the sample collection, as its summary says."""
    if model.saved.pretrained:
        return True
    file = _reporting_folder(model) / "training.json"
    # A missing or damaged summary says nothing of its images.
    try:
        name = json.loads(read_start(file, MAX_JSON))["parameters"]["ingest"]["source"]["name"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
    return bool(name == "sample")


def _read_rejected(file: Path) -> list[list[str]] | None:
    """Return paths and reasons of rejected files; None if the table can't be read."""
    if not file.exists():
        return []
    try:
        # A file can be named NA, null or 0001.
        table = pd.read_csv(
            io.BytesIO(read_start(file, MAX_TABLE)),
            keep_default_na=False,
            dtype="str",
            nrows=MAX_REJECTED + 1,
            encoding_errors="replace",
        )
        return table[["path", "reason"]].map(one_line).to_numpy().tolist()
    # pandas raises errors of many types for odd tables.
    except Exception:
        logger.warning("The gallery can't read %s.", file, exc_info=True)
        return None


# API


@pages.get("/docs")
def api_docs() -> str:
    """Describe the API, with a form to try each operation."""
    model, query = load_requested_model(ModelRequest)
    return render_page("docs.html", model, query, operations=list_operations(describe_api()))


# Shared


@pages.get("/style.css")
def style() -> Response:
    """Return the stylesheet that pages share with reports."""
    return Response(TEMPLATES.get_template("style.css").render(), mimetype="text/css")


def _thumbnail_url(metadata: dict[str, Any]) -> str:
    return image_url(metadata, format="webp", side=THUMBNAIL_SIDE)


def _reduced_uris(images: np.ndarray) -> list[str]:
    return [data_uri(encode_lossy_webp(scale_down(image, PLAYER_SIDE)), "webp") for image in images]
