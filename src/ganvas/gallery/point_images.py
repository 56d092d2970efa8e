"""Images of points of the latent space: for pages and as files."""

from collections.abc import Sequence

import numpy as np

from ganvas.gallery import encoding, generation, schemas, studio
from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.point_query import EditedPoint, find_latents
from ganvas.visualization.image_cells import data_uri


def to_image_request(model: LoadedModel, point: EditedPoint) -> schemas.ImageRequest:
    """Return the request of the image of a seed, whose labels and edits are left out."""
    query = point.query
    return schemas.ImageRequest.model_construct(
        model=model.saved.name,
        version=model.saved.version,
        seed=query.seed,
        number=query.number,
        class_name=query.class_name,
        truncation=query.truncation,
    )


def encode_point(model: LoadedModel, point: EditedPoint) -> bytes:
    """Return the PNG file of a point, from which it can be opened again."""
    if point.is_edited:
        edited = studio.edit_point(model, point.to_edit())
        return encoding.encode_png(edited.after, edited.metadata)
    if point.query.w is None and point.query.weights is None:
        (image,), (metadata,) = generation.generate_image(model, to_image_request(model, point))
        return encoding.encode_png(image, metadata)
    latents = find_latents(model, [point])
    (image,) = studio.synthesize(model, latents)
    return encoding.encode_png(image, studio.describe_point(model, latents))


def generate_points(model: LoadedModel, points: Sequence[EditedPoint]) -> np.ndarray:
    """Return the images of points, uint8 (N, H, W, C)."""
    latents = find_latents(model, points)
    # A request of the studio may have fewer large images.
    parts = range(0, len(points), model.max_images)
    rows = [slice(start, start + model.max_images) for start in parts]
    images = [studio.synthesize(model, studio.Latents(*(x[r] for x in latents))) for r in rows]
    return np.concatenate(images)


def show_points(model: LoadedModel, points: Sequence[EditedPoint], side: int) -> list[str]:
    """Return the images of points for a page, reduced to a longer side of `side` pixels."""
    return [show_image(image, side) for image in generate_points(model, points)] if points else []


def show_image(image: np.ndarray, side: int) -> str:
    """Return an image, uint8 (H, W, C), for a page, reduced to a longer side of `side` pixels."""
    return data_uri(encoding.encode_image(image, "webp", side), "webp")
