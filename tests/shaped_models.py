"""Untrained generators of images of any shape, which draw a disk in a color of the latent."""

import json
from pathlib import Path

import keras
import numpy as np

LATENT = 6
# Shapes of the gallery's models: a rectangle, gray, transparent, and large.
SHAPES = {
    "tall/dcgan": (96, 64, 3),
    "gray/dcgan": (64, 64, 1),
    "sprites/dcgan": (64, 64, 4),
    "large/fastgan": (1024, 512, 4),
}


def build_generator(shape: tuple[int, int, int], scale: int = 8) -> keras.Model:
    """Return a generator of a disk on a gray, or with four channels on a transparent ground."""
    height, width, channels = shape
    small = (height // scale, width // scale, channels)
    latent = keras.Input((LATENT,), name="latent")
    dense = keras.layers.Dense(int(np.prod(small)))
    x = keras.layers.Reshape(small)(dense(latent))
    x = keras.layers.UpSampling2D(scale, interpolation="bilinear")(x)
    generator = keras.Model(latent, keras.layers.Activation("tanh")(x))
    rows, columns = np.mgrid[: small[0], : small[1]]
    center = (np.array(small[:2]) - 1) / 2
    radius = np.hypot(rows - center[0], columns - center[1])
    disk = (radius < 0.4 * min(small[:2])).astype(np.float32)
    rng = np.random.default_rng(0)
    kernel = np.zeros((LATENT, *small), np.float32)
    colors = min(channels, 3)
    kernel[..., :colors] = rng.normal(0, 1, (LATENT, 1, 1, colors)) * disk[..., None]
    bias = np.full(small, 0.2, np.float32)
    if channels == 4:
        bias[..., 3] = 10 * disk - 5
    dense.set_weights([kernel.reshape(LATENT, -1), bias.ravel()])
    return generator


def build_discriminator(shape: tuple[int, int, int]) -> keras.Model:
    """Return a discriminator that scores an image by its mean level."""
    image = keras.Input(shape, name="image")
    x = keras.layers.Flatten()(keras.layers.GlobalAveragePooling2D()(image))
    return keras.Model(image, keras.layers.Dense(1, kernel_initializer="ones")(x))


def save_model(models: Path, name: str, shape: tuple[int, int, int]) -> keras.Model:
    """Save a generator and a discriminator as a run saves them; return the generator.

    Args:
        models: `data/06_models`.
        name: `<dataset>/<network>`.
        shape: Height, width and channels of its images.
    """
    generator = build_generator(shape)
    save_networks(models, name, generator, build_discriminator(shape))
    return generator


def save_networks(
    models: Path,
    name: str,
    generator: keras.Model,
    discriminator: keras.Model,
    class_names: tuple[str, ...] = (),
) -> None:
    """Save networks as a run saves them, with the names of their classes."""
    version = "2026-01-01T00.00.00.000Z"
    classes = {"names": class_names, "column": "genre" if class_names else None}
    contents = {
        "generator.keras": generator.save,
        "discriminator.keras": discriminator.save,
        "class_list.json": lambda file: file.write_text(json.dumps(classes)),
    }
    for filename, save in contents.items():
        file = models / name / filename / version / filename
        file.parent.mkdir(parents=True)
        save(file)
