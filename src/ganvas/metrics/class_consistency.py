"""A class classifier for generated images: softmax regression on a frozen extractor's features.

Networks trained on photographs rely on texture, and generated images are noisy or blurred. The
classifier is therefore also trained on blurred and noisy real images, see `blur_and_noise`, lest
it predict classes from image quality.
"""

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from keras import layers, ops
from PIL import Image, ImageFilter

from ganvas.arrays import Images, allocate

BATCH, STEPS = 128, 1000
WEIGHT_DECAY = 1e-3
# Standard deviation in gray levels.
MAX_NOISE = 40
# Radius in 64ths of an image's shorter side.
MAX_BLUR = 1.6


def blur_and_noise(images: Images, seed: int) -> np.ndarray:
    """Blur each image and add Gaussian noise, both of a random strength per image.

    Args:
        images: uint8 of shape (n, H, W, C), gray or RGB; may be memory-mapped.
        seed: Random seed of blur and noise.

    Returns:
        uint8 of the same shape.

    Example:
        >>> blur_and_noise(np.full((2, 64, 64, 3), 128, np.uint8), seed=0).shape
        (2, 64, 64, 3)
    """
    rng = np.random.default_rng(seed)
    degraded = allocate(images.shape)
    for number in range(len(images)):
        image = images[number : number + 1][0]
        radius = rng.uniform(0, MAX_BLUR * min(image.shape[:2]) / 64)
        # Pillow's gray images have no axis of channels.
        levels = image[..., 0] if image.shape[2] == 1 else image
        blurred = Image.fromarray(levels).filter(ImageFilter.GaussianBlur(radius))
        noisy = np.asarray(blurred).reshape(image.shape) + rng.uniform(
            0, MAX_NOISE
        ) * rng.standard_normal(image.shape)
        degraded[number] = np.clip(np.rint(noisy), 0, 255)
    return degraded


def train_classifier(
    features: np.ndarray, labels: np.ndarray, classes: int, seed: int
) -> keras.Model:
    """Train a softmax classifier on features of real images, with all classes weighted equally.

    Args:
        features: float32 of shape (n, d).
        labels: Class numbers (n,), in [0, K).
        classes: Number of classes K.
        seed: Random seed of weights and batches.

    Returns:
        A model from features (N, d) to logits (N, K).

    Example:
        >>> features = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
        >>> classifier = train_classifier(features, np.repeat(np.arange(3), 20), 3, seed=0)
        >>> predict_classes(classifier, np.eye(3, dtype=np.float32))
        array([0, 1, 2])
    """
    keras.utils.set_random_seed(seed)
    norm = layers.Normalization()
    norm.adapt(features)
    inputs = keras.Input(features.shape[1:], name="features")
    head = layers.Dense(classes, kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY))
    model = keras.Model(inputs, head(norm(inputs)), name="classifier")
    learning_rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss)
    batches = _sample_batches(features, labels, classes, seed)
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    return model


def train_label_classifier(
    features: np.ndarray, positions: np.ndarray, blocks: Sequence[slice], seed: int
) -> keras.Model:
    """Train a softmax classifier for each of several label columns, all at once.

    Each is the one that `train_classifier` trains, on the same batches.

    Args:
        features: float32 of shape (n, d).
        positions: Values of the columns as positions in a row of weights, int of shape (n, C).
        blocks: Each column's block of such a row, one after the other, K positions in all.
        seed: Random seed of weights and batches.

    Returns:
        A model from features (N, d) to logits (N, K).

    Example:
        >>> features = np.repeat(np.eye(4, dtype=np.float32), 20, axis=0)
        >>> positions = np.repeat([[0, 2], [0, 3], [1, 2], [1, 3]], 20, axis=0)
        >>> blocks = [slice(0, 2), slice(2, 4)]
        >>> classifier = train_label_classifier(features, positions, blocks, seed=0)
        >>> predict_labels(classifier, features[[0, 20]], blocks).tolist()
        [[0, 2], [0, 3]]
    """
    keras.utils.set_random_seed(seed)
    norm = layers.Normalization()
    norm.adapt(features)
    inputs = keras.Input(features.shape[1:], name="features")
    regularizer = keras.regularizers.L2(WEIGHT_DECAY)
    heads = [
        layers.Dense(block.stop - block.start, kernel_regularizer=regularizer) for block in blocks
    ]
    x = norm(inputs)
    logits = layers.Concatenate()([head(x) for head in heads])
    model = keras.Model(inputs, logits, name="classifier")

    def cross_entropy(weights: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        parts = [ops.log_softmax(logits[:, block]) for block in blocks]
        return -ops.sum(weights * ops.concatenate(parts, axis=1), axis=1)

    learning_rate = keras.optimizers.schedules.CosineDecay(3e-3, STEPS)
    model.compile(keras.optimizers.Adam(learning_rate), cross_entropy)
    batches = _sample_label_batches(features, positions, blocks, seed)
    model.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    return model


def _sample_label_batches(
    features: np.ndarray, positions: np.ndarray, blocks: Sequence[slice], seed: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield random batches of features, and rows with the weight of each value, without end."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(positions.ravel(), minlength=blocks[-1].stop)
    sizes = np.array([block.stop - block.start for block in blocks])
    weights = len(positions) / (sizes * counts[positions])
    targets = np.zeros((len(positions), blocks[-1].stop), np.float32)
    np.put_along_axis(targets, positions, weights.astype(np.float32), axis=1)
    while True:
        rows = rng.integers(len(positions), size=BATCH)
        yield features[rows], targets[rows]


def predict_labels(model: keras.Model, features: np.ndarray, blocks: Sequence[slice]) -> np.ndarray:
    """Predict the values (n, C) of features (n, d) as positions; see `train_label_classifier`."""
    logits = model.predict(features, batch_size=1024, verbose=0)
    return np.stack([x.start + logits[:, x].argmax(axis=1) for x in blocks], axis=1)


def _sample_batches(
    features: np.ndarray, labels: np.ndarray, classes: int, seed: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield random batches of features, labels and sample weights without end."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=classes)
    while True:
        rows = rng.integers(len(labels), size=BATCH)
        targets = labels[rows]
        yield features[rows], targets, (len(labels) / (classes * counts[targets])).astype("float32")


def predict_classes(model: keras.Model, features: np.ndarray) -> np.ndarray:
    """Predict the class numbers (n,) of features (n, d); see `train_classifier`.

    Example:
        >>> features = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
        >>> classifier = train_classifier(features, np.repeat(np.arange(3), 20), 3, seed=0)
        >>> predict_classes(classifier, features[[0, 20]])
        array([0, 1])
    """
    return model.predict(features, batch_size=1024, verbose=0).argmax(axis=1)
