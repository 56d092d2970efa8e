"""List what takes space below data/, and why each thing must stay or may go."""

import json
import os
import re
import shutil
import stat
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ganvas.base_params import flatten
from ganvas.disk.references import (
    FINISHED,
    MODEL_FILES,
    OPTIONAL_FILES,
    Results,
    Run,
    entries_of,
    find_kept_versions,
    is_locked,
    list_versions,
    parse_version,
    read_leaderboard,
    read_marks,
    read_object,
    read_summary,
)
from ganvas.file_lock import in_use

RAW, UNPACKED, COLLECTION = "raw images", "unpacked archive", "collection"
VERSION, CHECKPOINTS, EXPORTED = "models", "checkpoints", "exported files"
SNAPSHOTS, SAMPLES, FILMS, REPORT = "snapshots", "samples", "films", "report"
LEADERBOARD, TRACKING = "leaderboard", "MLflow"
TEMPORARY, OTHER = "temporary", "other"

CHECKPOINT_NAME = re.compile(r"epoch-(\d+)-step-(\d+)\.npz")
SNAPSHOT_NAME = re.compile(r"epoch_(\d+)\.png")
# What processes leave when they are killed while they write, download or delete.
TEMPORARY_NAME = re.compile(
    r"\.(.+\.)?(partial|old|fetching|deleting)|.+\.npz\.unreadable", re.DOTALL
)
DELETING = ".deleting"
# Seconds after which nothing writes to a temporary file any more.
STALE_AGE = 24 * 3600
# Bytes of the state in a checkpoint, more than a history of any length has.
MAX_STATE = 2**27
RUNNING = "a run is going on"
# Parameters of a run that are shown, of those in which runs of a model differ.
MAX_SHOWN = 4


@dataclass(frozen=True)
class Item:
    """Something that takes space, and goes as a whole unless a rule thins it out.

    Attributes:
        kind: One of the constants of this module, such as VERSION.
        owner: `<dataset>/<network>`, `<dataset>`, or empty.
        name: Name within its kind and owner: a version, a run.
        paths: Its files and folders.
        size: Bytes.
        files: Number of files.
        used: When any of it was last changed, Unix seconds; of a version, when it was saved.
        details: What it is, in words.
        kept: Why it is never deleted; empty if it may be.
        state: Of checkpoints: finished, unfinished or set-aside; of collections: unused.
        surplus: Files that a rule may thin out, with their sizes.
    """

    kind: str
    owner: str
    name: str
    paths: tuple[Path, ...]
    size: int
    files: int
    used: float
    details: str = ""
    kept: str = ""
    state: str = ""
    surplus: tuple[tuple[Path, int], ...] = ()


class Usage(NamedTuple):
    """What a data folder takes.

    Attributes:
        folder: The data folder, resolved.
        size: Bytes of all files below it; links are not followed.
        files: Number of all files.
        free: Free bytes of its disk; None if not known.
        items: Everything, in the order of the folders.
        links: Links below it, which are not followed.
    """

    folder: Path
    size: int
    files: int
    free: int | None
    items: list[Item]
    links: list[Path]


class _Size(NamedTuple):
    size: int
    files: int
    used: float


class _Tree(NamedTuple):
    """Sizes of all folders, temporary files and folders, and links."""

    sizes: dict[Path, _Size]
    temporary: list[Path]
    links: list[Path]


def measure_usage(data: Path) -> Usage:
    """List what takes space below a project's data folder.

    Args:
        data: The folder `data`; it need not exist.

    Example:
        >>> usage = measure_usage(Path("data"))
        >>> sum(item.size for item in usage.items) == usage.size
        True
    """
    data = data.resolve()
    tree = _walk(data)
    results = read_leaderboard(data / "08_reporting/leaderboard")
    items = [
        *_list_raw(data, tree),
        *_list_collections(data, tree, results),
        *_list_models(data, tree, results),
        *_list_results(data, tree),
    ]
    items = _list_temporary(data, tree, items)
    total = tree.sizes.get(data, _Size(0, 0, 0.0))
    rest = total.size - sum(item.size for item in items)
    if rest > 0:
        count = max(total.files - sum(item.files for item in items), 0)
        items.append(Item(OTHER, "", "", (), rest, count, total.used, "tables and the like", OTHER))
    try:
        free = shutil.disk_usage(data).free
    except OSError:
        free = None
    return Usage(data, total.size, total.files, free, items, tree.links)


def _walk(data: Path) -> _Tree:
    sizes: dict[Path, _Size] = {}
    temporary, links = [], []
    raw = data / "01_raw"
    for name, folders, files in [*os.walk(data)][::-1]:
        folder = Path(name)
        size = count = 0
        used = 0.0
        # Names in a folder of raw images are the user's.
        is_users = folder.is_relative_to(raw) and folder != raw and not _has_archives(folder, raw)
        for child in folders:
            if (found := sizes.get(folder / child)) is not None:
                size, count = size + found.size, count + found.files
                used = max(used, found.used)
            else:  # a link, or gone meanwhile
                files.append(child)
        for child in files:
            try:
                # Much faster than a Path for each of a million images.
                status = os.lstat(f"{name}/{child}")
            except OSError:  # gone meanwhile
                continue
            size, count, used = size + status.st_size, count + 1, max(used, status.st_mtime)
            if stat.S_ISLNK(status.st_mode):
                links.append(folder / child)
        if not is_users:
            found_names = filter(TEMPORARY_NAME.fullmatch, {*folders, *files})
            temporary += [folder / child for child in sorted(found_names)]
        sizes[folder] = _Size(size, count, used or _changed(folder))
    # Of a temporary folder, not also what is in it.
    inside = set(temporary)
    links_too = inside & set(links)
    outermost = [path for path in inside - links_too if not inside & set(path.parents)]
    return _Tree(sizes, sorted(outermost), links)


def _has_archives(folder: Path, raw: Path) -> bool:
    """Return whether a folder has folders of unpacked archives, or those of all archives."""
    parts = folder.relative_to(raw).parts
    return parts[:1] == (".unpacked",) and len(parts) <= 2


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _measure(tree: _Tree, *paths: Path) -> _Size:
    """Measure files and folders; missing ones have nothing."""
    size = count = 0
    used = 0.0
    for path in paths:
        found = tree.sizes.get(path)
        if found is None:
            try:
                status = path.lstat()
            except OSError:
                continue
            found = _Size(status.st_size, 1, status.st_mtime)
        size, count, used = size + found.size, count + found.files, max(used, found.used)
    return _Size(size, count, used)


def _make_item(tree: _Tree, kind: str, owner: str, name: str, *paths: Path, **more: Any) -> Item:
    return Item(kind, owner, name, paths, *_measure(tree, *paths), **more)


def _folders(parent: Path, tree: _Tree, hidden: bool = False) -> list[Path]:
    """List the folders in a folder, without links."""
    try:
        children = sorted(parent.iterdir()) if parent in tree.sizes else []
    except OSError:
        return []
    return [path for path in children if path in tree.sizes and (hidden or path.name[:1] != ".")]


# --- By stage -----------------------------------------------------------------------------------


def _list_raw(data: Path, tree: _Tree) -> Iterator[Item]:
    raw = data / "01_raw"
    for folder in _folders(raw, tree):
        kept = "raw images are never deleted"
        yield _make_item(tree, RAW, folder.name, "", folder, kept=kept)
    busy = is_ingesting(data)
    for key in _folders(raw / ".unpacked", tree, hidden=True):
        for folder in _folders(key, tree):
            archive = _find_archive(folder)
            kept = "" if archive else "its archive is not known or not there any more"
            yield _make_item(
                *(tree, UNPACKED, "", folder.name, folder),
                details=f"of {archive}" if archive else "",
                kept=RUNNING if busy else kept,
            )


def is_ingesting(data: Path) -> bool:
    """Return whether a run reads raw images, or works on any model."""
    datasets = _names(data / "03_primary")
    models = (folder for dataset in _names(data / "06_models") for folder in _names(dataset))
    return any(map(is_collection_busy, datasets)) or any(map(is_model_busy, models))


def is_collection_busy(dataset: Path) -> bool:
    """Return whether a run ingests or uses the collection of a folder of `03_primary`."""
    collection = dataset / "collection"
    return any(map(is_locked, (dataset, collection, in_use(collection))))


def is_model_busy(folder: Path) -> bool:
    """Return whether a run trains, evaluates or reports on a model.

    A run locks the folder of its checkpoints while it trains, and the model's from the moment at
    which it saves the models.
    """
    return is_locked(folder) or any(map(is_locked, _names(folder / "checkpoints")))


def _names(folder: Path) -> set[Path]:
    """Return what is in a folder or locked in it, since a lock is older than what it is of."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return set()
    locks = {name[1:].removesuffix(".lock") for name in names if name.endswith(".lock")}
    return {folder / name for name in locks | set(names) if name and name[:1] != "."}


def _find_archive(folder: Path) -> Path | None:
    """Return the archive that a folder was unpacked from; None if it is gone or has changed."""
    marker = read_object(folder / ".unpacked.json") or {}
    try:
        archive = Path(marker["archive"])
        status = archive.stat()
        is_same = (marker["bytes"], marker["modified_ns"]) == (status.st_size, status.st_mtime_ns)
    except (KeyError, TypeError, ValueError, OSError):  # earlier versions recorded no path
        return None
    return archive if is_same else None


def _list_collections(data: Path, tree: _Tree, results: Results) -> Iterator[Item]:
    for dataset in _folders(data / "03_primary", tree):
        collection = dataset / "collection"
        paths = [
            path
            for path in (collection, dataset / "image_index.parquet", dataset / "rejected.csv")
            if os.path.lexists(path)
        ]
        if paths:
            user = _find_user(data, tree, results, dataset.name)
            yield _make_item(
                tree,
                COLLECTION,
                dataset.name,
                "",
                *paths,
                kept=_keep_collection(data, tree, collection, user),
                state="" if user else "unused",
            )


def _find_user(data: Path, tree: _Tree, results: Results, dataset: str) -> str:
    """Return what refers to a collection; empty if nothing does."""
    if models := _folders(data / "06_models" / dataset, tree):
        return f"{dataset}/{models[0].name}"
    if (data / "08_reporting" / dataset).exists():
        return f"the report of {dataset}"
    runs = [run for key, runs in results.entries.items() if key[0] == dataset for run in runs]
    return runs[0].label if runs else "".join(results.damaged[:1])


def _keep_collection(data: Path, tree: _Tree, collection: Path, user: str) -> str:
    dataset = collection.parent.name
    models = _names(data / "06_models" / dataset)
    if is_collection_busy(collection.parent) or any(map(is_model_busy, models)):
        return RUNNING
    if user:
        return f"{user} refers to it"
    source = (read_object(collection / "manifest.json") or {}).get("source")
    try:
        if isinstance(source, str) and any(Path(source).iterdir()):
            return ""
    except (OSError, ValueError):
        pass
    return "the images that it was packed from are not there any more"


def _list_models(data: Path, tree: _Tree, results: Results) -> Iterator[Item]:
    for dataset in _folders(data / "06_models", tree):
        for folder in _folders(dataset, tree):
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
                yield _make_item(tree, EXPORTED, model, "", exported, kept="no rule is about it")
            for item in _list_snapshots(snapshots, tree, model, newest, epochs):
                yield replace(item, kept=locked or item.kept)


def _list_versions(
    folder: Path, tree: _Tree, model: str, summary: Path, results: Results
) -> Iterator[Item]:
    versions = list_versions(folder)
    kept = find_kept_versions(folder, versions, summary, results, model)
    for version in versions:
        paths = [folder / name / version for name in (*MODEL_FILES, *OPTIONAL_FILES)]
        found = [path for path in paths if path in tree.sizes]
        missing = [name for name in MODEL_FILES if not (folder / name / version / name).exists()]
        item = _make_item(tree, VERSION, model, version, *found, kept=kept.get(version, ""))
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
    tree: _Tree,
    model: str,
    known: list[Run],
    newest: str,
    epochs: dict[str, set[int]],
) -> Iterator[Item]:
    """List the runs of a model that have checkpoints, and collect the epochs of each."""
    runs = _folders(folder, tree)
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
        yield _make_item(
            *(tree, CHECKPOINTS, model, run.name, run),
            details=", ".join(words),
            kept=kept,
            state="set-aside" if is_set_aside else "finished" if finished else "unfinished",
            surplus=tuple((file, _measure(tree, file).size) for file in surplus),
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
    folder: Path, tree: _Tree, model: str, newest: str, checkpoints: dict[str, set[int]]
) -> Iterator[Item]:
    for run in _folders(folder, tree):
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
        yield _make_item(
            *(tree, SNAPSHOTS, model, run.name, run),
            details=f"{len(files)} epochs",
            kept="it is the newest run, whose report shows them" if run.name == newest else "",
            surplus=tuple((file, _measure(tree, file).size) for file in surplus),
        )


def _list_results(data: Path, tree: _Tree) -> Iterator[Item]:
    kept = "no rule is about it"
    for dataset in _folders(data / "07_model_output", tree):
        for model in _folders(dataset, tree):
            owner = f"{dataset.name}/{model.name}"
            for kind in (SAMPLES, FILMS):
                if (folder := model / kind) in tree.sizes:
                    yield _make_item(tree, kind, owner, "", folder, kept=kept)
    reporting = data / "08_reporting"
    for dataset in _folders(reporting, tree):
        if dataset.name == "leaderboard":
            continue
        for model in _folders(dataset, tree):
            owner = f"{dataset.name}/{model.name}"
            yield _make_item(tree, REPORT, owner, "", model, kept=kept)
    paths = [reporting / "leaderboard", reporting / "comparison.html"]
    if found := [path for path in paths if os.path.lexists(path)]:
        yield _make_item(tree, LEADERBOARD, "", "", *found, kept=kept)
    if (tracking := data / "09_tracking") in tree.sizes and tree.sizes[tracking].size:
        yield _make_item(tree, TRACKING, "", "", tracking, kept=kept)


def _list_temporary(data: Path, tree: _Tree, items: list[Item]) -> list[Item]:
    """Add the temporary files and folders, and subtract them from what they are in."""
    now = time.time()
    found = []
    for path in tree.temporary:
        item = _make_item(tree, TEMPORARY, _owner(data, path), _shorten(path, data), path)
        if path.name.endswith(DELETING):
            item = replace(item, details="an interrupted deletion")
        found.append(item)
    for number, item in enumerate(items):
        inside = [
            other for other in found if any(path in other.paths[0].parents for path in item.paths)
        ]
        if inside:
            size = item.size - sum(other.size for other in inside)
            files = item.files - sum(other.files for other in inside)
            items[number] = replace(item, size=size, files=files)
    return [
        *(item if item.kind != TEMPORARY else _keep_recent(data, item, now) for item in items),
        *(_keep_recent(data, item, now) for item in found),
    ]


def _keep_recent(data: Path, item: Item, now: float) -> Item:
    """Keep what a process may still write to."""
    if any(map(is_locked, _locks_of(data, item.paths[0]))):
        return replace(item, kept=RUNNING)
    is_deletion = item.paths[0].name.endswith(DELETING)
    if not is_deletion and not item.kept and now - item.used < STALE_AGE:
        return replace(item, kept="it was changed less than a day ago")
    return item


def _locks_of(data: Path, path: Path) -> Iterator[Path]:
    """List the folders whose locks processes hold while they write to a temporary path."""
    # The hidden name is made of that of the folder, beside which it is.
    yield path.with_name(path.name.removeprefix(".").rpartition(".")[0] or "none")
    for parent in path.parents:
        if parent == data:
            break
        yield parent


def _owner(data: Path, path: Path) -> str:
    """Return the dataset, or dataset and network, that a path belongs to."""
    parts = path.relative_to(data).parts[1:-1]
    is_model = path.is_relative_to(data / "06_models") or path.is_relative_to(
        data / "07_model_output"
    )
    return "/".join(parts[: 2 if is_model else 1]).removeprefix(".unpacked")


def _shorten(path: Path, data: Path) -> str:
    return path.relative_to(data).as_posix()
