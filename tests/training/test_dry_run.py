from types import SimpleNamespace

import numpy as np
import pytest

from ganvas.networks.gan_networks import GanNetworks
from ganvas.training import dry_run
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.trainer import build_gan

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("limits", "length"),
    [
        ({"epochs": 3}, "all 3 epochs: 24 s"),
        ({"epochs": 3, "max_minutes": 1.5}, "all 3 epochs: 24 s, train.max_minutes=1.5 at most"),
        ({"epochs": None, "max_steps": 48}, "all 48 steps, 12.0 epochs: 1 min 36 s"),
        ({"epochs": None, "max_minutes": 1}, "1 minutes: about 30 steps, 7.5 epochs"),
    ],
    ids=str,
)
def test_a_dry_run_reports_the_time_of_one_step_at_any_steps_per_execution(
    networks, images, monkeypatch, limits, length
):
    params = TrainParams(batch_size=5, steps_per_execution=4, **limits)
    data = TrainingSet(images, np.arange(20))
    gan = build_gan(GanNetworks(*networks), networks[0], data, params, steps=4)
    # Eight seconds between two returns from four steps.
    clock = iter([10.0, 18.0])
    monkeypatch.setattr(dry_run, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    report = dry_run.dry_run(gan, data, params)
    assert "a step: 2.00 s; an epoch: 8.0 s" in report
    assert report.endswith(length)
    assert int(gan.steps) == 8
