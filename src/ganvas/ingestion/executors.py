"""Where chunks are decoded: in local processes, or on the workers of a Dask cluster."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from ganvas.errors import GanvasError

Task = TypeVar("Task")

# Worker processes that end while they work, one after the other, before the run gives up.
MAX_BROKEN = 3
CONNECT_TIMEOUT = "10s"
PRELOADED = ["__main__", "ganvas.ingestion.pack_worker"]


class ExecutorOptions(NamedTuple):
    """Where to work.

    Attributes:
        scheduler: Address of a Dask scheduler, such as tcp://10.0.0.1:8786; None: this machine.
        workers: Processes on this machine; None: one a core.
    """

    scheduler: str | None = None
    workers: int | None = None


def run_tasks(
    work: Callable[[Task], None], tasks: list[Task], place: ExecutorOptions
) -> Generator[Task]:
    """Do all tasks, about in their order, and give each back when it is done.

    A task is done again when the process that had it ended, so doing it twice must do no harm.

    Args:
        work: Does one task; a function at the top of a module.
        tasks: What to do; few are in flight at a time.
        place: Where to do it.

    Raises:
        GanvasError: The cluster can't be reached, or worker processes keep ending.
    """
    left = dict(enumerate(tasks))
    broken = 0
    while left:
        try:
            with _open_executor(place, len(left), broken) as (executor, width):
                for number in _complete(executor, work, left, 2 * width):
                    broken = 0
                    yield left.pop(number)
        except BrokenExecutor as error:
            broken += 1
            if broken == MAX_BROKEN:
                raise GanvasError(
                    f"{MAX_BROKEN} times in a row a worker process was ended from outside, most "
                    "likely for want of memory: set ingest.workers to fewer, or look for images "
                    "of extreme size; what is done is kept for the next run."
                ) from error


def _complete(
    executor: Executor, work: Callable[[Task], None], tasks: dict[int, Task], in_flight: int
) -> Iterator[int]:
    """Give the numbers of tasks as they are done, with a bounded number under way."""
    pending: dict[Future[None], int] = {}
    waiting = iter(list(tasks.items()))
    while True:
        for number, task in waiting:
            pending[executor.submit(work, task)] = number
            if len(pending) >= in_flight:
                break
        if not pending:
            return
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            number = pending.pop(future)
            future.result()
            yield number


@contextmanager
def _open_executor(
    place: ExecutorOptions, tasks: int, broken: int
) -> Iterator[tuple[Executor, int]]:
    """Open an executor; give it with the number of tasks that it works on at once.

    Args:
        place: Where to work.
        tasks: How many there are to do.
        broken: How many executors have just broken, one after the other.
    """
    if place.scheduler:
        with _connect(place.scheduler) as opened:
            yield opened
        return
    width = min(place.workers or os.cpu_count() or 1, tasks)
    # A process takes a second to start, which a single one is not worth; but a task that has ended
    # a process would end this one too.
    alone = width == 1 and not broken
    executor = ThreadPoolExecutor(1) if alone else _open_processes(width)
    try:
        yield executor, width
    finally:
        # Also after Ctrl-C: what has not begun is not begun.
        executor.shutdown(cancel_futures=True)


def _open_processes(width: int) -> ProcessPoolExecutor:
    # A plain fork would copy TensorFlow's threads in whatever state they are.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    return ProcessPoolExecutor(width, context, initializer=_obey_parent)


def _obey_parent() -> None:
    """Leave Ctrl-C to the parent process, and end when it does, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _connect(scheduler: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise GanvasError(
            "ingest.scheduler needs Dask's distributed, which is not installed: install it by "
            'pip install "ganvas[dask]", here and on the workers.'
        ) from error
    try:
        client = Client(scheduler, set_as_default=False, timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError) as error:
        raise GanvasError(
            f"No Dask scheduler answers at ingest.scheduler={scheduler}: start one by "
            "'dask scheduler', or leave it null to work on this machine."
        ) from error
    with client:
        width = sum(client.ncores().values())
        if not width:
            raise GanvasError(
                f"The Dask scheduler at {scheduler} has no workers: start some by "
                f"'dask worker {scheduler}'."
            )
        try:
            yield client.get_executor(pure=False), width
        except (KilledWorker, CancelledError, OSError) as error:
            raise GanvasError(
                f"The Dask cluster at {scheduler} gave up ({error}): look at its workers' logs; "
                "what is done is kept for the next run."
            ) from error
