"""The two decorators of `airflow.sdk` that a generated DAG uses.

Airflow itself is seventy packages, one of which wants an older fastapi than the pins have, so tests
read a DAG by this: it knows tasks, their order and how to run one.
"""

from __future__ import annotations

from collections.abc import Callable

DAGS: dict[str, dict[str, Task]] = {}


class Task:
    """A task: what it runs, and the tasks that it waits for."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name, self.run = name, run
        self.after: set[str] = set()

    def __rshift__(self, later: Task) -> Task:
        later.after.add(self.name)
        return later


_tasks: dict[str, Task] = {}


def task(task_id: str) -> Callable[[Callable[[], None]], Callable[[], Task]]:
    def decorate(run: Callable[[], None]) -> Callable[[], Task]:
        def enter() -> Task:
            return _tasks.setdefault(task_id, Task(task_id, run))

        return enter

    return decorate


def dag(dag_id: str, **_: object) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def decorate(build: Callable[[], None]) -> Callable[[], None]:
        def enter() -> None:
            _tasks.clear()
            build()
            DAGS[dag_id] = dict(_tasks)

        return enter

    return decorate
