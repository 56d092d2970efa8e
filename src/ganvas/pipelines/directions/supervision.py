"""Supervised directions of a run: which attributes they are of, and where these are known from."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganvas.arrays import Images, SelectedImages
from ganvas.errors import GanvasError
from ganvas.image_shape import describe_size
from ganvas.ingestion.collection import Collection as PackedCollection
from ganvas.ingestion.collection import open_collection
from ganvas.keras_types import Model
from ganvas.latents.directions import Direction, as_name, find_scale
from ganvas.latents.image_measures import measure_images
from ganvas.latents.latent_samples import LatentSamples
from ganvas.latents.supervised import (
    Attribute,
    LinearModel,
    find_normal,
    fit_linear,
    split_attribute,
)
from ganvas.names import suggest_names
from ganvas.networks.latent_spaces import generate_from_w, w_shape
from ganvas.pipelines.directions.labels import read_labels
from ganvas.pipelines.directions.params import DirectionsParams, as_list

logger = logging.getLogger(__name__)

# Real images whose features a label is learned from at most.
MAX_REAL = 2000
# Generated images that a model of a label, which needs their features, is applied to at most.
MAX_LABELED = 2048

Features = Callable[[Any], np.ndarray]


class Found(NamedTuple):
    """A direction before it is tried on images.

    Attributes:
        name: Its default name.
        method: Method that has found it.
        vector: float32 of the shape of w.
        about: Facts about it.
        attribute: Maps images, uint8 (n, H, W, C), to the numbers (n,) that it changes; None for
            unsupervised ones.
    """

    name: str
    method: str
    vector: np.ndarray
    about: dict[str, Any]
    attribute: Callable[[np.ndarray], np.ndarray] | None = None


class Supervision:
    """Finds directions of attributes of one generator.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        samples: Its latents.
        layers: Of StyleGAN2 the layers that directions change; None: all.
        others: Directions (D,) that are not followed.
        features: Maps images to features (n, d); None: labels can't be recognized.
    """

    def __init__(
        self,
        generator: Model,
        samples: LatentSamples,
        layers: Collection[int] | None,
        others: Sequence[np.ndarray],
        features: Features | None,
    ) -> None:
        self._generator, self._samples, self._layers = generator, samples, layers
        self._others, self._features = others, features

    def find_of_measure(self, name: str) -> Found:
        """Find the direction of a measure of `ganvas.latents.image_measures`.

        Raises:
            GanvasError: It is the same for all images.
        """
        values = measure_images(self._images, name)
        if values.std() < 1e-9:
            raise GanvasError(
                f"directions.measure={name} is the same for all generated images: choose another "
                "measure."
            )
        model = _fit_samples(self._samples, values)
        about = {"attribute": name, "kind": "measure", "images": len(values)}
        return self._finish(name, model, about, lambda images: measure_images(images, name))

    def find_of_labels(
        self, attributes: Sequence[Attribute], vectors: np.ndarray, w: np.ndarray | None
    ) -> list[Found]:
        """Find the directions of attributes of real images.

        Args:
            attributes: Numbers of real images, (n,) each.
            vectors: Features of these images, (n, d).
            w: Their latents, (n, D), from which directions are learned; None: they are learned
                from generated images, labeled by a model of the real ones.
        """
        return [self._find_of_attribute(attribute, vectors, w) for attribute in attributes]

    def _find_of_attribute(
        self, attribute: Attribute, vectors: np.ndarray, w: np.ndarray | None
    ) -> Found:
        features, name = self._features, attribute.name
        assert features is not None
        recognizer = fit_linear(vectors, attribute.values, attribute.is_binary)
        if not recognizer.is_useful:
            logger.warning(
                "The label '%s' is hardly recognized in images (%s %.2f in cross-validation): its "
                "direction may change other things.",
                name,
                recognizer.score_name,
                recognizer.score,
            )
        if w is None:
            part = self._samples.first(MAX_LABELED)
            model = _fit_samples(part, recognizer.predict(self._image_features))
        else:
            model = fit_linear(w, attribute.values, attribute.is_binary)
        about = {
            "attribute": name,
            "kind": "logit of a label" if attribute.is_binary else "label",
            "images": len(vectors),
            "pairs": "generated" if w is None else "encoded",
            "recognized": recognizer.score,
            "recognized_name": recognizer.score_name,
        }
        return self._finish(name, model, about, lambda x: recognizer.predict(features(x)))

    def _finish(
        self,
        name: str,
        model: LinearModel,
        about: dict[str, Any],
        attribute: Callable[[np.ndarray], np.ndarray],
    ) -> Found:
        if not model.is_useful:
            # Labels are learned from a limited number of generated images, or from real ones.
            is_measure = about["kind"] == "measure"
            logger.warning(
                "'%s' can hardly be predicted from latents (%s %.2f in cross-validation), so its "
                "direction may change other things: %s, or choose another attribute.",
                name,
                model.score_name,
                model.score,
                "raise directions.samples" if is_measure else "label more images",
            )
        normal = find_normal(model, self._others)
        scale = find_scale(self._samples.center(self._samples.w), normal)
        about |= {"score": model.score, "score_name": model.score_name}
        vector = self._samples.expand(normal * scale, self._layers)
        return Found(as_name(name), "supervised", vector, about, attribute)

    @cached_property
    def _images(self) -> np.ndarray:
        """Images of the samples."""
        labels = self._samples.labels if self._samples.labels.shape[1] else None
        return generate_from_w(self._generator, self._samples.full_w(), labels)

    @cached_property
    def _image_features(self) -> np.ndarray:
        """Features of the first `MAX_LABELED` of them."""
        assert self._features is not None
        return self._features(self._images[:MAX_LABELED])


def find_supervised(
    generator: Model,
    samples: LatentSamples,
    layers: Collection[int] | None,
    kept: Sequence[Direction],
    features: Features | None,
    encoder: Mapping[str, np.ndarray],
    folder: Path,
    params: DirectionsParams,
) -> list[Found]:
    """Find the directions of all measures and label columns of the parameters.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        samples: Its latents.
        layers: Of StyleGAN2 the layers that directions change; None: all.
        kept: Directions that exist.
        features: Maps images to features (n, d); None: there is no extractor.
        encoder: Content of `encoder.npz`; empty without any.
        folder: Folder of the collection.
        params: Parameters of directions.

    Raises:
        GanvasError: A parameter doesn't fit the generator, the collection or the directions.
    """
    others = _find_others(kept, params, samples.shape[-1])
    supervision = Supervision(generator, samples, layers, others, features)
    if params.column is None:
        return [supervision.find_of_measure(name) for name in as_list(params.measure)]
    if features is None:
        raise GanvasError(
            "directions.column needs a feature extractor, which recognizes labels in images, and "
            "evaluate.extractor is null: set it to efficientnet_lite2."
        )
    collection = _open(folder)
    labels = read_labels(collection.index, as_list(params.column), params.table)
    shape = tuple(collection.images.shape[1:])
    if shape != tuple(generator.output_shape[1:]):
        raise GanvasError(
            f"The collection in {folder} has images of {describe_size(*shape[:2])} pixels and "
            f"{shape[2]} channels, and the generator other ones: pack it by "
            "`kedro run --pipelines=ingest` with the parameters of training."
        )
    # Before the features, which take minutes, so that no column's mistake loses the others' work.
    chosen = []
    for column, texts in labels.items():
        positions = _choose_labeled(texts)
        chosen.append((split_attribute(column, texts[positions]), positions))
    found = [supervision.find_of_measure(name) for name in as_list(params.measure)]
    # Columns of the same table mostly label the same images.
    described: dict[bytes, tuple[np.ndarray, np.ndarray | None]] = {}
    for attributes, positions in chosen:
        if (key := positions.tobytes()) not in described:
            images = SelectedImages(collection.images, positions)
            w = _encode(encoder, generator, images) if params.pairs == "encoded" else None
            described[key] = features(images), w
        found += supervision.find_of_labels(attributes, *described[key])
    return found


def _fit_samples(samples: LatentSamples, values: np.ndarray) -> LinearModel:
    """Fit numbers of generated images within their classes."""
    return fit_linear(samples.center(samples.w), samples.center(values), is_binary=False)


def _find_others(
    kept: Sequence[Direction], params: DirectionsParams, length: int
) -> list[np.ndarray]:
    """Return the vectors (D,) of `directions.orthogonal_to`."""
    by_name = {direction.name: direction.vector for direction in kept}
    for name in params.orthogonal_to:
        if name not in by_name:
            has = f"has {', '.join(by_name)}" if by_name else "has no directions yet"
            raise GanvasError(
                f"directions.orthogonal_to has '{name}'{suggest_names(name, by_name)}, but this "
                f"generator {has}: choose among them, or find it before."
            )
    rows = [by_name[name].reshape(-1, length) for name in params.orthogonal_to]
    return [row[np.abs(row).sum(axis=1).argmax()] for row in rows]


def _open(folder: Path) -> PackedCollection:
    try:
        return open_collection(folder)
    except OSError as error:
        raise GanvasError(
            f"directions.column needs the images of the collection, and there are none in "
            f"{folder}: pack them by `kedro run --pipelines=ingest` with the parameters of "
            "training."
        ) from error


def _choose_labeled(texts: np.ndarray) -> np.ndarray:
    """Return the positions of labeled images, of very many as many at random, int (n,)."""
    positions = np.flatnonzero(texts != "")
    if len(positions) <= MAX_REAL:
        return positions
    return np.sort(np.random.default_rng(0).permutation(positions)[:MAX_REAL])


def _encode(encoder: Mapping[str, np.ndarray], generator: Model, images: Images) -> np.ndarray:
    """Return the latents of real images, (n, D)."""
    if not encoder:
        raise GanvasError(
            "directions.pairs=encoded needs the generator's encoder, and it has none: make one by "
            "`kedro run --pipelines=invert`, or set directions.pairs=generated."
        )
    from ganvas.networks.image_encoder import encode
    from ganvas.networks.image_encoder import from_arrays as read_encoder

    try:
        found = read_encoder(dict(encoder))
        expected = (tuple(generator.output_shape[1:]), w_shape(generator))
        if (found.image_shape, found.w_shape) != expected:
            raise ValueError("it is that of another generator")
    except ValueError as error:
        raise GanvasError(
            f"encoder.npz of this generator can't be used ({error}): delete it and make another "
            "one by `kedro run --pipelines=invert`, or set directions.pairs=generated."
        ) from error
    w = encode(found, images)
    # Encoders find the same style for all layers.
    return w if w.ndim == 2 else w[:, 0]
