"""A latent prior: maps standard normal latents to latents like those of real images.

A generator that was trained on latents computed from real images (see
`ganvas.training.latent_anchoring`) has seen little of the space between them: there it generates
the same average image again and again. So its latents are sampled where it was trained, from a
mixture of Gaussians around latents of real images or points between two of them, as IC-GAN
(Casanova et al., arXiv 2109.05070) conditions on a real image and noise.

The generator still takes latents from N(0, I). A mixture of Gaussians is reached from N(0, I) by
the flow of optimal-transport conditional paths (Lipman et al., arXiv 2210.02747), whose velocity
has a closed form for a mixture, so nothing is trained. The flow is continuous: an interpolation of
latents is one of images. Its few steps are standard Keras layers, saved with the generator.
"""

from itertools import pairwise
from typing import NamedTuple

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from ganvas.networks.gan_networks import PRIOR_OUTPUT

# With 8 steps the deviation around an anchor is about 5 % larger than the exact flow's.
STEPS = 8
# Anchors saved with a generator; more would only make its file larger.
MAX_ANCHORS = 4096
# Keeps the logarithm of a class weight of 0 finite.
EPSILON = 1e-30


class LatentPrior(NamedTuple):
    """A mixture of Gaussians with equal weights within a class.

    The standard deviation of a component along axis i is `noise` times `scale[i]`; anchors are
    shrunk by √(1 - noise²), so that latents vary as much as the anchors do.

    Attributes:
        anchors: Latents of real images, or between them, float32 of shape (n, Z).
        scale: Standard deviation of the anchors along each axis, positive, float32 of shape (Z,).
        noise: Share σ of noise, above 0 and below 1.
        labels: Class number of each anchor, int of shape (n,); None without classes.
        num_classes: Number of classes K; 0 without classes.
        rows: With several label columns, the weights of each class, a combination of values,
            float32 of shape (M, K), see `ganvas.label_columns`; None with one or none.
    """

    anchors: np.ndarray
    scale: np.ndarray
    noise: float
    labels: np.ndarray | None = None
    num_classes: int = 0
    rows: np.ndarray | None = None

    @property
    def centers(self) -> np.ndarray:
        """Means of the components in units of `scale`, float32 of shape (n, Z)."""
        return np.float32(np.sqrt(1 - self.noise**2)) * self.anchors / self.scale

    def choose_anchors(
        self, count: int, classes: np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Choose anchors at random, float32 of shape (count, Z).

        Args:
            count: Number of anchors.
            classes: Class of each, int of shape (count,), or None for any; of a class without
                anchors any is chosen, or of a combination of values one of those that have most of
                these values.
            rng: Source of the choice.
        """
        if not count or classes is None or self.labels is None:
            return self.anchors[rng.integers(len(self.anchors), size=count)]
        if self.rows is not None:
            classes = self._find_similar(np.asarray(classes), self.rows, rng)
        order = np.argsort(self.labels, kind="stable")
        first = np.searchsorted(self.labels[order], classes, side="left")
        end = np.searchsorted(self.labels[order], classes, side="right")
        empty = first == end
        first, end = np.where(empty, 0, first), np.where(empty, len(order), end)
        return self.anchors[order[rng.integers(first, end)]]

    def _find_similar(
        self, classes: np.ndarray, rows: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Replace combinations without anchors by ones with, which have most of their values."""
        present = np.unique(np.asarray(self.labels))
        missing = np.flatnonzero(~np.isin(classes, present))
        similar = classes.copy()
        if len(missing):
            has_value = (rows > 0).astype(np.float32)
            shared = has_value[classes[missing]] @ has_value[present].T
            for position, counts in zip(missing, shared, strict=True):
                similar[position] = rng.choice(present[counts == counts.max()])
        return similar

    def add_noise(self, anchors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Sample a latent around each of some anchors.

        Args:
            anchors: float32 of shape (m, Z), this prior's or others of the same space.
            rng: Source of the noise.

        Returns:
            float32 of shape (m, Z).

        Example:
            >>> prior = LatentPrior(np.zeros((5, 3), np.float32), np.ones(3, np.float32), 0.3)
            >>> prior.add_noise(prior.anchors[:2], np.random.default_rng(0)).shape
            (2, 3)
        """
        noise = rng.standard_normal(anchors.shape, dtype=np.float32) * self.scale
        return np.float32(np.sqrt(1 - self.noise**2)) * anchors + np.float32(self.noise) * noise


def add_prior(generator: keras.Model, prior: LatentPrior) -> keras.Model:
    """Return a generator that takes standard normal latents, mapped by a prior first.

    Args:
        generator: Maps latents (N, Z) of the prior's distribution, and with classes labels (N, K),
            to images; it becomes a layer of the result and shares its weights.
        prior: The prior; of more than `MAX_ANCHORS` anchors, as many are kept at random.

    Returns:
        A generator of the same name and inputs. For a mixture of classes, whose weights sum to 1,
        the components of each class have that weight. With several label columns, those of a
        combination have the product of the weights of its values, so that for a row of one value a
        column only components count that have them all; where none has, those with most of them.

    Example:
        >>> from ganvas.networks.dcgan import DcganParams, build_dcgan
        >>> generator = build_dcgan(DcganParams(latent=3), (64, 64, 3)).generator
        >>> anchors = np.random.default_rng(0).standard_normal((50, 3), dtype=np.float32)
        >>> prior = LatentPrior(anchors, anchors.std(0), noise=0.3)
        >>> add_prior(generator, prior)(keras.ops.zeros((2, 3))).shape
        TensorShape([2, 64, 64, 3])
    """
    inputs = [keras.Input(x.shape[1:], name=x.name) for x in generator.inputs]
    latents = _map_latents(_limit_anchors(prior), *inputs)
    images = generator([latents, *inputs[1:]] if inputs[1:] else latents)
    return keras.Model(inputs if inputs[1:] else inputs[0], images, name=generator.name)


def _limit_anchors(prior: LatentPrior) -> LatentPrior:
    count = len(prior.anchors)
    if count <= MAX_ANCHORS:
        return prior
    kept = np.sort(np.random.default_rng(0).permutation(count)[:MAX_ANCHORS])
    labels = None if prior.labels is None else prior.labels[kept]
    return prior._replace(anchors=prior.anchors[kept], labels=labels)


def _map_latents(
    prior: LatentPrior, x: KerasTensor, class_weights: KerasTensor | None = None
) -> KerasTensor:
    """Integrate the flow from N(0, I) at time 0 to the prior at time 1.

    At time t the path from noise e to a component's center b is t b + s e with s = 1 - (1 - σ) t.
    A step keeps the expected center, given x, constant, for which it is then exact.
    """
    centers = prior.centers
    # b · x - |b|² / 2, and the mean of centers by weight.
    similarity = _constant_dense(centers.T, -np.square(centers).sum(axis=1) / 2, "prior_similarity")
    expectation = _constant_dense(centers, None, "prior_centers")
    softmax = layers.Softmax(dtype="float32", name="prior_weights")
    log_weights = None
    if class_weights is not None and prior.rows is not None:
        log_weights = _weigh_combinations(prior, class_weights)
    elif class_weights is not None:
        membership = np.arange(prior.num_classes)[:, None] == np.asarray(prior.labels)
        sizes = np.maximum(membership.sum(axis=1, keepdims=True), 1)
        spread = _constant_dense(membership / sizes, None, "prior_classes")
        log_weights = ops.log(ops.maximum(spread(class_weights), EPSILON))

    times = [step / STEPS for step in range(STEPS + 1)]
    for t, end in pairwise(times):
        s, s_end = (1 - (1 - prior.noise) * time for time in (t, end))
        # Log density of each component at x, up to a constant; at time 0 all are N(0, I).
        logits = (t / s) ** 2 * similarity(x / t) if t else 0.0 * similarity(x)
        logits = logits if log_weights is None else logits + log_weights
        center = expectation(softmax(logits))
        x = (s_end / s) * x + (end - t * s_end / s) * center
    return layers.Rescaling(prior.scale.tolist(), dtype="float32", name=PRIOR_OUTPUT)(x)


def _weigh_combinations(prior: LatentPrior, class_weights: KerasTensor) -> KerasTensor:
    """Compute the log weight of each component: the sum of those of its values, log w (N, n).

    The weight of a combination is divided among its components. For a single column it is what
    `_map_latents` computes.
    """
    rows, labels = np.asarray(prior.rows), np.asarray(prior.labels)
    membership = rows[labels].T > 0
    _, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    columns = round(float((rows[0] > 0).sum()))
    spread = _constant_dense(membership, -np.log(counts[numbers.ravel()]), "prior_classes")
    # Each block of a row sums to 1 / columns.
    return spread(ops.log(ops.maximum(columns * class_weights, EPSILON)))


def _constant_dense(kernel: np.ndarray, bias: np.ndarray | None, name: str) -> layers.Dense:
    """Return a frozen dense layer with given weights."""
    layer = layers.Dense(
        kernel.shape[1], use_bias=bias is not None, trainable=False, dtype="float32", name=name
    )
    layer.build((None, kernel.shape[0]))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer
