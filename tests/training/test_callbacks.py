from types import SimpleNamespace

import numpy as np
import pytest

from ganvas.training.callbacks import Diverged, DivergenceGuard, KidValidation, StepCounter
from ganvas.training.checkpoint_contents import RunState
from ganvas.training.config import TrainParams


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


def test_distances_of_two_extractors_are_not_compared(caplog):
    # As an earlier version leaves it: without the extractor's name.
    run_state = RunState(
        rows=[{"epoch": 1, "kernel_distance": 0.1}, {"epoch": 2, "kernel_distance": 0.2}],
        best={"epoch": 1, "kernel_distance": 0.1},
        evals_without_improvement=1,
    )
    distances = iter([0.5, 0.4])
    params = TrainParams(kid_validation={"interval": 1, "keep": "best", "patience": 2})
    callback = KidValidation(params, lambda _: next(distances), "efficientnet_lite1")
    callback.set_params({"steps": 1})
    callback.set_model(SimpleNamespace(run_state=run_state, ema_generator=None))
    for epoch in (2, 3):
        run_state.rows.append({"epoch": epoch + 1})
        callback.on_epoch_begin(epoch)
        callback.on_train_batch_end(0)
        callback.on_epoch_end(epoch)
    expected = {"epoch": 4, "kernel_distance": 0.4, "extractor": "efficientnet_lite1"}
    assert run_state.best == expected and run_state.evals_without_improvement == 0
    assert [row.get("kernel_distance") for row in run_state.rows] == [None, None, 0.5, 0.4]
    assert run_state.rows[0]["kernel_distance_efficientnet_lite0"] == 0.1
    assert caplog.text.count("compared by efficientnet_lite0, epoch 1 being the best") == 1
