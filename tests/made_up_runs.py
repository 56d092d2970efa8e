"""A data folder with made-up runs: small files in the true layout."""

import json
import os
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

from ganvas.disk.items import Item
from ganvas.disk.usage import measure_usage

MODEL = "sample/dcgan"
FILES = ("generator.keras", "discriminator.keras", "class_list.json")
BEGIN = datetime.fromisoformat("2026-01-01T12:00:00+00:00")


def version_name(number: int) -> str:
    return f"{BEGIN + timedelta(days=number):%Y-%m-%dT%H.%M.%S}.000Z"


def run_name(number: int) -> str:
    """When a run began, a minute after its process, in local time."""
    began = (BEGIN + timedelta(days=number, minutes=1)).astimezone()
    return f"{began:%Y-%m-%dT%H.%M.%S}"


def age(path: Path, number: int) -> None:
    """Set the times of files below a path to an hour after a run began."""
    time = (BEGIN + timedelta(days=number, hours=1)).timestamp()
    for file in [path, *path.rglob("*")]:
        os.utime(file, (time, time))


def write(file: Path, size: int = 100) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))


def add_version(data: Path, number: int, model: str = MODEL) -> None:
    for name in FILES:
        write(data / "06_models" / model / name / version_name(number) / name, 1000)
        age(data / "06_models" / model / name / version_name(number), number)


def write_checkpoint(file: Path, number: int, epoch: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("generator/0000.npy", bytes(2000))
        state = {"epoch": epoch, "step": 0, "started": run_name(number)}
        archive.writestr("run_state.json", json.dumps(state))


def add_run(data: Path, number: int, epochs: int = 12, model: str = MODEL) -> None:
    """Add the models, checkpoints and snapshots of a run, each at a time of its own."""
    add_version(data, number, model)
    run = data / "06_models" / model / f"checkpoints/{number:012x}"
    for epoch in (epochs - 1, epochs):
        write_checkpoint(run / f"epoch-{epoch:06d}-step-0000000.npz", number, epoch)
    identity = {"train": {"seed": number, "batch_size": 8}, "data": {"images": "abcdef0123456789"}}
    (run / "run.json").write_text(json.dumps(identity))
    age(run, number)
    snapshots = data / "07_model_output" / model / "snapshots" / run_name(number)
    for epoch in range(1, epochs + 1):
        write(snapshots / f"epoch_{epoch:05d}.png")
    age(snapshots, number)


def describe_run(number: int, ended_by: str = "epochs", epochs: int = 12) -> dict:
    """The keys of training.json and of an entry of the leaderboard that are read."""
    return {
        "dataset": "sample",
        "network": "dcgan",
        "started": run_name(number),
        "epochs": epochs,
        "minutes": 5,
        "seconds": 300,
        "ended_by": ended_by,
    }


def add_entry(data: Path, number: int, **more: object) -> Path:
    file = data / "08_reporting/leaderboard" / f"sample-dcgan-{run_name(number)}-no-network.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(describe_run(number) | more))
    age(file, number)
    return file


def set_newest(data: Path, number: int, **more: object) -> None:
    file = data / "08_reporting" / MODEL / "training.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    summary = describe_run(number) | {"version": version_name(number)}
    file.write_text(json.dumps(summary | more))


def add_runs(data: Path, count: int) -> Path:
    """Add runs, the last of which training.json names."""
    for number in range(count):
        add_run(data, number)
    set_newest(data, count - 1)
    return data


def find_items(data: Path, kind: str, owner: str = MODEL) -> list[Item]:
    """Find what takes space of one kind and owner."""
    return [item for item in measure_usage(data).items if (item.kind, item.owner) == (kind, owner)]


def versions(data: Path, model: str = MODEL) -> set[str]:
    """The versions of a model, which must be whole."""
    found = [
        {file.parent.name for file in (data / "06_models" / model / name).glob(f"*/{name}")}
        for name in FILES
    ]
    assert found[0] == found[1] == found[2]
    return found[0]
