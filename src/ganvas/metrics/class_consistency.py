"""An independent judge of classes: a linear softmax on the features of a frozen network.

Networks trained on photographs go by texture, and generated images are grainy or soft. So the
judge also learns from real images that were made so, lest it take finish for class.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers
from PIL import Image, ImageFilter

BATCH, STEPS = 128, 1000
DECAY = 1e-3
# The most noise, a standard deviation in gray levels, and the widest blur, one in 64ths of a side.
GRAIN, SOFTNESS = 40, 1.6


def blur_and_noise(images: np.ndarray, seed: int) -> np.ndarray:
    """Make every image soft and then grainy, each as much as it happens to be drawn.

    Args:
        images: uint8 of shape (n, H, W, 3).
        seed: Of blur and noise.

    Returns:
        uint8 of the same shape.
    """
    rng = np.random.default_rng(seed)
    degraded = np.empty_like(images)
    for number, image in enumerate(images):
        width = rng.uniform(0, SOFTNESS * len(image) / 64)
        soft = Image.fromarray(image).filter(ImageFilter.GaussianBlur(width))
        grainy = soft + rng.uniform(0, GRAIN) * rng.standard_normal(image.shape)
        degraded[number] = np.clip(np.rint(grainy), 0, 255)
    return degraded


def train_classifier(
    features: np.ndarray, labels: np.ndarray, classes: int, seed: int
) -> keras.Model:
    """Train on real images; every class weighs the same, however many images it has.

    Args:
        features: float32 of shape (n, d).
        labels: Numbers of their classes, (n,), in [0, K).
        classes: K.
        seed: Of weights and order.

    Returns:
        Features (N, d) to logits (N, K).
    """
    keras.utils.set_random_seed(seed)
    norm = layers.Normalization()
    norm.adapt(features)
    inputs = keras.Input(features.shape[1:], name="features")
    head = layers.Dense(classes, kernel_regularizer=keras.regularizers.L2(DECAY))
    model = keras.Model(inputs, head(norm(inputs)), name="classifier")
    rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    batches = _draw(features, labels, classes, seed)
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    return model


def _draw(
    features: np.ndarray, labels: np.ndarray, classes: int, seed: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Draw batches without end, with the weight of each image."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=classes)
    while True:
        chosen = rng.integers(len(labels), size=BATCH)
        drawn = labels[chosen]
        yield features[chosen], drawn, (len(labels) / (classes * counts[drawn])).astype(np.float32)


def predict_classes(model: keras.Model, features: np.ndarray) -> np.ndarray:
    """Give the numbers of the classes that a classifier takes features (n, d) for: (n,)."""
    return model.predict(features, batch_size=1024, verbose=0).argmax(axis=1)
