"""What all pages share: the fields and the model of a request, templates and images in pages."""

from collections.abc import Iterable
from typing import Any, TypeVar

from flask import render_template, request, url_for

from ganvas.gallery import generation, schemas
from ganvas.gallery.encoding import encode_png
from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.gallery.schemas import ModelRequest
from ganvas.gallery.services import services
from ganvas.visualization.image_cells import data_uri

Query = TypeVar("Query", bound=ModelRequest)
Fields = list[tuple[str, str]]


def read_fields() -> list[tuple[str, str]]:
    """Return the form that was sent, or the query string, without empty fields.

    Raises:
        InvalidRequestError: What was sent is no form, or has no fields.
    """
    fields = request.form if request.method == "POST" else request.args
    if request.method == "POST" and not fields:
        raise InvalidRequestError("Send the fields of the page's form.")
    return [(name, value) for name, value in fields.items(multi=True) if value]


def load_requested_model(
    schema: type[Query], fields: Iterable[tuple[str, str]] | None = None
) -> tuple[LoadedModel, Query]:
    """Parse fields, by default the query string, and load the model that they name."""
    query = schemas.read_query(schema, read_fields() if fields is None else fields)
    return services.models.load(query.model, query.version), query


def render_page(
    template: str, model: LoadedModel, query: ModelRequest | schemas.Upload, **values: Any
) -> str:
    """Render a page whose links keep the requested version, or lead to the newest."""
    model_args = {"model": model.saved.name}
    if query.version:
        model_args["version"] = query.version
    shared = {"model": model, "model_args": model_args, "query": query}
    return render_template(template, model_names=list(services.models.newest()), **shared, **values)


def image_url(metadata: dict[str, Any], **options: Any) -> str:
    """Return the address of an image's file; `options` are those of the API."""
    names = ("model", "version", "seed", "number", "class", "truncation")
    return url_for("api.image", **{name: metadata[name] for name in names}, **options)


def to_data_uris(generated: generation.GeneratedImages) -> list[str]:
    """Return the images as PNG files with their metadata, each as a data URI."""
    images = zip(generated.images, generated.metadata, strict=True)
    return [data_uri(encode_png(image, metadata), "png") for image, metadata in images]


def load_named_model(fields: Fields) -> tuple[LoadedModel, ModelRequest]:
    """Load the model that some of a page\'s fields name."""
    named = [pair for pair in fields if pair[0] in ModelRequest.model_fields]
    return load_requested_model(ModelRequest, named)


def exact_fields(model: LoadedModel) -> Fields:
    """Return the fields of a model and its version, for links whose images stay the same."""
    return [("model", model.saved.name), ("version", model.saved.version)]


def file_name(model: LoadedModel) -> str:
    """Return the beginning of the names of a model\'s files."""
    return model.saved.name.replace("/", "-")
