"""Find the latents whose images are most like given images (GAN inversion).

The encoder's latent is refined by gradient (Adam with a cosine schedule). The loss of an image is
the distance of its features from those of the generated one, on the maps of the encoder's
backbone, normalized as in LPIPS (Zhang et al., arXiv 1801.03924), plus the squared distance of
pixels at full size and of a coarse size, plus a weak prior that keeps the latent where latents of
the generator are: the squared Mahalanobis distance from their mean (cf. Wulff and Torralba, arXiv
2009.06529). Each image has a loss of its own, so the others of a batch don't change its latent.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from ganvas.arrays import Images
from ganvas.keras_types import Model
from ganvas.networks.batches import batch_size, pad_rows, to_float
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.image_encoder import ImageEncoder, average_over_grid, encode, load_backbone
from ganvas.networks.latent_spaces import (
    generate_from_w,
    has_mapping,
    map_to_w,
    mean_w,
    synthesize_w,
    w_shape,
)
from ganvas.networks.sampling import count_classes, latent_dim
from ganvas.progress import track

# w+: in StyleGAN2, a style for each layer; w: the same one for all. Equal for other generators.
Space = Literal["w", "w+"]

# Steps of gradient; more lower distances by little.
STEPS = 100
# Step size in units of the latents' standard deviation, at the start of the cosine schedule.
LEARNING_RATE = 0.2
# Adam's decays of the moments, and what keeps its division finite.
BETA_1, BETA_2, ADAM_EPSILON = 0.9, 0.99, 1e-8
# Weights of the squared pixel distances, at full size and of images of about COARSE_SIDE², beside
# the feature distance, and of the prior, relative to its mean over latents.
PIXEL_WEIGHT, COARSE_WEIGHT, COARSE_SIDE = 1.0, 2.0, 16
PRIOR_WEIGHT = 0.005
# Images that are refined at once, and their pixels at most. The batch of a single image is smaller:
# it takes a fraction of the time.
BATCH, BATCH_PIXELS = 16, 16 * 128**2
# Latents of which the deviation of W is computed, and rows of labels that they are spread over.
DEVIATION_LATENTS, DEVIATION_ROWS = 1024, 16
# Directions in which W varies less, relative to the first, are rounding errors.
MIN_RELATIVE_DEVIATION = 1e-3
# Rows of labels that are refined for a few steps before the nearest is chosen.
TRIED_ROWS, TRIAL_STEPS = 3, 20
# Share of a class that keeps the others' weights from 0, where gradients would vanish.
SMOOTHING = 0.05
# Weight of pixel distances, in [0, 1], beside feature distances where starts are compared.
SCORE_PIXELS = 2.0
# Fewer images than this are refined one by one.
FEW = 4
EPSILON = 1e-10


class Inversion(NamedTuple):
    """Latents that were found for images.

    Attributes:
        w: float32 of shape (N, *w_shape), see `ganvas.networks.latent_spaces`.
        labels: Class weights, float32 of shape (N, K); (N, 0) without classes.
        images: Images generated from them, uint8 of shape (N, H, W, C).
        pixel_distances: Mean absolute differences from the given images, in [0, 1], (N,).
        feature_distances: Distances of features from theirs, 0 or more, (N,).
    """

    w: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    pixel_distances: np.ndarray
    feature_distances: np.ndarray


class Inverter:
    """Finds the latents of images for one generator.

    What is compiled, in the first call, is kept for later ones.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        encoder: Its encoder, see `ganvas.latents.fit_encoder.fit_encoder` where it has none.
        label_rows: Rows of class weights (M, K) that an image may have; None: one-hot rows. Of
            several label columns, see `ganvas.ingestion.class_labels`.
        blocks: Numbers of values of the label columns, whose weights sum to the same each; None:
            one column of K values.

    Example:
        >>> inverter = Inverter(generator, from_arrays(read_arrays(Path("encoder.npz"))))
        >>> found = inverter.invert(images)
        >>> generate_from_w(generator, found.w, found.labels).shape == images.shape
        True
    """

    def __init__(
        self,
        generator: Model,
        encoder: ImageEncoder,
        label_rows: np.ndarray | None = None,
        blocks: list[int] | None = None,
    ) -> None:
        self.generator, self.encoder = generator, encoder
        self.image_shape = tuple(generator.output_shape[1:])
        if encoder.image_shape != self.image_shape or encoder.w_shape != w_shape(generator):
            raise ValueError("the encoder is that of another generator")
        classes = count_classes(generator)
        rows = np.eye(classes) if label_rows is None else label_rows
        # Without classes, all images have the empty row.
        self.label_rows = np.asarray(rows if classes else np.zeros((1, 0)), np.float32)
        self._blocks = [classes] if blocks is None else blocks
        self._is_style_based = is_style_based(generator)
        # Styles are those of a class, and the synthesis takes no labels.
        self._takes_labels = classes > 0 and not self._is_style_based
        pixels = math.prod(self.image_shape[:2])
        self._batch_size = min(BATCH, max(1, BATCH_PIXELS // pixels))
        self._backbone = load_backbone(encoder.backbone, encoder.image_shape, encoder.input_upscale)
        self._means: dict[bytes, np.ndarray] = {}
        self._basis = _measure_basis(generator, self.label_rows)
        self._inverse = np.linalg.inv(self._basis).astype(np.float32)
        self._compiled: dict[tuple[Any, ...], Any] = {}

    def invert(
        self,
        images: Images,
        labels: np.ndarray | None = None,
        steps: int = STEPS,
        description: str | None = None,
        space: Space = "w+",
        mix_labels: bool = False,
    ) -> Inversion:
        """Find the latents of images.

        Args:
            images: uint8 of shape (N, H, W, C), with the generator's image shape.
            labels: Class weights, float32 of shape (N, K); None: for each image, the row of
                `label_rows` with the nearest generated image.
            steps: Steps of gradient; 0: what the encoder finds, with the nearest label.
            description: Text of a progress bar; None shows no bar.
            space: Of StyleGAN2 alone: `w+`, a style for each layer, which comes nearer to images
                unlike those of training; `w`, one for all, which stays editable.
            mix_labels: Whether to refine class weights, too, to mixtures of classes.

        Raises:
            ValueError: Images or labels have other shapes than the generator's.

        Example:
            >>> found = inverter.invert(images, steps=200)
            >>> found.feature_distances.mean() < inverter.invert(images, steps=0)[4].mean()
            True
        """
        self._check(images, labels)
        options = _Options(steps, space if self._is_style_based else "w", mix_labels)
        starts = range(0, len(images), self._batch_size)
        w = np.empty((len(images), *self.encoder.w_shape), np.float32)
        found = np.zeros((len(images), self.label_rows.shape[1]), np.float32)
        for start in track(starts, description) if description else starts:
            rows = slice(start, start + self._batch_size)
            given = None if labels is None else np.asarray(labels[rows], np.float32)
            w[rows], found[rows] = self._invert_batch(np.asarray(images[rows]), given, options)
        generated = generate_from_w(self.generator, w, found)
        return Inversion(w, found, generated, *self.distances(generated, images))

    def distances(self, a: Images, b: Images) -> tuple[np.ndarray, np.ndarray]:
        """Compute the distances of images from others, pair by pair.

        Args:
            a: uint8 of shape (N, H, W, C), with the generator's image shape.
            b: Likewise.

        Returns:
            Pixel distances, the mean absolute difference in [0, 1], and feature distances, the mean
            over the backbone's maps and their positions of |â - b̂|², â and b̂ being the features
            divided by their length: from 0 to 4. Both float32 of shape (N,). Of transparent images,
            pixels are those over black, and alpha.
        """
        size = self._batch_size
        measured = np.empty((2, len(a)), np.float32)
        measure = self._compile("distances", size, self._measure)
        for start in range(0, len(a), size):
            rows = slice(start, start + size)
            pair = [to_float(pad_rows(np.asarray(x[rows]), size)) for x in (a, b)]
            result = np.stack([np.asarray(x) for x in measure(*pair)])
            measured[:, rows] = result[:, : len(a) - start]
        return measured[0], measured[1]

    def _check(self, images: Images, labels: np.ndarray | None) -> None:
        if tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(f"images have the shape {images.shape[1:]}, not {self.image_shape}")
        expected = (len(images), self.label_rows.shape[1])
        if labels is not None and labels.shape != expected:
            raise ValueError(f"labels have the shape {labels.shape}, not {expected}")

    # --- Where to start: the encoder's latent, and the nearest labels -----------------------------

    def _invert_batch(
        self, images: np.ndarray, labels: np.ndarray | None, options: "_Options"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return w and labels of at most `BATCH` images."""
        codes = encode(self.encoder, images)
        count = len(images)
        if labels is None and self._takes_labels:
            labels = self._find_labels(images, codes, options)
        # Labels that only the mapping takes are found afterwards.
        mean = self._mean(labels) if labels is not None else self._mean_of_all(count)
        given = np.zeros((count, self.label_rows.shape[1])) if labels is None else labels
        u = self._choose_start(images, self._to_u(codes, mean, options), given, mean)
        u, found, _ = self._refine(images, u, given.astype(np.float32), mean, options)
        w = self._to_w(u, mean)
        return w, self._nearest_mean(w) if labels is None else found

    def _find_labels(
        self, images: np.ndarray, codes: np.ndarray, options: "_Options"
    ) -> np.ndarray:
        """Return, for each image, the row of labels whose image is nearest, (N, K).

        Of all rows, the encoder's latent is tried; the nearest few are refined for some steps.
        """
        ranked = self._rank_rows(images, codes)
        if not options.steps:
            return self.label_rows[ranked[:, 0]]
        tried = ranked[:, :TRIED_ROWS]
        image, labels = np.repeat(np.arange(len(images)), tried.shape[1]), tried.ravel()
        labels = self.label_rows[labels]
        steps = min(TRIAL_STEPS, options.steps)
        mean, trial = self._mean(labels), options._replace(steps=steps, mix_labels=False)
        u = self._to_u(codes[image], mean, options)
        *_, losses = self._refine(images[image], u, labels, mean, trial)
        best = losses.reshape(tried.shape).argmin(axis=1)
        return self.label_rows[tried[np.arange(len(images)), best]]

    def _rank_rows(self, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the numbers of label rows (N, M), those of the nearest images first."""
        count, rows = len(images), len(self.label_rows)
        scores = np.empty(count * rows, np.float32)
        size = batch_size(*self.image_shape[:2])
        for start in range(0, count * rows, size):
            image, row = np.divmod(np.arange(start, min(start + size, count * rows)), rows)
            generated = generate_from_w(self.generator, codes[image], self.label_rows[row])
            scores[start : start + size] = _score(*self.distances(generated, images[image]))
        return scores.reshape(count, rows).argsort(axis=1, kind="stable")

    def _choose_start(
        self, images: np.ndarray, u: np.ndarray, labels: np.ndarray, mean: np.ndarray
    ) -> np.ndarray:
        """Return the encoder's start of each image, or the mean if that comes nearer."""
        scores = []
        for w in (self._to_w(u, mean), mean):
            generated = generate_from_w(self.generator, w, labels.astype(np.float32))
            scores.append(_score(*self.distances(generated, images)))
        return u * (scores[0] <= scores[1])[:, None, None]

    # --- Coordinates: u has unit variance, w is what the generator takes --------------------------

    def _to_u(self, w: np.ndarray, mean: np.ndarray, options: "_Options") -> np.ndarray:
        """Return coordinates u, (N, 1, W), or with a style for each layer (N, L, W)."""
        u = (w - mean) @ self._inverse.T
        u = u if u.ndim == 3 else u[:, None]
        return u.astype(np.float32) if options.space == "w+" else u[:, :1].astype(np.float32)

    def _to_w(self, u: Any, mean: Any) -> Any:
        """Return w, (N, *w_shape), of coordinates; both arrays or both tensors."""
        w = u @ self._basis.T
        return mean + (w if self._is_style_based else w[:, 0])

    def _mean(self, labels: np.ndarray) -> np.ndarray:
        """Return the mean of W for rows of labels (N, K), kept for equal rows."""
        keys = [row.tobytes() for row in labels.astype(np.float32)]
        new = {key: row for key, row in zip(keys, labels, strict=True) if key not in self._means}
        if new:
            means = mean_w(self.generator, np.stack(list(new.values())).astype(np.float32))
            self._means |= dict(zip(new, means, strict=True))
        return np.stack([self._means[key] for key in keys])

    def _mean_of_all(self, count: int) -> np.ndarray:
        rows = _spread(self.label_rows, DEVIATION_ROWS)
        return np.repeat(self._mean(rows).mean(axis=0, keepdims=True), count, axis=0)

    def _nearest_mean(self, w: np.ndarray) -> np.ndarray:
        """Return, for each image, the labels whose mean is nearest; (N, 0) without classes."""
        if not self.label_rows.shape[1]:
            return np.zeros((len(w), 0), np.float32)
        means = self._mean(self.label_rows)
        nearest = [
            np.square((row - means) @ self._inverse.T).reshape(len(means), -1).sum(axis=1).argmin()
            for row in w
        ]
        return self.label_rows[nearest]

    # --- Refinement by gradient -------------------------------------------------------------------

    def _refine(
        self,
        images: np.ndarray,
        u: np.ndarray,
        labels: np.ndarray,
        mean: np.ndarray,
        options: "_Options",
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Refine coordinates u (N, l, W) and, if they are mixed, labels; return them and losses."""
        arrays = [images, u, labels, mean]
        # A few images are faster one by one, without compiling for another size.
        size = self._batch_size if len(images) >= FEW else 1
        parts = []
        for start in range(0, len(images), size):
            batch = [x[start : start + size] for x in arrays]
            refined = self._refine_padded([pad_rows(x, size) for x in batch], options)
            parts.append([x[: len(batch[0])] for x in refined])
        found_u, found_labels, losses = (np.concatenate(x) for x in zip(*parts, strict=True))
        return found_u, found_labels, losses

    def _refine_padded(self, arrays: list[np.ndarray], options: "_Options") -> list[np.ndarray]:
        """Refine a batch of a whole size; see `_refine`."""
        images, u, labels, mean = arrays
        if not options.steps:
            return [u, labels, np.zeros(len(u), np.float32)]
        size, mixes = len(images), options.mix_labels and self._takes_labels
        describe = self._compile("describe", size, self._describe)
        step = self._compile("step", size, self._step, mixes)
        target = describe(to_float(images))
        logits = np.log((1 - SMOOTHING) * labels + SMOOTHING / max(labels.shape[1], 1) + EPSILON)
        x = [tf.constant(u), tf.constant(logits if mixes else labels, tf.float32)]
        moments = [tf.zeros_like(y) for y in (*x, *x)]
        best = [*x, tf.fill([size], np.float32(np.inf))]
        for number in range(options.steps + 1):
            rate = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * number / options.steps))
            scalars = [tf.constant(rate), tf.constant(number + 1.0)]
            x, moments, best = step(x, moments, best, tf.constant(mean), target, *scalars)
        if mixes:
            best[1] = self._to_labels(best[1])
        return [np.asarray(y) for y in best]

    def _step(
        self,
        mixes: bool,
        x: list[Any],
        moments: list[Any],
        best: list[Any],
        mean: Any,
        target: list[Any],
        rate: Any,
        number: Any,
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Take a step of Adam; `best` are the values of the lowest losses so far, and these."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            losses = self._loss(x[0], self._to_labels(x[1]) if mixes else x[1], mean, target)
        gradients = tape.gradient(losses, x, unconnected_gradients="zero")
        better = losses < best[-1]
        kept = [
            tf.where(tf.reshape(better, [-1, *[1] * (y.ndim - 1)]), y, z)
            for y, z in zip([*x, losses], best, strict=True)
        ]
        first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(moments[:2], gradients, strict=True)]
        second = [
            BETA_2 * m + (1 - BETA_2) * g * g for m, g in zip(moments[2:], gradients, strict=True)
        ]
        scales = 1 - BETA_1**number, 1 - BETA_2**number
        moved = [
            y - rate * (m / scales[0]) / (tf.sqrt(v / scales[1]) + ADAM_EPSILON)
            for y, m, v in zip(x, first, second, strict=True)
        ]
        return [moved[0], moved[1] if mixes else x[1]], [*first, *second], kept

    def _loss(self, u: Any, labels: Any, mean: Any, target: list[Any]) -> Any:
        """Compute the loss of each image, (N,)."""
        w = self._to_w(u, mean)
        images = synthesize_w(self.generator, w, labels if self._takes_labels else None)
        # What is saved; gradients pass, since a value beyond may have to come back.
        images += tf.stop_gradient(tf.clip_by_value(images, -1.0, 1.0) - images)
        found = self._describe(images)
        pixels = [_mean_square(a - b) for a, b in zip(found[:2], target[:2], strict=True)]
        features = _feature_distance(found[2:], target[2:])
        prior = tf.reduce_mean(tf.square(u), axis=[1, 2])
        return (
            features + PIXEL_WEIGHT * pixels[0] + COARSE_WEIGHT * pixels[1] + PRIOR_WEIGHT * prior
        )

    def _describe(self, images: Any) -> list[Any]:
        """Return visible pixels, coarse ones, and normalized feature maps of images in [-1, 1]."""
        visible = _visible(images)
        maps = self._backbone(images, training=False)[1:]
        return [visible, average_over_grid(visible, COARSE_SIDE), *map(_normalize, maps)]

    def _measure(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Compute both distances of images in [-1, 1]."""
        first, second = self._describe(a), self._describe(b)
        pixels = tf.reduce_mean(tf.abs(first[0] - second[0]), axis=[1, 2, 3]) / 2
        return pixels, _feature_distance(first[2:], second[2:])

    def _to_labels(self, logits: Any) -> Any:
        """Return class weights, a softmax within each block."""
        parts = [tf.nn.softmax(x) for x in tf.split(logits, self._blocks, axis=1)]
        return tf.concat(parts, axis=1) / len(parts)

    def _compile(self, name: str, size: int, function: Callable[..., Any], *first: Any) -> Any:
        """Return a compiled function for batches of a size, the same one each time."""
        key = (name, size, *first)
        if key not in self._compiled:
            self._compiled[key] = tf.function(partial(function, *first))
        return self._compiled[key]


class _Options(NamedTuple):
    steps: int
    space: Space
    mix_labels: bool


def _score(pixels: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return one number of both distances, by which starts and labels are chosen."""
    return features + SCORE_PIXELS * pixels


def _measure_basis(generator: Model, label_rows: np.ndarray) -> np.ndarray:
    """Return the basis (W, W) of coordinates of unit variance: w is mean + basis @ u.

    The variance is that within a class.
    """
    size = w_shape(generator)[-1]
    if not has_mapping(generator):
        return np.eye(size, dtype=np.float32)
    rows = _spread(label_rows, DEVIATION_ROWS)
    count = DEVIATION_LATENTS // len(rows)
    latents = np.random.default_rng([0, 4]).standard_normal(
        (len(rows) * count, latent_dim(generator)), dtype=np.float32
    )
    w = map_to_w(generator, latents, np.repeat(rows, count, axis=0))
    w = (w[:, 0] if w.ndim == 3 else w).reshape(len(rows), count, size).astype(np.float64)
    deviations = (w - w.mean(axis=1, keepdims=True)).reshape(-1, size)
    values, vectors = np.linalg.eigh(deviations.T @ deviations / len(deviations))
    scales = np.sqrt(np.maximum(values, 0))
    floor = MIN_RELATIVE_DEVIATION * scales.max() or 1.0
    return (vectors * np.maximum(scales, floor)).astype(np.float32)


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Return at most so many of some rows, evenly spaced."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]


def _visible(images: Any) -> Any:
    """Return what is seen of images in [-1, 1]: transparent ones over black, with their alpha."""
    if images.shape[-1] != 4:
        return images
    alpha = 0.5 * images[..., 3:] + 0.5
    return tf.concat([(images[..., :3] + 1) * alpha - 1, images[..., 3:]], axis=-1)


def _normalize(maps: Any) -> Any:
    """Divide features (N, h, w, C) by their length at each position."""
    length = tf.sqrt(tf.reduce_sum(tf.square(maps), axis=-1, keepdims=True) + EPSILON)
    return maps / length


def _feature_distance(a: list[Any], b: list[Any]) -> Any:
    """Return the mean over maps of the mean over positions of squared distances, (N,)."""
    distances = [
        tf.reduce_mean(tf.reduce_sum(tf.square(x - y), axis=-1), axis=[1, 2])
        for x, y in zip(a, b, strict=True)
    ]
    return tf.add_n(distances) / len(distances)


def _mean_square(values: Any) -> Any:
    return tf.reduce_mean(tf.square(values), axis=[1, 2, 3])
