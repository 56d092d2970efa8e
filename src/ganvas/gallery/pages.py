"""The HTML pages of the gallery, and the files that they link to."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from flask import Blueprint, Response, render_template, request, url_for

from ganvas.gallery import generation, schemas
from ganvas.gallery.api import PNG, WEBP
from ganvas.gallery.encoding import encode_animation, encode_png, encode_strip
from ganvas.gallery.game import IMAGES
from ganvas.gallery.headers import REPORT_POLICY
from ganvas.gallery.model_store import LoadedModel, NotFoundError
from ganvas.gallery.real_images import find_collection
from ganvas.gallery.schemas import InterpolateQuery, InvalidRequestError, ModelRequest
from ganvas.gallery.score_histogram import layout_histogram
from ganvas.gallery.services import services
from ganvas.visualization.report import TEMPLATES, data_uri

# More than the API's default, to fill the page.
COUNT = "24"
MAX_REJECTED = 200

Query = TypeVar("Query", bound=ModelRequest)

pages = Blueprint("pages", __name__)


# Generated images


@pages.get("/")
def generate() -> str:
    """Show a grid of generated images."""
    default = [] if request.args.get("count") else [("count", COUNT)]
    model, query = _load_model(schemas.GenerateRequest, _query() + default)
    generated = generation.generate_series(model, query)
    images = list(zip(_data_uris(generated), generated.metadata, strict=True))
    # Images of a class side by side, so that repetition is seen.
    images.sort(key=lambda image: str(image[1]["class"]))
    return _render("generate.html", model, query, images=images)


@pages.get("/picture")
def image() -> str:
    """Show one image and the metadata that reproduces it."""
    model, query = _load_model(schemas.ImageRequest)
    generated = generation.generate_image(model, query)
    uri, metadata = _data_uris(generated)[0], generated.metadata[0]
    return _render("image.html", model, query, uri=uri, metadata=metadata)


# Interpolation


@pages.get("/walk")
def interpolate() -> str:
    """Show an interpolation between two images."""
    model, query = _read_interpolation()
    return _render("interpolate.html", model, query, **_interpolate(model, query))


@pages.get("/mix")
def mix() -> str:
    """Show an interpolation between two classes of one latent, or that the model has fewer."""
    model, query = _read_interpolation()
    names = model.class_names
    if len(names) < 2:
        return _render("mix.html", model, query)
    class_a = query.class_a or next(name for name in names if name != query.class_b)
    class_b = query.class_b or next(name for name in names if name != class_a)
    same_latent = {"seed_b": query.seed_a, "number_b": query.number_a}
    query = query.model_copy(update=same_latent | {"class_a": class_a, "class_b": class_b})
    return _render("mix.html", model, query, **_interpolate(model, query))


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
    query = [(name, value) for name, value in _query() if name != "pick"]
    # Each selected image is sent as "seed:number:class".
    selected = [value.split(":", 2) for value in request.args.getlist("pick")]
    if selected and len(selected) != 2:
        verb = "is" if len(selected) == 1 else "are"
        raise InvalidRequestError(
            f"An interpolation needs two images, and {len(selected)} {verb} picked: pick two."
        )
    for end, values in zip("ab", selected, strict=False):
        fields = zip(schemas.END_FIELDS, values, strict=False)
        query += [(f"{name}_{end}", value) for name, value in fields if value]
    return _load_model(InterpolateQuery, query)


def _interpolate(model: LoadedModel, query: InterpolateQuery) -> dict[str, Any]:
    """Return the template variables of an interpolation."""
    generated = generation.generate_interpolation(model, query.to_request())
    exact = {"model": model.saved.name, "version": model.saved.version}
    url_args = query.model_copy(update=exact).model_dump(exclude_none=True)
    return {
        "strip": data_uri(encode_strip(generated.images, generated.metadata[0]), "png"),
        "steps": len(generated.images),
        "animation_url": url_for("pages.interpolation_file", filename="film.webp", **url_args),
        "strip_url": url_for("pages.interpolation_file", filename="strip.png", **url_args),
    }


# Discriminator scores


@pages.get("/judge")
def score_form() -> str:
    """Show the form to upload an image."""
    model, query = _load_model(ModelRequest)
    return _render("judge.html", model, query, result=None, class_name=None)


@pages.post("/judge")
def score() -> str:
    """Show the discriminator's score of an uploaded image."""
    upload = schemas.read_upload()
    model = services.models.load(upload.model, upload.version)
    result = services.scorer.score(model, upload.content, upload.class_name)
    return _render(
        "judge.html",
        model,
        upload,
        result=result,
        class_name=upload.class_name or next(iter(model.class_names), None),
        uri=data_uri(encode_png(result.image), "png"),
        histogram=layout_histogram(result),
    )


# Game


@pages.get("/game")
def play() -> str:
    """Show a new round of the game, if the model's dataset is on this machine."""
    model, query = _load_model(ModelRequest)
    collection = find_collection(services.data, model)
    round_id = None if collection is None else services.game.new_round()
    return _render("game.html", model, query, round_id=round_id, count=IMAGES, answers=None)


@pages.get("/game/<round_id>/<int:position>.png")
def game_image(round_id: str, position: int) -> Response:
    """Return an image of a round, without metadata."""
    model, _ = _load_model(ModelRequest)
    collection = find_collection(services.data, model)
    if collection is None or position >= IMAGES:
        raise NotFoundError("There is no such image in this game.")
    pixels = services.game.image(round_id, position, model, collection)
    return Response(encode_png(pixels), mimetype=PNG)


@pages.post("/game")
def check_answers() -> str:
    """Compare the answers of a round with the truth."""
    form = request.form
    fields = [(name, form[name]) for name in ("model", "version") if form.get(name)]
    model, query = _load_model(ModelRequest, fields)
    round_id = form.get("round", "")
    answers = [form.get(f"answer{position}") for position in range(IMAGES)]
    if not round_id or set(answers) - {"real", "painted"}:
        raise InvalidRequestError("Answer for each image whether it is real or painted.")
    truth = ["real" if real else "painted" for real in services.game.is_real(round_id)]
    pairs = list(zip(answers, truth, strict=True))
    return _render(
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
    model, query = _load_model(ModelRequest)
    reporting = _reporting_folder(model)
    rejected = services.data / "03_primary" / model.saved.dataset / "rejected.csv"
    return _render(
        "about.html",
        model,
        query,
        has_report=(reporting / "report.html").is_file(),
        has_animation=(reporting / "progress.webp").is_file(),
        card=_read_model_card(model.saved.folder / "model_card.md"),
        rejected=_read_rejected(rejected),
        max_rejected=MAX_REJECTED,
    )


@pages.get("/about/report")
def report() -> Response:
    """Return a model's report, sandboxed."""
    response = Response(_read_reporting("report.html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response


@pages.get("/about/progress.webp")
def progress() -> Response:
    """Return the animation of a model's training."""
    return Response(_read_reporting("progress.webp"), mimetype=WEBP)


def _reporting_folder(model: LoadedModel) -> Path:
    # The name is of a model that was found on disk, so the path stays inside the data folder.
    return services.data / "08_reporting" / model.saved.name


def _read_reporting(filename: str) -> bytes:
    # Reports have no versions.
    query = schemas.read_query(ModelRequest, _query())
    file = _reporting_folder(services.models.load(query.model)) / filename
    if not file.is_file():
        raise NotFoundError("This model has none yet: run `kedro run --pipelines=report`.")
    return file.read_bytes()


def _read_model_card(file: Path) -> str | None:
    """Read a model card without its front matter."""
    return file.read_text().split("---\n", 2)[-1] if file.is_file() else None


def _read_rejected(file: Path) -> list[list[str]]:
    if not file.is_file():
        return []
    # A file can be named NA, null or 0001.
    table = pd.read_csv(file, keep_default_na=False, dtype="str", nrows=MAX_REJECTED + 1)
    return table[["path", "reason"]].to_numpy().tolist()


# Shared


@pages.get("/style.css")
def style() -> Response:
    """Return the stylesheet that pages share with reports."""
    return Response(TEMPLATES.get_template("style.css").render(), mimetype="text/css")


def _query() -> list[tuple[str, str]]:
    """Return the query string without the empty fields of a form."""
    return [(name, value) for name, value in request.args.items(multi=True) if value]


def _load_model(
    schema: type[Query], fields: Iterable[tuple[str, str]] | None = None
) -> tuple[LoadedModel, Query]:
    """Parse fields, by default the query string, and load the model that they name."""
    query = schemas.read_query(schema, _query() if fields is None else fields)
    return services.models.load(query.model, query.version), query


def _render(
    template: str, model: LoadedModel, query: ModelRequest | schemas.Upload, **values: Any
) -> str:
    """Render a page whose links keep the requested version, or lead to the newest."""
    model_args = {"model": model.saved.name}
    if query.version:
        model_args["version"] = query.version
    shared = {"model": model, "model_args": model_args, "query": query}
    return render_template(template, model_names=list(services.models.newest()), **shared, **values)


def _data_uris(generated: generation.GeneratedImages) -> list[str]:
    images = zip(generated.images, generated.metadata, strict=True)
    return [data_uri(encode_png(image, metadata), "png") for image, metadata in images]
