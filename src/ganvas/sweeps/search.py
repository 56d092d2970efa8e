"""Search for the best parameters with Optuna; hopeless runs are pruned."""

import json
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.sweeps.execute import Outcome
from ganvas.sweeps.launch import Progress
from ganvas.sweeps.plan import PlannedRun, Settings, plan_run
from ganvas.sweeps.summary import list_metrics, list_titles
from ganvas.sweeps.values import Axis, Range, describe_values
from ganvas.visualization.metric_table import HIGHER, LOWER, STYLES, style_metric

if TYPE_CHECKING:
    import optuna

STORAGE = "study.journal"
# Metrics that need no feature extractor.
WITHOUT_EXTRACTOR = {
    "sliced_wasserstein_distance",
    "class_diversity_pixels",
    "class_nearest_pixels",
    "parzen_log_likelihood",
    "faces",
}
# In this many epochs a run is measured about this many times.
MEASUREMENTS, DEFAULT_EPOCHS = 10, 50
# A run is judged after this epoch and this share of its epochs, since the first ones are alike.
EARLIEST_EPOCH, EARLIEST_SHARE = 2, 0.2
INTERVAL = "train.kid_validation.interval"


def check_metric(name: str, extractor: str | None) -> None:
    """Check that a metric has a best value, and that it will be measured.

    Raises:
        GanvasError: It has none, or it needs a feature extractor.
    """
    searchable = [key for key, style in STYLES.items() if style.sign in (LOWER, HIGHER)]
    if name not in searchable:
        raise GanvasError(
            f"--metric can't be '{name}': it must be one of {', '.join(searchable)}, of which the "
            "lowest or the highest value is the best."
        )
    if extractor is None and name not in WITHOUT_EXTRACTOR:
        raise GanvasError(
            f"--metric={name} needs a feature extractor, but evaluate.extractor is null: set "
            "--params=evaluate.extractor=efficientnet_lite2, or another metric."
        )


def choose_interval(settings: Settings, params: Any, values: dict[str, Any]) -> Settings:
    """Return the settings with measurements of the kernel distance, by which runs are pruned.

    Args:
        settings: What all runs have in common.
        params: All parameters of one of them.
        values: What the search sets for this one.
    """
    if params.train.kid_validation.interval is not None:
        return settings
    interval = max(1, (params.train.epochs or DEFAULT_EPOCHS) // MEASUREMENTS)
    measured = settings._replace(params=settings.params | {INTERVAL: interval})
    try:
        plan_run(measured, values)
    except GanvasError as error:
        click.echo(f"Hopeless runs are not pruned, since they can't be measured: {error}")
        return settings
    click.echo(
        f"Runs are measured every {interval} epoch(s) to prune hopeless ones: {INTERVAL}="
        f"{interval}; set it by --params to measure at other epochs."
    )
    return measured


def probe(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return combinations of values that have all ends of ranges, and all items of lists."""
    ends = [
        [axis.values.low, axis.values.high] if isinstance(axis.values, Range) else axis.values
        for axis in axes
    ]
    first = {axis.key: values[0] for axis, values in zip(axes, ends, strict=True)}
    return [first] + [
        first | {axis.key: value}
        for axis, values in zip(axes, ends, strict=True)
        for value in values[1:]
    ]


class Search:
    """Runs whose parameters Optuna chooses.

    Args:
        settings: What all runs have in common.
        axes: What is searched.
        metric: Name of the metric to optimize.
        trials: How many runs there are in the end, earlier ones of the same search included.
        folder: Folder of the sweep, where the search is saved.

    Raises:
        GanvasError: Optuna is not installed.
    """

    def __init__(
        self, settings: Settings, axes: Sequence[Axis], metric: str, trials: int, folder: Path
    ) -> None:
        self.settings, self.axes, self.metric, self.total = settings, axes, metric, trials
        self.minimize = style_metric(metric).sign == LOWER
        self._trials: dict[int, optuna.Trial] = {}
        self._reported: dict[int, set[int]] = {}
        self._optuna = import_optuna()
        self.study = self._open(folder)

    def _open(self, folder: Path) -> "optuna.Study":
        optuna = self._optuna
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / STORAGE
        _drop_incomplete_line(file)
        try:
            backend = optuna.storages.journal.JournalFileBackend(str(file))
            study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name="sweep",
                direction="minimize" if self.minimize else "maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(
                    n_startup_trials=min(5, max(2, self.total // 4))
                ),
            )
        # What Optuna raises of other lines depends on the line.
        except Exception as error:
            raise GanvasError(
                f"{file} is damaged ({type(error).__name__}): delete it to search anew, or set "
                "another --name. The results of its runs stay in the leaderboard."
            ) from error
        # Begun anew with the same seed, it would choose the same values again.
        study.sampler = optuna.samplers.TPESampler(
            seed=len(study.trials), n_startup_trials=min(10, max(3, self.total // 3))
        )
        self._retry(study)
        return study

    def _retry(self, study: "optuna.Study") -> None:
        """Queue what was cut, which resumes, and what has failed."""
        states = self._optuna.trial.TrialState
        trials = study.get_trials(deepcopy=False)
        retried = _retried(trials)
        for trial in trials:
            if trial.state == states.RUNNING:
                study.tell(trial.number, state=states.FAIL)
            if trial.state in (states.RUNNING, states.FAIL) and trial.number not in retried:
                study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})

    def count(self, *states: str) -> int:
        """Return the number of trials in some states, without those that were tried again."""
        trials = self.study.get_trials(deepcopy=False)
        retried = _retried(trials)
        return sum(t.state.name in states and t.number not in retried for t in trials)

    def next(self) -> tuple[int, PlannedRun] | None:
        """Return the next run that isn't done; None once there are enough."""
        while self.count("COMPLETE", "PRUNED", "FAIL", "RUNNING") < self.total:
            trial = self.study.ask()
            number, values = trial.number + 1, self._suggest(trial)
            self._trials[number] = trial
            if same := self._find_same(trial):
                message = f"pruned: it has the values of run {same}, which has no result yet"
                self._skip(number, Outcome(values, "pruned", message))
                continue
            try:
                run = plan_run(self.settings, values)
            except GanvasError as error:
                self._skip(number, Outcome(values, "pruned", f"pruned: {error}"))
                continue
            if run.state != "done":
                return number, run
            self._skip(number, Outcome(values, "done", entry=run.entry))
        return None

    def _skip(self, number: int, outcome: Outcome) -> None:
        what = outcome.message or "done already"
        click.echo(f"Run {number} is {what} ({describe_values(outcome.values)}).")
        self.finish(number, outcome)

    def _find_same(self, trial: "optuna.Trial") -> int | None:
        """Return the number of another run with the same values that works or was pruned."""
        for other in self.study.get_trials(deepcopy=False):
            same = other.number != trial.number and other.params == trial.params
            if same and other.state.name in ("RUNNING", "PRUNED"):
                return int(other.number) + 1
        return None

    def _suggest(self, trial: "optuna.Trial") -> dict[str, Any]:
        return {axis.key: _suggest(trial, axis) for axis in self.axes}

    def judge(self, number: int, progress: Progress) -> str | None:
        """Report measurements to Optuna; return why the run is pruned, if it is."""
        trial, reported = self._trials[number], self._reported.setdefault(number, set())
        for epoch, distance in sorted(progress.kernel_distances.items()):
            if epoch in reported:
                continue
            reported.add(epoch)
            # Of the distance, unlike of the metric, the lowest value is always the best.
            trial.report(distance if self.minimize else -distance, epoch)
            if _may_prune(epoch, progress.epochs) and trial.should_prune():
                of = f" of {progress.epochs}" if progress.epochs else ""
                best = min(progress.kernel_distances.values())
                return (
                    f"pruned at epoch {epoch}{of}: its lowest kernel distance so far, {best:.4f}, "
                    "is above the median of the other runs at this epoch"
                )
        return None

    def finish(self, number: int, outcome: Outcome) -> None:
        """Tell Optuna how a run has ended."""
        trial, states = self._trials.pop(number), self._optuna.trial.TrialState
        if outcome.state == "interrupted":
            # It stays as it is, so that the same command resumes it.
            return
        metrics = list_metrics(outcome.entry)
        if outcome.entry is not None and not math.isfinite(metrics.get(self.metric, math.nan)):
            outcome.state, outcome.message = "failed", f"it has no {self.metric}"
        for key in ("message", "seconds", "log", "state"):
            trial.set_user_attr(key, getattr(outcome, key))
        if outcome.entry is not None:
            trial.set_user_attr("entry", outcome.entry["run"])
            trial.set_user_attr("metrics", metrics)
            trial.set_user_attr("titles", list_titles(outcome.entry))
        if outcome.state in ("finished", "done"):
            self.study.tell(trial, metrics[self.metric])
        else:
            state = states.PRUNED if outcome.state == "pruned" else states.FAIL
            self.study.tell(trial, state=state)

    def list_outcomes(self) -> list[dict[str, Any]]:
        """Return how all runs ended, as rows of the summary; earlier commands' runs included."""
        trials = self.study.get_trials(deepcopy=False)
        retried = _retried(trials)
        rows = []
        for trial in trials:
            if trial.number in retried or trial.state.name == "WAITING":
                continue
            known, running = trial.user_attrs, trial.state.name == "RUNNING"
            rows.append(
                {
                    "number": trial.number + 1,
                    "values": {
                        axis.key: _decode(trial.params[axis.key], axis) for axis in self.axes
                    },
                    "state": "interrupted" if running else known.get("state", "failed"),
                    "message": known.get("message", ""),
                    "run": known.get("entry"),
                    "metrics": known.get("metrics", {}),
                    "titles": known.get("titles", {}),
                    "seconds": known.get("seconds", 0.0),
                    "log": known.get("log"),
                }
            )
        return rows

    def find_best(self) -> int | None:
        """Return the number of the best run; None without a result."""
        try:
            return int(self.study.best_trial.number) + 1
        except ValueError:
            return None

    def importances(self) -> dict[str, float]:
        """Return how much of the metric's variance each parameter explains, by Optuna.

        Empty with less than two parameters or four results, or results that are all equal.
        """
        if len(self.axes) < 2 or self.count("COMPLETE") < 4:
            return {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self._optuna.importance.get_param_importances(
                    self.study,
                    evaluator=self._optuna.importance.FanovaImportanceEvaluator(seed=0),
                )
        except (ValueError, RuntimeError, ImportError):
            return {}
        return {key: round(float(value), 4) for key, value in found.items()}


def _drop_incomplete_line(file: Path) -> None:
    """Drop the last line of a journal if a kill has cut it: Optuna would append to it."""
    if file.is_file() and (content := file.read_bytes()) and not content.endswith(b"\n"):
        os.truncate(file, content.rfind(b"\n") + 1)


def _may_prune(epoch: int, epochs: int | None) -> bool:
    """Return whether a run can be judged by an epoch: neither by its beginning nor at its end."""
    if epochs is None:
        return epoch >= EARLIEST_EPOCH
    return max(EARLIEST_EPOCH, epochs * EARLIEST_SHARE) <= epoch < epochs


def import_optuna() -> Any:
    """Import Optuna.

    Raises:
        GanvasError: It is not installed.
    """
    try:
        import optuna
        import optuna.storages.journal
    except ImportError as error:
        raise GanvasError(
            f"--trials needs Optuna, which is not installed: install it by "
            f"{install_command('sweep')}."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    return optuna


def _retried(trials: Sequence[Any]) -> set[int]:
    return {t.user_attrs["retry_of"] for t in trials if "retry_of" in t.user_attrs}


def _suggest(trial: "optuna.Trial", axis: Axis) -> Any:
    values = axis.values
    if not isinstance(values, Range):
        return _decode(trial.suggest_categorical(axis.key, _encode(values)), axis)
    if values.step is None:
        value = trial.suggest_float(axis.key, values.low, values.high, log=values.log)
        return _decode(value, axis)
    low, high = int(values.low), int(values.high)
    return trial.suggest_int(axis.key, low, high, step=values.step, log=values.log)


def _encode(values: list[Any]) -> list[str]:
    # Optuna takes no lists, and holds true for the number 1.
    return [json.dumps(value) for value in values]


def _decode(value: Any, axis: Axis) -> Any:
    """Return what a run is set to for a value of Optuna; fractional numbers have four digits."""
    if not isinstance(axis.values, Range):
        return json.loads(value)
    if axis.values.step is not None:
        return value
    return min(max(float(f"{value:.4g}"), axis.values.low), axis.values.high)
