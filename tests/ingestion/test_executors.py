import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from distributed import LocalCluster

from ganvas.errors import GanvasError
from ganvas.ingestion import executors
from ganvas.ingestion.executors import MAX_BROKEN, ExecutorOptions, run_tasks


class Job(NamedTuple):
    folder: Path
    number: int
    crashes: int = 0


def note(job: Job) -> None:
    """Leave a file; end the whole process the first few times."""
    attempt = job.folder / f"attempt-{job.number}-{time.monotonic_ns()}"
    attempt.touch()
    if len(list(job.folder.glob(f"attempt-{job.number}-*"))) <= job.crashes:
        os.kill(os.getpid(), signal.SIGKILL)
    (job.folder / f"done-{job.number}").write_text(str(os.getpid()))


def spare_others(job: Job) -> None:
    """Leave a file; end the whole process, where that is asked for, once the others are done."""
    if job.crashes:
        assert multiprocessing.parent_process(), "this would have ended the run itself"
        wait_until(lambda: len(list(job.folder.glob("done-*"))) == 11)
        # Lets the last of them be told of.
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    note(job)


def fail(job: Job) -> None:
    if job.number == 3:
        raise GanvasError("No detector: install one.")


def processes(folder: Path) -> set[int]:
    return {int(file.read_text()) for file in folder.glob("done-*")}


def test_local_processes_do_every_task_once(tmp_path):
    jobs = [Job(tmp_path, number) for number in range(30)]
    done = list(run_tasks(note, jobs, ExecutorOptions(workers=2)))
    assert sorted(done) == jobs
    assert len(list(tmp_path.glob("attempt-*"))) == 30
    assert os.getpid() not in processes(tmp_path) and len(processes(tmp_path)) <= 2


def test_one_task_starts_no_process(tmp_path):
    assert list(run_tasks(note, [Job(tmp_path, 0)], ExecutorOptions(workers=4))) == [
        Job(tmp_path, 0)
    ]
    assert processes(tmp_path) == {os.getpid()}


def test_no_task_is_no_work():
    assert list(run_tasks(note, [], ExecutorOptions())) == []


def test_a_killed_worker_is_replaced(tmp_path):
    jobs = [Job(tmp_path, number, crashes=int(number == 5)) for number in range(12)]
    assert sorted(run_tasks(note, jobs, ExecutorOptions(workers=2))) == jobs
    assert len(list(tmp_path.glob("attempt-5-*"))) >= 2


def test_workers_that_are_killed_again_and_again_end_in_one_sentence(tmp_path):
    jobs = [Job(tmp_path, number, crashes=99) for number in range(2)]
    with pytest.raises(GanvasError, match=f"{MAX_BROKEN} times in a row .*ingest.workers"):
        list(run_tasks(note, jobs, ExecutorOptions(workers=2)))


def test_a_task_that_ends_every_process_never_ends_the_run(tmp_path):
    jobs = [Job(tmp_path, number, crashes=int(number == 5)) for number in range(12)]
    with pytest.raises(GanvasError, match=f"{MAX_BROKEN} times in a row"):
        list(run_tasks(spare_others, jobs, ExecutorOptions(workers=2)))
    assert len(list(tmp_path.glob("done-*"))) == 11
    assert os.getpid() not in processes(tmp_path)


def test_what_a_task_raises_comes_through(tmp_path):
    with pytest.raises(GanvasError, match="No detector"):
        list(
            run_tasks(
                fail, [Job(tmp_path, number) for number in range(6)], ExecutorOptions(workers=2)
            )
        )


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from ganvas.ingestion.executors import ExecutorOptions, run_tasks\n"
        "if __name__ == '__main__':\n"
        "    sys.path.insert(0, sys.argv[2])\n"
        "    from test_executors import Job, note\n"
        "    jobs = [Job(Path(sys.argv[1]), number) for number in range(4)]\n"
        "    for job in run_tasks(note, jobs, ExecutorOptions(workers=2)):\n"
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
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("waited for 30 seconds in vain")


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as running:
        yield running


def test_a_dask_cluster_does_every_task(tmp_path, cluster):
    jobs = [Job(tmp_path, number) for number in range(12)]
    assert sorted(run_tasks(note, jobs, ExecutorOptions(cluster.scheduler_address))) == jobs
    assert os.getpid() not in processes(tmp_path)


def test_a_dask_worker_that_is_killed_is_done_without(tmp_path, cluster):
    jobs = [Job(tmp_path, number, crashes=int(number == 4)) for number in range(12)]
    assert sorted(run_tasks(note, jobs, ExecutorOptions(cluster.scheduler_address))) == jobs
    assert len(list(tmp_path.glob("attempt-4-*"))) >= 2


def test_what_a_task_raises_on_a_dask_worker_comes_through(tmp_path, cluster):
    with pytest.raises(GanvasError, match="No detector"):
        list(run_tasks(fail, [Job(tmp_path, 3)], ExecutorOptions(cluster.scheduler_address)))


def test_a_scheduler_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_TIMEOUT", "1s")
    with pytest.raises(GanvasError, match=r"tcp://127\.0\.0\.1:9: start one by .dask scheduler"):
        list(run_tasks(note, [Job(tmp_path, 0)], ExecutorOptions("tcp://127.0.0.1:9")))


def test_a_cluster_without_workers_is_one_sentence(tmp_path):
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(GanvasError, match="has no workers"),
    ):
        list(run_tasks(note, [Job(tmp_path, 0)], ExecutorOptions(empty.scheduler_address)))


def test_without_distributed_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(GanvasError, match=r"ganvas\[dask\]"):
        list(run_tasks(note, [Job(tmp_path, 0)], ExecutorOptions("tcp://127.0.0.1:9")))
