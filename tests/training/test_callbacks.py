import numpy as np
import pytest

from ganvas.training.callbacks import Diverged, DivergenceGuard, StepCounter


@pytest.mark.parametrize("steps_per_execution", [1, 2, 7])
def test_losses_are_checked_within_an_epoch_at_any_steps_per_execution(steps_per_execution):
    guard = DivergenceGuard()
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(steps_per_execution - 1, {"loss_d": 1.0})
    with pytest.raises(Diverged, match="loss_d became nan in epoch 1"):
        for batch in range(2 * steps_per_execution - 1, 100, steps_per_execution):
            guard.on_train_batch_end(batch, {"loss_d": np.nan})


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_steps_are_counted_from_those_before_a_resume(steps_per_execution):
    counter = StepCounter(steps_per_epoch=4, start=(3, 2))
    assert (counter.epoch, counter.step, counter.total) == (3, 2, 14)
    totals = []
    # The rest of a partial epoch, and a whole one.
    for epoch, steps in ((3, 2), (4, 4)):
        counter.on_epoch_begin(epoch)
        for batch in range(steps_per_execution - 1, steps, steps_per_execution):
            assert counter.is_partial
            counter.on_train_batch_end(batch)
            totals.append(counter.total)
        assert not counter.is_partial
    assert totals == list(range(14 + steps_per_execution, 21, steps_per_execution))
