"""From requests to images: resolve seeds, numbers and classes to latents and labels."""

import threading
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from ganvas import __version__
from ganvas.gallery.batching import BusyError, RequestTimeoutError
from ganvas.gallery.model_store import LoadedModel, ModelStore
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.gallery.schemas import GenerateRequest, ImageRequest, InterpolateRequest
from ganvas.networks.sampling import sample_latents, slerp

# Pixels of a part of a ZIP file: 4 images of 1024×1024.
PART_PIXELS = 2**22
# ZIP files of several parts at a time, which are generated part by part while they are sent.
MAX_LONG_SELECTIONS = 2
# Seconds that a further part of a selection waits for other requests, and how often it tries.
PATIENCE, RETRIES = 2, 150


class GeneratedImages(NamedTuple):
    """Generated images with what is needed to generate each of them again.

    Attributes:
        images: uint8 (n, H, W, C).
        metadata: Of each image: the text that is written into its PNG file.
    """

    images: np.ndarray
    metadata: list[dict[str, object]]


def generate_series(model: LoadedModel, request: GenerateRequest) -> GeneratedImages:
    """Generate consecutive images of a seed, of one class or of all classes in turn.

    Raises:
        InvalidRequestError: They are too many for the size of the model's images.
    """
    if request.count > model.max_images:
        rest = request.first + model.max_images
        raise InvalidRequestError(
            f"count: at most {describe_most(model)}, not {request.count}: request others with "
            f"first={rest}."
        )
    numbers = range(request.first, request.first + request.count)
    labels = [model.class_index(request.class_name, number) for number in numbers]
    latents = sample_latents(model.generator, numbers.stop, request.seed)[request.first :]
    one_hot = model.one_hot(np.array(labels))
    images = model.batcher.generate(latents, one_hot, request.truncation)
    return GeneratedImages(images, describe_series(model, request))


def describe_series(model: LoadedModel, request: GenerateRequest) -> list[dict[str, object]]:
    """Return the metadata of consecutive images of a seed, which are not generated."""
    numbers = range(request.first, request.first + request.count)
    return [_describe_image(model, request, number) for number in numbers]


def generate_image(model: LoadedModel, request: ImageRequest) -> GeneratedImages:
    """Generate one image; without a class, use class `number % K`."""
    image = model.image(request.seed, request.number, request.class_name, request.truncation)
    return GeneratedImages(image[None], [describe_image(model, request)])


def describe_image(model: LoadedModel, request: ImageRequest) -> dict[str, object]:
    """Return the metadata of one image, which is not generated."""
    return _describe_image(model, request, request.number)


class Selection:
    """Single images with their metadata, in the order of the requests and each once.

    The first part is generated at once, so that its errors are found before anything is sent, and
    further parts while the images are read, so that memory does not grow with their number.
    """

    def __init__(self, store: ModelStore, requests: Sequence[ImageRequest]) -> None:
        keys = {(request.model, request.version): None for request in requests}
        self._models = {key: store.load(*key) for key in keys}
        self._is_open = False
        unique = list(dict.fromkeys(requests))
        for request in unique:
            self._model(request).class_index(request.class_name)
        pixels = max(model.height * model.width for model in self._models.values())
        size = max(PART_PIXELS // pixels, 1)
        self._parts = [unique[start : start + size] for start in range(0, len(unique), size)]
        if len(self._parts) > 1:
            self._is_open = _long_selections.acquire(blocking=False)
            if not self._is_open:
                raise BusyError
        try:
            self._first = self._generate(self._parts[0])
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[tuple[np.ndarray, dict[str, object]]]:
        """Yield images, uint8 (H, W, C), with their metadata."""
        first, self._first = self._first, []
        later = (self._generate_later(part) for part in islice(self._parts, 1, None))
        return chain(first, chain.from_iterable(later))

    def close(self) -> None:
        """Let another selection of as many pixels begin."""
        if self._is_open:
            self._is_open = False
            _long_selections.release()

    def _model(self, request: ImageRequest) -> LoadedModel:
        return self._models[request.model, request.version]

    def _generate_later(
        self, requests: list[ImageRequest]
    ) -> list[tuple[np.ndarray, dict[str, object]]]:
        # What was sent can't be taken back, so this waits where a new request would be refused.
        for _ in range(RETRIES):
            try:
                return self._generate(requests)
            except (BusyError, RequestTimeoutError):
                time.sleep(PATIENCE)
        raise RequestTimeoutError

    def _generate(self, requests: list[ImageRequest]) -> list[tuple[np.ndarray, dict[str, object]]]:
        by_model: dict[tuple[str | None, str | None], list[ImageRequest]] = {}
        for request in requests:
            by_model.setdefault((request.model, request.version), []).append(request)
        generated = {}
        for key, group in by_model.items():
            model = self._models[key]
            latents = [model.sample_latent(r.seed, r.number) for r in group]
            labels = [model.class_index(r.class_name, r.number) for r in group]
            images = model.batcher.generate(
                np.stack(latents),
                model.one_hot(np.array(labels)),
                np.array([r.truncation for r in group]),
            )
            for request, image in zip(group, images, strict=True):
                generated[request] = (image, describe_image(model, request))
        return [generated[request] for request in requests]


_long_selections = threading.BoundedSemaphore(MAX_LONG_SELECTIONS)


def generate_interpolation(model: LoadedModel, request: InterpolateRequest) -> GeneratedImages:
    """Interpolate between two latents (slerp) and between their classes (linearly).

    Raises:
        InvalidRequestError: The steps are too many for the size of the model's images; the default
            is lower where it would be.
    """
    steps = request.steps
    if "steps" not in request.model_fields_set:
        steps = min(steps, model.max_images)
    if steps > model.max_images:
        raise InvalidRequestError(f"steps: at most {describe_most(model)}, not {steps}.")
    ends = (request.start, request.end)
    latents = [model.sample_latent(end.seed, end.number) for end in ends]
    path = slerp(latents[0][None], latents[1][None], steps)[0]
    labels = np.array([model.class_index(end.class_name, end.number) for end in ends])
    first, last = model.one_hot(labels)
    weights = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    mixed = (1 - weights) * first + weights * last
    images = model.batcher.generate(path, mixed, request.truncation)
    metadata = describe_origin(model) | {"truncation": request.truncation}
    for name, end in zip(("start", "end"), ends, strict=True):
        class_name = f", {end.class_name}" if end.class_name else ""
        metadata[name] = f"seed {end.seed}, number {end.number}{class_name}"
    return GeneratedImages(images, [metadata] * steps)


def _describe_image(
    model: LoadedModel, request: GenerateRequest | ImageRequest, number: int
) -> dict[str, object]:
    label = model.class_index(request.class_name, number)
    return _describe(model, request.seed, number, request.truncation, label)


def describe_most(model: LoadedModel) -> str:
    """Return how many images a request may have, in words."""
    return f"{model.max_images} images of {model.size_text} pixels a request"


def _describe(
    model: LoadedModel, seed: int, number: int, truncation: float, label: int
) -> dict[str, object]:
    class_name = model.class_name(label)
    image = {"seed": seed, "number": number, "truncation": truncation, "class": class_name}
    return describe_origin(model) | image


def describe_origin(model: LoadedModel) -> dict[str, object]:
    """Return the metadata that all images of a model share."""
    return {
        "Software": f"Ganvas {__version__}",
        "model": model.saved.name,
        "version": model.saved.version,
    }
