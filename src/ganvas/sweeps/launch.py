"""Start the runs of a sweep as processes, on this machine or on the workers of a Dask cluster."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ganvas.errors import GanvasError
from ganvas.ingestion.executors import connect
from ganvas.pipelines.train.params import PROGRESS_FILE, SWEEP_VALUES
from ganvas.redaction import redact
from ganvas.sweeps.child import PARENT

# Seconds between two looks at a process.
POLL_SECONDS = 0.5
# Bytes at the end of a log in which its error is looked for.
LOG_TAIL = 100_000


class Job(NamedTuple):
    """A command to run in a process of its own; all paths are absolute.

    Attributes:
        options: The command and its options, as after `kedro`.
        cwd: Folder to work in, the project's or one in it.
        log: File to which the output is added.
        progress: File to which training writes its progress.
        stop: File whose existence asks a worker of a cluster to end the process.
        values: What identifies the run besides its parameters, see `find_own_values`.
    """

    options: list[str]
    cwd: Path
    log: Path
    progress: Path
    stop: Path
    values: dict[str, Any]


class Running(Protocol):
    """A process that was started."""

    def poll(self) -> int | None:
        """Return its exit status, negative after a signal; None while it works."""

    def stop(self) -> None:
        """Ask it to save and end."""


class Launcher(Protocol):
    """What starts processes.

    Attributes:
        slots: How many may work at once.
    """

    slots: int

    def start(self, job: Job) -> Running:
        """Start a process."""


class LocalLauncher:
    """Starts processes on this machine."""

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def start(self, job: Job) -> Running:
        """Start a process."""
        return _LocalProcess(_open_process(job))


class _LocalProcess:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def poll(self) -> int | None:
        return self.process.poll()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def open_launcher(scheduler: str | None, jobs: int | None) -> Iterator[Launcher]:
    """Open what starts processes.

    Args:
        scheduler: Address of a Dask scheduler, whose workers see the project's folder under the
            same path; None: this machine.
        jobs: How many processes work at once; None: one, or one for each worker of the cluster.

    Raises:
        GanvasError: The scheduler can't be reached.
    """
    if scheduler is None:
        yield LocalLauncher(jobs or 1)
        return
    with connect(scheduler, "--scheduler") as client:
        yield _DaskLauncher(client, jobs or len(client.scheduler_info(n_workers=-1)["workers"]))


class _DaskLauncher:
    """Starts processes on a cluster, one on a worker at a time."""

    def __init__(self, client: Any, slots: int) -> None:
        self.client, self.slots = client, slots

    def start(self, job: Job) -> Running:
        job.stop.unlink(missing_ok=True)
        # Without retries: a worker that was lost may have run out of memory.
        return _DaskTask(self.client.submit(run_job, job, pure=False, retries=0), job.stop)


class _DaskTask:
    def __init__(self, future: Any, stop: Path) -> None:
        self.future, self.stop_file = future, stop

    def poll(self) -> int | None:
        if not self.future.done():
            return None
        if self.future.status != "finished":
            raise GanvasError(
                f"A worker of the Dask cluster failed ({self.future.exception()}): look at its "
                "log; the same command resumes the sweep."
            )
        return int(self.future.result())

    def stop(self) -> None:
        self.stop_file.touch()


def run_job(job: Job) -> int:
    """Run a job on a worker of a cluster; return its exit status.

    Raises:
        GanvasError: The worker doesn't see the project's folder.
    """
    if not job.log.parent.is_dir():
        raise GanvasError(
            f"A worker of the cluster has no folder {job.log.parent}: share the project's folder "
            "with all workers under the same path."
        )
    process = _open_process(job)
    while (status := process.poll()) is None:
        if job.stop.exists():
            job.stop.unlink(missing_ok=True)
            process.send_signal(signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    return status


def _open_process(job: Job) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ganvas.sweeps.child", *job.options]
    environment = os.environ | {
        PROGRESS_FILE: str(job.progress),
        PARENT: str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }
    if job.values:
        environment[SWEEP_VALUES] = json.dumps(job.values, sort_keys=True)
    job.progress.unlink(missing_ok=True)
    with job.log.open("ab") as log:
        words = redact(subprocess.list2cmdline(job.options))
        log.write(f"\n# {datetime.now():%Y-%m-%d %H:%M:%S}: {words}\n".encode())
        log.flush()
        return subprocess.Popen(
            command,
            cwd=job.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C reaches the sweep alone, which ends the run by SIGTERM.
            start_new_session=True,
        )


class Progress(NamedTuple):
    """What a run has written of its progress.

    Attributes:
        epoch: Complete epochs.
        epochs: All epochs of the run; None if it is not known.
        kernel_distances: Kernel distances to validation images, by epoch.
    """

    epoch: int
    epochs: int | None
    kernel_distances: dict[int, float]


def read_progress(file: Path) -> Progress | None:
    """Read the progress of a run; None before its first epoch is complete."""
    try:
        content = json.loads(file.read_text())
        measured = {int(epoch): value for epoch, value in content["kernel_distances"].items()}
        return Progress(content["epoch"], content["epochs"], measured)
    except (OSError, ValueError, KeyError):
        return None


def read_error(log: Path) -> str:
    """Return the last error in a log, in one line; or else its last line."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LOG_TAIL))
        text = stream.read().decode(errors="replace")
    # Of this start of the command alone.
    lines = [line for line in text.rpartition("\n# ")[2].splitlines()[1:] if line.strip()]
    errors = [line for line in lines if re.match(r"Error: ", line)]
    return (errors or lines or ["it wrote nothing"])[-1].removeprefix("Error: ").strip()
