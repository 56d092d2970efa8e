"""Random numbers of ADA's transforms: a value with a probability, otherwise the neutral one."""

import keras
from keras import KerasTensor, ops


def draw_uniform(
    count: int | KerasTensor, columns: int, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Draw from [0, 1), (N, columns) in float32."""
    return keras.random.uniform((count, columns), dtype="float32", seed=seed)


def draw_normal(
    count: int | KerasTensor, columns: int, seed: keras.random.SeedGenerator
) -> KerasTensor:
    """Draw from N(0, 1), (N, columns) in float32."""
    return keras.random.normal((count, columns), dtype="float32", seed=seed)


def keep_with(
    coins: KerasTensor, probability: float | KerasTensor, values: KerasTensor, neutral: float
) -> KerasTensor:
    """Return values where a coin, uniform on [0, 1), is below a probability, else the neutral one.

    Below 0 is never, below 1 always.
    """
    return ops.where(coins < ops.cast(probability, "float32"), values, neutral)


def power_of_2(exponent: KerasTensor) -> KerasTensor:
    """Return 2 to the power of an exponent."""
    return ops.exp(exponent * 0.6931471805599453)
