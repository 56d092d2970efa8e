"""One worker of `test_distribution.py`: trains tiny networks, and writes losses and weights.

Called with one argument, JSON: distribute, cpus, network, checkpoints, out, delay, stop_at, params.
"""

import json
import signal
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
from ganvas.training.callbacks import EarlyWarnings, Snapshots
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.distribution import (
    Devices,
    divide_by_replicas,
    make_seed_generator,
    select_devices,
    sync_batch_norm_statistics,
)
from ganvas.training.trainer import train

LATENT = 6
NARROW = {
    "dcgan": {"latent": LATENT, "discriminator_width": 8, "discriminator_norm": "none"},
    "projected": {"latent": LATENT, "projection": 4, "head_width": 4, "pixel_width": 2},
    "stylegan2": {"latent": LATENT, "style": 5, "channel_base": 64, "max_width": 4},
}
SIDES = {"dcgan": 16, "projected": 32, "stylegan2": 8}


def make_generator(side: int) -> keras.Model:
    """Build a generator without batch norm, whose statistics depend on how a batch is divided."""
    latent = keras.Input((LATENT,))
    x = layers.Dense(side**2 // 2, activation="leaky_relu")(latent)
    x = layers.Reshape((side // 4, side // 4, 8))(x)
    x = layers.Conv2DTranspose(8, 4, 2, padding="same", activation="leaky_relu")(x)
    x = layers.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh")(x)
    return keras.Model(latent, x)


def make_networks(name: str) -> tuple[GanNetworks, keras.Model]:
    """Build the networks, and a generator for the EMA."""
    params, side = NetworkParams(name=name, **{name: NARROW[name]}), SIDES[name]
    if name == "stylegan2":
        return build(params, (side, side, 3)), build(params, (side, side, 3)).generator
    networks = GanNetworks(make_generator(side), build(params, (side, side, 3)).discriminator)
    return networks, make_generator(side)


class StepRecorder(keras.callbacks.Callback):
    """Records the losses of each step; delays steps, and sends itself SIGTERM after one, if set."""

    def __init__(self, delay: float, stop_at: int | None) -> None:
        super().__init__()
        self.delay, self.stop_at, self.losses = delay, stop_at, []
        self.unequal: list[str] = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append([float(logs["loss_g"]), float(logs["loss_d"])])
        time.sleep(self.delay)
        if len(self.losses) == self.stop_at:
            signal.raise_signal(signal.SIGTERM)

    def on_train_end(self, logs=None):
        """List the variables that differ between the devices."""
        strategy = self.model.distribute_strategy
        for group, variables in self.model.state().items():
            for variable in variables:
                copies = strategy.experimental_local_results(variable.value)
                if any((copies[0].numpy() != copy.numpy()).any() for copy in copies[1:]):
                    self.unequal.append(f"{group}/{variable.path}")


def probe_replicas(devices: Devices) -> dict[str, np.ndarray]:
    """Run each reduction over replicas by itself; return each device's results."""
    with devices.scope():
        seed = make_seed_generator(7)
        norm = keras.Sequential([keras.Input((2,)), layers.BatchNormalization(momentum=0.5)])

    def run_on_replica():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        value = tf.cast(replica + 1, "float32")
        norm(tf.fill((4, 2), value), training=True)
        sync_batch_norm_statistics([norm])
        (gradient,) = divide_by_replicas([value])
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, gradient)
        return keras.random.uniform((4,), seed=seed), total

    run = tf.function(lambda: devices.strategy.run(run_on_replica))
    local_results = devices.strategy.experimental_local_results
    state = seed.state.numpy()
    draws, gradients = run()
    means = local_results(norm.layers[0].moving_mean.value)
    seed.state.assign(state)
    repeated_draws, _ = run()
    results = {
        "draws": draws,
        "repeated_draws": repeated_draws,
        "gradients": gradients,
        "states": seed.state.value,
    }
    arrays = {name: np.array(local_results(value)) for name, value in results.items()}
    return arrays | {"moving_means": np.array(means)}


def main(options: dict) -> None:
    if options["cpus"] > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * options["cpus"]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    devices = select_devices(options["distribute"])
    keras.utils.set_random_seed(0)
    params = TrainParams(**options["params"])
    with devices.worker_errors_as_ganvas_errors(), devices.scope():
        networks, ema_generator = make_networks(options["network"])
    images = np.random.default_rng(3).integers(0, 256, (100, 4, 4, 3), dtype=np.uint8)
    factor = SIDES[options["network"]] // 4
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    with devices.worker_errors_as_ganvas_errors():
        models = [networks.generator, networks.discriminator, ema_generator]
        devices.check_same(options["params"] | options.get("changed", {}), models)
        store = devices.share_store(lambda: CheckpointStore(Path(options["checkpoints"]), keep=2))
    snapshots = Snapshots(params, lambda *_: None)
    recorder = StepRecorder(options["delay"], options["stop_at"])
    callbacks = [snapshots, EarlyWarnings(snapshots, lambda *_: []), recorder]
    data = TrainingSet(images, np.arange(100))
    try:
        train(networks, ema_generator, data, params, store, callbacks, devices)
    except Finished as message:
        print(message)
    weights = [array for network in models for array in network.get_weights()]
    named_weights = {f"weight_{i:03d}": array for i, array in enumerate(weights)}
    # A worker that has ended can't take part in reductions.
    probed = probe_replicas(devices) if devices.strategy and not options["stop_at"] else {}
    np.savez(
        options["out"],
        losses=np.array(recorder.losses),
        unequal=recorder.unequal,
        **named_weights,
        **probed,
    )


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except GanvasError as error:
        sys.exit(f"Error: {error}")
