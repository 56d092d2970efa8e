import logging
import signal

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.stop_signals import SIGNALS, Interrupted
from ganvas.training import callbacks
from ganvas.training.callbacks import EarlyWarnings, KidValidation, Snapshots
from ganvas.training.checkpoint_contents import find_non_finite
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.gan import SCORES
from ganvas.training.trainer import train

pytestmark = pytest.mark.slow

COLUMNS = ["epoch", *SCORES, "seconds", "images_per_second", "warnings"]


@pytest.fixture
def run(networks, images, tmp_path):
    """One call of `train`, on the store of the calls before it in the same test."""

    def call(save=lambda epoch, images: None, images=images, **params):
        store = CheckpointStore(tmp_path / "store", keep=2)
        store.folder.mkdir(exist_ok=True)
        params = TrainParams(**({"epochs": 3, "batch_size": 8, "snapshot_rows": 1} | params))
        snapshots = Snapshots(params, lambda run_state, *snapshot: save(*snapshot))
        own_callbacks = [snapshots, EarlyWarnings(snapshots, lambda rows, images: [])]
        data = TrainingSet(images, np.arange(20))
        return train(GanNetworks(*networks), networks[0], data, params, store, own_callbacks)

    return call


def copy_weights(networks) -> list[np.ndarray]:
    return [array.copy() for model in networks for array in model.get_weights()]


def assert_same(actual, expected) -> None:
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def fill_first_kernel(network: keras.Model, value: float) -> None:
    kernel = network.trainable_weights[0]
    kernel.assign(np.full(kernel.shape, value, np.float32))


def test_the_history_has_a_row_per_epoch(run, networks):
    result = run()
    assert list(result.history.columns) == COLUMNS
    assert result.history["epoch"].tolist() == [1, 2, 3]
    assert result.history[["real_score", "fake_score"]].to_numpy().min() >= 0
    assert result.history[["real_score", "fake_score"]].to_numpy().max() <= 1
    images_per_second = 16 / result.history["seconds"]
    np.testing.assert_allclose(result.history["images_per_second"], images_per_second)
    assert result.stop_reason == "epochs" and result.images_seen == 3 * 16


def test_the_same_seed_trains_the_same_networks(run, networks, tmp_path):
    start = copy_weights(networks)
    run(seed=4)
    first = copy_weights(networks)
    for model, offset in zip(networks, (0, len(networks[0].get_weights())), strict=True):
        model.set_weights(start[offset : offset + len(model.get_weights())])
    (tmp_path / "store").rename(tmp_path / "first")
    run(seed=4)
    assert_same(copy_weights(networks), first)


def test_snapshots_are_of_the_same_latents(run, networks):
    snapshots = {}
    run(
        save=snapshots.__setitem__,
        epochs=5,
        snapshot_interval=2,
        snapshot_columns=3,
        generator_learning_rate=5e-3,
    )
    assert list(snapshots) == [1, 2, 4]
    assert all(images.shape == (3, 32, 32, 3) for images in snapshots.values())
    change = np.abs(snapshots[4].astype(int) - snapshots[1]).mean()
    assert 0 < change < 50
    assert (snapshots[4][0] != snapshots[4][1]).any()


def test_snapshots_of_classes_have_a_row_for_each(images, tmp_path):
    keras.utils.set_random_seed(0)
    widths = DcganParams(latent=6, generator_width=2, discriminator_width=2)
    networks = build_dcgan(widths, (32, 32, 3), classes=3)
    params = TrainParams(epochs=1, batch_size=8, snapshot_rows=1, snapshot_columns=2)
    snapshots = Snapshots(params, lambda run_state, epoch, images: None)
    data = TrainingSet(images, np.arange(20), np.arange(20) % 3, 3)
    store = CheckpointStore(tmp_path, keep=1)
    train(networks, networks.generator, data, params, store, [snapshots])
    labels = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
    latents = sample_latents(networks.generator, 6, params.seed)
    expected = generate_images(networks.generator, latents, labels)
    np.testing.assert_array_equal(snapshots.images, expected)


def test_a_time_limit_ends_a_run(run):
    result = run(epochs=10_000, max_minutes=0.03)
    assert result.stop_reason == "time" and 1 <= len(result.history) < 10_000
    assert "time limit (train.max_minutes=0.03) in epoch" in result.message
    assert " of 10000:" in result.message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_after_its_step_and_a_second_one_at_once(
    run, networks, tmp_path, monkeypatch, number
):
    handlers = []
    before = [signal.getsignal(each) for each in SIGNALS]

    def send(self, batch, logs=None):
        signal.raise_signal(number)
        handlers.extend(signal.getsignal(each) for each in SIGNALS)

    monkeypatch.setattr(callbacks.TimeLimit, "on_train_batch_end", send)
    result = run(epochs=9)
    # Its first epoch is not complete.
    assert result.stop_reason == "interrupted" and result.steps == 1 and len(result.history) == 1
    assert result.message == "Training was interrupted: the model of step 1 of epoch 1 is kept."
    latest = CheckpointStore(tmp_path / "store", keep=2).load_latest()
    assert (latest.epoch, latest.step) == (0, 1)
    weights = [array for name, array in latest.arrays.items() if name.startswith("generator/")]
    assert_same(weights, [np.asarray(variable) for variable in networks[0].variables])
    assert handlers == [signal.SIG_DFL] * 2
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_signal_before_the_first_step_has_nothing_to_save(run, tmp_path, monkeypatch):
    send = lambda self, epoch, logs=None: signal.raise_signal(signal.SIGTERM)  # noqa: E731
    monkeypatch.setattr(callbacks.HistoryLogger, "on_epoch_begin", send)
    with pytest.raises(Interrupted, match="SIGTERM"):
        run()
    assert list((tmp_path / "store").iterdir()) == []


def test_a_divergence_before_the_first_epoch_is_complete_is_an_error(run, monkeypatch):
    def diverge(self, batch, logs=None):
        raise callbacks.Diverged("loss_g became nan in epoch 1")

    monkeypatch.setattr(callbacks.TimeLimit, "on_train_batch_end", diverge)
    with pytest.raises(GanvasError, match=r"first epoch was complete \(loss_g became nan"):
        run()


def test_a_loss_of_nan_ends_the_run_with_the_last_good_epoch(run, networks):
    saved = {}

    def set_to_nan(epoch, images):
        if epoch == 2:
            saved["weights"] = copy_weights(networks)
            fill_first_kernel(networks[1], np.nan)

    result = run(save=set_to_nan, epochs=5)
    assert result.stop_reason == "diverged" and result.history["epoch"].tolist() == [1, 2]
    assert "became nan in epoch 3" in result.message and "learning_rate" in result.message
    assert_same(copy_weights(networks), saved["weights"])


@pytest.fixture
def run_with_overflow(run, networks, monkeypatch):
    """A run whose weights overflow in the second step of epoch 3; returns each epoch's weights."""
    saved = {}
    check_time = callbacks.TimeLimit.on_train_batch_end

    def overflow(self, batch, logs=None):
        check_time(self, batch, logs)
        if 2 in saved and batch == 1:
            fill_first_kernel(networks[0], np.inf)

    def start(**params):
        save = lambda epoch, images: saved.__setitem__(epoch, copy_weights(networks))  # noqa: E731
        result = run(save=save, epochs=5, **params)
        assert result.stop_reason == "diverged" and "overflowed in epoch 3" in result.message
        return saved

    monkeypatch.setattr(callbacks.TimeLimit, "on_train_batch_end", overflow)
    return start


def test_weights_that_overflow_in_the_last_step_of_an_epoch_are_not_kept(
    run_with_overflow, networks
):
    saved = run_with_overflow()
    assert_same(copy_weights(networks), saved[2])


def test_overflowed_weights_are_not_written_to_checkpoints_within_an_epoch(
    run_with_overflow, networks, tmp_path
):
    saved = run_with_overflow(batch_size=4, checkpoint={"steps": 1})
    assert_same(copy_weights(networks), saved[2])
    latest = CheckpointStore(tmp_path / "store", keep=2).load_latest()
    assert (latest.epoch, latest.step) == (2, 1) and find_non_finite(latest.arrays) is None


def test_a_loss_of_nan_in_the_first_epoch_is_an_error(run, networks):
    fill_first_kernel(networks[1], np.nan)
    with pytest.raises(GanvasError, match=r"first epoch was complete \(\w+ became nan"):
        run()


def test_too_few_images_for_a_batch_are_an_error(run, networks):
    with pytest.raises(GanvasError, match=r"train\.batch_size \(now 21\) times .* to at most 20"):
        run(batch_size=21)


def test_without_a_terminal_lines_of_epochs_are_logged(run, networks, caplog, monkeypatch):
    monkeypatch.setattr("ganvas.training.progress_logger.LOG_SECONDS", 0)
    with caplog.at_level(logging.INFO):
        run()
    assert caplog.messages[0].startswith("Training on 20 images, 2 steps an epoch")
    lines = [record.message for record in caplog.records if record.message.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all(name in lines[0] for name in SCORES)


def test_training_learns(run):
    """Trained on images of one color, the generator comes closer to that color."""
    red = np.zeros((20, 32, 32, 3), np.uint8) + np.array([230, 40, 40], np.uint8)
    snapshots = {}
    run(
        save=snapshots.__setitem__,
        images=red,
        epochs=140,
        batch_size=16,
        generator_learning_rate=5e-3,
        discriminator_learning_rate=1e-3,
        snapshot_interval=140,
    )
    first, last = (np.abs(snapshots[epoch].astype(int) - red[0]).mean() for epoch in (1, 140))
    assert last < 0.75 * first


def test_snapshots_and_kid_validation_use_the_ema_generator(networks, images, tmp_path):
    ema_generator, snapshots, measured = keras.models.clone_model(networks[0]), {}, []
    options = {"ema_decay": 0.9, "generator_learning_rate": 0.05, "kid_validation": {"interval": 1}}
    params = TrainParams(epochs=3, batch_size=8, snapshot_rows=1, **options)
    save = Snapshots(params, lambda run_state, epoch, images: snapshots.update({epoch: images}))
    own_callbacks = [
        save,
        EarlyWarnings(save, lambda rows, images: []),
        KidValidation(params, lambda generator: measured.append(generator) or 0.5, "lite1"),
    ]
    data, store = TrainingSet(images, np.arange(20)), CheckpointStore(tmp_path, keep=1)
    train(GanNetworks(*networks), ema_generator, data, params, store, own_callbacks)
    latents = sample_latents(ema_generator, 8, params.seed)
    np.testing.assert_array_equal(snapshots[3], generate_images(ema_generator, latents))
    assert (generate_images(networks[0], latents) != snapshots[3]).any()
    assert len(measured) == 3 and all(generator is ema_generator for generator in measured)
