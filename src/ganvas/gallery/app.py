"""The Flask application: blueprints, shared services and error handlers."""

from functools import partial
from pathlib import Path

from flask import Flask, Response, jsonify, render_template, request
from jinja2 import StrictUndefined
from werkzeug.exceptions import BadHost, HTTPException, SecurityError

from ganvas.gallery.api import api
from ganvas.gallery.batching import BusyError, RequestTimeoutError
from ganvas.gallery.discriminator_scores import DiscriminatorScorer
from ganvas.gallery.game import Game
from ganvas.gallery.headers import add_security_headers
from ganvas.gallery.model_store import ModelStore, NotFoundError
from ganvas.gallery.pages import pages
from ganvas.gallery.schemas import InvalidRequestError
from ganvas.gallery.services import EXTENSION, Services
from ganvas.ingestion.decode import Rejection

MAX_UPLOAD = 8 * 2**20
RETRY_AFTER = 2
# Status and sentence of each error; {} stands for its own message.
ERRORS: dict[type[Exception], tuple[int, str]] = {
    InvalidRequestError: (400, "{}"),
    Rejection: (400, "The image can't be used: {}."),
    NotFoundError: (404, "{}"),
    BusyError: (429, "Too many requests are pending: try again in a moment."),
    RequestTimeoutError: (503, "It took too long: request fewer images, or try again later."),
}
# Headlines of error pages.
TITLES = {
    400: "Invalid request",
    404: "Page not found",
    405: "Method not allowed",
    413: "File too large",
    429: "Too many requests",
    503: "The server is busy",
}
HTTP_ERRORS = {
    404: "There is no such page.",
    405: "This address does not accept this method.",
    413: f"Files of more than {MAX_UPLOAD // 2**20} MB are not accepted.",
}
API_PATHS = ("/api/", "/healthz", "/openapi.json")


def create_app(models: ModelStore, data: Path, hosts: list[str] | None = None) -> Flask:
    """Create the application.

    Args:
        models: The models to serve.
        data: The project's data folder, for collections, reports and lists of rejected files.
        hosts: Host names to answer to; None: any.

    Example:
        >>> app = create_app(ModelStore(Path("data/06_models")), Path("data"))
        >>> app.test_client().get("/healthz").json
        {'status': 'ok'}
    """
    app = Flask("ganvas.gallery")
    app.config.update(MAX_CONTENT_LENGTH=MAX_UPLOAD, TRUSTED_HOSTS=hosts)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    # JSON keys keep the order in which the views write them.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services(models, DiscriminatorScorer(data), Game(), data)
    app.register_blueprint(api)
    app.register_blueprint(pages)
    app.after_request(add_security_headers)
    # All pages say which models are left out.
    app.context_processor(lambda: {"left_out": models.left_out()})
    for kind, (status, sentence) in ERRORS.items():
        app.register_error_handler(kind, partial(_handle_error, status, sentence))
    app.register_error_handler(HTTPException, _handle_http_error)
    return app


def _handle_error(status: int, sentence: str, error: Exception) -> Response:
    title = "Not found" if isinstance(error, NotFoundError) else None
    return _error_response(status, sentence.format(error), title=title)


def _handle_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    # The reason of a server error is in the log, and only there.
    fallback = "Something went wrong here." if status >= 500 else str(error.description)
    # An error page has links, which Flask refuses to build for an untrusted host.
    as_page = not isinstance(error, SecurityError | BadHost)
    response = _error_response(status, HTTP_ERRORS.get(status, fallback), as_page)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _error_response(
    status: int, sentence: str, as_page: bool = True, title: str | None = None
) -> Response:
    if request.path.startswith(API_PATHS):
        response = jsonify(error=sentence)
    elif as_page:
        title = title or TITLES.get(status, "Server error")
        page = render_template("error.html", title=title, sentence=sentence, model_args={})
        response = Response(page)
    else:
        response = Response(sentence, mimetype="text/plain")
    response.status_code = status
    if status == 429:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response
