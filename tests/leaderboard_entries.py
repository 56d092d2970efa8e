"""Entries of the leaderboard that no run has made, for tests of comparisons."""

from ganvas.pipelines.evaluate.metric_entry import metric_entry


def make_run(number, distance=0.5, dataset="sample", seed=0, extractor="lite", **parameters):
    """Make up an entry as an earlier version saved it; `number` is its name, day and epochs."""
    metrics = {"loss_g": metric_entry("Generator loss", 2.0, "N=1", "nats")}
    if distance is not None:
        entry = metric_entry("Kernel <distance>", (distance, 0.01), "N=9, seed 0", real=0.001)
        metrics = {"kernel_distance": entry} | metrics
    return {
        "run": f"run-{number}",
        "dataset": dataset,
        "extractor": extractor,
        "network": "dcgan",
        "started": f"2026-01-{number:02d}T12.00.00",
        "epochs": 10 * number,
        "images_seen": 1000,
        "minutes": 1.5,
        "seed": seed,
        "version": "0.1",
        "parameters": {"network.name": "dcgan", "train.seed": seed} | parameters,
        "metrics": metrics,
    }


def add_history(run, epochs=50):
    """Return the entry as this version saves it."""
    history = {
        "epoch": list(range(1, epochs + 1)),
        "loss_g": [run["seed"] + 1 / epoch for epoch in range(1, epochs + 1)],
        "kernel_distance": [0.1 if epoch % 10 == 0 else None for epoch in range(1, epochs + 1)],
        "seconds": [2.0] * epochs,
        "minutes": [epoch / 30 for epoch in range(1, epochs + 1)],
        "images_seen": [100 * epoch for epoch in range(1, epochs + 1)],
    }
    command = f"kedro run --params=train.seed={run['seed']}"
    return run | {
        "ended_by": "steps",
        "model_version": "2026-01-01T13.00.00.000Z",
        "command": command,
        "history": history,
    }
