"""Finding the latent of an uploaded image, and the images of the collection that resemble it.

What a model needs for that, its encoder above all, is prepared at the first upload and kept with
the model while it is loaded. Uploads are never written to disk.
"""

import io
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.batching import BusyError, acquire
from ganvas.gallery.data_files import read_start
from ganvas.gallery.discriminator_scores import FORMATS, MAX_PIXELS
from ganvas.gallery.model_store import LoadedModel, NotFoundError
from ganvas.gallery.real_images import find_collection
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.decode import decode_content
from ganvas.latents.fit_encoder import fit_encoder
from ganvas.latents.inversion import STEPS, Inverter
from ganvas.networks.image_encoder import ImageEncoder, encode, encoding_batch, from_arrays
from ganvas.networks.latent_spaces import w_shape
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.saved_arrays import read_arrays

logger = logging.getLogger(__name__)

# Uploads that wait or whose latents are found, one after the other.
MAX_UPLOADS = 4
# Seconds that a request waits until its model is prepared, that it waits for other uploads, and
# that its latent may take to find: the last two together are less than proxies wait.
PREPARATION_SECONDS, WAIT_SECONDS, INVERSION_SECONDS = 25, 20, 30
# Seconds without the lock between parts of long work: whoever waits for it gets it then.
PAUSE = 0.02
# Bytes of a file of an encoder.
MAX_ENCODER = 2**28
# Generated images with whose distances those of uploads are compared.
REFERENCES = 4
# Images of the collection, a fixed sample, among which similar ones are found.
MAX_CODES = 2048
NEIGHBORS = 6


class PreparingError(Exception):
    """A model is being prepared for uploads; the message is its name."""


class Distances(NamedTuple):
    """Distances between an image and that of its found latent: of pixels and of features."""

    pixel: float
    feature: float


class Neighbor(NamedTuple):
    """An image of the collection.

    Attributes:
        position: Its position in the collection.
        image: uint8 (H, W, C).
        distance: Euclidean distance of the encoder's codes.
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
        neighbors: The most similar images of the collection; empty if it is not on this machine, or
            until its images are encoded, which begins at the first upload.
    """

    target: np.ndarray
    image: np.ndarray
    w: np.ndarray
    weights: np.ndarray
    class_name: str | None
    distances: Distances
    generated: Distances
    neighbors: tuple[Neighbor, ...] = ()


class _Prepared(NamedTuple):
    """What uploads to a model need.

    Attributes:
        encoder: The model's encoder.
        inverter: Refines what the encoder finds.
        generated: Median distances of generated images.
        step_seconds: Seconds that a step of refinement takes.
    """

    encoder: ImageEncoder
    inverter: Inverter
    generated: Distances
    step_seconds: float


class ImageInverter:
    """Finds the latents of uploaded images; `services.inverter` is the application's.

    Args:
        data: The project's data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        # Counts the uploads that are decoded, wait or whose latents are found.
        self._slots = threading.BoundedSemaphore(MAX_UPLOADS)
        # Decoding takes up to half a gigabyte.
        self._decoding = threading.Lock()
        # Held while a latent is found, and while it is looked up whether a task has begun.
        self._lock, self._starting = threading.Lock(), threading.Lock()
        # Models are prepared one after the other, and their collections encoded.
        self._turns = {"inverter": threading.Lock(), "codes": threading.Lock()}

    def invert(
        self,
        model: LoadedModel,
        content: bytes,
        class_name: str | None = None,
        steps: int | None = None,
    ) -> FoundImage:
        """Find the latent of an image file; its center of the model's aspect ratio is used.

        Args:
            model: The model.
            content: The file's bytes.
            class_name: The class to find it in; None: the nearest one.
            steps: Steps of refinement; None: the default, or fewer where these take too long.

        Raises:
            BusyError: Too many uploads are pending, or took too long.
            PreparingError: The model's encoder is being fitted: try again later.
            Rejection: The file is not a readable image.
            InvalidRequestError: So many steps would take too long here.
            NotFoundError: The model has no such class, or can't be prepared.
        """
        with acquire(self._slots, 0, BusyError):
            label = model.class_index(class_name)
            with acquire(self._decoding, WAIT_SECONDS, BusyError):
                image = decode_content(content, model.image_shape, formats=FORMATS, most=MAX_PIXELS)
            prepared = self._prepare(model)
            steps = _limit_steps(prepared, steps)
            has_labels = class_name is not None or not model.label_columns
            labels = model.one_hot(np.array([label])) if has_labels else None
            with acquire(self._lock, WAIT_SECONDS, BusyError):
                found = prepared.inverter.invert(image[None], labels, steps)
            neighbors = tuple(self.find_neighbors(model, image))
        weights = found.labels[0]
        nearest = class_name
        if nearest is None and len(model.class_names):
            rows = model.one_hot(np.arange(len(model.class_names)))
            nearest = model.class_names[int(np.argmax(rows @ weights))]
        distances = Distances(float(found.pixel_distances[0]), float(found.feature_distances[0]))
        return FoundImage(
            image,
            found.images[0],
            found.w[0],
            weights,
            nearest,
            distances,
            prepared.generated,
            neighbors,
        )

    def find_neighbors(
        self, model: LoadedModel, image: np.ndarray, count: int = NEIGHBORS
    ) -> list[Neighbor]:
        """Return the images of the model's collection that resemble an image, the nearest first.

        Args:
            model: The model.
            image: uint8 (H, W, C).
            count: Number of images.

        Returns:
            Empty if the collection is not on this machine, or until its images are encoded, which
            the first call begins.

        Raises:
            PreparingError, NotFoundError: See `invert`.
        """
        collection = find_collection(self._data, model)
        if collection is None:
            return []
        encoder = self._prepare(model).encoder
        # The collection may have been packed again.
        if model.kept.setdefault("collection", collection) is not collection:
            model.kept["collection"] = collection
            model.kept.pop("codes", None)
        task = self._keep(model, "codes", lambda: self._encode(encoder, collection))
        if not task.done() or task.exception():
            return []
        positions, codes = task.result()
        distances = np.linalg.norm(codes - _code(encode(encoder, image[None]))[0], axis=1)
        nearest = np.argsort(distances, kind="stable")[:count]
        images = np.asarray(collection.images[positions[nearest]])
        return [
            Neighbor(int(positions[row]), pixels, float(distances[row]))
            for row, pixels in zip(nearest, images, strict=True)
        ]

    def _encode(
        self, encoder: ImageEncoder, collection: Collection
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return positions of images of a collection, (n,), and their codes, float32 (n, d)."""
        count = len(collection.images)
        chosen = np.random.default_rng(0).permutation(count)[:MAX_CODES]
        positions, size, codes = np.sort(chosen), encoding_batch(encoder.image_shape), []
        for start in range(0, len(positions), size):
            images = np.asarray(collection.images[positions[start : start + size]])
            # Uploads take their turns between batches.
            with self._lock:
                codes.append(_code(encode(encoder, images)))
            time.sleep(PAUSE)
        return positions, np.concatenate(codes)

    def _prepare(self, model: LoadedModel) -> _Prepared:
        task = self._keep(model, "inverter", lambda: self._make_inverter(model))
        try:
            return task.result(PREPARATION_SECONDS)
        except TimeoutError as error:
            raise PreparingError(model.saved.name) from error

    def _keep(self, model: LoadedModel, key: str, make: Callable[[], Any]) -> "Future[Any]":
        """Return what is kept with a model, made by a thread of its own at the first call.

        One that failed is made again at the next call.
        """
        with self._starting:
            task = model.kept.get(key)
            if task is not None and not (task.done() and task.exception()):
                return task
            task = model.kept[key] = Future()

        def run() -> None:
            try:
                with self._turns[key]:
                    task.set_result(make())
            except BaseException as error:
                task.set_exception(error)

        threading.Thread(target=run, daemon=True, name=f"prepare {key}").start()
        return task

    def _make_inverter(self, model: LoadedModel) -> _Prepared:
        name = model.saved.name
        # TensorFlow raises errors of many types.
        try:
            rows = model.one_hot(np.arange(len(model.class_names))) if model.label_columns else None
            encoder = _read_encoder(model) or fit_encoder(model.generator, rows)
            blocks = [len(column.values) for column in model.label_columns]
            inverter = Inverter(model.generator, encoder, rows, blocks or None)
            latents = sample_latents(model.generator, REFERENCES, seed=0)
            labels = np.zeros((REFERENCES, 0), np.float32)
            if rows is not None:
                labels = rows[np.arange(REFERENCES) % len(rows)]
            images = generate_images(model.generator, latents, labels)
            with self._lock:
                # The first call compiles the steps, also those that find the class.
                inverter.invert(images[:1], None, 1)
            seconds, distances = 0.0, []
            for row in range(REFERENCES):
                time.sleep(PAUSE)
                # One by one as uploads are, which take their turns between them.
                with self._lock:
                    start = time.perf_counter()
                    found = inverter.invert(images[[row]], labels[[row]], STEPS)
                    seconds = time.perf_counter() - start
                distances.append((found.pixel_distances[0], found.feature_distances[0]))
        except MemoryError:
            raise
        except GanvasError as error:
            raise NotFoundError(f"'{name}' can't find images: {error}") from error
        except Exception as error:
            logger.warning("'%s' can't be prepared for uploads.", name, exc_info=True)
            raise NotFoundError(f"'{name}' can't find images: see the gallery's log.") from error
        return _Prepared(
            encoder, inverter, Distances(*map(float, np.median(distances, axis=0))), seconds / STEPS
        )


def _read_encoder(model: LoadedModel) -> ImageEncoder | None:
    """Return the encoder that was saved with a model; None without one that fits."""
    file = model.saved.file("encoder.npz")
    if not file.is_file():
        return None
    try:
        encoder = from_arrays(read_arrays(io.BytesIO(read_start(file, MAX_ENCODER))))
    except (OSError, ValueError):
        logger.warning("%s can't be read: another one is fitted.", file, exc_info=True)
        return None
    shapes = encoder.image_shape, encoder.w_shape
    return encoder if shapes == (model.image_shape, w_shape(model.generator)) else None


def _limit_steps(prepared: _Prepared, steps: int | None) -> int:
    most = int(INVERSION_SECONDS / max(prepared.step_seconds, 1e-6))
    if steps is not None and steps > most:
        raise InvalidRequestError(
            f"steps: at most {most} with this model on this machine, where a step takes "
            f"{prepared.step_seconds:.2g} seconds."
        )
    return min(STEPS, most) if steps is None else steps


def _code(w: np.ndarray) -> np.ndarray:
    """Return latents, all of whose layers are alike if there are several, as (n, d)."""
    return w if w.ndim == 2 else w[:, 0]
