from types import SimpleNamespace

import numpy as np

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training import rehearsal
from ganvas.training.batches import TrainingSet
from ganvas.training.config import TrainParams
from ganvas.training.loop import Networks, prepare


def test_a_step_is_told_by_itself_where_several_are_done_at_once(networks, images, monkeypatch):
    params = TrainParams(epochs=3, batch_size=5, steps_per_execution=4)
    gan = prepare(Networks(GanNetworks(*networks), networks[0]), params, steps=4)
    # Eight seconds between two returns from four steps.
    clock = iter([10.0, 18.0])
    monkeypatch.setattr(rehearsal, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    told = rehearsal.rehearse(gan, TrainingSet(images, np.arange(20)), params)
    assert "a step: 2.00 s; an epoch: 8.0 seconds" in told
    assert "all 3 epochs: 24.0 seconds" in told
    assert int(gan.steps) == 8
