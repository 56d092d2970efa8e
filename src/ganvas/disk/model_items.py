"""List what the models take: their versions, checkpoints, exported files and snapshots."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganvas.base_params import flatten
from ganvas.disk.busy import RUNNING, is_collection_busy, is_model_busy
from ganvas.disk.items import (
    CHECKPOINTS,
    EXPORTED,
    SNAPSHOTS,
    TEMPORARY,
    VERSION,
    Item,
    Tree,
    list_folders,
    make_item,
    measure_paths,
)
from ganvas.disk.references import (
    FINISHED,
    MODEL_FILES,
    OPTIONAL_FILES,
    Results,
    Run,
    entries_of,
    find_kept_versions,
    list_versions,
    parse_version,
    read_marks,
    read_object,
    read_summary,
)

CHECKPOINT_NAME = re.compile(r"epoch-(\d+)-step-(\d+)\.npz")
SNAPSHOT_NAME = re.compile(r"epoch_(\d+)\.png")
# Bytes of the state in a checkpoint, more than a history of any length has.
MAX_STATE = 2**27
# Parameters of a run that are shown, of those in which runs of a model differ.
MAX_SHOWN = 4


def list_model_items(data: Path, tree: Tree, results: Results) -> Iterator[Item]:
    """List what takes space of each model, and why it must stay.

    Args:
        data: The data folder, resolved.
        tree: Its folders.
        results: The leaderboard.
    """
    for dataset in list_folders(data / "06_models", tree):
        for folder in list_folders(dataset, tree):
            model = f"{dataset.name}/{folder.name}"
            summary_file = data / "08_reporting" / dataset.name / folder.name / "training.json"
            summary = read_summary(summary_file)
            locked = RUNNING if is_model_busy(folder) else ""
            # A run that starts has the collection before it locks the checkpoints to resume.
            starts = is_collection_busy(data / "03_primary" / dataset.name)
            for item in _list_versions(folder, tree, model, summary_file, results):
                yield replace(item, kept=locked or item.kept)
            runs = entries_of(results, dataset.name, folder.name)
            newest = summary.started if summary else ""
            known = [*runs, summary] if summary else runs
            snapshots = data / "07_model_output" / dataset.name / folder.name / "snapshots"
            epochs: dict[str, set[int]] = {}
            for item in _list_checkpoints(
                folder / "checkpoints", tree, model, known, newest, epochs
            ):
                yield replace(item, kept=RUNNING if locked or starts else item.kept)
            if (exported := folder / "exported") in tree.sizes:
                yield make_item(tree, EXPORTED, model, "", exported, kept="no rule is about it")
            for item in _list_snapshots(snapshots, tree, model, newest, epochs):
                yield replace(item, kept=locked or item.kept)


def _list_versions(
    folder: Path, tree: Tree, model: str, summary: Path, results: Results
) -> Iterator[Item]:
    versions = list_versions(folder)
    kept = find_kept_versions(folder, versions, summary, results, model)
    for version in versions:
        paths = [folder / name / version for name in (*MODEL_FILES, *OPTIONAL_FILES)]
        found = [path for path in paths if path in tree.sizes]
        missing = [name for name in MODEL_FILES if not (folder / name / version / name).exists()]
        item = make_item(tree, VERSION, model, version, *found, kept=kept.get(version, ""))
        item = replace(item, used=parse_version(version) or item.used)
        if any(path.is_symlink() or path.parent.is_symlink() for path in paths):
            item = replace(item, kept="a part of it is a link")
        if missing:
            # What a killed process left of a version that it saved or deleted.
            kind = VERSION if item.kept else TEMPORARY
            item = replace(item, kind=kind, details=f"without {', '.join(missing)}")
        yield item


def _list_checkpoints(
    folder: Path,
    tree: Tree,
    model: str,
    known: list[Run],
    newest: str,
    epochs: dict[str, set[int]],
) -> Iterator[Item]:
    """List the runs of a model that have checkpoints, and collect the epochs of each."""
    runs = list_folders(folder, tree)
    identities = {run: flatten(read_object(run / "run.json") or {}) for run in runs}
    for run in runs:
        files = sorted(file for file in _iterate(run) if CHECKPOINT_NAME.fullmatch(file.name))
        states = ((file, _read_state(file)) for file in reversed(files))
        latest, state = next(((file, state) for file, state in states if state), (None, {}))
        started = str(state.get("started", ""))
        epoch = {file: int(CHECKPOINT_NAME.fullmatch(file.name)[1]) for file in files}  # type: ignore[index]
        epochs.setdefault(started, set()).update(epoch.values())
        marked = _read_marked_epochs(run, set(epoch.values()))
        surplus = [file for file in files if latest and file < latest and epoch[file] not in marked]
        finished = _is_finished(started, state, known)
        words = [
            _describe_epochs(run, epoch, marked),
            "finished" if finished else "not known to be finished",
        ]
        if started:
            words.append(f"begun {started}")
        words += _describe_difference(identities[run], list(identities.values()))
        kept = "epochs of it are marked" if marked else ""
        is_set_aside = "-until-" in run.name
        if not kept and finished and not is_set_aside and started == newest:
            kept = "it is the newest run, which would be trained again"
        yield make_item(
            *(tree, CHECKPOINTS, model, run.name, run),
            details=", ".join(words),
            kept=kept,
            state="set-aside" if is_set_aside else "finished" if finished else "unfinished",
            surplus=tuple((file, measure_paths(tree, file).size) for file in surplus),
        )


def _iterate(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
    except OSError:
        return []


def _read_state(file: Path) -> dict[str, Any]:
    """Read the state of a run from a checkpoint, without its arrays; empty if it is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo("run_state.json").file_size > MAX_STATE:
                return {}
            state = json.loads(archive.read("run_state.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, RuntimeError, RecursionError):
        return {}
    return state if isinstance(state, dict) and isinstance(state.get("epoch"), int) else {}


def _read_marked_epochs(run: Path, epochs: set[int]) -> set[int]:
    """Return the marked epochs of a run; all if its marked.json can't be read."""
    marks = read_marks(run, [str(epoch) for epoch in sorted(epochs)])
    return {int(mark) for mark in marks}


def _is_finished(started: str, state: dict[str, Any], known: list[Run]) -> bool:
    """Return whether a result says that the run of a checkpoint has reached its end."""
    return any(
        run.started == started and run.ended_by in FINISHED and state["epoch"] <= run.epochs
        for run in known
        if state
    )


def _describe_epochs(run: Path, epoch: dict[Path, int], marked: set[int]) -> str:
    names = [f"{number}{' (marked)' if number in marked else ''}" for number in epoch.values()]
    if (run / "best.npz").is_file():
        names.append("the best")
    return f"epochs {', '.join(names)}" if names else "no epochs"


def _describe_difference(own: dict[str, Any], all_runs: list[dict[str, Any]]) -> list[str]:
    """Return the parameters in which a run differs from others of its model, in words."""
    words = []
    for key, value in own.items():
        if all(other.get(key) == value for other in all_runs):
            continue
        short = str(value)[:8] if key == "data.images" else value
        words.append(f"{key.removeprefix('data.').removeprefix('train.')}={short}")
    return [*words[:MAX_SHOWN], *(["…"] if len(words) > MAX_SHOWN else [])]


def _list_snapshots(
    folder: Path, tree: Tree, model: str, newest: str, checkpoints: dict[str, set[int]]
) -> Iterator[Item]:
    for run in list_folders(folder, tree):
        files = {
            int(match[1]): file
            for file in sorted(_iterate(run))
            if (match := SNAPSHOT_NAME.fullmatch(file.name))
        }
        needed = checkpoints.get(run.name, set()) | ({max(files)} if files else set())
        surplus = [
            file
            for epoch, file in files.items()
            # Those that a strip shows: powers of two, 1 among them, and the last.
            if epoch not in needed and epoch & (epoch - 1) != 0
        ]
        yield make_item(
            *(tree, SNAPSHOTS, model, run.name, run),
            details=f"{len(files)} epochs",
            kept="it is the newest run, whose report shows them" if run.name == newest else "",
            surplus=tuple((file, measure_paths(tree, file).size) for file in surplus),
        )
