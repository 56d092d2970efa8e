"""A stand-in for the two decorators of `airflow.sdk` that a generated DAG uses.

Airflow itself has seventy dependencies, one of which needs an older fastapi than the pinned one.
This module knows tasks, their dependencies and how to run one.
"""

from __future__ import annotations

from collections.abc import Callable

DAGS: dict[str, dict[str, Task]] = {}


class Task:
    """A task: its function, and the names of the tasks that it depends on."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name, self.run = name, run
        self.upstream: set[str] = set()

    def __rshift__(self, later: Task) -> Task:
        later.upstream.add(self.name)
        return later


_tasks: dict[str, Task] = {}


def task(task_id: str) -> Callable[[Callable[[], None]], Callable[[], Task]]:
    def decorate(run: Callable[[], None]) -> Callable[[], Task]:
        def add_task() -> Task:
            return _tasks.setdefault(task_id, Task(task_id, run))

        return add_task

    return decorate


def dag(dag_id: str, **_: object) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def decorate(build: Callable[[], None]) -> Callable[[], None]:
        def add_dag() -> None:
            _tasks.clear()
            build()
            DAGS[dag_id] = dict(_tasks)

        return add_dag

    return decorate
