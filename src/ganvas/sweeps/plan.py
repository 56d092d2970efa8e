"""Plan the runs of a sweep: check their parameters, and find those that are done already."""

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple

from kedro.io import DataCatalog

from ganvas.command_line import join_params
from ganvas.errors import GanvasError
from ganvas.ingestion.object_store import is_url
from ganvas.ingestion.packing import LATER_PARAMS
from ganvas.model_versions import read_recorded_version
from ganvas.networks import NetworkParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.train.params import (
    IDENTITY,
    LATER_IDENTITY,
    identifying_network,
    identifying_parameters,
    run_parameters,
)
from ganvas.project_params import ProjectParams
from ganvas.run_options import load_run
from ganvas.sweeps.values import describe_values
from ganvas.training.config import TrainParams
from ganvas.training.new_run import SWEPT
from ganvas.visualization.report import list_parameters

# Parameters of a run that don't determine its generator: where it works, and what it writes.
WITHOUT_EFFECT = {
    *("ingest.workers", "ingest.scheduler", "ingest.max_rejected_share", "ingest.storage"),
    *("train.resume", "train.dry_run", "train.tensorboard", "train.steps_per_execution"),
    *("train.snapshot_interval", "train.snapshot_rows", "train.snapshot_columns"),
    *("train.checkpoint.interval", "train.checkpoint.steps", "train.checkpoint.keep"),
}
# What the runs of a sweep can't be told, and why.
REFUSED = {
    "train.resume": (False, "a sweep resumes what was interrupted", "leave it out"),
    "train.dry_run": (True, "no run would train", "use --dry-run, or kedro run for an estimate"),
}
# How training ends that the same command would carry on with.
UNFINISHED = ("interrupted", "diverged")
CHOSEN_EPOCH = re.compile(r"-epoch-\d+$")

State = Literal["new", "done", "resumed"]


class Settings(NamedTuple):
    """What all runs of a sweep have in common.

    Attributes:
        root: Folder of the project, or without one the working folder.
        env: Preset, as of --env.
        conf_source: Folder or archive of the configuration.
        params: Parameters by dotted key, as of --params.
    """

    root: Path
    env: str | None
    conf_source: str | None
    params: dict[str, Any]

    def options(self) -> list[str]:
        """Return the options of a command that all runs have."""
        options = [f"--conf-source={self.conf_source}"] if self.conf_source else []
        return options + ([f"--env={self.env}"] if self.env else [])


class PlannedRun(NamedTuple):
    """A run of a sweep.

    Attributes:
        values: What the sweep sets, by dotted key.
        options: Options of its `kedro run`.
        params: All of its parameters.
        state: Whether it is done already, has a checkpoint, or neither.
        entry: Its entry of the leaderboard, if it is done.
    """

    values: dict[str, Any]
    options: list[str]
    params: ProjectParams
    state: State
    entry: dict[str, Any] | None


def plan_run(settings: Settings, values: dict[str, Any]) -> PlannedRun:
    """Check the parameters of a run, and look for its results.

    Args:
        settings: What all runs have in common.
        values: What the sweep sets, by dotted key.

    Raises:
        GanvasError: A parameter is wrong.
    """
    chosen = settings.params | values
    catalog, params = _load(settings, chosen)
    entry = find_entry(read_leaderboard(settings.root, catalog), params)
    state: State = "new"
    if entry is not None:
        state = "done"
    elif _has_checkpoint(settings.root / catalog["checkpoints"]["filepath"], values, params):
        state = "resumed"
    options = ["run", *settings.options()]
    options += [join_params(chosen)] if chosen else []
    return PlannedRun(values, options, params, state, entry)


def find_versions(settings: Settings, values: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the version of the models of a run that is done, and the newest one; None: unknown.

    Args:
        settings: What all runs have in common.
        values: What the sweep sets, by dotted key.
    """
    catalog, params = _load(settings, settings.params | values)
    entry = find_entry(read_leaderboard(settings.root, catalog), params)
    summary = settings.root / catalog["training_summary"]["filepath"]
    return (entry or {}).get("model_version"), read_recorded_version(summary)


def find_own_values(values: dict[str, Any], train: TrainParams) -> dict[str, Any]:
    """Return the values by which a run must not resume another one of the sweep.

    A run resumes with another learning rate or more epochs, but in a sweep these are what is
    compared.

    Args:
        values: What the sweep sets.
        train: All parameters of training.
    """
    return {
        key: value
        for key, value in _determining(values, train).items()
        if key == "profile"
        or (key.startswith("train.") and key.split(".")[1] not in IDENTITY | LATER_IDENTITY)
    }


def plan_runs(settings: Settings, combinations: Iterable[dict[str, Any]]) -> list[PlannedRun]:
    """Check the parameters of all runs, and look for their results.

    Raises:
        GanvasError: Parameters of a run are wrong, or two runs would be the same.
    """
    runs: list[PlannedRun] = []
    known: dict[str, PlannedRun] = {}
    for values in combinations:
        try:
            run = plan_run(settings, values)
        except GanvasError as error:
            where = describe_values(values)
            raise GanvasError(f"With {where}: {error}" if where else str(error)) from error
        same = known.setdefault(_identify(run.params), run)
        if same is not run:
            raise GanvasError(
                f"{describe_values(same.values)} and {describe_values(values)} would be the same "
                "run, whose result would count twice: leave one of them out."
            )
        runs.append(run)
    return runs


def _load(settings: Settings, chosen: dict[str, Any]) -> tuple[dict[str, Any], ProjectParams]:
    catalog, params = load_run(settings.env, nest(chosen), settings.conf_source)
    for key, (value, reason, advice) in REFUSED.items():
        if getattr(params.train, key.rpartition(".")[2]) is value:
            raise GanvasError(
                f"A sweep can't have {key}={str(value).lower()}, since {reason}: {advice}."
            )
    return catalog, params


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Return a tree of parameters by dotted keys.

    Raises:
        GanvasError: A key is that of a group, of which another one is a part.

    Example:
        >>> nest({"train.seed": 1, "train.loss.name": "hinge"})
        {'train': {'seed': 1, 'loss': {'name': 'hinge'}}}
    """
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        group: Any = tree
        for name in parents:
            group = group.setdefault(name, {}) if isinstance(group, dict) else None
        if not isinstance(group, dict) or last in group:
            raise GanvasError(f"{key} is set twice, as a group and as a part of it: set it once.")
        group[last] = value
    return tree


def check_parallel(runs: Sequence[PlannedRun]) -> None:
    """Check that runs can work at the same time.

    Raises:
        GanvasError: Two of them would pack different images to the same folder.
    """
    for first, second in itertools.pairwise(runs):
        datasets = {run.params.ingest.dataset_name for run in (first, second)}
        if len(datasets) == 1 and _collection(first) != _collection(second):
            raise GanvasError(
                f"{describe_values(first.values)} and {describe_values(second.values)} need "
                f"different images of the dataset {datasets.pop()}, which would replace each "
                "other: leave out --jobs and --scheduler, or set ingest.dataset for each."
            )


def _collection(run: PlannedRun) -> dict[str, Any]:
    flat = list_parameters({"ingest": run.params.ingest.model_dump(mode="json")})
    return {key: value for key, value in flat.items() if key not in WITHOUT_EFFECT}


def read_leaderboard(root: Path, catalog: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the entries of the leaderboard; those that can't be read are left out.

    Args:
        root: Folder from which paths in the catalog start.
        catalog: The catalog's configuration.
    """
    config = dict(catalog["leaderboard"])
    if not is_url(config["path"]):
        config["path"] = str(root / config["path"])
    dataset = DataCatalog.from_config({"leaderboard": config})["leaderboard"]
    if not dataset.exists():
        return []
    entries = []
    for load in dataset.load().values():
        try:
            entries.append(load())
        except GanvasError:
            # Comparing warns of it; here, its run is trained again at worst.
            continue
    return entries


def find_entry(entries: Iterable[dict[str, Any]], params: ProjectParams) -> dict[str, Any] | None:
    """Return the newest entry of the leaderboard that a finished run of these parameters has."""
    wanted = _determining(_flatten(params), params.train)
    # Runs of earlier versions don't record parameters of later ones, which have their defaults.
    defaults = _list_defaults(params.network)
    later = {key: defaults[key] for key in wanted.keys() & defaults.keys()}
    found = [
        entry
        for entry in entries
        if entry["dataset"] == params.ingest.dataset_name
        and entry["network"] == params.network.name
        # Entries of earlier versions don't say how training ended.
        and entry.get("ended_by") not in UNFINISHED
        and entry.get("chosen_epoch") is None
        and not CHOSEN_EPOCH.search(entry["run"])
        and _is_extractor(entry.get("extractor", ""), params.evaluate.extractor)
        and _determining(later | entry["parameters"], params.train) == wanted
    ]
    return max(found, key=lambda entry: entry["started"], default=None)


def _identify(params: ProjectParams) -> str:
    """Return what `find_entry` compares, as text."""
    flat = _determining(_flatten(params), params.train)
    return json.dumps([flat, params.evaluate.extractor], sort_keys=True)


def _flatten(params: ProjectParams) -> dict[str, Any]:
    """Return the parameters as the leaderboard has them."""
    network = params.network.resolve_label(params.ingest.classes)
    return _list_run(params.ingest, network, params.train)


def _list_defaults(network: NetworkParams) -> dict[str, Any]:
    """Return the defaults of the parameters of a network, as the leaderboard has them."""
    return _list_run(IngestParams(), NetworkParams(name=network.name, label=None), TrainParams())


def _list_run(ingest: IngestParams, network: NetworkParams, train: TrainParams) -> dict[str, Any]:
    flat = list_parameters(run_parameters(ingest, network, train))
    return dict(json.loads(json.dumps(flat)))


def _determining(flat: dict[str, Any], train: TrainParams) -> dict[str, Any]:
    """Return the parameters that determine the generator."""
    validation = train.kid_validation
    measures_only = validation.keep == "last" and validation.patience is None
    return {
        key: value
        for key, value in flat.items()
        if key not in WITHOUT_EFFECT
        and not (
            measures_only
            and key in ("train.kid_validation.interval", "train.kid_validation.images")
        )
    }


def _is_extractor(name: str, extractor: str | None) -> bool:
    """Return whether an entry is of a feature extractor."""
    if extractor is not None and extractor.endswith(".keras"):
        # Its name ends with a hash of the file.
        return bool(re.fullmatch(re.escape(PurePath(extractor).stem) + "-[0-9a-f]{8}", name))
    return name == (extractor or "no network")


def _has_checkpoint(folder: Path, values: dict[str, Any], params: ProjectParams) -> bool:
    """Return whether a run of these parameters has a checkpoint, whatever its images are."""
    wanted = {
        "network": identifying_network(params.network),
        "train": identifying_parameters(params.train),
        "size": params.ingest.size,
        "crop": params.ingest.crop,
        "align": params.ingest.align,
    }
    wanted |= params.ingest.model_dump(mode="json", include=LATER_PARAMS, exclude_defaults=True)
    wanted[SWEPT] = find_own_values(values, params.train)
    wanted = json.loads(json.dumps(wanted))
    for file in folder.glob("*/run.json"):
        try:
            identity = json.loads(file.read_text())
            data = {key: identity["data"][key] for key in ("size", "crop", "align")}
            data |= {key: identity["data"][key] for key in LATER_PARAMS & identity["data"].keys()}
            data |= {SWEPT: identity.get(SWEPT, {})}
            same = {"network": identity["network"], "train": identity["train"], **data} == wanted
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        # An earlier run that train.resume=false has put aside has a name of its own.
        if same and "-until-" not in file.parent.name and any(file.parent.glob("epoch-*.npz")):
            return True
    return False
