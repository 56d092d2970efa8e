"""Which folders below data/ a run uses now, by the locks that it holds."""

import sys
from pathlib import Path

from ganvas.file_lock import in_use

# Why what a run uses is kept.
RUNNING = "a run is going on"


def is_ingesting(data: Path) -> bool:
    """Return whether a run reads raw images, or works on any model."""
    datasets = list_with_locked(data / "03_primary")
    models = (
        folder
        for dataset in list_with_locked(data / "06_models")
        for folder in list_with_locked(dataset)
    )
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
    return is_locked(folder) or any(map(is_locked, list_with_locked(folder / "checkpoints")))


def list_with_locked(folder: Path) -> set[Path]:
    """Return what is in a folder or locked in it, since a lock is older than what it is of."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return set()
    locks = {name[1:].removesuffix(".lock") for name in names if name.endswith(".lock")}
    return {folder / name for name in locks | set(names) if name and name[:1] != "."}


def is_locked(folder: Path) -> bool:
    """Return whether a process holds the lock of a folder, also one that others may share."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with folder.with_name(f".{folder.name}.lock").open() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or the file system has no locks
        return False
    return False
