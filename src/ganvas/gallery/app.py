"""The Flask application: blueprints, shared services and error handlers."""

import io
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from flask import Flask, Request, Response, jsonify, render_template, request
from jinja2 import StrictUndefined
from werkzeug.exceptions import BadHost, HTTPException, SecurityError

from ganvas.gallery.api import api
from ganvas.gallery.batching import BusyError, RequestTimeoutError
from ganvas.gallery.discriminator_scores import DiscriminatorScorer
from ganvas.gallery.film_pages import film_pages
from ganvas.gallery.game import Game
from ganvas.gallery.headers import add_security_headers
from ganvas.gallery.inverter import ImageInverter, PreparingError
from ganvas.gallery.model_store import ModelStore, NotFoundError
from ganvas.gallery.pages import pages
from ganvas.gallery.request_checks import (
    MAX_BODY,
    MAX_FIELDS,
    MAX_UPLOAD,
    SITES,
    InvalidRequestError,
    check_request,
    explain_too_large,
)
from ganvas.gallery.services import EXTENSION, Services
from ganvas.gallery.studio_api import studio_api
from ganvas.gallery.studio_pages import studio_pages
from ganvas.ingestion.rejection import Rejection

# Seconds after which a client may try again, by status.
RETRY_AFTER = {429: 2, 503: 15}
# Status and sentence of each error; {} stands for its own message.
ERRORS: dict[type[Exception], tuple[int, str]] = {
    InvalidRequestError: (400, "{}"),
    Rejection: (400, "The image can't be used: {}."),
    NotFoundError: (404, "{}"),
    BusyError: (429, "Too many requests are pending: try again in a moment."),
    # The request has waited for it, so that the next one may follow soon.
    PreparingError: (429, "'{}' is being prepared for images: try again in a moment."),
    RequestTimeoutError: (503, "It took too long: request fewer images, or try again later."),
}
# Headlines of error pages.
TITLES = {
    400: "Invalid request",
    403: "Request from another site",
    404: "Page not found",
    405: "Method not allowed",
    413: "Request too large",
    429: "Too many requests",
    431: "Request too large",
    503: "The server is busy",
}
HTTP_ERRORS = {
    403: "Forms and programs on pages of another site can't use this gallery.",
    404: "There is no such page.",
    405: "This address does not accept this method.",
    431: "The headers or the address of the request are too long.",
    501: "This transfer encoding is not supported.",
}
API_PATHS = ("/api/", "/healthz", "/openapi.json")


class MemoryRequest(Request):
    """A request whose uploaded files stay in memory, since they may be photos.

    `ganvas.gallery.schemas` limits how many are read at a time.
    """

    def _get_file_stream(self, *_args: Any, **_kwargs: Any) -> IO[bytes]:
        return io.BytesIO()


def create_app(
    models: ModelStore,
    data: Path,
    hosts: Sequence[str] | None = None,
    sites: Collection[str] = (),
) -> Flask:
    """Create the application.

    Args:
        models: The models to serve.
        data: The project's data folder, for collections, reports and lists of rejected files.
        hosts: Host names to answer to; None: any.
        sites: Host names under which a proxy publishes the gallery: pages there may send forms,
            even if the proxy sends another Host header.

    Example:
        >>> app = create_app(ModelStore(Path("data/06_models")), Path("data"))
        >>> app.test_client().get("/healthz").json
        {'status': 'ok'}
    """
    app = Flask("ganvas.gallery")
    app.request_class = MemoryRequest
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_UPLOAD,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        MAX_FORM_PARTS=MAX_FIELDS,
        TRUSTED_HOSTS=None if hosts is None else list(hosts),
    )
    app.config[SITES] = frozenset(sites)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    # JSON keys keep the order in which the views write them.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services(
        models, DiscriminatorScorer(data), ImageInverter(data), Game(), data
    )
    app.register_blueprint(api)
    app.register_blueprint(studio_api)
    app.register_blueprint(pages)
    app.register_blueprint(studio_pages)
    app.register_blueprint(film_pages)
    app.before_request(check_request)
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
    sentence = explain_too_large() if status == 413 else HTTP_ERRORS.get(status, fallback)
    if isinstance(error, SecurityError):
        sentence += " If it is a name of this gallery, start the gallery with --host-name."
    # An error page has links, which Flask refuses to build for an untrusted host.
    is_untrusted = isinstance(request.routing_exception, SecurityError | BadHost)
    response = _error_response(status, sentence, as_page=not is_untrusted)
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
    if status in RETRY_AFTER:
        response.headers["Retry-After"] = str(RETRY_AFTER[status])
    return response
