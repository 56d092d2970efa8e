"""Several devices against one: real processes on this machine, and its CPU divided into two."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.training.config import TrainParams
from ganvas.training.distribution import SINGLE_DEVICE, Devices, select_devices

pytestmark = pytest.mark.slow

WORKER = Path(__file__).parent / "one_worker.py"
# 100 images in steps of 16: 6 steps an epoch.
PARAMS = {
    "epochs": 4,
    "batch_size": 8,
    "discriminator_steps": 2,
    "gradient_accumulation_steps": 2,
    "ema_decay": 0.9,
    "penalty": {"r1": 0.1, "interval": 2, "lecam": 0.3, "lecam_start": 3},
    "generator_learning_rate": 4e-3,
    "discriminator_learning_rate": 4e-3,
    "snapshot_rows": 1,
    "checkpoint": {"steps": 4},
}
# For the default network, in 12 steps.
ANCHORED = {
    "epochs": 1,
    "batch_size": 8,
    "simultaneous_updates": True,
    "anchor": {"every": 2},
    "generator_learning_rate": 4e-3,
    "discriminator_learning_rate": 4e-3,
    "snapshot_rows": 1,
}
# Seconds: far more than any process here takes, also on a busy machine.
TIMEOUT = 100


def launch_worker(
    folder: Path, worker: int = 0, workers: int = 1, ports=(), **options
) -> subprocess.Popen:
    """Start a worker; its output goes to files in the folder."""
    defaults = {"distribute": "none", "cpus": 1, "delay": 0.0, "stop_at": None, "params": PARAMS}
    defaults |= {"network": "dcgan"}
    defaults |= {"out": str(folder / f"{worker}.npz"), "checkpoints": str(folder / "store")}
    options = defaults | options
    (folder / "store").mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_CONFIG", None)
    if workers > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": worker}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        options["distribute"] = "auto"
    with (folder / f"{worker}.log").open("w") as log:
        command = [sys.executable, str(WORKER), json.dumps(options)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def launch_two_workers(folder: Path, changed=None, **options) -> list[subprocess.Popen]:
    """Start two workers of a cluster; `changed` are parameters of the second one."""
    sockets = [socket.socket() for _ in range(2)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    extra = [{}, {"changed": changed} if changed else {}]
    return [
        launch_worker(folder, worker, 2, ports, **options, **extra[worker]) for worker in range(2)
    ]


def wait_for_results(
    folder: Path, processes: list[subprocess.Popen]
) -> list[dict[str, np.ndarray]]:
    """Wait for workers that must succeed; return the arrays that each has written."""
    try:
        codes = [process.wait(TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    logs = [(folder / f"{worker}.log").read_text() for worker in range(len(processes))]
    assert codes == [0] * len(processes), logs
    return [dict(np.load(folder / f"{worker}.npz")) for worker in range(len(processes))]


def weights_of(result: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [array for name, array in sorted(result.items()) if name.startswith("weight")]


def error_of(folder: Path, worker: int) -> str:
    lines = (folder / f"{worker}.log").read_text().splitlines()
    (message,) = [line for line in lines if line.startswith("Error: ")]
    return message


@pytest.fixture(scope="module")
def single_result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    return wait_for_results(folder, [launch_worker(folder)])[0]


@pytest.fixture(scope="module")
def two_results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    results = wait_for_results(folder, launch_two_workers(folder))
    assert "Worker 1 is done; the chief saves the models." in (folder / "1.log").read_text()
    return results


def assert_similar(result: dict[str, np.ndarray], single: dict[str, np.ndarray]) -> None:
    assert len(single["losses"]) == 24
    # They change by far more than the tolerance.
    assert np.ptp(single["losses"], axis=0).min() > 0.01
    np.testing.assert_allclose(result["losses"], single["losses"], rtol=1e-3)
    for a, b in zip(weights_of(result), weights_of(single), strict=True):
        # Adam may move a weight whose gradient is nearly 0 either way, so not each by itself.
        assert np.abs(a - b).mean() < 1e-4


def assert_equal_weights(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    for x, y in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_array_equal(x, y)


def assert_replicas_agree(result: dict[str, np.ndarray]) -> None:
    """Two replicas draw different, repeatable numbers, and agree in everything else."""
    assert not np.isclose(*result["draws"]).any()
    np.testing.assert_array_equal(result["draws"], result["repeated_draws"])
    np.testing.assert_array_equal(*result["states"])
    # Replicas 0 and 1 had the values 1 and 2, twice; at momentum 0.5 the mean is .75, then 1.125.
    np.testing.assert_allclose(result["gradients"], [1.5, 1.5])
    np.testing.assert_allclose(result["moving_means"], [[1.125, 1.125]] * 2)


def test_two_workers_train_as_one_process_does(single_result, two_results):
    assert_similar(two_results[0], single_result)


def test_both_workers_end_with_the_same_weights(two_results):
    assert_equal_weights(*two_results)
    # The callbacks run on the chief only.
    assert len(two_results[1]["losses"]) == 0
    names = ["draws", "repeated_draws", "states", "gradients", "moving_means"]
    assert_replicas_agree(
        {name: np.concatenate([result[name] for result in two_results]) for name in names}
    )


@pytest.mark.exhaustive
def test_two_devices_of_a_machine_train_as_one_does(single_result, tmp_path):
    (result,) = wait_for_results(tmp_path, [launch_worker(tmp_path, distribute="mirrored", cpus=2)])
    assert_similar(result, single_result)
    assert_replicas_agree(result)


@pytest.mark.exhaustive
def test_the_default_network_trains_with_anchors_on_two_devices_and_two_workers(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "workers")]
    options = {"network": "projected", "params": ANCHORED}
    (one,) = wait_for_results(folders[0], [launch_worker(folders[0], **options)])
    (two,) = wait_for_results(
        folders[1], [launch_worker(folders[1], distribute="mirrored", cpus=2, **options)]
    )
    chief, other = wait_for_results(folders[2], launch_two_workers(folders[2], **options))
    for result in (two, chief):
        assert len(result["losses"]) == 12 and np.isfinite(result["losses"]).all()
        # Each device balances the gradients of its own share, so later steps differ a little.
        np.testing.assert_allclose(result["losses"][0], one["losses"][0], rtol=1e-4)
    assert_equal_weights(chief, other)


@pytest.mark.exhaustive
def test_two_devices_train_stylegan2_with_equal_variables(tmp_path):
    params = {
        "epochs": 1,
        "batch_size": 8,
        "resample_latents": True,
        "ema_images": 50,
        "path_length": {"weight": 2.0, "interval": 2},
        "penalty": {"r1": "auto", "interval": 3},
        "snapshot_rows": 1,
    }
    options = {"network": "stylegan2", "params": params}
    folders = [tmp_path / name for name in ("one", "two")]
    (one,) = wait_for_results(folders[0], [launch_worker(folders[0], **options)])
    (two,) = wait_for_results(
        folders[1], [launch_worker(folders[1], distribute="mirrored", cpus=2, **options)]
    )
    assert len(two["losses"]) == 12 and np.isfinite(two["losses"]).all()
    # Noise is 0 at first; later devices draw their own, and mix styles by themselves.
    np.testing.assert_allclose(two["losses"][0], one["losses"][0], rtol=0.1)
    assert not two["unequal"].size, two["unequal"]


@pytest.mark.exhaustive
def test_a_step_limit_ends_two_workers_at_its_step(tmp_path):
    # Within the second epoch, and between two checks whether a worker must stop.
    params = PARAMS | {"epochs": None, "max_steps": 8}
    chief, other = wait_for_results(tmp_path, launch_two_workers(tmp_path, params=params))
    assert len(chief["losses"]) == 8
    assert_equal_weights(chief, other)


@pytest.mark.exhaustive
def test_a_lost_worker_ends_the_other_and_both_can_resume(two_results, tmp_path):
    chief, other = launch_two_workers(tmp_path, delay=0.1)
    try:
        deadline = time.monotonic() + TIMEOUT
        while not list((tmp_path / "store").glob("epoch-000001*")):
            assert time.monotonic() < deadline and chief.poll() is None
            time.sleep(0.05)
        other.send_signal(signal.SIGKILL)
        start = time.monotonic()
        assert chief.wait(60) == 1
        assert time.monotonic() - start < 60
    finally:
        chief.kill()
        other.kill()
    message = error_of(tmp_path, 0)
    assert "Worker 0 of 2 has lost another worker" in message
    assert "start all workers again to resume from the last checkpoint" in message
    stop_when_the_chief_is_terminated(tmp_path)
    results = wait_for_results(tmp_path, launch_two_workers(tmp_path))
    assert 0 < len(results[0]["losses"]) < 24
    for result, expected in zip(results, two_results, strict=True):
        for a, b in zip(weights_of(result), weights_of(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def stop_when_the_chief_is_terminated(folder: Path) -> None:
    """Send SIGTERM to the chief alone after 2 steps: both stop, by the epoch's end at the latest.

    The chief has saved its models, and the other must not look like a complete run.
    """
    processes = launch_two_workers(folder, stop_at=2)
    try:
        codes = [process.wait(TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, 1]
    assert "Training ended early (interrupted): worker 1 stops with the chief" in error_of(
        folder, 1
    )
    assert 2 <= len(np.load(folder / "0.npz")["losses"]) <= 10


@pytest.mark.exhaustive
def test_workers_with_different_parameters_do_not_start(tmp_path):
    processes = launch_two_workers(tmp_path, changed={"seed": 1})
    try:
        assert [process.wait(TIMEOUT) for process in processes] == [1, 1]
    finally:
        for process in processes:
            process.kill()
    for worker in range(2):
        assert "differ in parameters" in error_of(tmp_path, worker)
    assert not list((tmp_path / "store").iterdir())


def test_auto_selects_a_single_device_if_there_is_no_other(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert select_devices("auto") is SINGLE_DEVICE
    task = {"type": "worker", "index": 0}
    config = {"cluster": {"worker": ["localhost:1"]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert select_devices("auto") is SINGLE_DEVICE
    assert select_devices("none") is SINGLE_DEVICE


@pytest.mark.parametrize(
    ("choice", "config", "message"),
    [
        ("multi_worker", None, "needs the environment variable TF_CONFIG"),
        ("multi_worker", "{", "TF_CONFIG is not valid"),
        ("auto", "[]", "TF_CONFIG is not valid"),
        ("auto", '{"cluster": {"worker": ["a:1", "b:1"]}}', "it has no 'task'"),
        (
            "auto",
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "there is no worker 2",
        ),
        (
            "auto",
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps", "index": 0}}',
            "it has no 'ps'",
        ),
        ("mirrored", None, "needs two GPUs or more, but TensorFlow sees 0"),
    ],
)
def test_unavailable_devices_are_an_error_of_one_sentence(monkeypatch, choice, config, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(GanvasError, match=r"\.$") as error:
        select_devices(choice)
    assert message in str(error.value) and "\n" not in str(error.value)


class FourReplicas:
    """The part of a strategy of four devices that `Devices` uses."""

    num_replicas_in_sync = 4


def test_the_shares_of_all_workers_make_up_each_micro_batch():
    workers = [Devices(FourReplicas(), worker, 2).shares for worker in range(2)]
    shares = [np.arange(32)[share] for worker in workers for share in worker]
    assert sorted(np.concatenate(shares)) == list(range(32))
    # The first halves of all shares are the first half of the batch.
    assert sorted(np.concatenate([share[:4] for share in shares])) == list(range(16))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 6}, "a multiple of 4"),
        ({"batch_size": 8, "gradient_accumulation_steps": 4}, "a multiple of 16"),
        (
            {"batch_size": 8, "simultaneous_updates": True, "anchor": {"every": 4}},
            r"one anchor in 4 images \(train\.anchor\.every\): .* a multiple of 16",
        ),
        ({"batch_size": 8, "jit_compile": True}, "train.jit_compile"),
        ({"batch_size": 8, "steps_per_execution": 2}, "train.steps_per_execution"),
        ({"batch_size": 8, "precision": "mixed_float16"}, "set mixed_bfloat16 or float32"),
    ],
)
def test_parameters_that_several_devices_do_not_support_are_an_error(params, message):
    with pytest.raises(GanvasError, match=message):
        Devices(FourReplicas()).check(TrainParams(**params), anchored=True)
    SINGLE_DEVICE.check(TrainParams(**params), anchored=True)


@pytest.mark.parametrize(
    "params",
    [
        {"precision": "mixed_bfloat16"},
        {"simultaneous_updates": True, "gradient_accumulation_steps": 2, "anchor": {"every": 4}},
    ],
    ids=str,
)
def test_parameters_that_several_devices_support_are_accepted(params):
    Devices(FourReplicas()).check(TrainParams(batch_size=32, **params), anchored=True)


def test_networks_without_anchors_need_no_batches_divisible_by_their_interval():
    params = TrainParams(batch_size=20, simultaneous_updates=True, anchor={"every": 2})
    Devices(FourReplicas()).check(params, anchored=False)
    with pytest.raises(GanvasError, match="a multiple of 8"):
        Devices(FourReplicas()).check(params, anchored=True)
