"""Discriminator scores of uploaded and example images, compared with real and generated images."""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.batching import TIMEOUT, BusyError, RequestTimeoutError, acquire
from ganvas.gallery.data_files import find_archive_fault
from ganvas.gallery.model_store import MAX_LOADED, LoadedModel, ModelVersion, NotFoundError
from ganvas.gallery.real_images import find_collection, validation_positions
from ganvas.ingestion.class_labels import match_classes
from ganvas.ingestion.collection import Collection
from ganvas.ingestion.decode import decode_content
from ganvas.metrics.discriminator_accuracy import compute_logits, compute_logits_among
from ganvas.networks.batches import batch_size
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import generate_images, sample_latents

logger = logging.getLogger(__name__)

# Reference images of each kind, and their pixels together: fewer of those above 256×256 pixels.
REFERENCE_COUNT = 128
REFERENCE_PIXELS = REFERENCE_COUNT * 256**2
# Concurrent uploads and the pixels of each: a few bytes can decode to a gigabyte.
MAX_UPLOADS = 2
MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")


class ScoreResult(NamedTuple):
    """The score of an image and those of reference images.

    Attributes:
        score: The discriminator's logit; higher means more realistic.
        real: Scores of real images, validation images if there are any, (n,); empty if the
            collection is missing or has other classes.
        generated: Scores of generated images, (m,).
        image: The image as the discriminator's input, uint8 (H, W, C).
        class_name: The class that it is scored as; None without classes.
        class_scores: Its score as each class, the highest first; empty without classes.
    """

    score: float
    real: np.ndarray
    generated: np.ndarray
    image: np.ndarray
    class_name: str | None = None
    class_scores: tuple[tuple[str, float], ...] = ()

    def exceeds(self, kind: str) -> float:
        """Return the share of the reference images, real or generated, that score lower."""
        return float(np.mean(self.score > (self.real if kind == "real" else self.generated)))

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
    """A discriminator, and the scores of reference images.

    Attributes:
        discriminator: See `ganvas.networks.gan_networks.GanNetworks`.
        generated: Scores of generated images.
        others: Generated images, and `other_labels` their classes, among which an image is scored
            if the discriminator compares the images of a batch; else empty.
        collection: The collection of the real images, if there is one.
        real: Scores of real images.
    """

    discriminator: keras.Model
    generated: np.ndarray
    others: np.ndarray
    other_labels: np.ndarray
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
        """Score an image file: its center of the model's aspect ratio, at the model's image size.

        Args:
            model: The model whose discriminator scores the image.
            content: The file's bytes.
            class_name: The class to score it as, for a conditional model; None: the class with
                the highest score.
            timeout: Seconds to wait for other uploads.

        Raises:
            BusyError: Too many uploads are pending.
            RequestTimeoutError: The other uploads took longer than `timeout`.
            Rejection: The file is not a readable image.
            NotFoundError: The model has no discriminator or no such class.
        """
        with acquire(self._slots, 0, BusyError):
            image = decode_content(content, model.image_shape, formats=FORMATS, most=MAX_PIXELS)
            return self._score(model, image, class_name, timeout)

    def score_example(self, model: LoadedModel, kind: str, seed: int) -> ScoreResult:
        """Score a randomly chosen real or generated image of its model.

        Args:
            model: The model.
            kind: "real": an image of the collection, of the validation split if there is one;
                "generated": an image of the generator.
            seed: Random seed of the choice.

        Raises:
            BusyError, RequestTimeoutError: There are too many requests.
            NotFoundError: The model has no discriminator, or its collection is missing.
        """
        rng = np.random.default_rng(seed)
        with acquire(self._slots, 0, BusyError):
            if kind == "generated":
                class_name = rng.choice(model.class_names) if model.class_names else None
                latent = model.sample_latent(int(rng.integers(2**32)), 0)[None]
                label = model.one_hot(np.array([model.class_index(class_name)]))
                image = model.batcher.generate(latent, label)[0]
            else:
                image, class_name = self._choose_real(model, rng)
            return self._score(model, image, class_name, TIMEOUT)

    def _choose_real(
        self, model: LoadedModel, rng: np.random.Generator
    ) -> tuple[np.ndarray, str | None]:
        collection = find_collection(self._data, model)
        labeled = None if collection is None else _label_validation(model, collection)
        if collection is None or labeled is None:
            raise NotFoundError(
                f"The images that '{model.saved.name}' was trained on are not on this machine: run "
                "`kedro run --pipelines=ingest` with the parameters of its training."
            )
        position, label = rng.choice(np.stack(labeled, axis=1))
        class_name = model.class_names[label] if model.class_names else None
        return np.asarray(collection.images[position]), class_name

    def _score(
        self, model: LoadedModel, image: np.ndarray, class_name: str | None, timeout: float
    ) -> ScoreResult:
        # Of a class that does not exist, nothing need be computed.
        names: list[str | None] = [*model.class_names] or [None]
        if class_name is not None and class_name not in names:
            # Values of some of several label columns.
            names.append(class_name)
        labels = [model.class_index(name) for name in names]
        classes = model.one_hot(np.array(labels))
        with acquire(self._lock, timeout, RequestTimeoutError):
            references = self._get_references(model)
            images = np.repeat(image[None], len(classes), axis=0)
            scores = _score_alone(references, images, classes).tolist()
        by_class = {name: score for name, score in zip(names, scores, strict=True) if name}
        ranked = tuple(sorted(by_class.items(), key=lambda item: item[1], reverse=True))
        if class_name is None and ranked:
            class_name = ranked[0][0]
        score = scores[0] if class_name is None else by_class[class_name]
        return ScoreResult(score, references.real, references.generated, image, class_name, ranked)

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
    count = _count_references(model)
    latents = sample_latents(model.generator, count, seed=0)
    labels = model.one_hot(np.arange(count) % max(len(model.class_names), 1))
    images = generate_images(model.generator, latents, labels)
    # Keras, HDF5 and TensorFlow raise errors of many types for damaged or unknown content.
    try:
        if fault := find_archive_fault(file):
            raise ValueError(fault)
        discriminator = keras.models.load_model(file, compile=False)
        scores = compute_logits(discriminator, images, labels)
        # StyleGAN2's discriminator sees the deviation of a batch: 0 for copies of an image.
        kept = batch_size(model.height, model.width) if is_style_based(model.generator) else 0
        return _References(discriminator, scores, images[:kept].copy(), labels[:kept])
    except MemoryError:
        raise
    except Exception as error:
        logger.warning("%s can't be loaded.", file, exc_info=True)
        raise NotFoundError(
            f"The discriminator of '{model.saved.name}' can't be loaded, so it can't score images."
        ) from error


def _score_alone(references: _References, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the scores of images that are not a sample, such as copies of one: (n,)."""
    if not len(references.others):
        return compute_logits(references.discriminator, images, labels)
    others = references.others, references.other_labels
    return compute_logits_among(references.discriminator, images, labels, *others)


def _count_references(model: LoadedModel) -> int:
    return min(REFERENCE_COUNT, max(REFERENCE_PIXELS // (model.height * model.width), 1))


def _score_real(
    model: LoadedModel, discriminator: keras.Model, collection: Collection | None
) -> np.ndarray:
    if collection is None:
        return np.empty(0)
    labeled = _label_validation(model, collection)
    if labeled is None:
        return np.empty(0)
    positions, labels = labeled
    images = np.asarray(collection.images[positions])
    return compute_logits(discriminator, images, model.one_hot(labels))


def _label_validation(
    model: LoadedModel, collection: Collection
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return positions and classes of validation images; None if the collection has others."""
    try:
        classes = match_classes(collection.index, model.classes)
    except GanvasError:
        return None
    positions = classes.in_split(validation_positions(collection))
    if model.class_names:
        # Of combinations, the named ones.
        positions = positions[classes.labels[positions] < len(model.class_names)]
    positions = positions[: _count_references(model)]
    return (positions, classes.labels[positions]) if len(positions) else None
