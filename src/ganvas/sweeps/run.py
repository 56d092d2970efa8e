"""Run a sweep from its options to its summary."""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
from kedro.utils import find_kedro_project

from ganvas.atomic_files import atomic_write
from ganvas.base_params import flatten
from ganvas.command_line import join_params, write_command
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock
from ganvas.redaction import redact
from ganvas.saved_json import FOLDER_NAME, read_json
from ganvas.sweeps.execute import Grid, execute
from ganvas.sweeps.launch import POLL_SECONDS, Job, LocalLauncher, open_launcher, read_error
from ganvas.sweeps.plan import (
    PlannedRun,
    Settings,
    State,
    check_parallel,
    find_versions,
    plan_run,
    plan_runs,
)
from ganvas.sweeps.search import Search, check_metric, choose_interval, import_optuna, probe
from ganvas.sweeps.summary import (
    SUMMARY_FILE,
    Row,
    describe_groups,
    describe_runs,
    head_columns,
    list_rows,
    write_summary,
)
from ganvas.sweeps.values import Axis, Range, combine, describe_values, read_axes
from ganvas.visualization.comparison import SEED
from ganvas.visualization.metric_table import format_baseline

SWEEPS = Path("data/08_reporting/sweeps")
# What a search of this name varies.
PLAN_FILE = "sweep.json"
DEFAULT_METRIC = "kernel_distance"
# Characters of a name, apart from its hash.
MAX_NAME = 60
# File systems have 255; the lock's name has a few more than the folder's.
MAX_NAME_BYTES = 240
STATES: dict[State, str] = {"new": "to train", "done": "done already", "resumed": "to resume"}


def run_sweep(
    values: Sequence[str],
    env: str | None = None,
    params: dict[str, Any] | None = None,
    conf_source: str | None = None,
    trials: int | None = None,
    metric: str | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    name: str | None = None,
    dry_run: bool = False,
) -> None:
    """Plan the runs of a sweep, execute them, and summarize the results.

    Args:
        values: What varies, KEY=VALUES each.
        env: Preset of all runs.
        params: Parameters of all runs, nested.
        conf_source: Folder or archive of the configuration.
        trials: Number of runs of a search; None: all combinations.
        metric: What a search optimizes.
        jobs: How many runs work at once.
        scheduler: Address of a Dask scheduler.
        name: Name of the folder of results.
        dry_run: Whether to print the plan alone.

    Raises:
        GanvasError: An option or a parameter is wrong, or runs have failed.
        Interrupted: A signal came; the runs in progress have saved what they had.
    """
    axes, chosen = read_axes(values), flatten(params or {})
    for axis in axes:
        if axis.key in chosen:
            raise GanvasError(f"--params sets {axis.key} too, which the sweep varies: set it once.")
    if metric and not trials:
        raise GanvasError("--metric is what a search optimizes: add --trials=8, or leave it out.")
    settings = Settings(find_kedro_project(Path.cwd()) or Path.cwd(), env, conf_source, chosen)
    objective = (metric or DEFAULT_METRIC) if trials else None
    name = _check_name(name) if name else _make_name(axes, settings, objective)
    folder = settings.root / SWEEPS / name
    parallel = scheduler is not None or (jobs or 1) > 1
    if objective:
        settings, runs = _plan_search(settings, axes, objective), []
        _print_search(axes, objective, trials or 0)
    else:
        runs = plan_runs(settings, combine(axes))
        _print_plan(runs)
    if dry_run:
        for run in runs:
            click.echo(redact(write_command(*run.options)))
        return
    about = {"name": name, "kind": "search" if trials else "grid"}
    about["command"] = _write_own_command(values, settings, trials, metric)
    with _lock(folder, name):
        source: Grid | Search = Grid(runs)
        if objective:
            _check_plan(folder, axes, settings, objective)
            source = Search(settings, axes, objective, trials or 0, folder)
        elif parallel:
            check_parallel(runs)
        try:
            with open_launcher(scheduler, jobs) as launcher:
                execute(settings, source, launcher, folder)
        finally:
            rows, text = _conclude(source, settings, about, folder)
        _compare(settings, folder)
    click.echo(f"\n{text}\n\nSummary: {(SWEEPS / name / SUMMARY_FILE).as_posix()}")
    if failed := [row for row in rows if row["state"] == "failed"]:
        first = failed[0]
        raise GanvasError(
            f"{len(failed)} of {len(rows)} runs failed, such as the one with "
            f"{describe_values(first['values'])} ({first['message'].rstrip('.')}): the same "
            "command tries them again."
        )


@contextmanager
def _lock(folder: Path, name: str) -> Iterator[None]:
    """Create the folder of a sweep and hold its lock."""
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            task = f"carries out the sweep {name}"
            stack.enter_context(exclusive_lock(folder, task, "set another --name"))
        except OSError as error:
            raise GanvasError(
                f"The results can't be written to {folder} ({error.strerror or error}): make it a "
                "folder that you may write to, or set another --name."
            ) from error
        yield


def _check_name(name: str) -> str:
    if not re.match(FOLDER_NAME, name) or not name.isprintable():
        raise GanvasError(f"--name can't be '{name}': it must be the name of a folder.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise GanvasError(f"--name can't have more than {MAX_NAME_BYTES} bytes: shorten it.")
    return name


def _make_name(axes: Sequence[Axis], settings: Settings, metric: str | None) -> str:
    """Return a name that sweeps of the same values and parameters have, and no others."""
    what = [[(axis.key, axis.text) for axis in axes], settings.env, settings.conf_source]
    text = json.dumps([*what, settings.params, metric], sort_keys=True, default=str)
    words = "-".join(axis.key.rpartition(".")[2] for axis in axes)[:MAX_NAME]
    return f"{words}-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"


def _write_own_command(
    values: Sequence[str], settings: Settings, trials: int | None, metric: str | None
) -> str:
    options = [*values, *settings.options()]
    options += [join_params(settings.params)] if settings.params else []
    options += [f"--trials={trials}"] if trials else []
    return redact(write_command("sweep", *options, *([f"--metric={metric}"] if metric else [])))


# --- The plan ---------------------------------------------------------------------------------


def _print_plan(runs: Sequence[PlannedRun]) -> None:
    counts = Counter(run.state for run in runs)
    states = ", ".join(f"{counts[state]} {text}" for state, text in STATES.items() if counts[state])
    click.echo(f"{len(runs)} run(s): {states}.")
    for number, run in enumerate(runs, start=1):
        click.echo(f"  {number}. {describe_values(run.values)}: {STATES[run.state]}")


def _plan_search(settings: Settings, axes: Sequence[Axis], metric: str) -> Settings:
    """Check all that a search may set; return the settings with measurements for pruning."""
    import_optuna()
    if any(axis.key == SEED for axis in axes):
        raise GanvasError(
            f"A search can't vary {SEED}, whose best value is luck: leave it out, and compare the "
            f"best parameters with others by {SEED}=0..2."
        )
    combinations = probe(axes)
    for values in combinations:
        try:
            params = plan_run(settings, values).params
        except GanvasError as error:
            raise GanvasError(f"With {describe_values(values)}: {error}") from error
    check_metric(metric, params.evaluate.extractor)
    return choose_interval(settings, params, combinations[0])


def _print_search(axes: Sequence[Axis], metric: str, trials: int) -> None:
    click.echo(f"A search of {trials} run(s) for the best {metric}, among")
    for axis in axes:
        scale = ""
        if isinstance(axis.values, Range):
            scale = " on a logarithmic scale" if axis.values.log else ""
        click.echo(f"  {axis.key}={axis.text}{scale}")


def _check_plan(folder: Path, axes: Sequence[Axis], settings: Settings, metric: str) -> None:
    """Check that an earlier search of the name is the same one, and save what it is.

    Raises:
        GanvasError: It is another one, with whose results this one's can't be compared.
    """
    plan = {
        "values": {axis.key: axis.text for axis in axes},
        "env": settings.env,
        "params": {key: str(value) for key, value in redact(settings.params).items()},
        "metric": metric,
    }
    file = folder / PLAN_FILE
    if file.exists() and read_json(file, dict[str, Any], "delete the folder") != plan:
        raise GanvasError(
            f"{folder} holds a search of other values, parameters or another metric: set another "
            "--name, or delete the folder."
        )
    atomic_write(file, json.dumps(plan, indent=2).encode())


# --- The results ------------------------------------------------------------------------------


def _conclude(
    source: Grid | Search, settings: Settings, about: dict[str, Any], folder: Path
) -> tuple[list[Row], str]:
    """Write the summary; return its rows, and its text."""
    if isinstance(source, Grid):
        rows = list_rows(source.outcomes)
        text = describe_groups(rows)
    else:
        rows, found = source.list_outcomes(), _describe_best(source, settings)
        text = "\n\n".join(filter(None, [describe_runs(rows, source.metric), found["text"]]))
        about = about | {key: value for key, value in found.items() if key != "text"}
    missing = [row for row in rows if row["message"]]
    if missing:
        lines = [
            f"- Run {row['number']} ({describe_values(row['values'])}) "
            + (f"was {row['message']}" if row["state"] == "pruned" else f"failed: {row['message']}")
            if row["state"] != "interrupted"
            else f"- Run {row['number']} ({describe_values(row['values'])}) was interrupted"
            for row in missing
        ]
        text += "\n\n" + "\n".join(lines)
    if rows:
        write_summary(folder, rows, about, text)
    return rows, text


def _describe_best(search: Search, settings: Settings) -> dict[str, Any]:
    """Return the best parameters, a command that trains them with other seeds, and importances."""
    found: dict[str, Any] = {"metric": search.metric, "best": None, "importances": {}, "text": ""}
    best = search.find_best()
    if best is None:
        return found
    (row,) = [row for row in search.list_outcomes() if row["number"] == best]
    command = redact(
        write_command(
            "sweep",
            f"{SEED}=0..2",
            *settings.options(),
            join_params({k: v for k, v in (settings.params | row["values"]).items() if k != SEED}),
        )
    )
    found["best"] = {key: row[key] for key in ("number", "values", "run")}
    found["best"] |= {"value": row["metrics"][search.metric], "command": command}
    value = format_baseline(search.metric, row["metrics"][search.metric])
    (title,) = head_columns([row], [search.metric])
    lines = [f"The best is run {best}, {title} {value}: {describe_values(row['values'])}"]
    found["importances"] = search.importances()
    if found["importances"]:
        shares = [f"{key} {value:.0%}" for key, value in found["importances"].items()]
        lines.append(f"Importance of the parameters (fANOVA): {', '.join(shares)}")
    lines.append(f"To see whether it was luck, train it with other seeds:\n\n    {command}")
    if command := _describe_models(settings, row["values"]):
        lines.append(
            "\nThe newest models, which the gallery shows first, are of another run. "
            f"To generate samples by those of the best:\n\n    {command}"
        )
    found["text"] = "\n".join(lines)
    return found


def _describe_models(settings: Settings, values: dict[str, Any]) -> str:
    """Return the command that samples from the models of a run; empty if they are the newest."""
    version, newest = find_versions(settings, values)
    if None in (version, newest) or version == newest:
        return ""
    options = [*settings.options(), join_params(settings.params | values)]
    versions = f"--load-versions=generator:{version},class_list:{version}"
    return redact(write_command("run", "--pipelines=sample", *options, versions))


def _compare(settings: Settings, folder: Path) -> None:
    """Write the comparison page of all evaluated runs."""
    logs = (folder / "logs").absolute()
    options = ["run", "--pipelines=compare", *settings.options()]
    log = logs / "compare.log"
    job = Job(options, Path.cwd(), log, logs / ".compare", logs / ".compare", {})
    running = LocalLauncher(1).start(job)
    try:
        while running.poll() is None:
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        running.stop()
        raise
    if running.poll():
        click.echo(f"The comparison page could not be written: {read_error(log)}")
    else:
        click.echo("Comparison: data/08_reporting/comparison.html")
