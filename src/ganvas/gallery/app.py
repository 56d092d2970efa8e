"""The gallery as a Flask application."""

from pathlib import Path

from flask import Flask, Response, jsonify, render_template, request
from jinja2 import StrictUndefined
from werkzeug.exceptions import BadHost, HTTPException, SecurityError

from ganvas.gallery.api import make_api
from ganvas.gallery.batching import BusyError, TooSlowError
from ganvas.gallery.discriminator_scores import DiscriminatorScorer, NoDiscriminatorError
from ganvas.gallery.headers import secure
from ganvas.gallery.model_store import Models, UnknownModelError
from ganvas.gallery.pages import make_pages
from ganvas.gallery.schemas import WrongRequestError
from ganvas.ingestion.decode import Rejection

MAX_UPLOAD = 8 * 2**20
RETRY_AFTER = 2
ANSWERS: dict[type[Exception], tuple[int, str | None]] = {
    WrongRequestError: (400, None),
    UnknownModelError: (404, None),
    NoDiscriminatorError: (404, None),
    BusyError: (429, "Too many are waiting already: try again in a moment."),
    TooSlowError: (503, "It took too long: ask for fewer pictures, or try again later."),
}
HTTP_SENTENCES = {
    404: "There is no such page.",
    405: "This address takes another method.",
    413: f"Files of more than {MAX_UPLOAD // 2**20} MB are not taken.",
}
API_PATHS = ("/api/", "/healthz", "/openapi.json")


def make_app(models: Models, data: Path, hosts: list[str] | None = None) -> Flask:
    """Make the application.

    Args:
        models: What it paints with.
        data: The project's folder of data, for collections, reports and lists of rejected files.
        hosts: The names under which it answers; None: any.
    """
    app = Flask("ganvas.gallery")
    app.config.update(MAX_CONTENT_LENGTH=MAX_UPLOAD, TRUSTED_HOSTS=hosts)
    app.jinja_options = {
        "trim_blocks": True,
        "lstrip_blocks": True,
        "undefined": StrictUndefined,
    }
    # Keys stay in the order in which they are told.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    court = DiscriminatorScorer(data)
    app.register_blueprint(make_api(models, court))
    app.register_blueprint(make_pages(models, court, data))
    app.after_request(secure)
    for kind, (code, sentence) in ANSWERS.items():
        app.register_error_handler(
            kind, lambda error, code=code, sentence=sentence: _answer(code, sentence or str(error))
        )
    app.register_error_handler(
        Rejection, lambda error: _answer(400, f"The picture can't be used: {error}.")
    )
    app.register_error_handler(HTTPException, _answer_http)
    return app


def _answer_http(error: HTTPException) -> Response:
    code = error.code or 500
    # An error of ours: the log has it, the page keeps it to itself.
    fallback = "Something went wrong here." if code >= 500 else str(error.description)
    sentence = HTTP_SENTENCES.get(code, fallback)
    # Flask makes no links for a host that isn't ours, and every page has some.
    answer = _answer(code, sentence, page=not isinstance(error, SecurityError | BadHost))
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
    return answer


def _answer(code: int, sentence: str, page: bool = True) -> Response:
    if request.path.startswith(API_PATHS):
        answer = jsonify(error=sentence)
    elif page:
        answer = Response(render_template("error.html", code=code, sentence=sentence))
    else:
        answer = Response(sentence, mimetype="text/plain")
    answer.status_code = code
    if code == 429:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer
