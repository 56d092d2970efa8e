"""One worker of `test_devices.py`: trains tiny networks, writes what came out, and ends.

Called with one argument, JSON: distribute, cpus, network, checkpoints, out, slow, stop_at, params.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ganvas.errors import Finished, GanvasError
from ganvas.networks import NetworkParams, build
from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.batches import TrainingSet
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.devices import Devices
from ganvas.training.gathering import gather_devices
from ganvas.training.loop import Networks, Watchers, train
from ganvas.training.replicas import even_out, make_seed, share_gradients

LATENT = 6
NARROW = {
    "dcgan": {"latent": LATENT, "discriminator_width": 8, "discriminator_norm": "none"},
    "projected": {"latent": LATENT, "projection": 4, "head_width": 4, "pixel_width": 2},
}
SIDES = {"dcgan": 16, "projected": 32}


def make_generator(side: int) -> keras.Model:
    """Without batch norm, whose moments depend on how a batch is shared out."""
    latent = keras.Input((LATENT,))
    x = layers.Dense(side**2 // 2, activation="leaky_relu")(latent)
    x = layers.Reshape((side // 4, side // 4, 8))(x)
    x = layers.Conv2DTranspose(8, 4, 2, padding="same", activation="leaky_relu")(x)
    x = layers.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh")(x)
    return keras.Model(latent, x)


def make_networks(name: str) -> Networks:
    params, side = NetworkParams(name=name, **{name: NARROW[name]}), SIDES[name]
    pair = GanNetworks(make_generator(side), build(params, (side, side, 3)).discriminator)
    return Networks(pair, make_generator(side))


class Steps(keras.callbacks.Callback):
    """Notes the losses; goes slowly, or wishes to stop, where that is asked for."""

    def __init__(self, slow: float, stop_at: int | None) -> None:
        super().__init__()
        self.slow, self.stop_at, self.losses = slow, stop_at, []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append([float(logs["loss_g"]), float(logs["loss_d"])])
        time.sleep(self.slow)
        if len(self.losses) == self.stop_at:
            self.model.stop_training = True


def probe(devices: Devices) -> dict[str, np.ndarray]:
    """Do by themselves what a step does where replicas meet; give each device's outcome."""
    with devices.scope():
        seed = make_seed(7)
        norm = keras.Sequential([keras.Input((2,)), layers.BatchNormalization(momentum=0.5)])

    def on_replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        here = tf.cast(number + 1, "float32")
        norm(tf.fill((4, 2), here), training=True)
        even_out([norm])
        (gradient,) = share_gradients([here])
        context = tf.distribute.get_replica_context()
        added = context.all_reduce(tf.distribute.ReduceOp.SUM, gradient)
        return keras.random.uniform((4,), seed=seed), added

    run = tf.function(lambda: devices.strategy.run(on_replica))
    local = devices.strategy.experimental_local_results
    state = seed.state.numpy()
    draws, gradients = run()
    moments = local(norm.layers[0].moving_mean.value)
    seed.state.assign(state)
    again, _ = run()
    named = {"draws": draws, "again": again, "gradients": gradients, "states": seed.state.value}
    outcome = {name: np.array(local(value)) for name, value in named.items()}
    return outcome | {"moments": np.array(moments)}


def main(wanted: dict) -> None:
    if wanted["cpus"] > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * wanted["cpus"]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    devices = gather_devices(wanted["distribute"])
    keras.utils.set_random_seed(0)
    params = TrainParams(**wanted["params"])
    with devices.in_touch(), devices.scope():
        networks = make_networks(wanted["network"])
    images = np.random.default_rng(3).integers(0, 256, (100, 4, 4, 3), dtype=np.uint8)
    larger = SIDES[wanted["network"]] // 4
    images = images.repeat(larger, axis=1).repeat(larger, axis=2)
    with devices.in_touch():
        models = [networks.pair.generator, networks.pair.discriminator, networks.averaged]
        devices.check_same(wanted["params"] | wanted.get("odd", {}), models)
        store = devices.share_store(lambda: CheckpointStore(Path(wanted["checkpoints"]), keep=2))
    steps = Steps(wanted["slow"], wanted["stop_at"])
    watchers = Watchers(lambda *_: None, lambda *_: [], None, lambda record: [steps])
    try:
        train(networks, TrainingSet(images, np.arange(100)), params, store, watchers, devices)
    except Finished as told:
        print(told)
    weights = [array for network in models for array in network.get_weights()]
    probed = probe(devices) if devices.strategy else {}
    named = {f"weight_{number:03d}": array for number, array in enumerate(weights)}
    np.savez(wanted["out"], losses=np.array(steps.losses), **named, **probed)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except GanvasError as error:
        sys.exit(f"Error: {error}")
