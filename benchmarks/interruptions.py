"""Interrupt training and ingestion at random moments; compare results with undisturbed ones.

    python benchmarks/interruptions.py --moments 10

Four faults are tried: SIGKILL, SIGTERM to the first process as by Docker, SIGTERM to all of its
processes as by systemd and Slurm, and a full disk. Libraries are imported before, so that most
moments are in the work itself. A run that was interrupted is started again until it is complete;
then everything it has saved must be that of a run without an interruption, bit by bit, and a new
run begins, until the number of moments is reached. After each interruption the exit status, the
output, the processes left and the files saved before are checked.

The full disk is a tmpfs that is mounted for this, which only root may do, or a folder on a small
disk of yours (--disk).
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import yaml
from kedro.framework.cli.cli import KedroCLI
from PIL import Image

from ganvas.stop_signals import MESSAGE

ROOT = Path(__file__).parents[1]
SOURCE_IMAGES = 600
DISK_SIZE = "48m"
PARAMS = {
    "ingest": {
        "dataset": "photos",
        "size": 32,
        "workers": 2,
        "source": {"name": "folder", "folder": {"labels": "none"}},
    },
    "network": {
        "name": "dcgan",
        "label": None,
        "dcgan": {"latent": 6, "generator_width": 2, "discriminator_width": 2},
    },
    "train": {
        "max_steps": None,
        "epochs": 3,
        "batch_size": 32,
        "snapshot_rows": 2,
        "snapshot_columns": 2,
        "simultaneous_updates": False,
        "loss": {"name": "non_saturating"},
        "augment": {"name": "none"},
        "anchor": {"every": None},
        "checkpoint": {"steps": 3},
    },
    "evaluate": {"count": 20, "extractor": None},
}


class Job(NamedTuple):
    """What is interrupted.

    Attributes:
        prepare: Pipeline to run before, without an interruption, if any.
        pipelines: Names for `kedro run --pipelines`.
        read: Returns everything that a complete run has saved, by name.
        check: Returns what must not be lost, as a number that never decreases.
    """

    prepare: str | None
    pipelines: str
    read: Callable[[Path], dict[str, Any]]
    check: Callable[[Path], int]


# --- What runs have saved -----------------------------------------------------------------------


def read_collection(data: Path) -> dict[str, Any]:
    """Return the arrays and tables of the packed collection."""
    folder = data / "03_primary/photos/collection"
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("index", "rejected")}
    arrays = {file.name: np.load(file) for file in sorted(folder.glob("*.npy"))}
    return arrays | {name: table.to_csv() for name, table in tables.items()}


def read_run(data: Path) -> dict[str, Any]:
    """Return the weights, history and metrics of a complete run."""
    results = read_collection(data)
    checkpoint = sorted(data.glob("06_models/photos/dcgan/checkpoints/*/epoch-*.npz"))[-1]
    with np.load(checkpoint) as stored:
        results |= {name: stored[name] for name in stored.files if name != "run_state.json"}
    for network in ("generator", "discriminator"):
        newest = sorted(data.glob(f"06_models/photos/dcgan/{network}.keras/*/*.keras"))[-1]
        results |= {f"{network} {key}": value for key, value in read_weights(newest).items()}
    reports = data / "08_reporting/photos/dcgan"
    history = pd.read_csv(reports / "history.csv")
    results["history"] = history.drop(columns=["seconds", "images_per_second"]).to_csv()
    metrics = json.loads((reports / "metrics.json").read_text())
    return results | {name: metric["value"] for name, metric in metrics.items()}


def read_weights(file: Path) -> dict[str, np.ndarray]:
    """Return the weights of a `.keras` file by their names in it."""
    weights: dict[str, np.ndarray] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            weights[name] = item[()]

    with (
        zipfile.ZipFile(file) as archive,
        archive.open("model.weights.h5") as stream,
        h5py.File(stream) as content,
    ):
        content.visititems(keep)
    return weights


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare the results of two runs, bit by bit."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name, strict=True)


def count_packed(data: Path) -> int:
    """Return how far packing is, in chunks of files, after checking a complete collection."""
    folder = data / "03_primary/photos"
    if (folder / "collection").exists():
        read_collection(data)
        return 10**9
    # The chunks of a finished shard, such as the only one here, are removed.
    if list(folder.glob(".collection.partial/rows-*.parquet")):
        return 10**6
    return len(list(folder.glob(".collection.partial/chunks-*/*.npz")))


def count_steps(data: Path) -> int:
    """Return the step of the latest checkpoint, after checking all files that have been saved."""
    if (data / "03_primary/photos/collection").exists():
        read_collection(data)
    for file in data.glob("06_models/photos/dcgan/*.keras/*/*.keras"):
        read_weights(file)
    for file in data.glob("08_reporting/photos/dcgan/*.json"):
        json.loads(file.read_text())
    files = sorted(data.glob("06_models/photos/dcgan/checkpoints/*/epoch-*.npz"))
    if not files:
        return 0
    with zipfile.ZipFile(files[-1]) as archive:
        assert archive.testzip() is None
        header = json.loads(archive.read("run_state.json"))
    return 1000 * header["epoch"] + header["step"]


JOBS = {
    "training": Job("ingest", "__default__", read_run, count_steps),
    "ingestion": Job(None, "ingest", read_collection, count_packed),
}


# --- Runs in processes of their own -------------------------------------------------------------


def import_libraries(jobs: list[str]) -> None:
    """Import what forked processes need, so that few moments are spent on imports."""
    importlib.import_module("ganvas.settings")
    importlib.import_module("ganvas.cli")
    importlib.import_module("ganvas.ingestion.packing")
    if "training" in jobs:
        importlib.import_module("ganvas.training.trainer")


def start(project: Path, pipelines: str, log: Path) -> int:
    """Run a pipeline in a forked process; return its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(project)
        KedroCLI(project_path=project)(["run", f"--pipelines={pipelines}"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def complete(project: Path, pipelines: str, log: Path) -> None:
    """Run a pipeline without an interruption."""
    status = wait(start(project, pipelines, log), 600)
    assert status == 0, log.read_text()


def wait(pid: int, seconds: float) -> int | None:
    """Wait for a process; return its status as shells do, or None if it still runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        time.sleep(0.01)
    return None


def remaining_processes(session: int) -> list[str]:
    """Return the processes of a session that still run a minute after its first one ended."""
    # One that is still importing notices it only then.
    for _ in range(300):
        found = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                name, fields = file.read_text().rsplit(")", 1)
                if fields.split()[3] == str(session) and fields.split()[0] != "Z":
                    found.append(name)
        if not found:
            return []
        time.sleep(0.2)
    return found


# --- Faults -------------------------------------------------------------------------------------


def send(number: int) -> Callable[[int, Path], Any]:
    """Return the fault that sends a signal."""
    return lambda pid, disk: os.kill(pid, number)


def fill(pid: int, disk: Path) -> None:
    """Fill the disk of a folder."""
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(2**16))


FAULTS = {
    "SIGKILL": (send(signal.SIGKILL), {137}, None),
    "SIGTERM": (send(signal.SIGTERM), {143}, MESSAGE),
    "SIGTERM to all": (lambda pid, disk: os.killpg(pid, signal.SIGTERM), {143}, MESSAGE),
    # In both sentences: that of a full disk, and that of the check before work.
    "full disk": (fill, {1}, "free space on it"),
}


def interrupt_all(
    name: str, fault: str, moments: int, template: Path, disk: Path, expected: dict[str, Any]
) -> Counter[str]:
    """Interrupt runs of a job at random moments, and compare each when it is complete."""
    job, (cause, statuses, line) = JOBS[name], FAULTS[fault]
    project, log = disk / "project", template.with_name("log.txt")
    outcomes = Counter[str]()
    seconds = 0.0
    while outcomes["interrupted"] + outcomes["already complete"] < moments or project.exists():
        if not project.exists():
            shutil.copytree(template, project, symlinks=True)
            kept = 0
        pid, begun = start(project, job.pipelines, log), time.monotonic()
        enough = outcomes["interrupted"] + outcomes["already complete"] >= moments
        # The first run of all measures how long one takes.
        status = wait(pid, 600 if enough or not seconds else random.uniform(0.1, seconds))
        if status is None:
            cause(pid, disk)
            status = wait(pid, 120)
            assert status is not None, "the run does not end"
            outcomes["already complete" if status == 0 else "interrupted"] += 1
            print(f"{name}, {fault}: status {status}", file=sys.stderr, flush=True)
        (disk / "filler").unlink(missing_ok=True)
        seconds = seconds or time.monotonic() - begun
        text = log.read_text()
        assert "Traceback" not in text, text
        assert not (left := remaining_processes(pid)), left
        if status == 0:
            assert_same(job.read(project / "data"), expected)
            outcomes["compared"] += 1
            shutil.rmtree(project)
            continue
        assert status in statuses, (status, text)
        # Without any output, the signal came before Ganvas could handle it.
        assert line is None or not text or line in text.splitlines()[-1], text
        previous, kept = kept, job.check(project / "data")
        assert kept >= previous, f"{previous - kept} steps or chunks were lost"
    return outcomes


# --- The program --------------------------------------------------------------------------------


def make_project(folder: Path) -> None:
    """Create a project with the parameters and a folder of images."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "src").mkdir()
    (folder / "conf/local").mkdir()
    images = folder.with_name("images")
    images.mkdir()
    generator = np.random.default_rng(0)
    for number in range(SOURCE_IMAGES):
        pixels = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((150, 150), Image.Resampling.BICUBIC)
        image.save(images / f"{number:04d}.jpg")
    PARAMS["ingest"]["source"]["path"] = str(images)
    (folder / "conf/local/parameters.yml").write_text(yaml.safe_dump(PARAMS))


@contextlib.contextmanager
def small_disk(folder: Path | None) -> Iterator[Path | None]:
    """Yield a folder on a small disk, mounted if none is given; None if that isn't permitted."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as mount:
        options = ["-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", mount]
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            yield None
            return
        try:
            yield Path(mount)
        finally:
            subprocess.run(["umount", "--lazy", mount], check=True)


def main() -> None:
    """Interrupt every job by every fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=3, help="interruptions of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", choices=JOBS, action="append", help="default: both")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="default: all")
    parser.add_argument("--disk", type=Path, help="folder on a small disk that may be filled")
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder, small_disk(options.disk) as disk:
        template = Path(folder) / "template"
        template.mkdir()
        make_project(template)
        jobs = options.job or list(JOBS)
        import_libraries(jobs)
        for name in jobs:
            job, log = JOBS[name], Path(folder) / "log.txt"
            prepared, undisturbed = Path(folder) / f"{name}-template", Path(folder) / name
            shutil.copytree(template, prepared)
            if job.prepare:
                complete(prepared, job.prepare, log)
            shutil.copytree(prepared, undisturbed)
            complete(undisturbed, job.pipelines, log)
            expected = job.read(undisturbed / "data")
            for fault in options.fault or FAULTS:
                place = disk if fault == "full disk" else Path(folder)
                if place is None:
                    print(f"{name}, {fault}: left out, since no disk may be mounted; use --disk")
                    continue
                begun = time.monotonic()
                counts = interrupt_all(name, fault, options.moments, prepared, place, expected)
                counted = ", ".join(f"{count} {what}" for what, count in counts.items())
                print(f"{name}, {fault}: {counted}; {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
