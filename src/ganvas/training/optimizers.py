"""Optimizers and learning rate schedules."""

import keras
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
        adam = chosen.adam
        optimizer = FusedAdam(rate, beta_1=adam.beta_1, beta_2=adam.beta_2, epsilon=1e-8)
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
        total = params.total_steps(steps)
        assert total is not None, "TrainParams refuses a cosine without a last step"
        return schedules.CosineDecay(learning_rate, total * updates, alpha=schedule.factor)
    return learning_rate


def variables_without_learning_rate(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Return an optimizer's variables except a constant learning rate, which parameters set."""
    rate = optimizer.learning_rate
    return [variable for variable in optimizer.variables if variable is not rate]
