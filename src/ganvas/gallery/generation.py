"""From requests to images: resolve seeds, numbers and classes to latents and labels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ganvas import __version__
from ganvas.gallery.model_store import LoadedModel, ModelStore
from ganvas.gallery.schemas import GenerateRequest, ImageRequest, InterpolateRequest
from ganvas.networks.sampling import sample_latents, slerp


class GeneratedImages(NamedTuple):
    """Generated images with what is needed to generate each of them again.

    Attributes:
        images: uint8 (n, H, W, 3).
        metadata: Of each image: the text that is written into its PNG file.
    """

    images: np.ndarray
    metadata: list[dict[str, object]]


def generate_series(model: LoadedModel, request: GenerateRequest) -> GeneratedImages:
    """Generate consecutive images of a seed, of one class or of all classes in turn."""
    return _generate(model, request, request.first, request.count)


def generate_image(model: LoadedModel, request: ImageRequest) -> GeneratedImages:
    """Generate one image; without a class, use class `number % K`."""
    return _generate(model, request, request.number, 1)


def generate_selection(
    store: ModelStore, requests: Sequence[ImageRequest]
) -> list[tuple[np.ndarray, dict[str, object]]]:
    """Generate single images, of several models if need be.

    Returns:
        Images, uint8 (H, W, 3), with their metadata, in the order of the requests and each once.
    """
    by_model: dict[tuple[str | None, str | None], list[ImageRequest]] = {}
    for request in dict.fromkeys(requests):
        by_model.setdefault((request.model, request.version), []).append(request)
    generated = {}
    for (name, version), group in by_model.items():
        model = store.load(name, version)
        latents = [model.sample_latent(r.seed, r.number, r.truncation) for r in group]
        labels = [model.class_index(r.class_name, r.number) for r in group]
        images = model.batcher.generate(np.stack(latents), model.one_hot(np.array(labels)))
        for request, label, image in zip(group, labels, images, strict=True):
            metadata = _describe(model, request.seed, request.number, request.truncation, label)
            generated[request] = (image, metadata)
    return [generated[request] for request in dict.fromkeys(requests)]


def generate_interpolation(model: LoadedModel, request: InterpolateRequest) -> GeneratedImages:
    """Interpolate between two latents (slerp) and between their classes (linearly)."""
    ends = (request.start, request.end)
    latents = [model.sample_latent(end.seed, end.number, request.truncation) for end in ends]
    path = slerp(latents[0][None], latents[1][None], request.steps)[0]
    labels = np.array([model.class_index(end.class_name, end.number) for end in ends])
    first, last = model.one_hot(labels)
    weights = np.linspace(0, 1, request.steps, dtype=np.float32)[:, None]
    images = model.batcher.generate(path, (1 - weights) * first + weights * last)
    metadata = _provenance(model) | {"truncation": request.truncation}
    for name, end in zip(("start", "end"), ends, strict=True):
        class_name = f", {end.class_name}" if end.class_name else ""
        metadata[name] = f"seed {end.seed}, number {end.number}{class_name}"
    return GeneratedImages(images, [metadata] * request.steps)


def _generate(
    model: LoadedModel, request: GenerateRequest | ImageRequest, first: int, count: int
) -> GeneratedImages:
    numbers = range(first, first + count)
    labels = [model.class_index(request.class_name, number) for number in numbers]
    latents = sample_latents(model.generator, first + count, request.seed, request.truncation)
    images = model.batcher.generate(latents[first:], model.one_hot(np.array(labels)))
    metadata = [
        _describe(model, request.seed, number, request.truncation, label)
        for number, label in zip(numbers, labels, strict=True)
    ]
    return GeneratedImages(images, metadata)


def _describe(
    model: LoadedModel, seed: int, number: int, truncation: float, label: int
) -> dict[str, object]:
    class_name = model.class_names[label] if model.class_names else None
    image = {"seed": seed, "number": number, "truncation": truncation, "class": class_name}
    return _provenance(model) | image


def _provenance(model: LoadedModel) -> dict[str, object]:
    return {
        "Software": f"Ganvas {__version__}",
        "model": model.saved.name,
        "version": model.saved.version,
    }
