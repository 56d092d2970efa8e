"""From requests to pictures: which latents and classes they mean."""

from typing import NamedTuple

import numpy as np

from ganvas import __version__
from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.schemas import End, GenerateRequest, InterpolateRequest, PictureRequest
from ganvas.networks.sampling import count_classes, sample_latents, slerp


class GeneratedImages(NamedTuple):
    """Pictures with what it takes to paint each of them again.

    Attributes:
        pictures: uint8 (n, H, W, 3).
        facts: What is written into each picture's file.
    """

    pictures: np.ndarray
    facts: list[dict[str, object]]


def generate_series(studio: LoadedModel, asked: GenerateRequest) -> GeneratedImages:
    """Paint a stretch of a seed's pictures, of one class or of all in turn."""
    return _paint(studio, asked, asked.first, asked.count)


def generate_one(studio: LoadedModel, asked: PictureRequest) -> GeneratedImages:
    """Paint one picture; of no class it is painted in the class that is its number's turn."""
    return _paint(studio, asked, asked.number, 1)


def generate_interpolation(studio: LoadedModel, asked: InterpolateRequest) -> GeneratedImages:
    """Paint the way from one latent to another on an arc, and from one class to another."""
    ends = (asked.start, asked.end)
    latents = [studio.latent(end.seed, end.number, asked.truncation) for end in ends]
    walk = slerp(latents[0][None], latents[1][None], asked.steps)[0]
    first, last = (studio.weights(np.array([_label(studio, end)])) for end in ends)
    shares = np.linspace(0, 1, asked.steps, dtype=np.float32)[:, None]
    pictures = studio.batcher.generate(walk, (1 - shares) * first + shares * last)
    facts: dict[str, object] = {"truncation": asked.truncation}
    for name, end in zip(("start", "end"), ends, strict=True):
        facts[name] = f"seed {end.seed}, number {end.number}" + (
            f", {end.class_name}" if end.class_name else ""
        )
    return GeneratedImages(pictures, [_origin(studio) | facts] * asked.steps)


def _paint(
    studio: LoadedModel, asked: GenerateRequest | PictureRequest, first: int, count: int
) -> GeneratedImages:
    numbers = np.arange(first, first + count)
    drawn = sample_latents(studio.generator, first + count, asked.seed, asked.truncation)
    classes = max(count_classes(studio.generator), 1)
    chosen = studio.number(asked.class_name)
    labels = np.full(count, chosen) if asked.class_name is not None else numbers % classes
    pictures = studio.batcher.generate(drawn[first:], studio.weights(labels))
    facts = [
        _tell(studio, asked.seed, int(number), asked.truncation, int(label))
        for number, label in zip(numbers, labels, strict=True)
    ]
    return GeneratedImages(pictures, facts)


def _label(studio: LoadedModel, end: End) -> int:
    if end.class_name is not None:
        return studio.number(end.class_name)
    return end.number % max(len(studio.names), 1)


def _origin(studio: LoadedModel) -> dict[str, object]:
    return {
        "Software": f"Ganvas {__version__}",
        "model": studio.saved.model,
        "version": studio.saved.version,
    }


def _tell(
    studio: LoadedModel, seed: int, number: int, truncation: float, label: int
) -> dict[str, object]:
    own = {"seed": seed, "number": number, "truncation": truncation}
    return _origin(studio) | own | {"class": studio.names[label] if studio.names else None}
