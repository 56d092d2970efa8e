import numpy as np
import pytest

from ganvas.training.callbacks import Diverged, DivergenceGuard, ProgressLogger
from ganvas.training.checkpoints import RunState


@pytest.mark.parametrize("steps_per_execution", [1, 2, 7])
def test_losses_are_checked_within_an_epoch_at_any_steps_per_execution(steps_per_execution):
    guard = DivergenceGuard()
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(steps_per_execution - 1, {"loss_d": 1.0})
    with pytest.raises(Diverged, match="loss_d became nan in epoch 1"):
        for batch in range(2 * steps_per_execution - 1, 100, steps_per_execution):
            guard.on_train_batch_end(batch, {"loss_d": np.nan})


def test_the_progress_bar_continues_from_an_earlier_part_of_the_run(monkeypatch):
    monkeypatch.setattr("ganvas.training.callbacks.in_terminal", lambda: True)
    run_state = RunState(seconds=90.0)
    run_state.start_clock()
    progress = ProgressLogger(run_state, epochs=100, steps=10, minutes=2)
    try:
        # The rest of a partial epoch, and the fit after it.
        for epoch in (3, 4):
            progress.on_train_begin()
            progress.on_epoch_begin(epoch)
            progress.on_train_batch_end(0)
    finally:
        progress.close()
    (task,) = progress.bar.tasks
    assert task.completed == pytest.approx(0.75, abs=0.1)
