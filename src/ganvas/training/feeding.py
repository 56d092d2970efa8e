"""Feeding `fit`: batches drawn in Python as a TensorFlow dataset."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from ganvas.training.batches import Batch
from ganvas.training.devices import Devices


def stream(
    batches: Iterator[Batch],
    count: int,
    shape: tuple[int, ...],
    latent: int,
) -> tf.data.Dataset:
    """Give `fit` batches without end, drawn ahead of their use.

    Args:
        batches: Pictures, uint8 of shape (count, *shape), and latents, float32 (count, latent).
        count: Pictures a batch.
        shape: Of one picture.
        latent: Length of a latent.
    """
    signature = (
        tf.TensorSpec((count, *shape), "uint8"),
        tf.TensorSpec((count, latent), "float32"),
    )
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature)
    options = tf.data.Options()
    # Its thread sleeps for seconds now and then, and whoever ends the iteration waits for it.
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)


def feed(
    draw: Callable[[slice], Iterator[Batch]],
    count: int,
    shape: tuple[int, ...],
    latent: int,
    devices: Devices,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Give `fit` batches without end, each device its share of them.

    Args:
        draw: Takes the share that is wanted; gives that part of all batches.
        count: Pictures a batch, all shares together.
        shape: Of one picture.
        latent: Length of a latent.
        devices: Who trains.
    """
    if devices.strategy is None:
        return stream(draw(slice(None)), count, shape, latent)

    def take_turns() -> Iterator[Batch]:
        # TensorFlow deals out what it gets here to the devices of this worker in turn.
        for shares in zip(*map(draw, devices.shares), strict=True):
            yield from shares

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return stream(take_turns(), count // devices.replicas, shape, latent)

    return devices.strategy.distribute_datasets_from_function(make)
