"""Checkpoints of small arrays, which no network has."""

import numpy as np

from ganvas.training.checkpoint_contents import Checkpoint, RunState


def make_checkpoint(epoch: int, step: int = 0) -> Checkpoint:
    arrays = {
        "generator/0000": np.full((2, 3), epoch, np.float32),
        "scalars/0001": np.array(7, np.uint32),
    }
    run_state = RunState(started="2026-01-01T00.00.00", rows=[{"epoch": epoch, "loss": 0.1}])
    return Checkpoint(epoch, step, arrays, run_state.to_dict())
