"""Runs that stop at any point and resume, against runs that never stopped."""

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
import tensorflow as tf
from keras import layers

from ganvas.errors import GanvasError
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.sampling import sample_latents
from ganvas.training.callbacks import Diverged, EarlyWarnings, KidValidation, Snapshots
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.trainer import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]

DEFAULTS = {"epochs": 4, "batch_size": 8, "snapshot_rows": 1}
ALL_STATEFUL = {
    "augment": {"name": "adaptive_diffaugment", "speed": 100},
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


class Kill(BaseException):
    """Ends a run as a kill does: nothing catches it."""


def make_networks(seed: int, norm: str) -> tuple[GanNetworks, keras.Model]:
    """Build the networks, and a generator for the EMA."""
    keras.utils.set_random_seed(seed)
    params = DcganParams(
        latent=6, generator_width=2, discriminator_width=2, discriminator_norm=norm
    )
    networks = build_dcgan(params, (32, 32, 3))
    return networks, build_dcgan(params, (32, 32, 3)).generator


def make_backbone_discriminator(seed: int) -> keras.Model:
    """Build a discriminator of a backbone, the same for all seeds, and heads."""
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3))
    fine = layers.Conv2D(3, 3, 2, "same", activation="tanh")(images)
    coarse = layers.Conv2D(4, 3, 2, "same", activation="tanh")(fine)
    backbone = keras.Model(images, [images, fine, coarse], name="backbone")
    backbone.trainable = False
    keras.utils.set_random_seed(seed)
    maps = [keras.Input(x.shape[1:]) for x in backbone.outputs]
    logits = layers.Concatenate()([layers.Flatten()(x) for x in maps])
    logits = layers.SpectralNormalization(layers.Dense(2))(logits)
    heads = keras.Model(maps, logits, name="heads")
    images = keras.Input((32, 32, 3))
    return keras.Model(images, heads(backbone(images)))


def run(folder: Path, at_step=lambda step: None, measure=None, network_seed=0, **params):
    """Train from the folder's last checkpoint; return the result and all weights."""
    params = TrainParams(**(DEFAULTS | params))
    # A gradient penalty needs a discriminator without batch normalization.
    norm = "none" if params.penalty.r1 else "batch"
    networks, ema_generator = make_networks(network_seed, norm)
    if params.anchor.every:
        networks = networks._replace(discriminator=make_backbone_discriminator(network_seed))
    if not params.ema_decay:
        ema_generator = networks.generator

    class StepCallback(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            at_step(int(self.model.steps))

    folder.mkdir(exist_ok=True)
    snapshots = Snapshots(params, lambda *_: None)
    callbacks = [snapshots, EarlyWarnings(snapshots, lambda *_: [])]
    if params.kid_validation.interval:
        callbacks.append(KidValidation(params, measure, "lite1"))
    callbacks.append(StepCallback())
    store = CheckpointStore(folder, keep=2)
    data = TrainingSet(IMAGES, np.arange(26))
    result = train(networks, ema_generator, data, params, store, callbacks)
    models = [networks.generator, networks.discriminator, ema_generator]
    return result, [array for network in models for array in network.get_weights()]


def kill_at(step: int):
    def at_step(current: int) -> None:
        if current == step:
            raise Kill

    return at_step


def interrupt(step: int) -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def diverge(step: int) -> None:
    raise Diverged("loss_g became nan")


def assert_same(actual, expected) -> None:
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def without_times(history) -> list[dict]:
    return history.drop(columns=["seconds", "images_per_second"]).to_dict("records")


@pytest.mark.parametrize(
    "params",
    [{}, ALL_STATEFUL | {"checkpoint": {"steps": 2}}],
    ids=["plain, by epochs", "everything, by steps"],
)
def test_a_run_stopped_anywhere_ends_with_the_same_weights(tmp_path, params):
    whole, expected = run(tmp_path / "whole", **params)
    # Of three steps an epoch: within one, and at an end.
    for seed, step in enumerate((5, 9)):
        with pytest.raises(Kill):
            # Once there is a checkpoint, the networks' initial weights must not matter.
            run(tmp_path / "stopped", kill_at(step), network_seed=seed, **params)
    resumed, weights = run(tmp_path / "stopped", network_seed=99, **params)
    assert_same(weights, expected)
    assert without_times(resumed.history) == without_times(whole.history)
    assert resumed.images_seen == whole.images_seen


@pytest.mark.parametrize("ema_decay", [0, 0.9])
def test_a_stopped_run_with_anchors_ends_with_the_same_weights_and_prior(tmp_path, ema_decay):
    params = {
        "simultaneous_updates": True,
        "anchor": {"every": 2},
        "ema_decay": ema_decay,
        "checkpoint": {"steps": 2},
    }
    whole, expected = run(tmp_path / "whole", **params)
    for seed, step in enumerate((5, 9)):
        with pytest.raises(Kill):
            run(tmp_path / "stopped", kill_at(step), network_seed=seed, **params)
    resumed, weights = run(tmp_path / "stopped", network_seed=99, **params)
    assert_same(weights, expected)
    assert without_times(resumed.history) == without_times(whole.history)
    # The generator to save, with the prior of the same images.
    generators = [whole.generator, resumed.generator]
    assert_same(*(generator.get_weights() for generator in generators))
    latents = sample_latents(whole.generator, 5, seed=0)
    flows = [keras.Model(x.input, x.get_layer("prior_scale").output) for x in generators]
    mapped = [np.asarray(flow(latents)) for flow in flows]
    np.testing.assert_array_equal(*mapped)
    assert np.abs(mapped[0] - latents).max() > 0.1


@pytest.mark.exhaustive
def test_no_step_is_repeated_with_a_checkpoint_every_step(tmp_path):
    params = {"checkpoint": {"steps": 1}}
    with pytest.raises(Kill):
        run(tmp_path, kill_at(8), **params)
    steps = []
    run(tmp_path, steps.append, **params)
    assert steps == list(range(8, 13))


def test_more_epochs_resume_a_finished_run(tmp_path):
    straight, expected = run(tmp_path / "straight", epochs=5)
    run(tmp_path / "parts", epochs=2)
    resumed, weights = run(tmp_path / "parts", network_seed=7, epochs=5)
    assert_same(weights, expected)
    assert without_times(resumed.history) == without_times(straight.history)


def test_a_finished_run_returns_its_result_again(tmp_path):
    first, expected = run(tmp_path)
    steps = []
    second, weights = run(tmp_path, steps.append, network_seed=7)
    assert steps == [] and second.stop_reason == "epochs" and "after 4 epochs" in second.message
    assert_same(weights, expected)
    assert second.history.equals(first.history)
    assert second.run_state.seconds == pytest.approx(first.run_state.seconds, abs=2)


def test_a_checkpoint_of_another_model_is_an_error_and_is_kept(tmp_path):
    run(tmp_path, epochs=1)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(GanvasError, match=r"does not match the model .* Set train\.resume=false"):
        # A penalty needs a discriminator without batch normalization.
        run(tmp_path, epochs=2, penalty={"r1": 1.0})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def kernels_of(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Return weights that only an optimizer changes, unlike batch norm's moving averages."""
    return [array for array in weights if array.ndim == 4]


def test_another_learning_rate_applies_on_resume(tmp_path):
    _, before = run(tmp_path, epochs=2)
    tiny = {"generator_learning_rate": 1e-12, "discriminator_learning_rate": 1e-12}
    _, after = run(tmp_path, epochs=3, **tiny)
    for a, b in zip(kernels_of(before), kernels_of(after), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


def test_another_schedule_applies_on_resume(tmp_path):
    _, before = run(tmp_path, epochs=2)
    # By then the rate has been multiplied by 0 twice.
    _, after = run(tmp_path, epochs=3, schedule={"name": "step", "interval": 1, "factor": 0.0})
    assert_same(kernels_of(after), kernels_of(before))
    longer, end = run(tmp_path, epochs=4)
    assert len(longer.history) == 4
    assert all((a != b).any() for a, b in zip(kernels_of(end), kernels_of(after), strict=True))


def test_steps_per_execution_that_do_not_divide_the_rest_of_an_epoch_are_an_error(tmp_path):
    with pytest.raises(Kill):
        run(tmp_path, kill_at(2), batch_size=4, checkpoint={"steps": 1})
    # The checkpoint is of the step before the killed one, of six.
    with pytest.raises(GanvasError, match=r"The 5 steps .* 3 at once: .*to 1 or 5\.$"):
        run(tmp_path, batch_size=4, steps_per_execution=3)


def test_a_reached_time_limit_stays_reached_until_it_is_raised(tmp_path):
    slow = lambda step: time.sleep(0.4)  # noqa: E731
    limited, limited_weights = run(tmp_path / "limited", slow, epochs=50, max_minutes=0.03)
    assert limited.stop_reason == "time" and len(limited.history) < 50
    assert limited.message == (
        "Training stopped at the time limit (train.max_minutes=0.03) in epoch "
        f"{len(limited.history)} of 50: the same command with a higher limit resumes it."
    )
    steps = []
    again, weights = run(tmp_path / "limited", steps.append, epochs=50, max_minutes=0.03)
    assert steps == [] and again.stop_reason == "time"
    assert_same(weights, limited_weights)
    assert again.history.equals(limited.history)
    epochs = len(limited.history) + 1
    straight, expected = run(tmp_path / "straight", epochs=epochs)
    longer, weights = run(tmp_path / "limited", epochs=epochs, max_minutes=None)
    assert_same(weights, expected)
    assert without_times(longer.history) == without_times(straight.history)


WITHOUT_COSINE = ALL_STATEFUL | {"schedule": {"name": "step", "interval": 2, "factor": 0.5}}


@pytest.mark.exhaustive
@pytest.mark.parametrize("params", [{}, WITHOUT_COSINE], ids=["plain", "everything"])
def test_a_step_limit_ends_a_run_anywhere_and_can_be_raised(tmp_path, params):
    params = params | {"epochs": None}
    straight, expected = run(tmp_path / "straight", max_steps=11, **params)
    steps = []
    # Of three steps an epoch: twice within the second, and within the third.
    for max_steps, epochs in ((4, 2), (5, 2), (8, 3)):
        result, weights = run(tmp_path / "parts", steps.append, max_steps=max_steps, **params)
        assert result.stop_reason == "steps" and result.steps == max_steps == steps[-1]
        assert result.images_seen == max_steps * 8 and len(result.history) == epochs
        assert result.message == (
            f"Training is complete after {max_steps} steps, in epoch {epochs}."
        )
        latest = CheckpointStore(tmp_path / "parts", keep=2).load_latest()
        assert (latest.epoch, latest.step) == divmod(max_steps, 3)
    # The same command again makes no step.
    again, same = run(tmp_path / "parts", steps.append, network_seed=9, max_steps=8, **params)
    assert again.stop_reason == "steps" and again.history.equals(result.history)
    assert_same(same, weights)
    longer, weights = run(tmp_path / "parts", steps.append, network_seed=7, max_steps=11, **params)
    assert steps == list(range(1, 12))
    assert_same(weights, expected)
    assert without_times(longer.history) == without_times(straight.history)


def test_a_step_limit_at_the_end_of_an_epoch_completes_it(tmp_path):
    kid = {"measure": lambda _: 0.5, "kid_validation": {"interval": 2}}
    by_epochs, expected = run(tmp_path / "epochs", epochs=2, **kid)
    by_steps, weights = run(tmp_path / "steps", epochs=None, max_steps=6, **kid)
    assert by_steps.stop_reason == "steps" and by_epochs.stop_reason == "epochs"
    assert_same(weights, expected)
    assert by_steps.history["kernel_distance"].iloc[-1] == 0.5
    assert without_times(by_steps.history)[1] == without_times(by_epochs.history)[1]
    latest = CheckpointStore(tmp_path / "steps", keep=2).load_latest()
    assert (latest.epoch, latest.step) == (2, 0) and len(latest.run_state["rows"]) == 2


def test_a_finished_run_says_that_nothing_is_trained_and_an_earlier_epoch_is_refused(
    tmp_path, caplog
):
    run(tmp_path, epochs=3)
    steps = []
    with caplog.at_level("INFO"):
        again, _ = run(tmp_path, steps.append, epochs=3)
    assert steps == [] and again.message == "Training is complete after 3 epochs."
    sentence = caplog.messages[-1]
    assert "is finished (9 steps, up to epoch 3): nothing is trained" in sentence
    assert "A higher train.epochs resumes it" in sentence
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for asked, enough in (({"epochs": 1}, "epochs=3"), ({"max_steps": 4}, "max_steps=9")):
        with pytest.raises(GanvasError) as error:
            run(tmp_path, **asked)
        message = str(error.value)
        assert "it has 9 steps, up to epoch 3; the checkpoints after epoch 2, epoch 3" in message
        assert f"Set train.{enough} or more" in message and "train.resume=false" in message
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("max_steps", "reason"), [(5, "steps"), (6, "epochs"), (7, "epochs")])
def test_the_limit_that_comes_first_ends_a_run(tmp_path, max_steps, reason):
    result, _ = run(tmp_path, epochs=2, max_steps=max_steps)
    assert result.stop_reason == reason and result.steps == min(max_steps, 6)


def test_a_step_limit_is_exact_at_any_steps_per_execution(tmp_path):
    # Of six steps an epoch.
    params = {"epochs": None, "max_steps": 8, "batch_size": 4}
    _, expected = run(tmp_path / "one", **params)
    result, weights = run(tmp_path / "two", steps_per_execution=2, **params)
    assert result.steps == 8
    assert_same(weights, expected)
    with pytest.raises(GanvasError, match=r"^The 8 steps .* 3 at once: .* to 1 or 2, .* 6 steps"):
        run(tmp_path / "three", steps_per_execution=3, **params)


def test_the_seconds_of_a_resumed_epoch_are_those_of_all_its_parts(tmp_path):
    first, _ = run(tmp_path, lambda step: time.sleep(0.6), epochs=None, max_steps=1)
    result, _ = run(tmp_path, epochs=None, max_steps=6)
    row = result.history.iloc[0]
    first_seconds = first.history["seconds"].iloc[0]
    assert row["seconds"] > first_seconds > 0.6
    # Little else has passed when the second epoch begins.
    assert 0 <= result.run_state.epoch_start - row["seconds"] < first_seconds
    assert row["images_per_second"] == pytest.approx(24 / row["seconds"])
    assert result.history["seconds"].sum() <= result.run_state.seconds


@pytest.mark.exhaustive
def test_a_run_interrupted_after_every_few_steps_ends_with_the_same_weights(tmp_path):
    whole, expected = run(tmp_path / "whole", **ALL_STATEFUL)
    # Of three steps an epoch: within the first one, at an end, and twice within one.
    for seed, step in enumerate((2, 6, 7, 8)):
        at_step = lambda current, step=step: interrupt(current) if current == step else None  # noqa: E731
        part, _ = run(tmp_path / "parts", at_step, network_seed=seed, **ALL_STATEFUL)
        assert part.stop_reason == "interrupted" and part.steps == step
    resumed, weights = run(tmp_path / "parts", network_seed=99, **ALL_STATEFUL)
    assert_same(weights, expected)
    assert without_times(resumed.history) == without_times(whole.history)
    assert resumed.stop_reason == "epochs"


@pytest.mark.parametrize(
    ("max_steps", "kept", "epochs"), [(6, "epoch 2", 2), (5, "step 2 of epoch 2", 2)]
)
def test_a_divergence_before_a_resumed_run_completes_an_epoch_keeps_the_last_checkpoint(
    tmp_path, max_steps, kept, epochs
):
    stopped, expected = run(tmp_path, epochs=None, max_steps=max_steps)

    result, weights = run(tmp_path, diverge, network_seed=4)
    assert result.stop_reason == "diverged" and result.steps == max_steps
    assert f"the model of {kept} is kept" in result.message
    assert_same(weights, expected)
    assert result.history.equals(stopped.history) and len(result.history) == epochs


def test_a_resume_with_other_parameters_that_matter_is_recorded(tmp_path):
    def parts(**params) -> list[tuple[int, float]]:
        result, _ = run(tmp_path, epochs=None, **params)
        return [
            (part["step"], part["parameters"]["generator_learning_rate"])
            for part in result.run_state.parts
        ]

    assert parts(max_steps=2) == [(0, 2e-4)]
    # A later end changes nothing that was learnt, and a part without a step doesn't count.
    assert parts(max_steps=4, snapshot_interval=2) == [(0, 2e-4)]
    assert parts(max_steps=4, generator_learning_rate=1e-5) == [(0, 2e-4)]
    assert parts(at_step=diverge, max_steps=5, generator_learning_rate=1e-5) == [(0, 2e-4)]
    assert parts(max_steps=5, generator_learning_rate=1e-3) == [(0, 2e-4), (4, 1e-3)]
    assert parts(max_steps=6, generator_learning_rate=1e-3) == [(0, 2e-4), (4, 1e-3)]


@pytest.mark.exhaustive
def test_another_length_of_a_cosine_schedule_is_recorded(tmp_path):
    cosine = {"epochs": None, "schedule": {"name": "cosine"}}
    run(tmp_path, max_steps=2, **cosine)
    result, _ = run(tmp_path, max_steps=3, **cosine)
    totals = [part["parameters"]["schedule_steps"] for part in result.run_state.parts]
    assert totals == [2, 3]


def test_kid_validation_keeps_the_best_epoch_and_stops_without_an_improvement(tmp_path):
    distances = iter([0.5, 0.2, 0.4, 0.3, 0.1, 0.1])
    measured = {}

    def measure(generator) -> float:
        distance = next(distances)
        measured[distance] = generator.get_weights()
        return distance

    kid_validation = {"interval": 1, "patience": 2, "keep": "best"}
    params = {"measure": measure, "epochs": 9, "kid_validation": kid_validation}
    result, weights = run(tmp_path, **params)
    assert result.stop_reason == "patience" and len(result.history) == 4
    assert result.history["kernel_distance"].tolist() == [0.5, 0.2, 0.4, 0.3]
    assert result.run_state.best["epoch"] == 2
    assert "The best epoch, 2, is used" in result.message
    assert result.images_seen == 4 * 24
    assert_same(weights[: len(measured[0.2])], measured[0.2])
    again, weights = run(tmp_path, **params)
    assert again.stop_reason == "patience"
    assert_same(weights[: len(measured[0.2])], measured[0.2])


def test_a_run_killed_while_it_saves_its_best_epoch_resumes_after_it_with_its_models(tmp_path):
    distances = iter([0.5, 0.2, 0.4, 0.3])
    params = {
        "measure": lambda _: next(distances),
        "kid_validation": {"interval": 1, "keep": "best"},
        "checkpoint": {"interval": 9},
    }

    def kill(step: int) -> None:
        if step == 4:
            shutil.copy(tmp_path / "run" / "best.npz", tmp_path / "first.npz")
        if step == 7:
            # As a kill leaves it; `Kill` alone lets the run save its last epoch. The checkpoint of
            # the second epoch was written, and that of the best one is still the first.
            shutil.copytree(tmp_path / "run", tmp_path / "killed")
            shutil.copy(tmp_path / "first.npz", tmp_path / "killed" / "best.npz")
            raise Kill

    with pytest.raises(Kill):
        run(tmp_path / "run", kill, **params)
    assert CheckpointStore(tmp_path / "killed", keep=2).load_latest().epoch == 2
    result, _ = run(tmp_path / "killed", **params)
    assert result.run_state.best["epoch"] == 2
    assert "The best epoch, 2, is used" in result.message
    assert result.history["kernel_distance"].tolist() == [0.5, 0.2, 0.4, 0.3]


def test_a_partial_epoch_is_validated_once_it_is_complete(tmp_path):
    measured = []

    def measure(generator) -> float:
        measured.append(generator.get_weights())
        return 1 / len(measured)

    params = {"measure": measure, "epochs": 2, "kid_validation": {"interval": 1, "patience": 1}}
    partial, _ = run(tmp_path, max_minutes=1e-6, **params)
    assert partial.stop_reason == "time" and len(partial.history) == 1
    assert measured == [] and partial.run_state.best is None
    assert partial.run_state.evals_without_improvement == 0
    whole, _ = run(tmp_path, **params)
    assert whole.stop_reason == "epochs" and len(measured) == 2
    assert whole.history["kernel_distance"].tolist() == [1, 0.5]


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_trainer_resume
test_trainer_resume.run(
    Path(sys.argv[2]), lambda step: time.sleep(0.05), ema_decay=0.9, epochs=20
)
"""


def test_a_killed_process_resumes_to_the_same_weights(tmp_path):
    # The process that is killed traces its steps.
    tf.config.run_functions_eagerly(False)
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
    run_state = CheckpointStore(folder, keep=2).load_latest().run_state
    assert json.dumps(run_state) and len(run_state["rows"]) == 20
