"""The progress of a run, with a clock that the tests move."""

import io
import logging
from types import SimpleNamespace

import pytest
from rich.console import Console

from ganvas.training import checkpoint_contents, progress_logger
from ganvas.training.callbacks import StepCounter
from ganvas.training.checkpoint_contents import RunState
from ganvas.training.config import TrainParams
from ganvas.training.gan import SCORES
from ganvas.training.progress_logger import ProgressLogger

LOGS = dict.fromkeys(SCORES, 0.5)


class Clock:
    """A clock in place of `time` in the modules that measure a run."""

    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        for module in (checkpoint_contents, progress_logger):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def start():
    """Begin or resume a run of 10 steps an epoch; return its counter and its progress."""
    opened = []

    def begin(start=(0, 0), seconds=0.0, **params):
        run_state = RunState(seconds=seconds)
        run_state.start_clock()
        counter = StepCounter(10, start)
        logger = ProgressLogger(run_state, TrainParams(**params), counter)
        opened.append(logger)
        logger.on_train_begin()
        return counter, logger

    yield begin
    for logger in opened:
        logger.close()


def train(clock, counter, logger, epoch: int, seconds: list[float]) -> None:
    """Let an epoch begin, and make steps that take so many seconds each."""
    for callback in (counter, logger):
        callback.on_epoch_begin(epoch)
    for batch, duration in enumerate(seconds):
        clock.now += duration
        for callback in (counter, logger):
            callback.on_train_batch_end(batch)


def test_the_bar_continues_from_an_earlier_part_of_the_run(monkeypatch, clock, start):
    monkeypatch.setattr("ganvas.training.progress_logger.in_terminal", lambda: True)
    counter, logger = start((3, 9), seconds=90.0, epochs=100, max_minutes=2)
    # The rest of a partial epoch, and the fit after it.
    train(clock, counter, logger, 3, [1])
    logger.on_train_begin()
    train(clock, counter, logger, 4, [1])
    (task,) = logger.bar.tasks
    assert task.completed == pytest.approx(92 / 120) and task.fields["time_left"] == "28 s left"
    assert task.description == "Training, epoch 5/100"


def test_the_bar_moves_by_the_steps_of_a_resumed_epoch(monkeypatch, clock, start):
    monkeypatch.setattr("ganvas.training.progress_logger.in_terminal", lambda: True)
    counter, logger = start((3, 8), epochs=None, max_steps=45)
    train(clock, counter, logger, 3, [1])
    (task,) = logger.bar.tasks
    assert task.completed == pytest.approx(39 / 45)
    assert task.description == "Training, epoch 4/~5, step 39/45"


def test_scores_do_not_displace_the_time_left_in_80_columns(monkeypatch, clock, start):
    monkeypatch.setattr("ganvas.training.progress_logger.in_terminal", lambda: True)
    counter, logger = start(epochs=None, max_steps=3155)
    train(clock, counter, logger, 0, [1] * 10)
    logger.on_epoch_end(0, LOGS)
    console = Console(width=80, file=io.StringIO())
    console.print(logger.bar.get_renderable())
    line = console.file.getvalue()
    assert "epoch 1/~316, step 10/3155" in line and "52 min 25 s left" in line


def test_the_time_left_ignores_the_first_step_which_compiles(clock, start):
    counter, logger = start(epochs=None, max_steps=100)
    assert logger.estimate_seconds_left() is None
    train(clock, counter, logger, 0, [60])
    assert logger.estimate_seconds_left() is None
    train(clock, counter, logger, 1, [2, 2, 2])
    # From step 1 of the first epoch on; the second epoch's count begins at step 10.
    assert logger.estimate_seconds_left() == pytest.approx((100 - 13) * 6 / 12)


def test_the_time_left_follows_the_speed_of_the_last_steps(clock, start):
    counter, logger = start(epochs=300)
    for epoch in range(100):
        train(clock, counter, logger, epoch, [0.1] * 10)
    assert logger.estimate_seconds_left() == pytest.approx(2000 * 0.1)
    # The last minute counts where it has more than 100 steps, and so do pauses between epochs.
    for epoch in range(100, 200):
        train(clock, counter, logger, epoch, [0.1] * 10)
        clock.now += 1
    assert logger.estimate_seconds_left() == pytest.approx(1000 * 0.2, rel=0.02)
    # Where 100 steps take longer, they count.
    for epoch in range(200, 210):
        train(clock, counter, logger, epoch, [3] * 10)
    assert logger.estimate_seconds_left() == pytest.approx(900 * 3, rel=0.02)


def test_the_time_left_is_that_of_the_limit_that_comes_first(clock, start):
    counter, logger = start(seconds=30.0, epochs=None, max_minutes=2)
    assert logger.estimate_seconds_left() == 90
    counter, logger = start(epochs=10, max_steps=50, max_minutes=2)
    train(clock, counter, logger, 0, [1] * 10)
    assert logger.estimate_seconds_left() == pytest.approx(40)
    train(clock, counter, logger, 1, [5] * 10)
    assert logger.estimate_seconds_left() == pytest.approx(60)
    clock.now += 100
    assert logger.estimate_seconds_left() == 0


@pytest.mark.parametrize(
    ("params", "position", "time_left"),
    [
        ({"epochs": 30}, "epoch 2/30", ", 14 min left"),
        ({"epochs": None, "max_steps": 155}, "epoch 2/~16, step 20/155", ", 6 min 45 s left"),
        ({"epochs": None, "max_steps": 150}, "epoch 2/15, step 20/150", ", 6 min 30 s left"),
        ({"epochs": 9, "max_steps": 155}, "epoch 2/9", ", 3 min 30 s left"),
        ({"epochs": None, "max_minutes": 3}, "epoch 2", ", 2 min left"),
    ],
    ids=str,
)
def test_the_line_of_an_epoch_shows_where_the_run_is(
    clock, start, caplog, params, position, time_left
):
    counter, logger = start(**params)
    for epoch in range(2):
        train(clock, counter, logger, epoch, [3] * 10)
    with caplog.at_level(logging.INFO):
        logger.on_epoch_end(1, LOGS)
    scores = "loss_g 0.500  loss_d 0.500  real_score 0.500  fake_score 0.500"
    assert caplog.messages == [f"{position}  {scores}  30 s{time_left}"]


def test_lines_of_short_epochs_are_ten_seconds_apart_and_the_last_is_logged(clock, start, caplog):
    counter, logger = start(epochs=8)
    with caplog.at_level(logging.INFO):
        for epoch in range(8):
            train(clock, counter, logger, epoch, [0.4] * 10)
            logger.on_epoch_end(epoch, LOGS)
    assert [line.split()[1] for line in caplog.messages] == ["1/8", "4/8", "7/8", "8/8"]


def test_a_long_epoch_has_a_line_a_minute(clock, start, caplog):
    counter, logger = start(epochs=2)
    with caplog.at_level(logging.INFO):
        train(clock, counter, logger, 0, [25] * 10)
        logger.on_epoch_end(0, LOGS)
    assert [line.split("  ")[0] for line in caplog.messages] == [
        "epoch 1/2, 7 min 5 s left",
        "epoch 1/2, 5 min 50 s left",
        "epoch 1/2, 4 min 35 s left",
        "epoch 1/2",
    ]
