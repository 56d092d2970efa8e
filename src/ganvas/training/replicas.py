"""A training step that several devices take together, each on its share of the batch.

Everything here leaves a step on a single device as it is. Variables of our own are written by
each replica for itself, so what is written must be equal on all of them.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


def mean_over_replicas(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Give the mean of each value over the replicas."""
    if not tf.distribute.has_strategy():
        return list(values)
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, list(values))


def share_gradients(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Give what Keras's optimizers, which add up over replicas, make the mean of."""
    if not tf.distribute.has_strategy():
        return gradients
    count = tf.distribute.get_strategy().num_replicas_in_sync
    return [gradient / count for gradient in gradients]


def even_out(networks: Sequence[keras.Model]) -> None:
    """Give all replicas the mean of their statistics, such as batch norm's moving averages."""
    if not tf.distribute.has_strategy():
        return
    statistics = [
        variable
        for network in networks
        for variable in network.non_trainable_variables
        if variable.dtype == "float32"
    ]
    if statistics:
        # A copy lies on a device that TensorFlow can name, a value as it is read does not.
        means = mean_over_replicas([tf.identity(each.value) for each in statistics])
        for variable, mean in zip(statistics, means, strict=True):
            variable.assign(mean)


def as_log(value: tf.Tensor) -> tf.Tensor:
    """Give a scalar in the shape that Keras wants to average it over replicas in."""
    strategy = tf.distribute.get_strategy()
    # Keras takes the mean over axis 0 with this strategy alone.
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return value[None] if several else value


def make_seed(seed: int) -> keras.random.SeedGenerator:
    """Make a generator of seeds that differ between replicas."""
    kind = _ReplicaSeed if tf.distribute.has_strategy() else keras.random.SeedGenerator
    return kind(seed)


def make_mean(name: str) -> keras.metrics.Mean:
    """Make the mean of a value that is equal on all replicas."""
    kind = _EqualMean if tf.distribute.has_strategy() else keras.metrics.Mean
    return kind(name)


class _ReplicaSeed(keras.random.SeedGenerator):
    """Its state is equal on all replicas, what it gives is not."""

    def next(self, ordered: bool = True) -> tf.Tensor:
        seed = super().next(ordered)
        context = tf.distribute.get_replica_context()
        if context is None:
            return seed
        number = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        # Far from the seeds that people choose next to each other.
        return seed + tf.stack([number * 1_000_003, tf.zeros_like(number)])


class _EqualMean(keras.metrics.Mean):
    """Its variables are read without asking the other replicas, whose values are the same."""

    def add_variable(
        self,
        shape: tuple[int, ...],
        initializer: keras.Initializer,
        dtype: str | None = None,
        aggregation: str = "none",
        name: str | None = None,
    ) -> keras.Variable:
        """Add a variable as Keras does, but for its way of being read."""
        variable = keras.Variable(
            keras.initializers.get(initializer),
            shape,
            dtype or self.dtype,
            trainable=False,
            aggregation="none",
            name=name,
        )
        self._tracker.add_to_store("variables", variable)
        return variable
