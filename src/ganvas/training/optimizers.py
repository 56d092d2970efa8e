"""Optimizers and how their learning rates change."""

import keras
from keras.optimizers import schedules

from ganvas.training.config import TrainParams
from ganvas.training.fused_ops import FusedAdam


def make_optimizer(params: TrainParams, learning_rate: float, steps: int) -> keras.Optimizer:
    """Make the optimizer of one of the networks.

    Args:
        params: Of training.
        learning_rate: At the start.
        steps: Updates an epoch.
    """
    rate, chosen = make_schedule(params, learning_rate, steps), params.optimizer
    if chosen.name == "rmsprop":
        optimizer = keras.optimizers.RMSprop(rate, rho=chosen.rmsprop.rho)
    else:
        adam = chosen.adam
        optimizer = FusedAdam(rate, beta_1=adam.beta_1, beta_2=adam.beta_2, epsilon=1e-8)
    if params.precision == "mixed_float16":
        # Small gradients would be lost in float16.
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def without_rate(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Give an optimizer's variables but a constant learning rate, which parameters decide alone."""
    rate = optimizer.learning_rate
    return [variable for variable in optimizer.variables if variable is not rate]


def make_schedule(
    params: TrainParams, learning_rate: float, steps: int
) -> float | schedules.LearningRateSchedule:
    """Make the course of a learning rate over updates.

    Args:
        params: Of training.
        learning_rate: At the start.
        steps: Updates an epoch.
    """
    schedule = params.schedule
    if schedule.name == "step":
        return schedules.ExponentialDecay(
            learning_rate, schedule.interval * steps, schedule.factor, staircase=True
        )
    if schedule.name == "cosine":
        return schedules.CosineDecay(learning_rate, params.epochs * steps, alpha=schedule.factor)
    return learning_rate
