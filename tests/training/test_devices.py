"""Several devices against one: real processes on this machine, and its CPU cut into two."""

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
from ganvas.training.devices import ALONE, Devices
from ganvas.training.gathering import gather_devices

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
# Of the default network, in 12 steps.
ANCHORED = {
    "epochs": 1,
    "batch_size": 8,
    "simultaneous_updates": True,
    "anchor": {"every": 2},
    "generator_learning_rate": 4e-3,
    "discriminator_learning_rate": 4e-3,
    "snapshot_rows": 1,
}
# Far more than any process here takes, also where others keep the machine busy.
PATIENCE = 100


def launch(folder: Path, number: int = 0, count: int = 1, ports=(), **wanted) -> subprocess.Popen:
    """Start a worker; its output goes to files in the folder."""
    chosen = {"distribute": "none", "cpus": 1, "slow": 0.0, "stop_at": None, "params": PARAMS}
    chosen |= {"network": "dcgan"}
    chosen |= {"out": str(folder / f"{number}.npz"), "checkpoints": str(folder / "store"), **wanted}
    (folder / "store").mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_CONFIG", None)
    if count > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": number}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        chosen["distribute"] = "auto"
    with (folder / f"{number}.log").open("w") as log:
        command = [sys.executable, str(WORKER), json.dumps(chosen)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def launch_pair(folder: Path, odd=None, **wanted) -> list[subprocess.Popen]:
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    own = [{}, {"odd": odd} if odd else {}]
    return [launch(folder, number, 2, ports, **wanted, **own[number]) for number in range(2)]


def finish(folder: Path, processes: list[subprocess.Popen]) -> list[dict[str, np.ndarray]]:
    """Wait for workers that must end well; give what each has written."""
    try:
        codes = [process.wait(PATIENCE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    logs = [(folder / f"{number}.log").read_text() for number in range(len(processes))]
    assert codes == [0] * len(processes), logs
    return [dict(np.load(folder / f"{number}.npz")) for number in range(len(processes))]


def weights(result: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [array for name, array in sorted(result.items()) if name.startswith("weight")]


def error_of(folder: Path, number: int) -> str:
    lines = (folder / f"{number}.log").read_text().splitlines()
    (told,) = [line for line in lines if line.startswith("Error: ")]
    return told


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    return finish(folder, [launch(folder)])[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    results = finish(folder, launch_pair(folder))
    assert "Worker 1 is done; the chief saves the models." in (folder / "1.log").read_text()
    return results


def assert_like(result: dict[str, np.ndarray], single: dict[str, np.ndarray]) -> None:
    assert len(single["losses"]) == 24
    # They move by far more than the tolerance.
    assert np.ptp(single["losses"], axis=0).min() > 0.01
    np.testing.assert_allclose(result["losses"], single["losses"], rtol=1e-3)
    for one, other in zip(weights(result), weights(single), strict=True):
        # Adam may send a weight whose gradient is nearly 0 either way, so not each one by itself.
        assert np.abs(one - other).mean() < 1e-4


def test_two_workers_train_as_one_process_does(single, pair):
    assert_like(pair[0], single)


def test_both_workers_end_with_the_same_weights(pair):
    for one, other in zip(weights(pair[0]), weights(pair[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(pair[1]["losses"]) == 0  # Nobody looks on there.
    names = ["draws", "again", "states", "gradients", "moments"]
    assert_probed({name: np.concatenate([each[name] for each in pair]) for name in names})


def test_two_devices_of_a_machine_train_as_one_does(single, tmp_path):
    (result,) = finish(tmp_path, [launch(tmp_path, distribute="mirrored", cpus=2)])
    assert_like(result, single)
    assert_probed(result)


def test_the_default_network_trains_with_anchors_on_two_devices_and_by_two_workers(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "workers")]
    wanted = {"network": "projected", "params": ANCHORED}
    (one,) = finish(folders[0], [launch(folders[0], **wanted)])
    (two,) = finish(folders[1], [launch(folders[1], distribute="mirrored", cpus=2, **wanted)])
    chief, other = finish(folders[2], launch_pair(folders[2], **wanted))
    for result in (two, chief):
        assert len(result["losses"]) == 12 and np.isfinite(result["losses"]).all()
        # Each device weighs the likeness of its own share, so later steps differ a little.
        np.testing.assert_allclose(result["losses"][0], one["losses"][0], rtol=1e-4)
    for mine, theirs in zip(weights(chief), weights(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def assert_probed(result: dict[str, np.ndarray]) -> None:
    """Two replicas draw differently, but again the same, and agree in everything else."""
    assert not np.isclose(*result["draws"]).any()
    np.testing.assert_array_equal(result["draws"], result["again"])
    np.testing.assert_array_equal(*result["states"])
    # Replicas 0 and 1 came with 1 and 2, twice; each time half of the way from 0 is gone.
    np.testing.assert_allclose(result["gradients"], [1.5, 1.5])
    np.testing.assert_allclose(result["moments"], [[1.125, 1.125]] * 2)


def test_a_lost_worker_ends_the_other_and_the_next_pair_goes_on(pair, tmp_path):
    chief, other = launch_pair(tmp_path, slow=0.1)
    try:
        deadline = time.monotonic() + PATIENCE
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
    told = error_of(tmp_path, 0)
    assert "Worker 0 of 2 has lost touch with another one" in told
    assert "start all workers again, and it resumes from the last checkpoint" in told
    stop_where_the_chief_wishes(tmp_path)
    results = finish(tmp_path, launch_pair(tmp_path))
    assert 0 < len(results[0]["losses"]) < 24
    for result, undisturbed in zip(results, pair, strict=True):
        for one, other in zip(weights(result), weights(undisturbed), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def stop_where_the_chief_wishes(folder: Path) -> None:
    """The chief alone wishes to stop after 2 steps; both stop, within an epoch's end or sooner."""
    results = finish(folder, launch_pair(folder, stop_at=2))
    assert 2 <= len(results[0]["losses"]) <= 10
    for one, other in zip(weights(results[0]), weights(results[1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_workers_with_different_parameters_do_not_begin(tmp_path):
    processes = launch_pair(tmp_path, odd={"seed": 1})
    try:
        assert [process.wait(PATIENCE) for process in processes] == [1, 1]
    finally:
        for process in processes:
            process.kill()
    for number in range(2):
        assert "differ in parameters" in error_of(tmp_path, number)
    assert not list((tmp_path / "store").iterdir())


def test_auto_takes_one_device_where_there_is_no_other(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert gather_devices("auto") is ALONE
    task = {"type": "worker", "index": 0}
    config = {"cluster": {"worker": ["localhost:1"]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert gather_devices("auto") is ALONE
    assert gather_devices("none") is ALONE


@pytest.mark.parametrize(
    ("choice", "config", "told"),
    [
        ("multi_worker", None, "needs the environment variable TF_CONFIG"),
        ("multi_worker", "{", "TF_CONFIG can't be used"),
        ("auto", "[]", "TF_CONFIG can't be used"),
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
def test_devices_that_can_not_be_had_are_told_in_a_sentence(monkeypatch, choice, config, told):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(GanvasError, match=r"\.$") as error:
        gather_devices(choice)
    assert told in str(error.value) and "\n" not in str(error.value)


class FourReplicas:
    """What `Devices` asks a strategy of four devices."""

    num_replicas_in_sync = 4


def test_shares_of_all_workers_make_the_batch_piece_by_piece():
    both = [Devices(FourReplicas(), number, 2).shares for number in range(2)]
    shares = [np.arange(32)[share] for each in both for share in each]
    assert sorted(np.concatenate(shares)) == list(range(32))
    # Any leading half of all shares is the leading half of the batch.
    assert sorted(np.concatenate([share[:4] for share in shares])) == list(range(16))


@pytest.mark.parametrize(
    ("params", "told"),
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
def test_work_that_can_not_be_shared_out_is_told(params, told):
    with pytest.raises(GanvasError, match=told):
        Devices(FourReplicas()).check(TrainParams(**params), anchored=True)
    ALONE.check(TrainParams(**params), anchored=True)


@pytest.mark.parametrize(
    "params",
    [
        {"precision": "mixed_bfloat16"},
        {"simultaneous_updates": True, "gradient_accumulation_steps": 2, "anchor": {"every": 4}},
    ],
    ids=str,
)
def test_work_that_can_be_shared_out_is_taken(params):
    Devices(FourReplicas()).check(TrainParams(batch_size=32, **params), anchored=True)


def test_networks_without_anchors_need_no_place_for_them():
    params = TrainParams(batch_size=20, simultaneous_updates=True, anchor={"every": 2})
    Devices(FourReplicas()).check(params, anchored=False)
    with pytest.raises(GanvasError, match="a multiple of 8"):
        Devices(FourReplicas()).check(params, anchored=True)
