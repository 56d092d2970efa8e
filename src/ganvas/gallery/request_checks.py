"""What is refused before a view reads a request: large bodies, many fields, forms of other sites.

`check_request` runs before every request, so routes that are added later are protected too.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import abort, current_app, request
from pydantic_core import from_json
from werkzeug.http import parse_date

from ganvas.gallery.batching import BusyError

# Bytes of a form with a file, and of any other body. The largest body of JSON, a ZIP file of 64
# images, names a model and a class for each.
MAX_UPLOAD = 32 * 2**20
MAX_BODY = 128 * 2**10
# Bytes of a body with latents: 16 intermediate latents of 1024×1024 pixels in JSON, of 18×512
# numbers each.
MAX_LATENT_BODY = 2 * 2**20
# Fields of a query string or of a form, and values of a JSON body, with all nested ones.
MAX_FIELDS = 200
MAX_VALUES = 1000
# Fields of a form with a point: a slider for each direction, and three controls for each label.
MAX_POINT_FIELDS = 1000
# Keys of JSON whose lists of numbers don't count: `studio_schemas.parse_numbers` reads each as a
# whole.
NUMBER_KEYS = ("w", "z", "weights")
# Key of the WSGI environment for the status of a request that the server can't parse.
SERVER_ERROR = "ganvas.server_error"
# Status of a request for whose body there is no memory.
TOO_BUSY = 429
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
UPLOAD = "multipart/form-data"
FORM = "application/x-www-form-urlencoded"
# Headers with dates, which Flask reads for static files.
DATE_HEADERS = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE", "HTTP_DATE")
# Key of the application's configuration: host names whose pages may send forms.
SITES = "GANVAS_SITES"


class InvalidRequestError(ValueError):
    """A request does not match its schema; the message says what is allowed."""


View = TypeVar("View", bound=Callable[..., Any])


def accept_latents(view: View) -> View:
    """Let the bodies of a view's requests, forms without files included, have latents and edits."""
    view.max_body = MAX_LATENT_BODY  # type: ignore[attr-defined]
    view.max_fields = MAX_POINT_FIELDS  # type: ignore[attr-defined]
    return view


def check_request() -> None:
    """Refuse the current request if it is too large or comes from a page of another site.

    Raises:
        HTTPException: 403 for another site, 413 for a large body, or the server's own error.
        BusyError: The server has no memory for the body.
        InvalidRequestError: There are too many fields.
    """
    if status := request.environ.get(SERVER_ERROR):
        if status == TOO_BUSY:
            raise BusyError
        abort(status)
    _drop_odd_dates()
    if request.method not in SAFE_METHODS and not _is_same_site():
        abort(403)
    request.max_content_length = _max_length()
    request.max_form_memory_size = _max_body()
    if (request.content_length or 0) > request.max_content_length:
        abort(413)
    # Counted before they are parsed, and a file's parts by Flask while it parses them.
    fields = request.query_string.count(b"&")
    if request.mimetype == FORM:
        fields = max(fields, request.get_data().count(b"&"))
    if fields >= (most := _find_most("max_fields", MAX_FIELDS)):
        raise InvalidRequestError(f"A request may have at most {most:,} fields.")


def _max_length() -> int:
    return MAX_UPLOAD if request.mimetype == UPLOAD else _max_body()


def _max_body() -> int:
    return _find_most("max_body", MAX_BODY)


def _find_most(name: str, default: int) -> int:
    """Return a limit of the current request's view."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, name, default)


def _drop_odd_dates() -> None:
    """Remove dates that no clock can have from the headers, whose parser raises other errors."""
    for name in DATE_HEADERS:
        try:
            parse_date(request.environ.get(name))
        except (OverflowError, ValueError):
            del request.environ[name]


def check_json(content: bytes) -> None:
    """Refuse a JSON body with too many values, before errors of each of them are collected.

    Raises:
        InvalidRequestError: There are more than `MAX_VALUES`, without those of `NUMBER_KEYS`.
    """
    try:
        values = [from_json(content)]
    # Pydantic reports these in the same way as values that don't match the schema.
    except ValueError:
        return
    count = 0
    while values:
        value = values.pop()
        count += 1
        if count + len(values) > MAX_VALUES:
            raise InvalidRequestError(f"A request may have at most {MAX_VALUES:,} values.")
        if isinstance(value, dict):
            values.extend(
                None if key in NUMBER_KEYS and isinstance(item, list) else item
                for key, item in value.items()
            )
        elif isinstance(value, list):
            values.extend(value)


def explain_too_large() -> str:
    """Return the sentence for a body of the current request that is too large."""
    if request.mimetype == UPLOAD:
        return f"Files of more than {MAX_UPLOAD // 2**20} MB are not accepted."
    return f"Requests of more than {_max_body() // 2**10:,} KB are not accepted, except for a file."


def _is_same_site() -> bool:
    """Return whether the current request is from a page of the gallery, or from no page.

    Browsers send Sec-Fetch-Site to addresses with HTTPS and to this machine, and Origin to all;
    other programs, such as curl, send neither.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        sender = urlsplit(origin)
    except ValueError:
        return False
    # A proxy may have sent its own address as Host.
    return bool(sender.netloc) and (
        _without_default_port(sender.netloc) == _without_default_port(request.host)
        or sender.hostname in current_app.config[SITES]
    )


def _without_default_port(host: str) -> str:
    return host.lower().removesuffix(":443").removesuffix(":80")
