import logging

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from ganvas.errors import GanvasError
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.training import callbacks
from ganvas.training.batches import TrainingSet
from ganvas.training.callbacks import EpochReport
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.gan import SCORES
from ganvas.training.keeping import Diverged, Guard
from ganvas.training.loop import Networks, Watchers, train
from ganvas.training.record import Record
from ganvas.training.state import find_overflow

COLUMNS = ["epoch", *SCORES, "seconds", "images_per_second", "warnings"]


@pytest.fixture
def run(networks, images, tmp_path):
    """One call of `train`, on the store of the calls before it in the same test."""

    def call(save=lambda epoch, grid: None, images=images, **params):
        store = CheckpointStore(tmp_path / "store", keep=2)
        store.folder.mkdir(exist_ok=True)
        params = TrainParams(**({"epochs": 3, "batch_size": 8, "snapshot_rows": 1} | params))
        watchers = Watchers(lambda record, *shown: save(*shown), lambda rows, shown: [])
        chosen = Networks(GanNetworks(*networks), networks[0])
        return train(chosen, TrainingSet(images, np.arange(20)), params, store, watchers)

    return call


def weights(networks) -> list[np.ndarray]:
    return [array.copy() for model in networks for array in model.get_weights()]


def assert_same(some, others) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_history_has_a_row_an_epoch(run, networks):
    result = run()
    assert list(result.history.columns) == COLUMNS
    assert result.history["epoch"].tolist() == [1, 2, 3]
    assert result.history[["real_score", "fake_score"]].to_numpy().min() >= 0
    assert result.history[["real_score", "fake_score"]].to_numpy().max() <= 1
    rate = 16 / result.history["seconds"]
    np.testing.assert_allclose(result.history["images_per_second"], rate)
    assert result.ended_by == "epochs" and result.images_seen == 3 * 16


def test_the_same_seed_trains_the_same_networks(run, networks, tmp_path):
    start = weights(networks)
    run(seed=4)
    first = weights(networks)
    for model, count in zip(networks, (0, len(networks[0].get_weights())), strict=True):
        model.set_weights(start[count : count + len(model.get_weights())])
    (tmp_path / "store").rename(tmp_path / "aside")
    run(seed=4)
    assert_same(weights(networks), first)


def test_snapshots_follow_the_same_latents(run, networks):
    shown = {}
    run(
        save=shown.__setitem__,
        epochs=5,
        snapshot_interval=2,
        snapshot_columns=3,
        generator_learning_rate=5e-3,
    )
    assert list(shown) == [1, 2, 4]
    assert all(grid.shape == (3, 32, 32, 3) for grid in shown.values())
    change = np.abs(shown[4].astype(int) - shown[1]).mean()
    assert 0 < change < 50
    assert (shown[4][0] != shown[4][1]).any()


def test_time_ends_a_run(run):
    result = run(epochs=10_000, max_minutes=0.03)
    assert result.ended_by == "time" and 1 <= len(result.history) < 10_000
    assert "0.03 minutes" in result.message


def test_an_interrupted_run_keeps_the_last_complete_epoch(run, networks, monkeypatch):
    kept = {}

    def keep(epoch, grid):
        kept[epoch] = weights(networks)

    def press_ctrl_c(self, batch, logs=None):
        if 2 in kept and batch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.TimeLimit, "on_train_batch_end", press_ctrl_c)
    result = run(save=keep, epochs=9)
    assert result.ended_by == "interrupted" and result.history["epoch"].tolist() == [1, 2]
    assert "epoch 2 is kept" in result.message
    assert_same(weights(networks), kept[2])


def test_nothing_is_kept_before_the_first_epoch_is_complete(run, networks, monkeypatch):
    def interrupt(self, batch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.TimeLimit, "on_train_batch_end", interrupt)
    with pytest.raises(GanvasError, match=r"first epoch was complete \(interrupted\)"):
        run()


def test_a_loss_that_is_no_number_ends_with_the_last_good_epoch(run, networks):
    kept = {}

    def poison(epoch, grid):
        if epoch == 2:
            kept["weights"] = weights(networks)
            kernel = networks[1].trainable_weights[0]
            kernel.assign(np.full(kernel.shape, np.nan, np.float32))

    result = run(save=poison, epochs=5)
    assert result.ended_by == "diverged" and result.history["epoch"].tolist() == [1, 2]
    assert "became nan in epoch 3" in result.message and "learning_rate" in result.message
    assert_same(weights(networks), kept["weights"])


@pytest.fixture
def run_spoilt(run, networks, monkeypatch):
    """A run whose second step of the third epoch spoils weights; with those of each epoch."""
    kept = {}
    look = callbacks.TimeLimit.on_train_batch_end

    def spoil(self, batch, logs=None):
        look(self, batch, logs)
        if 2 in kept and batch == 1:
            kernel = networks[0].trainable_weights[0]
            kernel.assign(np.full(kernel.shape, np.inf, np.float32))

    def start(**params):
        save = lambda epoch, grid: kept.__setitem__(epoch, weights(networks))  # noqa: E731
        result = run(save=save, epochs=5, **params)
        assert result.ended_by == "diverged" and "overflowed in epoch 3" in result.message
        return kept

    monkeypatch.setattr(callbacks.TimeLimit, "on_train_batch_end", spoil)
    return start


def test_weights_that_the_last_step_of_an_epoch_spoilt_are_not_kept(run_spoilt, networks):
    kept = run_spoilt()
    assert_same(weights(networks), kept[2])


def test_spoilt_weights_do_not_push_out_checkpoints_within_an_epoch(run_spoilt, networks, tmp_path):
    kept = run_spoilt(batch_size=4, checkpoint={"steps": 1})
    assert_same(weights(networks), kept[2])
    latest = CheckpointStore(tmp_path / "store", keep=2).load_latest()
    assert (latest.epoch, latest.step) == (2, 1) and find_overflow(latest.arrays) is None


@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_losses_are_looked_at_within_an_epoch_however_many_steps_are_done_at_once(at_once):
    guard = Guard()
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(at_once - 1, {"loss_d": 1.0})
    with pytest.raises(Diverged, match="loss_d became nan in epoch 1"):
        for batch in range(2 * at_once - 1, 100, at_once):
            guard.on_train_batch_end(batch, {"loss_d": np.nan})


def test_a_loss_that_is_no_number_in_the_first_epoch_is_told(run, networks):
    kernel = networks[1].trainable_weights[0]
    kernel.assign(np.full(kernel.shape, np.nan, np.float32))
    with pytest.raises(GanvasError, match=r"first epoch was complete \(\w+ became nan"):
        run()


def test_too_few_images_for_a_batch(run, networks):
    with pytest.raises(GanvasError, match=r"train\.batch_size \(now 21\) times .* to at most 20"):
        run(batch_size=21)


@pytest.mark.parametrize("judge", [{"keep": "best"}, {"patience": 3}], ids=str)
def test_a_judge_who_is_never_asked_is_refused(judge):
    with pytest.raises(ValidationError, match=r"need train\.kid_validation\.interval"):
        TrainParams(kid_validation=judge)
    assert TrainParams(kid_validation=judge | {"interval": 5}).kid_validation.interval == 5


def test_the_bar_goes_on_where_an_earlier_part_has_stopped(monkeypatch):
    monkeypatch.setattr("ganvas.training.callbacks.in_terminal", lambda: True)
    record = Record(seconds=90.0)
    record.start_clock()
    report = EpochReport(record, epochs=100, steps=10, minutes=2)
    try:
        # The rest of an epoch, and what comes after it.
        for epoch in (3, 4):
            report.on_train_begin()
            report.on_epoch_begin(epoch)
            report.on_train_batch_end(0)
    finally:
        report.close()
    (task,) = report.bar.tasks
    assert task.completed == pytest.approx(0.75, abs=0.1)


def test_without_a_terminal_there_is_one_line_an_epoch(run, networks, caplog):
    with caplog.at_level(logging.INFO):
        run()
    lines = [record.message for record in caplog.records if record.message.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all(name in lines[0] for name in SCORES)


def test_a_batch_that_can_not_be_cut_is_told(run):
    with pytest.raises(GanvasError, match=r"A batch of 8 can't be cut into 3 pieces"):
        run(gradient_accumulation_steps=3)


def test_training_learns(run):
    """Images of one color are soon painted in that color."""
    red = np.zeros((20, 32, 32, 3), np.uint8) + np.array([230, 40, 40], np.uint8)
    shown = {}
    run(
        save=shown.__setitem__,
        images=red,
        epochs=140,
        batch_size=16,
        generator_learning_rate=5e-3,
        discriminator_learning_rate=1e-3,
        snapshot_interval=140,
    )
    first, last = (np.abs(shown[epoch].astype(int) - red[0]).mean() for epoch in (1, 140))
    assert last < 0.75 * first


def test_what_is_shown_and_judged_has_the_averaged_weights(networks, images, tmp_path):
    averaged, shown, judged = keras.models.clone_model(networks[0]), {}, []
    options = {"ema_decay": 0.9, "generator_learning_rate": 0.05, "kid_validation": {"interval": 1}}
    params = TrainParams(epochs=3, batch_size=8, snapshot_rows=1, **options)
    watchers = Watchers(
        lambda record, epoch, grid: shown.update({epoch: grid}),
        lambda rows, grid: [],
        lambda generator: judged.append(generator) or 0.5,
    )
    data, store = TrainingSet(images, np.arange(20)), CheckpointStore(tmp_path, keep=1)
    train(Networks(GanNetworks(*networks), averaged), data, params, store, watchers)
    latents = sample_latents(averaged, 8, params.seed)
    np.testing.assert_array_equal(shown[3], generate_images(averaged, latents))
    assert (generate_images(networks[0], latents) != shown[3]).any()
    assert len(judged) == 3 and all(each is averaged for each in judged)
