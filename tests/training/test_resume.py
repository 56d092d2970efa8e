import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.training.batches import TrainingSet
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.loop import Networks, Watchers, train

PLAIN = {"epochs": 4, "batch_size": 8, "snapshot_rows": 1}
EVERYTHING = {
    "augment": {"name": "ada", "speed": 100},
    "ema_decay": 0.9,
    "gradient_accumulation_steps": 2,
    "flip": True,
    "penalty": {"r1": 1.0, "interval": 3, "lecam": 0.3, "lecam_start": 2},
    "schedule": {"name": "cosine", "factor": 0.1},
}
IMAGES = (
    np.random.default_rng(3)
    .integers(0, 256, (28, 4, 4, 3), dtype=np.uint8)
    .repeat(8, axis=1)
    .repeat(8, axis=2)
)


class Stop(BaseException):
    """Ends a run as a kill does: nothing catches it."""


def make_networks(seed: int, norm: str) -> Networks:
    keras.utils.set_random_seed(seed)
    params = DcganParams(
        latent=6, generator_width=2, discriminator_width=2, discriminator_norm=norm
    )
    pair = build_dcgan(params, (32, 32, 3))
    return Networks(pair, build_dcgan(params, (32, 32, 3)).generator)


def run(folder: Path, at_step=lambda step: None, measure=None, network_seed=0, **params):
    """Train from the folder's last checkpoint; return the result with all weights."""
    chosen = TrainParams(**(PLAIN | params))
    networks = make_networks(network_seed, "none" if "penalty" in params else "batch")
    if not chosen.ema_decay:
        networks = networks._replace(averaged=networks.pair.generator)

    class Steps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            at_step(int(self.model.steps))

    folder.mkdir(exist_ok=True)
    watchers = Watchers(lambda *_: None, lambda *_: [], measure, lambda record: [Steps()])
    store = CheckpointStore(folder, keep=2)
    result = train(networks, TrainingSet(IMAGES, np.arange(26)), chosen, store, watchers)
    models = [networks.pair.generator, networks.pair.discriminator, networks.averaged]
    return result, [array for network in models for array in network.get_weights()]


def stop_at(step: int):
    def at_step(now: int) -> None:
        if now == step:
            raise Stop

    return at_step


def assert_same(some, others) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


def without_times(history) -> list[dict]:
    return history.drop(columns=["seconds", "images_per_second"]).to_dict("records")


@pytest.mark.parametrize(
    "params",
    [{}, EVERYTHING | {"checkpoint": {"steps": 2}}],
    ids=["plain, by epochs", "everything, by steps"],
)
def test_a_run_stopped_anywhere_ends_in_the_same_weights(tmp_path, params):
    whole, expected = run(tmp_path / "whole", **params)
    # Of three steps an epoch: within one, and at an end.
    for number, step in enumerate((5, 9)):
        with pytest.raises(Stop):
            # Once there is a checkpoint, what the networks start with must not matter.
            run(tmp_path / "stopped", stop_at(step), network_seed=number, **params)
    resumed, weights = run(tmp_path / "stopped", network_seed=99, **params)
    assert_same(weights, expected)
    assert without_times(resumed.history) == without_times(whole.history)
    assert resumed.images_seen == whole.images_seen


def test_no_step_is_done_twice_where_steps_are_kept(tmp_path):
    params = {"checkpoint": {"steps": 1}}
    with pytest.raises(Stop):
        run(tmp_path, stop_at(8), **params)
    seen = []
    run(tmp_path, seen.append, **params)
    assert seen == list(range(8, 13))


def test_more_epochs_go_on_where_a_finished_run_ended(tmp_path):
    straight, expected = run(tmp_path / "straight", epochs=5)
    run(tmp_path / "parts", epochs=2)
    resumed, weights = run(tmp_path / "parts", network_seed=7, epochs=5)
    assert_same(weights, expected)
    assert without_times(resumed.history) == without_times(straight.history)


def test_a_finished_run_gives_its_result_again(tmp_path):
    first, expected = run(tmp_path)
    seen = []
    again, weights = run(tmp_path, seen.append, network_seed=7)
    assert seen == [] and again.ended_by == "epochs" and "after 4 epochs" in again.message
    assert_same(weights, expected)
    assert again.history.equals(first.history)
    assert again.record.seconds == pytest.approx(first.record.seconds, abs=2)


def test_a_checkpoint_of_networks_laid_out_otherwise_is_told_and_stays(tmp_path):
    run(tmp_path, epochs=1)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(GanvasError, match=r"laid out otherwise .*: set train\.resume=false"):
        # A penalty goes with a discriminator without batch normalization.
        run(tmp_path, epochs=2, penalty={"r1": 1.0})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def kernels(weights: list[np.ndarray]) -> list[np.ndarray]:
    """What an optimizer alone moves: batch norm's averages move whatever the rates are."""
    return [array for array in weights if array.ndim == 4]


def test_another_learning_rate_counts_from_then_on(tmp_path):
    _, before = run(tmp_path, epochs=2)
    still = {"generator_learning_rate": 1e-12, "discriminator_learning_rate": 1e-12}
    _, after = run(tmp_path, epochs=3, **still)
    for one, other in zip(kernels(before), kernels(after), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_another_schedule_counts_from_then_on(tmp_path):
    _, before = run(tmp_path, epochs=2)
    # By then the rate has been multiplied by 0 twice.
    _, after = run(tmp_path, epochs=3, schedule={"name": "step", "interval": 1, "factor": 0.0})
    assert_same(kernels(after), kernels(before))
    more, at_end = run(tmp_path, epochs=4)
    assert len(more.history) == 4
    assert all(
        (one != other).any() for one, other in zip(kernels(at_end), kernels(after), strict=True)
    )


def test_steps_at_once_that_do_not_divide_what_is_left_of_an_epoch_are_told(tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, stop_at(2), batch_size=4, checkpoint={"steps": 1})
    # The checkpoint is of the step before the one that was broken off, of six.
    with pytest.raises(GanvasError, match=r"The 5 steps .* 3 at once: .*\(1, 5\)\.$"):
        run(tmp_path, batch_size=4, steps_per_execution=3)


def test_time_that_is_up_stays_up_until_more_is_given(tmp_path):
    slow = lambda step: time.sleep(0.4)  # noqa: E731
    cut, at_cut = run(tmp_path / "cut", slow, epochs=50, max_minutes=0.03)
    assert cut.ended_by == "time" and len(cut.history) < 50
    seen = []
    again, weights = run(tmp_path / "cut", seen.append, epochs=50, max_minutes=0.03)
    assert seen == [] and again.ended_by == "time"
    assert_same(weights, at_cut)
    assert again.history.equals(cut.history)
    straight, expected = run(tmp_path / "straight", epochs=len(cut.history) + 1)
    more, weights = run(tmp_path / "cut", epochs=len(cut.history) + 1, max_minutes=None)
    assert_same(weights, expected)
    assert without_times(more.history) == without_times(straight.history)


def test_the_best_judged_epoch_is_kept_and_a_worse_course_ends(tmp_path):
    distances = iter([0.5, 0.2, 0.4, 0.3, 0.1, 0.1])
    kept = {}

    def measure(generator) -> float:
        distance = next(distances)
        kept[distance] = generator.get_weights()
        return distance

    judge = {"interval": 1, "patience": 2, "keep": "best"}
    result, weights = run(tmp_path, measure=measure, epochs=9, kid_validation=judge)
    assert result.ended_by == "patience" and len(result.history) == 4
    assert result.history["kernel_distance"].tolist() == [0.5, 0.2, 0.4, 0.3]
    assert result.record.best == {"epoch": 2, "kernel_distance": 0.2}
    assert "epoch, 2, is taken" in result.message
    assert result.images_seen == 4 * 24
    assert_same(weights[: len(kept[0.2])], kept[0.2])
    again, weights = run(tmp_path, measure=measure, epochs=9, kid_validation=judge)
    assert again.ended_by == "patience"
    assert_same(weights[: len(kept[0.2])], kept[0.2])


def test_a_run_killed_after_its_best_epoch_goes_on_behind_it(tmp_path):
    distances = iter([0.5, 0.2, 0.4, 0.3])
    judge = {"interval": 1, "keep": "best"}
    params = {"measure": lambda _: next(distances), "judge": judge, "checkpoint": {"interval": 9}}

    def kill(step: int) -> None:
        if step == 7:
            # What a kill leaves; `Stop` alone lets the run save its last epoch.
            shutil.copytree(tmp_path / "run", tmp_path / "killed")
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path / "run", kill, **params)
    assert CheckpointStore(tmp_path / "killed", keep=2).load_latest().epoch == 2
    result, _ = run(tmp_path / "killed", **params)
    assert result.record.best == {"epoch": 2, "kernel_distance": 0.2}
    assert result.history["kernel_distance"].tolist() == [0.5, 0.2, 0.4, 0.3]


def test_an_epoch_that_was_cut_short_is_judged_when_it_is_complete(tmp_path):
    judged = []

    def measure(generator) -> float:
        judged.append(generator.get_weights())
        return 1 / len(judged)

    params = {"measure": measure, "epochs": 2, "kid_validation": {"interval": 1, "patience": 1}}
    cut, _ = run(tmp_path, max_minutes=1e-6, **params)
    assert cut.ended_by == "time" and len(cut.history) == 1
    assert judged == [] and cut.record.best is None and cut.record.unimproved == 0
    whole, _ = run(tmp_path, **params)
    assert whole.ended_by == "epochs" and len(judged) == 2
    assert whole.history["kernel_distance"].tolist() == [1, 0.5]


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_resume
_, weights = test_resume.run(
    Path(sys.argv[2]), lambda step: time.sleep(0.05), ema_decay=0.9, epochs=20
)
"""


def test_a_killed_process_ends_in_the_same_weights(tmp_path):
    _, expected = run(tmp_path / "whole", ema_decay=0.9, epochs=20)
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = tmp_path / "killed"
    command = [sys.executable, tmp_path / "script.py", Path(__file__).parent, folder]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(folder.glob("epoch-000003*")) and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= CheckpointStore(folder, keep=2).load_latest().epoch < 20
    _, weights = run(folder, network_seed=5, ema_decay=0.9, epochs=20)
    assert_same(weights, expected)
    assert not [path for path in folder.iterdir() if path.suffix != ".npz"]
    facts = CheckpointStore(folder, keep=2).load_latest().facts
    assert json.dumps(facts) and len(facts["rows"]) == 20
