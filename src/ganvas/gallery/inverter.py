"""Finding the latent of an uploaded image, and the images of the collection that resemble it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganvas.gallery.model_store import LoadedModel


class Distances(NamedTuple):
    """Distances between an image and that of its found latent: of pixels and of features."""

    pixel: float
    feature: float


class Neighbor(NamedTuple):
    """An image of the collection.

    Attributes:
        position: Its position in the collection.
        image: uint8 (H, W, C).
        distance: Of features of the encoder's backbone.
    """

    position: int
    image: np.ndarray
    distance: float


class FoundImage(NamedTuple):
    """The latent of an uploaded image.

    Attributes:
        target: The upload as the model's image size, uint8 (H, W, C).
        image: The generated image of the latent, of the same shape.
        w: float32 (*w_shape).
        weights: Class weights, float32 (K,).
        class_name: The class of the largest weight; None without classes.
        distances: Between both images.
        generated: Medians of the distances of generated images that were found alike.
        neighbors: The most similar images of the collection; empty if it is not on this machine.
    """

    target: np.ndarray
    image: np.ndarray
    w: np.ndarray
    weights: np.ndarray
    class_name: str | None
    distances: Distances
    generated: Distances
    neighbors: tuple[Neighbor, ...] = ()


class ImageInverter:
    """Finds the latents of uploaded images; `services.inverter` is the application's.

    Args:
        data: The project's data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data

    def invert(
        self, model: LoadedModel, content: bytes, class_name: str | None = None, steps: int = 60
    ) -> FoundImage:
        """Find the latent of an image file; its center of the model's aspect ratio is used.

        Args:
            model: The model.
            content: The file's bytes.
            class_name: The class to find it in; None: the nearest one.
            steps: Steps of refinement.

        Raises:
            BusyError: Too many uploads are pending.
            RequestTimeoutError: The other uploads took too long.
            PreparingError: The model's encoder is being fitted: try again later.
            Rejection: The file is not a readable image.
            NotFoundError: The model has no such class.
        """
        raise NotImplementedError

    def find_neighbors(
        self, model: LoadedModel, image: np.ndarray, count: int = 6
    ) -> list[Neighbor]:
        """Return the images of the model's collection that resemble an image, the nearest first.

        Args:
            model: The model.
            image: uint8 (H, W, C).
            count: Number of images.

        Returns:
            Empty if the collection is not on this machine.
        """
        raise NotImplementedError
