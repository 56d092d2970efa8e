"""Which versions and runs must stay: those that results name, and those that are marked."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ganvas.atomic_files import atomic_write
from ganvas.errors import GanvasError
from ganvas.model_versions import TIMESTAMP, choose_version, is_in_future, read_recorded_version

# Files of each version of a model; every one has the first three.
MODEL_FILES = ("class_list.json", "generator.keras", "discriminator.keras")
OPTIONAL_FILES = ("encoder.npz", "directions.npz")
# Versions that a user has marked, in the folder of the model; epochs likewise in that of a run.
MARKED = "marked.json"
# Bytes of a JSON file, far more than any of Ganvas has.
MAX_JSON = 2**26
# Seconds by which the time of a file may differ from that of the machine that wrote it.
TOLERANCE = 60
# Ends of training after which the same command trains nothing.
FINISHED = {"epochs", "steps", "time", "patience"}


class Run(NamedTuple):
    """What training.json or an entry of the leaderboard says about a run of one model.

    Attributes:
        label: Name for messages.
        started: When it began, as its folders are named.
        epochs: Complete epochs then.
        ended_by: What ended it; None if not known.
        version: Version of its models; None if not known.
        saved: Modification time of the file, Unix seconds.
    """

    label: str
    started: str
    epochs: float
    ended_by: str | None
    version: str | None
    saved: float


class Results(NamedTuple):
    """The runs of all models that have results, and files that can't be read."""

    entries: dict[tuple[str, str], list[Run]]
    damaged: list[str]


def read_leaderboard(folder: Path) -> Results:
    """Read the entries of a leaderboard, by dataset and network."""
    entries: dict[tuple[str, str], list[Run]] = {}
    damaged = []
    for file in sorted(folder.glob("*.json")):
        entry = read_object(file)
        if entry is None:
            if file.exists():
                damaged.append(file.name)
            continue
        try:
            key = str(entry["dataset"]), str(entry["network"])
            run = Run(
                f"the leaderboard's {file.stem}",
                str(entry["started"]),
                float(entry["epochs"]),
                _text(entry.get("ended_by")) or _find_end(entry),
                _text(entry.get("model_version")),
                file.stat().st_mtime,
            )
        except (KeyError, TypeError, ValueError, OSError):
            damaged.append(file.name)
            continue
        entries.setdefault(key, []).append(run)
    return Results(entries, damaged)


def _find_end(entry: dict[str, Any]) -> str | None:
    """Return what ended the run of an entry of an earlier version, as far as it shows that."""
    try:
        reached = float(entry["parameters"]["train.epochs"]) <= float(entry["epochs"])
    except (KeyError, TypeError, ValueError):
        return None
    return "epochs" if reached else None


def read_summary(file: Path) -> Run | None:
    """Read what a training.json says about its run; None if it can't be read."""
    summary = read_object(file)
    if not summary:
        return None
    try:
        return Run(
            "training.json",
            str(summary["started"]),
            float(summary["epochs"]),
            _text(summary.get("ended_by")),
            read_recorded_version(file),
            file.stat().st_mtime,
        )
    except (KeyError, TypeError, ValueError, OSError):
        return None


def read_object(file: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file holds none, or is larger than any of Ganvas."""
    content = read_content(file)
    return content if isinstance(content, dict) else None


def read_content(file: Path) -> Any:
    """Read a JSON file; None if it can't be read."""
    try:
        # Reading a pipe would never end.
        if not file.is_file() or file.stat().st_size > MAX_JSON:
            return None
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def entries_of(results: Results, dataset: str, network: str) -> list[Run]:
    """Return the entries of a model, whose folder may also name the label of its classes."""
    return [
        run
        for (of_dataset, of_network), runs in results.entries.items()
        if of_dataset == dataset and (network == of_network or network.startswith(f"{of_network}_"))
        for run in runs
    ]


def find_kept_versions(
    folder: Path, versions: list[str], summary: Path, results: Results, model: str
) -> dict[str, str]:
    """Find the versions of a model that are never deleted.

    Args:
        folder: `06_models/<dataset>/<network>`.
        versions: The versions in it.
        summary: The model's training.json.
        results: The leaderboard.
        model: `<dataset>/<network>`.

    Returns:
        The reason of each, in words.
    """
    if not versions:
        return {}
    kept: dict[str, str] = {}
    recorded = read_recorded_version(summary)
    newest = choose_version(versions, recorded)
    dataset, _, network = model.partition("/")
    for version in versions:
        if not TIMESTAMP.fullmatch(version):
            kept[version] = "its name is no time, so no run has saved it"
        elif is_in_future(version):
            kept[version] = "its name is a time in the future"
    for run in entries_of(results, dataset, network):
        for version in _versions_of(run, versions):
            kept.setdefault(version, f"{run.label} names it")
            if run.version is None:
                kept[version] = f"it may be that of {run.label}"
    # A version's name is a time, so it is that of one run, whatever its folder is called now.
    named = {run.version: run for runs in results.entries.values() for run in runs}
    for version in versions:
        if version in named:
            kept[version] = f"{named[version].label} names it"
    if results.damaged:
        reason = f"{results.damaged[0]} of the leaderboard can't be read, and may name it"
        kept = dict.fromkeys(versions, reason) | kept
    kept |= dict.fromkeys(read_marks(folder, versions), "it is marked")
    kept[newest] = "it is the newest" + (
        ", which training.json names" if recorded == newest else ""
    )
    return kept


def _versions_of(run: Run, versions: list[str]) -> list[str]:
    """Return the versions that an entry may be of; the one that it names, if it does.

    Entries of earlier versions of Ganvas name none. A version is named by the time at which its
    process began, so the models of an entry are those of the process that began the training, or
    of a later one that resumed it before the entry was saved.
    """
    if run.version is not None:
        return [version for version in versions if version == run.version]
    times = {version: parse_version(version) or 0.0 for version in versions}
    saved = [version for version in versions if times[version] <= run.saved + TOLERANCE]
    try:
        # In the local time of the machine; without fractions of a second.
        started = datetime.strptime(run.started, "%Y-%m-%dT%H.%M.%S").timestamp() + 1
    except (ValueError, OverflowError, OSError):
        return versions
    first = max((times[version] for version in saved if times[version] <= started), default=0.0)
    # The file, or the clock, may be of another machine.
    return [version for version in saved if times[version] >= first] or versions


def parse_version(version: str) -> float | None:
    """Return the time that a version's name is, in Unix seconds; None if it is none."""
    try:
        time = datetime.strptime(version, "%Y-%m-%dT%H.%M.%S.%fZ")
    except ValueError:
        return None
    return time.replace(tzinfo=UTC).timestamp()


def read_marks(folder: Path, everything: list[str]) -> list[str]:
    """Return the names in the marked.json of a folder; all if it can't be read."""
    file = folder / MARKED
    marks = read_content(file)
    if isinstance(marks, list):
        return [str(mark) for mark in marks if str(mark) in everything]
    return everything if os.path.lexists(file) else []


def mark_version(models: Path, title: str, marked: bool) -> str:
    """Mark a version, so that no rule deletes it, or remove its mark.

    Args:
        models: The project's `data/06_models`.
        title: `<dataset>/<network>/<version>`.
        marked: False removes the mark.

    Returns:
        A sentence that says what was done.

    Raises:
        GanvasError: There is no such version.
    """
    parts = title.strip("/").split("/")
    folder = models.joinpath(*parts[:2]) if len(parts) == 3 else models
    version = parts[-1]
    versions = list_versions(folder)
    if len(parts) != 3 or ".." in parts or version not in versions:
        known = f"there are {', '.join(versions)}" if versions else "kedro disk lists them"
        raise GanvasError(
            f"There is no version '{title}': write DATASET/NETWORK/VERSION, such as "
            f"sample/dcgan/2026-01-31T12.00.00.000Z; {known}."
        )
    file = folder / MARKED
    content = read_content(file)
    if content is not None and not isinstance(content, list):
        raise GanvasError(f"{file} is damaged: it must be a list of versions; delete it.")
    marks = {str(mark) for mark in content or []} - {version} | ({version} if marked else set())
    atomic_write(file, json.dumps(sorted(marks), indent=2).encode())
    return f"{title} is marked: no rule deletes it." if marked else f"{title} is not marked."


def list_versions(folder: Path) -> list[str]:
    """List the versions of a model of which any file exists, by their names."""
    names = {
        version.name
        for file in (*MODEL_FILES, *OPTIONAL_FILES)
        for version in (folder / file).glob("*")
        if version.is_dir() and not (version.is_symlink() or version.parent.is_symlink())
    }
    return sorted(names)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
