"""The latent studio: points of a model's latent space, edits along directions, and films."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.studio_schemas import EditRequest, FilmRequest, Point
from ganvas.latents.directions import Direction

# Strengths of edits reach this many times beyond the range of plausible images.
EXTRAPOLATION = 2.0


class Latents(NamedTuple):
    """Points of W with class weights: w float32 (N, *w_shape) and labels float32 (N, K)."""

    w: np.ndarray
    labels: np.ndarray


class Edit(NamedTuple):
    """An edited point.

    Attributes:
        before: The image without the edits, uint8 (H, W, C).
        after: The image with them.
        latents: The edited point, N = 1.
        metadata: The text of the PNG file of `after`, from which /api/open reads the point.
    """

    before: np.ndarray
    after: np.ndarray
    latents: Latents
    metadata: dict[str, object]


def resolve_points(model: LoadedModel, points: Sequence[Point]) -> Latents:
    """Return the intermediate latents of points, truncated, and their class weights.

    Raises:
        InvalidRequestError: A latent or weights have another length than the model's, or a model
            with classes has a point of z or w without any.
        NotFoundError: The model has no class of that name.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    raise NotImplementedError


def synthesize(model: LoadedModel, latents: Latents) -> np.ndarray:
    """Return the images of points, uint8 (N, H, W, C).

    Raises:
        InvalidRequestError: They are too many for the size of the model's images.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    raise NotImplementedError


def describe_point(model: LoadedModel, latents: Latents, row: int = 0) -> dict[str, object]:
    """Return the metadata of the image of a point: model, version, and `w` and `weights` as text.

    `w` and `weights` are those of a `Point`: links and hidden fields can have them, too.
    """
    raise NotImplementedError


def list_directions(model: LoadedModel) -> list[Direction]:
    """Return the directions that are kept with a model; empty without any.

    Raises:
        NotFoundError: They can't be read, or are of another generator.
    """
    raise NotImplementedError


def strength_range(direction: Direction) -> tuple[float, float]:
    """Return the least and largest strength of an edit, beyond the plausible range."""
    raise NotImplementedError


def edit_point(model: LoadedModel, request: EditRequest) -> Edit:
    """Move a point along directions, and generate it before and after.

    Raises:
        NotFoundError: The model has no direction of that name.
        InvalidRequestError: A strength is out of range, or see `resolve_points`.
        BusyError, RequestTimeoutError: The generator has too many requests.
    """
    raise NotImplementedError


def generate_film(model: LoadedModel, request: FilmRequest) -> Iterator[np.ndarray]:
    """Return the frames of a film, uint8 (h, w, C), which are generated part by part.

    Raises:
        InvalidRequestError: The film has too few frames for its keyframes or too many pixels, or
            see `resolve_points`.
        BusyError, RequestTimeoutError: Other films are being made, or the generator has too many
            requests.
    """
    raise NotImplementedError
