"""Initial weights from a checkpoint of another run."""

import json
import logging

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks import NetworkParams
from ganvas.networks import build as build_network
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import align_weights
from ganvas.training.checkpoint_contents import Checkpoint, RunState, read_variables
from ganvas.training.checkpoint_weights import has_checkpoints, load_checkpoint_weights
from ganvas.training.checkpoints import CheckpointStore


def build(side: int = 32, seed: int = 0, classes: int = 0) -> list[keras.Model]:
    keras.utils.set_random_seed(seed)
    params = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    return list(build_dcgan(params, (side, side, 3), classes)[:2])


def rebuild(identity: dict) -> list[keras.Model]:
    return build(identity["data"]["size"], seed=9)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run with two checkpoints, and the networks of the last."""
    folder = tmp_path_factory.mktemp("runs") / "0123456789ab"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"data": {"size": 32}}))
    store = CheckpointStore(folder, keep=2)
    for epoch in (1, 2):
        networks = build(seed=epoch)
        groups = {network.name: network.variables for network in networks}
        # Not taken: the average lags behind the discriminator.
        groups["ema_generator"] = build(seed=5)[0].variables
        store.save(Checkpoint(epoch, 0, read_variables(groups), RunState().to_dict()))
    return folder, networks


def assert_equal_weights(networks, expected) -> None:
    for ours, theirs in zip(networks, expected, strict=True):
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_networks_start_from_the_last_checkpoint_of_a_run(run, caplog):
    folder, expected = run
    networks = build(seed=7)
    with caplog.at_level(logging.INFO):
        load_checkpoint_weights(networks, folder, rebuild)
    assert_equal_weights(networks, expected)
    assert f"The generator starts from its weights after epoch 2 in {folder}" in caplog.text


def test_networks_start_from_a_given_checkpoint(run):
    networks, file = build(seed=7), run[0] / "epoch-000001-step-0000000.npz"
    assert has_checkpoints(file) and has_checkpoints(run[0])
    assert not has_checkpoints(run[0].parent)
    load_checkpoint_weights(networks, file, rebuild)
    assert_equal_weights(networks, build(seed=1))


def test_weights_of_stylegan2_are_taken_from_a_run_in_half_precision(tmp_path):
    # Keras orders them in another way in each precision.
    narrow = {"latent": 4, "style": 4, "channel_base": 64, "max_width": 4, "mapping_layers": 1}
    params = NetworkParams(name="stylegan2", stylegan2=narrow)

    def build_in(precision: str, seed: int) -> list[keras.Model]:
        keras.utils.set_random_seed(seed)
        return list(build_network(params, (8, 8, 3), 0, precision)[:2])

    half, networks = build_in("mixed_float16", 0), build_in("float32", 1)
    (tmp_path / "run.json").write_text(json.dumps({"train": {"precision": "mixed_float16"}}))
    groups = {network.name: network.variables for network in half}
    checkpoint = Checkpoint(1, 0, read_variables(groups), RunState().to_dict())
    CheckpointStore(tmp_path, keep=1).save(checkpoint)
    load_checkpoint_weights(networks, tmp_path, lambda _: build_in("mixed_float16", 2))
    for ours, theirs in zip(networks, half, strict=True):
        for a, b in zip(align_weights(ours, theirs), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(a.numpy(), b)


def test_networks_of_another_side_take_the_layers_that_both_have(run, caplog):
    folder, expected = run
    networks = build(side=64, seed=7)
    with caplog.at_level(logging.INFO):
        load_checkpoint_weights(networks, folder, rebuild)
    assert f"layers of {folder}, after epoch 2" in caplog.text and "Starting anew" in caplog.text
    # The last layer has the same shape at any side.
    kernels = [network[0].weights[-1].numpy() for network in (networks, expected)]
    np.testing.assert_array_equal(*kernels)


def test_a_run_that_can_not_be_rebuilt_is_refused_in_a_sentence(run, tmp_path):
    def fail(identity):
        raise KeyError("network")

    with pytest.raises(GanvasError, match=r"have other shapes, and .*run\.json doesn't describe"):
        load_checkpoint_weights(build(side=64), run[0], fail)
    with pytest.raises(GanvasError, match=r"is not the one that its run\.json describes"):
        load_checkpoint_weights(build(side=64), run[0], lambda _: build(classes=3))
    file = tmp_path / "epoch-000001-step-0000000.npz"
    file.write_bytes(b"PK")
    with pytest.raises(GanvasError, match=r"checkpoint .* can't be read"):
        load_checkpoint_weights(build(), file, rebuild)
    with pytest.raises(GanvasError, match=r"No checkpoint in .* can be read"):
        load_checkpoint_weights(build(), tmp_path, rebuild)
