"""Layers of StyleGAN2's generator in training: random noise and latents, and style mixing.

They are part of no saved network.
"""

from typing import Any

import keras
from keras import KerasTensor, ops


class NormalLike(keras.Layer):
    """Draw from N(0, 1), float32 of shape (N, *shape), for an input of N rows.

    Args:
        shape: Shape of a row.
        options: Options of `keras.Layer`.
    """

    def __init__(self, shape: tuple[int, ...], **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.row_shape = tuple(shape)
        self.seed = keras.random.SeedGenerator()

    def call(self, x: KerasTensor) -> KerasTensor:
        """Return the random numbers; of x (N, …) only N counts."""
        return keras.random.normal((ops.shape(x)[0], *self.row_shape), seed=self.seed)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (N, *shape)."""
        return (input_shape[0], *self.row_shape)


class MixStyles(keras.Layer):
    """Style mixing (arXiv 1812.04948): from a random layer on, all images have a second style.

    The layer is the same for a whole batch, as in StyleGAN2's code.

    Args:
        layers: Number of layers L of the synthesis network.
        probability: Probability with which a batch is mixed.
        options: Options of `keras.Layer`.
    """

    def __init__(self, layers: int, probability: float, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.layers, self.probability = layers, probability
        self.seed = keras.random.SeedGenerator()

    def call(self, styles: list[KerasTensor]) -> KerasTensor:
        """Return styles (N, L, W) of two styles (N, W) for each image."""
        first, second = styles
        mixed = keras.random.uniform((), seed=self.seed) < self.probability
        start = keras.random.randint((), 1, self.layers, seed=self.seed)
        start = ops.where(mixed, start, self.layers)
        use_first = ops.arange(self.layers)[:, None] < start
        return ops.where(use_first, first[:, None, :], second[:, None, :])

    def compute_output_shape(
        self, input_shape: list[tuple[int | None, ...]]
    ) -> tuple[int | None, ...]:
        """Return (N, L, W)."""
        batch, width = input_shape[0]
        return (batch, self.layers, width)
