from types import SimpleNamespace

import numpy as np
import pytest

from ganvas.disk_space import format_bytes
from ganvas.networks.gan_networks import GanNetworks
from ganvas.training import dry_run
from ganvas.training.checkpoint_contents import count_bytes
from ganvas.training.checkpoints import CheckpointStore
from ganvas.training.config import TrainParams
from ganvas.training.dataset import TrainingSet
from ganvas.training.memory import estimate_memory
from ganvas.training.trainer import build_gan

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("limits", "length"),
    [
        ({"epochs": 3}, "all 3 epochs: 24 s"),
        ({"epochs": 3, "max_minutes": 1.5}, "all 3 epochs: 24 s, train.max_minutes=1.5 at most"),
        ({"epochs": None, "max_steps": 48}, "all 48 steps, 12.0 epochs: 1 min 36 s"),
        (
            {"epochs": None, "max_minutes": 1, "augment": {"name": "adaptive_diffaugment"}},
            "1 minutes: about 30 steps, 7.5 epochs",
        ),
    ],
    ids=str,
)
def test_a_dry_run_reports_the_time_of_one_step_at_any_steps_per_execution(
    networks, images, monkeypatch, tmp_path, limits, length
):
    params = TrainParams(batch_size=5, steps_per_execution=4, **limits)
    data = TrainingSet(images, np.arange(20))
    gan = build_gan(GanNetworks(*networks), networks[0], data, params, steps=4)
    # Eight seconds between two returns from four steps.
    clock, generating = iter([10.0, 18.0]), iter([0.0, 3.2])
    times = {"monotonic": lambda: next(clock), "perf_counter": lambda: next(generating)}
    monkeypatch.setattr(dry_run, "time", SimpleNamespace(**times))
    memory = estimate_memory(GanNetworks(*networks), params)
    store = CheckpointStore(tmp_path / "run", keep=2)
    report = dry_run.dry_run(gan, data, params, memory, store)
    assert "a step: 2.00 s; an epoch: 8.0 s" in report
    assert "training: 2.5 images a second on the CPU" in report
    assert "generating: 20 images a second, 1,000 for an evaluation in 50 s" in report
    assert f"memory, estimated: {format_bytes(memory.total)} at the peak" in report
    assert "packed images: 20 of 32×32 pixels, RGB, 61.4 kB" in report
    grids = "snapshots: 3 of 32 samples, up to 295 kB in all"
    assert (grids in report) == (limits.get("epochs") == 3)
    size = count_bytes(gan.state())
    kept = f"checkpoints: {format_bytes(size)} each, up to {format_bytes(3 * size)} in all"
    assert kept in report and not store.folder.exists()
    assert report.endswith(length)
    # As later in a run: the cost is that of augmented images.
    assert (float(gan.adversary.augment_probability) > 0.4) == ("augment" in limits)
    assert int(gan.steps) == 8


def test_steps_with_lazy_regularization_count_by_their_share():
    lazy = {"path_length": {"weight": 2.0, "interval": 4}, "penalty": {"r1": 1.0, "interval": 16}}
    found = dry_run.list_kinds_of_steps(TrainParams(**lazy))
    assert found == {1: 12 / 16, 4: 3 / 16, 16: 1 / 16}
    assert dry_run.list_kinds_of_steps(TrainParams()) == {1: 1.0}
    assert dry_run.list_kinds_of_steps(TrainParams(penalty={"r1": 1.0})) == {1: 1.0}
