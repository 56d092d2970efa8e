"""The gallery's pages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from flask import Blueprint, Response, render_template, request, url_for

from ganvas.gallery.api import PNG, WEBP, read_upload
from ganvas.gallery.discriminator_scores import DiscriminatorScorer
from ganvas.gallery.encoding import encode_film, encode_png, encode_strip
from ganvas.gallery.game import PICTURES, Game
from ganvas.gallery.generation import (
    GeneratedImages,
    generate_interpolation,
    generate_one,
    generate_series,
)
from ganvas.gallery.headers import REPORT
from ganvas.gallery.model_store import LoadedModel, Models, UnknownModelError
from ganvas.gallery.real_images import find_collection
from ganvas.gallery.schemas import (
    GenerateRequest,
    PictureRequest,
    Request,
    WalkQuery,
    WrongRequestError,
    read_query,
)
from ganvas.gallery.score_histogram import draw_scores
from ganvas.ingestion.collection import Collection
from ganvas.visualization.report import TEMPLATES, data_uri

SHOWN_REJECTED = 200


Show = Callable[..., str]


def make_pages(models: Models, court: DiscriminatorScorer, data: Path) -> Blueprint:
    """Make the routes that people look at."""
    pages = Blueprint("pages", __name__)

    def show(template: str, studio: LoadedModel, version: str | None = None, **values: Any) -> str:
        # A version that was asked for stays the one; otherwise the newest is always taken.
        here = {"model": studio.saved.model} | ({"version": version} if version else {})
        return render_template(
            template, studio=studio, models=list(models.newest()), here=here, **values
        )

    _add_painting(pages, models, show)
    _add_walks(pages, models, show)
    _add_judging(pages, models, court, show)
    _add_game(pages, models, data, show)
    _add_about(pages, models, data, show)

    @pages.get("/style.css")
    def tell_style() -> Response:
        return Response(TEMPLATES.get_template("style.css").render(), mimetype="text/css")

    return pages


def _add_painting(pages: Blueprint, models: Models, show: Show) -> None:
    @pages.get("/")
    def paint() -> str:
        # More than the API's: there is room for them.
        count = [] if request.args.get("count") else [("count", "24")]
        asked = read_query(GenerateRequest, filled() + count)
        studio = models.choose(asked.model, asked.version)
        scene = generate_series(studio, asked)
        pictures = list(zip(_addresses(scene), scene.facts, strict=True))
        return show("paint.html", studio, asked.version, asked=asked, pictures=pictures)

    @pages.get("/picture")
    def show_picture() -> str:
        """Show one picture, with what tells how to paint it again."""
        asked = read_query(PictureRequest, filled())
        studio = models.choose(asked.model, asked.version)
        scene = generate_one(studio, asked)
        return show(
            "picture.html",
            studio,
            asked.version,
            address=_addresses(scene)[0],
            facts=scene.facts[0],
        )


def _add_walks(pages: Blueprint, models: Models, show: Show) -> None:
    def read_walk() -> tuple[LoadedModel, WalkQuery]:
        """Read both ends of a walk, from fields or from two pictures that were picked."""
        query = [pair for pair in filled() if pair[0] != "pick"]
        # Pictures that were picked in the grid, as "seed:number:class".
        picked = [each.split(":", 2) for each in request.args.getlist("pick")]
        if picked and len(picked) != 2:
            raise WrongRequestError(
                f"A walk leads from one picture to another, and {len(picked)} "
                f"{'is' if len(picked) == 1 else 'are'} picked: pick two."
            )
        for letter, parts in zip("ab", picked, strict=False):
            for name, part in zip(("seed", "number", "class"), parts, strict=False):
                query += [(f"{name}_{letter}", part)] if part else []
        asked = read_query(WalkQuery, query)
        return models.choose(asked.model, asked.version), asked

    @pages.get("/walk")
    def walk() -> str:
        studio, asked = read_walk()
        return show("walk.html", studio, asked.version, asked=asked, **_stroll(studio, asked))

    @pages.get("/mix")
    def mix() -> str:
        """Walk between two classes; a model with fewer has its reason told."""
        studio, asked = read_walk()
        if len(studio.names) < 2:
            return show("mix.html", studio, asked.version, asked=asked)
        first = asked.class_a or next(name for name in studio.names if name != asked.class_b)
        second = asked.class_b or next(name for name in studio.names if name != first)
        # One latent, two classes.
        latent = {"seed_b": asked.seed_a, "number_b": asked.number_a}
        asked = asked.model_copy(update=latent | {"class_a": first, "class_b": second})
        return show("mix.html", studio, asked.version, asked=asked, **_stroll(studio, asked))

    @pages.get("/walk/film.webp")
    def save_film() -> Response:
        studio, asked = read_walk()
        scene = generate_interpolation(studio, asked.to_request())
        return Response(encode_film(scene.pictures), mimetype=WEBP)

    @pages.get("/walk/strip.png")
    def save_strip() -> Response:
        studio, asked = read_walk()
        scene = generate_interpolation(studio, asked.to_request())
        return Response(encode_strip(scene.pictures, scene.facts[0]), mimetype=PNG)


def _add_judging(pages: Blueprint, models: Models, court: DiscriminatorScorer, show: Show) -> None:
    @pages.get("/judge")
    def ask() -> str:
        asked = read_query(Request, filled())
        studio = models.choose(asked.model, asked.version)
        return show("judge.html", studio, asked.version, found=None, chosen=None)

    @pages.post("/judge")
    def judge() -> str:
        """Judge an uploaded picture."""
        studio, content, class_name = read_upload(models)
        found = court.judge(studio, content, class_name)
        return show(
            "judge.html",
            studio,
            request.form.get("version"),
            found=found,
            chosen=class_name or next(iter(studio.names), None),
            picture=data_uri(encode_png(found.pixels), "png"),
            looks_real=found.looks_real,
            plot=draw_scores(found),
        )


def _add_game(pages: Blueprint, models: Models, data: Path, show: Show) -> None:
    game = Game()

    def open_round(asked: Request) -> tuple[LoadedModel, Collection | None]:
        studio = models.choose(asked.model, asked.version)
        return studio, find_collection(data, studio)

    @pages.get("/game")
    def play() -> str:
        asked = read_query(Request, filled())
        studio, collection = open_round(asked)
        name = game.new_round() if collection is not None else None
        return show("game.html", studio, asked.version, round=name, count=PICTURES, answers=None)

    @pages.get("/game/<name>/<int:position>.png")
    def deal(name: str, position: int) -> Response:
        studio, collection = open_round(read_query(Request, filled()))
        if collection is None or position >= PICTURES:
            raise UnknownModelError("There is no such picture in this game.")
        pixels = game.show(name, position, studio, collection)
        return Response(encode_png(pixels), mimetype=PNG)

    @pages.post("/game")
    def count_points() -> str:
        """Compare the answers of a round with the truth."""
        form = request.form
        chosen = {key: form[key] for key in ("model", "version") if form.get(key)}
        studio, _ = open_round(read_query(Request, chosen.items()))
        answers = [form.get(f"answer{position}") for position in range(PICTURES)]
        name = form.get("round", "")
        if not name or set(answers) - {"real", "painted"}:
            raise WrongRequestError("Say of each picture whether it is real or painted.")
        truth = ["real" if real else "painted" for real in game.tell(name)]
        return show(
            "game.html",
            studio,
            chosen.get("version"),
            round=name,
            count=PICTURES,
            answers=list(zip(answers, truth, strict=True)),
            points=sum(each == true for each, true in zip(answers, truth, strict=True)),
        )


def _add_about(pages: Blueprint, models: Models, data: Path, show: Show) -> None:
    # Below these folders lie only files of models that were found; no part of an address is a path.
    def reporting(model: str) -> Path:
        return data / "08_reporting" / model

    @pages.get("/about")
    def about() -> str:
        """Tell of a model what its collection, its report and its card say."""
        asked = read_query(Request, filled())
        studio = models.choose(asked.model, asked.version)
        model, card = studio.saved.model, studio.saved.folder / "model_card.md"
        return show(
            "about.html",
            studio,
            asked.version,
            report=(reporting(model) / "report.html").is_file(),
            film=(reporting(model) / "progress.webp").is_file(),
            card=card.read_text().partition("---\n")[2].partition("---\n")[2]
            if card.is_file()
            else None,
            rejected=_read_rejected(data / "03_primary" / model.partition("/")[0] / "rejected.csv"),
            shown=SHOWN_REJECTED,
        )

    @pages.get("/about/report")
    def show_report() -> Response:
        studio = models.choose(read_query(Request, filled()).model)
        page = Response(_read(reporting(studio.saved.model) / "report.html"), mimetype="text/html")
        page.headers["Content-Security-Policy"] = REPORT
        return page

    @pages.get("/about/progress.webp")
    def show_film() -> Response:
        studio = models.choose(read_query(Request, filled()).model)
        return Response(_read(reporting(studio.saved.model) / "progress.webp"), mimetype=WEBP)


def filled() -> list[tuple[str, str]]:
    """Give what the address says; a form's empty fields say nothing."""
    return [(name, value) for name, value in request.args.items(multi=True) if value]


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise UnknownModelError("This model has none yet: run `kedro run --pipelines=report`.")
    return file.read_bytes()


def _read_rejected(file: Path) -> list[list[str]]:
    if not file.is_file():
        return []
    # A file can be called NA, null or 0001.
    table = pd.read_csv(file, keep_default_na=False, dtype="str", nrows=SHOWN_REJECTED + 1)
    return table[["path", "reason"]].to_numpy().tolist()


def _addresses(scene: GeneratedImages) -> list[str]:
    pictures = zip(scene.pictures, scene.facts, strict=True)
    return [data_uri(encode_png(picture, facts), "png") for picture, facts in pictures]


def _stroll(studio: LoadedModel, asked: WalkQuery) -> dict[str, Any]:
    """Paint a walk for its page."""
    scene = generate_interpolation(studio, asked.to_request())
    exact = asked.model_copy(
        update={"model": studio.saved.model, "version": studio.saved.version}
    ).model_dump(exclude_none=True)
    return {
        "strip": data_uri(encode_strip(scene.pictures, scene.facts[0]), "png"),
        "steps": len(scene.pictures),
        "film_address": url_for("pages.save_film", **exact),
        "strip_address": url_for("pages.save_strip", **exact),
    }
