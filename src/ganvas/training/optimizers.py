"""Optimizers and schedules."""

import math

import keras
import tensorflow as tf
from keras import ops
from keras.optimizers import schedules

from ganvas.training.config import TrainParams
from ganvas.training.fused_ops import FusedAdam


def make_optimizer(
    params: TrainParams, learning_rate: float, steps: int, updates: int = 1
) -> keras.Optimizer:
    """Create the optimizer of one of the networks.

    Args:
        params: Parameters of training.
        learning_rate: Initial learning rate.
        steps: Steps an epoch.
        updates: Updates of the network in a step.

    Example:
        >>> optimizer = make_optimizer(TrainParams(), learning_rate=2e-4, steps=100)
    """
    rate, chosen = make_schedule(params, learning_rate, steps, updates), params.optimizer
    if chosen.name == "rmsprop":
        optimizer = keras.optimizers.RMSprop(rate, rho=chosen.rmsprop.rho)
    else:
        adam, end = chosen.adam, params.schedule.beta_2
        optimizer = FusedAdam(rate, beta_1=adam.beta_1, beta_2=adam.beta_2, epsilon=1e-8)
        total = params.schedule_steps(steps)
        if end is not None and total is not None:
            optimizer.beta_2_schedule = lambda update: follow_cosine(
                adam.beta_2, end, update, total * updates
            )
    if params.precision == "mixed_float16":
        # Small gradients would underflow in float16.
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def make_schedule(
    params: TrainParams, learning_rate: float, steps: int, updates: int = 1
) -> float | schedules.LearningRateSchedule:
    """Create the learning rate schedule, or return the rate if it is constant.

    Args:
        params: Parameters of training.
        learning_rate: Initial learning rate.
        steps: Steps an epoch.
        updates: Updates of the network in a step.
    """
    schedule = params.schedule
    if schedule.name == "step":
        return schedules.ExponentialDecay(
            learning_rate, schedule.interval * steps * updates, schedule.factor, staircase=True
        )
    if schedule.name == "cosine":
        total = params.schedule_steps(steps)
        assert total is not None, "TrainParams refuses a cosine without a last step"
        return schedules.CosineDecay(learning_rate, total * updates, alpha=schedule.factor)
    return learning_rate


def follow_cosine(start: float, end: float, step: tf.Tensor | int, total: int) -> tf.Tensor:
    """Return a value that goes from `start` to `end` by half a cosine, and stays there.

    It is the schedule of R3GAN's code (Huang et al., arXiv 2501.05441) for learning rate, β₂, γ and
    the half-life of the EMA.

    Args:
        start: Value at step 0.
        end: Value at step `total` and later.
        step: Number of steps before this one.
        total: Number of steps.

    Example:
        >>> [round(float(follow_cosine(2.0, 0.2, step, 10)), 2) for step in (0, 5, 10, 20)]
        [2.0, 1.1, 0.2, 0.2]
    """
    share = ops.minimum(ops.cast(step, "float32") / total, 1.0)
    return end + (start - end) * 0.5 * (1 + ops.cos(math.pi * share))


def variables_without_learning_rate(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Return an optimizer's variables except a constant learning rate, which parameters set."""
    rate = optimizer.learning_rate
    return [variable for variable in optimizer.variables if variable is not rate]
