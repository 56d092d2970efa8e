"""Run tasks in local processes or on the workers of a Dask cluster."""

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
from multiprocessing import forkserver
from typing import Any, NamedTuple, TypeVar

from ganvas.cpu_count import count_cpus
from ganvas.errors import GanvasError
from ganvas.extras import install_command

Task = TypeVar("Task")

# Consecutive crashes of a worker process after which the run stops.
MAX_CRASHES = 3
CONNECT_TIMEOUT = "10s"
PRELOADED_MODULES = ["__main__", "ganvas.ingestion.pack_worker"]


class ExecutorOptions(NamedTuple):
    """Where tasks run.

    Attributes:
        scheduler: Address of a Dask scheduler, such as tcp://10.0.0.1:8786; None: this machine.
        workers: Processes on this machine; None: one per core that it may use.
        threads: Whether the workers are threads of this process, which start at once, and end with
            it if one of them crashes.
    """

    scheduler: str | None = None
    workers: int | None = None
    threads: bool = False


def run_tasks(
    function: Callable[[Task], None], tasks: list[Task], options: ExecutorOptions
) -> Generator[Task]:
    """Run a function on all tasks, roughly in their order, and yield each completed task.

    A task runs again if its process crashes, so the function must be idempotent.

    Args:
        function: Function at the top level of a module.
        tasks: Arguments of the function; few are submitted at a time.
        options: Where the tasks run.

    Raises:
        GanvasError: The cluster can't be reached, or worker processes keep crashing.
    """
    remaining = dict(enumerate(tasks))
    crashes = 0
    while remaining:
        try:
            with _open_executor(options, len(remaining), crashes) as (executor, workers):
                for number in _run(executor, function, remaining, 2 * workers):
                    crashes = 0
                    yield remaining.pop(number)
        except BrokenExecutor as error:
            crashes += 1
            if crashes == MAX_CRASHES:
                raise GanvasError(
                    f"A worker process was killed {MAX_CRASHES} times in a row, most likely "
                    "because memory ran out: set ingest.workers to fewer, or look for images of "
                    "extreme size; completed work is kept for the next run."
                ) from error


def _run(
    executor: Executor, function: Callable[[Task], None], tasks: dict[int, Task], max_pending: int
) -> Iterator[int]:
    """Yield the numbers of completed tasks; at most `max_pending` tasks are submitted at once."""
    pending: dict[Future[None], int] = {}
    waiting = iter(list(tasks.items()))
    while True:
        for number, task in waiting:
            pending[executor.submit(function, task)] = number
            if len(pending) >= max_pending:
                break
        if not pending:
            return
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            number = pending.pop(future)
            future.result()
            yield number


@contextmanager
def _open_executor(
    options: ExecutorOptions, tasks: int, crashes: int
) -> Iterator[tuple[Executor, int]]:
    """Open an executor for a number of tasks; yield it and its number of workers."""
    if options.scheduler:
        with _connect(options.scheduler) as connected:
            yield connected
        return
    workers = min(options.workers or count_cpus(), tasks)
    # Starting a process takes a second, so one worker is a thread. But not after a crash, since
    # the task that crashed a process would crash this one too.
    in_process = (options.threads or workers == 1) and not crashes
    executor = ThreadPoolExecutor(workers) if in_process else _open_process_pool(workers)
    try:
        yield executor, workers
    finally:
        # Also after Ctrl-C, tasks that have not started are cancelled.
        executor.shutdown(cancel_futures=True)


def _open_process_pool(workers: int) -> ProcessPoolExecutor:
    # fork would copy TensorFlow's threads in an undefined state.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(PRELOADED_MODULES)
        # It would ignore Ctrl-C only once it has imported them; its workers inherit the mask.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return ProcessPoolExecutor(workers, context, initializer=_follow_parent)


def _follow_parent() -> None:
    """Ignore Ctrl-C, which the parent process handles, and exit when the parent exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def exit_after_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=exit_after_parent, daemon=True).start()


@contextmanager
def _connect(scheduler: str) -> Iterator[tuple[Executor, int]]:
    with connect(scheduler, "ingest.scheduler") as client:
        # There, since it needs the optional package.
        from distributed.scheduler import KilledWorker

        try:
            yield client.get_executor(pure=False), sum(client.ncores().values())
        except (KilledWorker, CancelledError, OSError) as error:
            raise GanvasError(
                f"The Dask cluster at {scheduler} failed ({error}): look at its workers' logs; "
                "completed work is kept for the next run."
            ) from error


@contextmanager
def connect(scheduler: str, option: str) -> Iterator[Any]:
    """Connect to a Dask scheduler, and yield the client.

    Args:
        scheduler: Address of the scheduler, such as tcp://10.0.0.1:8786.
        option: Name of the parameter or option that has set it, for messages.

    Raises:
        GanvasError: Dask isn't installed, no scheduler answers, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise GanvasError(
            f"{option} needs Dask's distributed, which is not installed: install it by "
            f"{install_command('dask')}, here and on the workers."
        ) from error
    try:
        client = Client(scheduler, set_as_default=False, timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError) as error:
        raise GanvasError(
            f"No Dask scheduler answers at {option}={scheduler}: start one by "
            "'dask scheduler', or leave it out to work on this machine."
        ) from error
    with client:
        if not client.ncores():
            raise GanvasError(
                f"The Dask scheduler at {scheduler} has no workers: start some by "
                f"'dask worker {scheduler}'."
            )
        yield client
