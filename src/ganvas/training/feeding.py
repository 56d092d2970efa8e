"""Feeding `fit`: batches drawn in Python as a TensorFlow dataset."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from ganvas.training.batches import Batch
from ganvas.training.devices import Devices


def stream(batches: Iterator[Batch], like: Batch) -> tf.data.Dataset:
    """Give `fit` batches without end, drawn ahead of their use.

    Args:
        batches: Tuples of arrays.
        like: A tuple of arrays of the same shapes and types.
    """
    signature = tuple(tf.TensorSpec(array.shape, array.dtype) for array in like)
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature)
    options = tf.data.Options()
    # Its thread sleeps for seconds now and then, and whoever ends the iteration waits for it.
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)


def feed(
    draw: Callable[[slice], Iterator[Batch]], devices: Devices
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Give `fit` batches without end, each device its share of them.

    Args:
        draw: Takes the share that is wanted; gives that part of all batches.
        devices: Who trains.
    """
    shares = devices.shares
    like = next(draw(shares[0]))
    if devices.strategy is None:
        return stream(draw(shares[0]), like)

    def cycle_classes() -> Iterator[Batch]:
        # TensorFlow deals out what it gets here to the devices of this worker in turn.
        for parts in zip(*map(draw, shares), strict=True):
            yield from parts

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return stream(cycle_classes(), like)

    return devices.strategy.distribute_datasets_from_function(make)
