"""Discriminator scores of uploaded images, compared with real and generated images."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.batching import TIMEOUT, BusyError, RequestTimeoutError, acquire
from ganvas.gallery.model_store import MAX_LOADED, LoadedModel, ModelVersion, NotFoundError
from ganvas.gallery.real_images import find_collection, validation_positions
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.decode import decode_content
from ganvas.metrics.discriminator_accuracy import compute_logits
from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents

# Reference images of each kind.
REFERENCE_COUNT = 128
# Concurrent uploads and the pixels of each: a few bytes can decode to a gigabyte.
MAX_UPLOADS = 2
MAX_PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


class ScoreResult(NamedTuple):
    """The score of an image and those of reference images.

    Attributes:
        score: The discriminator's logit; higher means more realistic.
        real: Scores of real images, validation images if there are any, (n,); empty if the
            collection is missing or has other classes.
        generated: Scores of generated images, (m,).
        image: The image as the discriminator's input, uint8 (H, W, 3).
    """

    score: float
    real: np.ndarray
    generated: np.ndarray
    image: np.ndarray

    @property
    def looks_real(self) -> bool | None:
        """Whether the score is closer to the median of real than of generated images.

        There is no fixed threshold, since some losses determine only differences of logits. None
        without real images.
        """
        if not len(self.real):
            return None
        medians = np.median(self.real), np.median(self.generated)
        return bool(abs(self.score - medians[0]) < abs(self.score - medians[1]))


@dataclass
class _References:
    discriminator: keras.Model
    generated: np.ndarray
    collection: Collection | None = None
    real: np.ndarray = field(default_factory=lambda: np.empty(0))


class DiscriminatorScorer:
    """Scores uploaded images; the reference scores of a model are computed once.

    Args:
        data: The project's data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._references: dict[ModelVersion, _References] = {}
        # Counts the uploads that are decoded, wait or are scored.
        self._slots = threading.BoundedSemaphore(MAX_UPLOADS)
        self._lock = threading.Lock()

    def score(
        self,
        model: LoadedModel,
        content: bytes,
        class_name: str | None = None,
        timeout: float = TIMEOUT,
    ) -> ScoreResult:
        """Score an image file: its center square, at the model's image size.

        Args:
            model: The model whose discriminator scores the image.
            content: The file's bytes.
            class_name: The class to score it as, for a conditional model; None: the first.
            timeout: Seconds to wait for other uploads.

        Raises:
            BusyError: Too many uploads are pending.
            RequestTimeoutError: The other uploads took longer than `timeout`.
            Rejection: The file is not a readable image.
            NotFoundError: The model has no discriminator or no such class.
        """
        with acquire(self._slots, 0, BusyError):
            image = decode_content(content, model.image_size, formats=FORMATS, most=MAX_PIXELS)
            label = model.one_hot(np.array([model.class_index(class_name)]))
            with acquire(self._lock, timeout, RequestTimeoutError):
                references = self._get_references(model)
                score = compute_logits(references.discriminator, image[None], label)[0]
        return ScoreResult(float(score), references.real, references.generated, image)

    def _get_references(self, model: LoadedModel) -> _References:
        if model.saved not in self._references:
            references = _load_references(model)
            if len(self._references) == MAX_LOADED:
                del self._references[next(iter(self._references))]
            self._references[model.saved] = references
        references = self._references[model.saved]
        collection = find_collection(self._data, model)
        # The collection may have been packed since the last call.
        if references.collection is not collection:
            references.real = _score_real(model, references.discriminator, collection)
            references.collection = collection
        return references


def _load_references(model: LoadedModel) -> _References:
    file = model.saved.file("discriminator.keras")
    if not file.is_file():
        raise NotFoundError(
            f"'{model.saved.name}' was saved without its discriminator, so it can't score images."
        )
    discriminator = keras.models.load_model(file, compile=False)
    latents = sample_latents(model.generator, REFERENCE_COUNT, seed=0)
    labels = cycle_classes(model.generator, REFERENCE_COUNT)
    images = generate_images(model.generator, latents, labels)
    return _References(discriminator, compute_logits(discriminator, images, labels))


def _score_real(
    model: LoadedModel, discriminator: keras.Model, collection: Collection | None
) -> np.ndarray:
    if collection is None:
        return np.empty(0)
    try:
        classes = match_classes(collection.index, model.label_column, model.class_names)
    except GanvasError:
        return np.empty(0)
    positions = classes.in_split(validation_positions(collection))[:REFERENCE_COUNT]
    if not len(positions):
        return np.empty(0)
    images = np.asarray(collection.images[positions])
    return compute_logits(discriminator, images, model.one_hot(classes.labels[positions]))
