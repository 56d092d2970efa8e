"""What a model's discriminator makes of a picture, beside what it makes of others."""

import threading
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.batching import PATIENCE, BusyError, TooSlowError
from ganvas.gallery.model_store import LOADED, LoadedModel, Version
from ganvas.gallery.real_images import choose_real, find_collection
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.decode import decode_content
from ganvas.metrics.discriminator_accuracy import compute_logits
from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents

# Pictures of each kind that the score is compared with.
COMPARED = 128
# Uploads at a time, and the pixels of each: a few bytes can be decoded to a gigabyte.
PLACES = 2
MAX_PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


class NoDiscriminatorError(LookupError):
    """The model was saved without one; the message says so."""


class ScoreResult(NamedTuple):
    """A picture's score among others.

    Attributes:
        score: The discriminator's logit, the higher for what looks the more real to it.
        real: Those of real pictures, held-out ones where there are any, (n,); empty where the
            collection isn't there or has other classes by now.
        generated: Those of generated pictures, (m,).
        pixels: The picture as the discriminator saw it, uint8 (H, W, 3).
    """

    score: float
    real: np.ndarray
    generated: np.ndarray
    pixels: np.ndarray

    @property
    def looks_real(self) -> bool | None:
        """Whether the score is nearer to most real pictures' than to most generated ones'.

        By medians, since not every loss has a logit that means "either". None: there are no real
        pictures to compare with.
        """
        if not len(self.real):
            return None
        apart = [abs(self.score - np.median(scores)) for scores in (self.real, self.generated)]
        return bool(apart[0] < apart[1])


class _ReferenceScores(NamedTuple):
    discriminator: keras.Model
    generated: np.ndarray
    collection: Collection | None = None
    real: np.ndarray = np.empty(0)


class DiscriminatorScorer:
    """Judges pictures; what it compares them with is computed once a model.

    Args:
        data: The project's folder of data, where collections lie.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._benches: dict[Version, _ReferenceScores] = {}
        # Whoever decodes, waits for the bench or is at it.
        self._places = threading.BoundedSemaphore(PLACES)
        self._lock = threading.Lock()

    def judge(
        self,
        studio: LoadedModel,
        content: bytes,
        class_name: str | None,
        patience: float = PATIENCE,
    ) -> ScoreResult:
        """Judge an uploaded picture: its center, at the size of the model's own pictures.

        Raises:
            BusyError: There are too many already.
            TooSlowError: Those before it took more than `patience` seconds.
            Rejection: It is no picture that can be read.
            NoDiscriminatorError: There is nobody to judge.
            UnknownModelError: The class is none of the model's.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            pixels = decode_content(content, studio.side, formats=FORMATS, most=MAX_PIXELS)
            rows = studio.weights(np.array([studio.number(class_name)]))
            if not self._lock.acquire(timeout=patience):
                raise TooSlowError
            try:
                bench = self._open(studio)
                score = compute_logits(bench.discriminator, pixels[None], rows)[0]
            finally:
                self._lock.release()
        finally:
            self._places.release()
        return ScoreResult(float(score), bench.real, bench.generated, pixels)

    def _open(self, studio: LoadedModel) -> _ReferenceScores:
        bench = self._benches.get(studio.saved) or self._build(studio)
        collection = find_collection(self._data, studio)
        # It may have been packed since, or anew.
        if bench.collection is not collection:
            real = _score_real(studio, bench.discriminator, collection)
            bench = bench._replace(collection=collection, real=real)
        self._benches[studio.saved] = bench
        return bench

    def _build(self, studio: LoadedModel) -> _ReferenceScores:
        file = studio.saved.file("discriminator.keras")
        if not file.is_file():
            raise NoDiscriminatorError(
                f"'{studio.saved.model}' was saved without its discriminator, so there is "
                "nobody to judge."
            )
        if len(self._benches) == LOADED:
            del self._benches[next(iter(self._benches))]
        discriminator = keras.models.load_model(file, compile=False)
        return _ReferenceScores(discriminator, _score_generated(studio, discriminator))


def _score_real(
    studio: LoadedModel, discriminator: keras.Model, collection: Collection | None
) -> np.ndarray:
    if collection is None:
        return np.empty(0)
    try:
        known = match_classes(collection.index, studio.column, studio.names)
    except GanvasError:
        return np.empty(0)
    there = known.in_split(choose_real(collection))[:COMPARED]
    if not len(there):
        return np.empty(0)
    pictures = np.asarray(collection.images[there])
    return compute_logits(discriminator, pictures, studio.weights(known.labels[there]))


def _score_generated(studio: LoadedModel, discriminator: keras.Model) -> np.ndarray:
    rows = cycle_classes(studio.generator, COMPARED)
    pictures = generate_images(
        studio.generator, sample_latents(studio.generator, COMPARED, 0), rows
    )
    return compute_logits(discriminator, pictures, rows)
