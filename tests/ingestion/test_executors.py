import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from distributed import LocalCluster

from ganvas.errors import GanvasError
from ganvas.ingestion import executors
from ganvas.ingestion.executors import MAX_CRASHES, ExecutorOptions, run_tasks


class Job(NamedTuple):
    folder: Path
    number: int
    crashes: int = 0


def record(job: Job) -> None:
    """Write a file; kill the process at the first `job.crashes` attempts."""
    attempt = job.folder / f"attempt-{job.number}-{time.monotonic_ns()}"
    attempt.touch()
    if len(list(job.folder.glob(f"attempt-{job.number}-*"))) <= job.crashes:
        os.kill(os.getpid(), signal.SIGKILL)
    (job.folder / f"done-{job.number}").write_text(str(os.getpid()))


def crash_last(job: Job) -> None:
    """Write a file; if the job crashes, kill the process once all other jobs are done."""
    if job.crashes:
        assert multiprocessing.parent_process(), "this would have killed the run itself"
        wait_until(lambda: len(list(job.folder.glob("done-*"))) == 11)
        # Lets the last result arrive.
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    record(job)


def fail(job: Job) -> None:
    if job.number == 3:
        raise GanvasError("No detector: install one.")


def processes(folder: Path) -> set[int]:
    return {int(file.read_text()) for file in folder.glob("done-*")}


@pytest.mark.slow
def test_local_processes_run_each_task_once(tmp_path):
    jobs = [Job(tmp_path, number) for number in range(30)]
    done = list(run_tasks(record, jobs, ExecutorOptions(workers=2)))
    assert sorted(done) == jobs
    assert len(list(tmp_path.glob("attempt-*"))) == 30
    assert os.getpid() not in processes(tmp_path) and len(processes(tmp_path)) <= 2


def test_a_single_task_starts_no_process(tmp_path):
    assert list(run_tasks(record, [Job(tmp_path, 0)], ExecutorOptions(workers=4))) == [
        Job(tmp_path, 0)
    ]
    assert processes(tmp_path) == {os.getpid()}


def meet(barrier: threading.Barrier) -> None:
    barrier.wait(30)


def test_threads_run_tasks_at_the_same_time_in_this_process():
    # No thread could pass it alone, and no barrier can be sent to another process.
    barrier = threading.Barrier(2)
    options = ExecutorOptions(workers=2, threads=True)
    assert len(list(run_tasks(meet, [barrier] * 4, options))) == 4


def test_without_tasks_nothing_runs():
    assert list(run_tasks(record, [], ExecutorOptions())) == []


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path):
    jobs = [Job(tmp_path, number, crashes=int(number == 5)) for number in range(12)]
    assert sorted(run_tasks(record, jobs, ExecutorOptions(workers=2))) == jobs
    assert len(list(tmp_path.glob("attempt-5-*"))) >= 2


@pytest.mark.slow
def test_workers_that_keep_crashing_are_one_error_sentence(tmp_path):
    jobs = [Job(tmp_path, number, crashes=99) for number in range(2)]
    with pytest.raises(GanvasError, match=f"{MAX_CRASHES} times in a row.*ingest.workers"):
        list(run_tasks(record, jobs, ExecutorOptions(workers=2)))


@pytest.mark.slow
def test_a_task_that_kills_every_worker_does_not_kill_the_run(tmp_path):
    jobs = [Job(tmp_path, number, crashes=int(number == 5)) for number in range(12)]
    with pytest.raises(GanvasError, match=f"{MAX_CRASHES} times in a row"):
        list(run_tasks(crash_last, jobs, ExecutorOptions(workers=2)))
    assert len(list(tmp_path.glob("done-*"))) == 11
    assert os.getpid() not in processes(tmp_path)


@pytest.mark.slow
def test_errors_of_tasks_are_raised(tmp_path):
    with pytest.raises(GanvasError, match="No detector"):
        list(
            run_tasks(
                fail, [Job(tmp_path, number) for number in range(6)], ExecutorOptions(workers=2)
            )
        )


@pytest.mark.slow
def test_workers_exit_when_the_parent_is_killed(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from ganvas.ingestion.executors import ExecutorOptions, run_tasks\n"
        "if __name__ == '__main__':\n"
        "    sys.path.insert(0, sys.argv[2])\n"
        "    from test_executors import Job, record\n"
        "    jobs = [Job(Path(sys.argv[1]), number) for number in range(4)]\n"
        "    for job in run_tasks(record, jobs, ExecutorOptions(workers=2)):\n"
        "        time.sleep(60)\n"
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, tmp_path / "script.py", tmp_path, Path(__file__).parent]
    parent = subprocess.Popen(command)
    wait_until(lambda: len(list(tmp_path.glob("done-*"))) == 4)
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in processes(tmp_path)))


def wait_until(condition) -> None:
    # Workers import for a long time on a busy machine.
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("timed out after 120 seconds")


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as running:
        yield running


@pytest.mark.slow
def test_a_dask_cluster_runs_every_task(tmp_path, cluster):
    jobs = [Job(tmp_path, number) for number in range(12)]
    assert sorted(run_tasks(record, jobs, ExecutorOptions(cluster.scheduler_address))) == jobs
    assert os.getpid() not in processes(tmp_path)


@pytest.mark.slow
def test_a_killed_dask_worker_is_replaced(tmp_path, cluster):
    jobs = [Job(tmp_path, number, crashes=int(number == 4)) for number in range(12)]
    assert sorted(run_tasks(record, jobs, ExecutorOptions(cluster.scheduler_address))) == jobs
    assert len(list(tmp_path.glob("attempt-4-*"))) >= 2


def test_errors_of_tasks_on_a_dask_worker_are_raised(tmp_path, cluster):
    with pytest.raises(GanvasError, match="No detector"):
        list(run_tasks(fail, [Job(tmp_path, 3)], ExecutorOptions(cluster.scheduler_address)))


@pytest.mark.slow
def test_an_unreachable_scheduler_is_one_error_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_TIMEOUT", "1s")
    with pytest.raises(GanvasError, match=r"tcp://127\.0\.0\.1:9: start one by .dask scheduler"):
        list(run_tasks(record, [Job(tmp_path, 0)], ExecutorOptions("tcp://127.0.0.1:9")))


def test_a_cluster_without_workers_is_one_error_sentence(tmp_path):
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(GanvasError, match="has no workers"),
    ):
        list(run_tasks(record, [Job(tmp_path, 0)], ExecutorOptions(empty.scheduler_address)))


def test_a_missing_package_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(GanvasError, match=r"\.\[dask\]"):
        list(run_tasks(record, [Job(tmp_path, 0)], ExecutorOptions("tcp://127.0.0.1:9")))
