"""Images on an object store, mirrored to a folder: all that follows reads files."""

import json
import logging
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from ganvas.atomic_files import atomic_write
from ganvas.errors import GanvasError
from ganvas.ingestion.locking import FULL, explain
from ganvas.progress import track

logger = logging.getLogger(__name__)

# Says which store the folder mirrors, and the version of each object that it holds.
MARK = ".mirrored.json"
# Objects that are asked for at once, and lost at most when a run is killed.
BATCH = 256
# What stores call the time of an object's last change.
VERSIONS = ("ETag", "etag", "blob_id", "sha")
TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


def is_url(path: str) -> bool:
    """Whether a path leads to a store rather than to this machine's files."""
    return "://" in path


def check_protocol(url: str) -> None:
    """Check that what reads a URL is installed.

    Raises:
        GanvasError: It is not, or nothing is known to read it.
    """
    protocol = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = ': run `pip install "ganvas[s3]"`' if protocol in ("s3", "s3a") else ""
        raise GanvasError(
            f"{url} needs a package that is not installed ({error}){extra}."
        ) from error
    except ValueError as error:
        raise GanvasError(
            f"{url} can't be read, for nothing knows {protocol}://: it must be s3:// or another "
            "protocol of fsspec."
        ) from error


def mirror(url: str, folder: Path, options: dict[str, Any]) -> None:
    """Make a folder hold what lies below a URL, fetching only what has changed there.

    Hidden objects are left out, as hidden files are; files that were fetched and are gone from the
    store are deleted, and others are left alone. A file gets its object's time of change, so that
    neither a second listing nor a second mirror looks like other images.

    Args:
        url: Of a folder, with any protocol of fsspec.
        folder: The mirror: a new or an empty folder, or an earlier mirror of the same URL.
        options: What the protocol's file system takes, such as credentials.

    Raises:
        GanvasError: The store can't be read, holds nothing there, or the folder is not ours.
    """
    held = _read_mark(url, folder)
    store, listed = _list_objects(url, options)
    changed = [
        path
        for path, (_, version, _) in listed.items()
        if held.get(path) != version or not (folder / path).is_file()
    ]
    gone = held.keys() - listed.keys()
    for path in gone:
        (folder / path).unlink(missing_ok=True)
        del held[path]
    if gone:
        _write_mark(url, folder, held)
    if not changed:
        logger.info("%s is unchanged: %d files.", url, len(listed))
    for start in track(range(0, len(changed), BATCH), "Mirroring"):
        batch = changed[start : start + BATCH]
        try:
            _fetch(store, folder, {path: listed[path] for path in batch})
        except Exception as error:  # each store has errors of its own
            if isinstance(error, OSError) and error.errno in FULL:
                raise GanvasError(explain(error, folder, "filled", "ingest")) from error
            raise _unreadable(url, error) from error
        held |= {path: listed[path][1] for path in batch}
        _write_mark(url, folder, held)
    if changed:
        logger.info("%d of %d files of %s fetched to %s.", len(changed), len(listed), url, folder)


def _read_mark(url: str, folder: Path) -> dict[str, str]:
    mark = folder / MARK
    if not mark.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise GanvasError(
                f"{folder} holds files that are no mirror of {url}, which are left alone: set "
                "ingest.dataset to mirror it to another folder."
            )
        _write_mark(url, folder, {})
    kept = json.loads(mark.read_text())
    if kept["url"] != url:
        raise GanvasError(
            f"{folder} mirrors {kept['url']}, not {url}: set ingest.dataset to mirror that to "
            "another folder, or delete this one."
        )
    objects: dict[str, str] = kept["objects"]
    return objects


def _write_mark(url: str, folder: Path, objects: dict[str, str]) -> None:
    content = json.dumps({"url": url, "objects": objects})
    atomic_write(folder / MARK, content.encode())


def _list_objects(
    url: str, options: dict[str, Any]
) -> tuple[Any, dict[str, tuple[str, str, float]]]:
    """List the objects below a URL: by their path there, the whole name, version and time."""
    try:
        store, root = fsspec.url_to_fs(url, **options)
        # A store that was listed before in this process would answer from memory.
        store.invalidate_cache()
        root = root.rstrip("/")
        found = store.find(root, detail=True)
    except Exception as error:  # each store has errors of its own
        raise _unreadable(url, error) from error
    listed = {}
    for name, facts in found.items():
        path = name.removeprefix(root).lstrip("/")
        # Also those that would leave the folder: ".." is hidden too.
        if all(part and not part.startswith(".") for part in path.split("/")):
            time = _read_time(facts)
            version = next((facts[name] for name in VERSIONS if facts.get(name)), time)
            listed[path] = (name, f"{version} {facts['size']}", time)
    if not listed:
        raise GanvasError(
            f"There are no files at {url}: set ingest.source.path to the bucket and the folder "
            "that holds the images."
        )
    return store, listed


def _read_time(facts: dict[str, Any]) -> float:
    """The time of an object's last change in seconds since 1970; 0 where the store has none."""
    time = next((facts[name] for name in TIMES if facts.get(name)), 0.0)
    time = datetime.fromisoformat(time) if isinstance(time, str) else time
    return time.timestamp() if isinstance(time, datetime) else float(time)


def _fetch(store: Any, folder: Path, objects: dict[str, tuple[str, str, float]]) -> None:
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    local = [str(partial / f"{number}") for number in range(len(objects))]
    store.get([name for name, *_ in objects.values()], local)
    for file, (path, (_, _, time)) in zip(local, objects.items(), strict=True):
        os.utime(file, (time, time))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Path(file).replace(folder / path)
    partial.rmdir()


def _unreadable(url: str, error: Exception) -> GanvasError:
    told = " ".join(str(error).split()) or type(error).__name__
    return GanvasError(
        f"{url} can't be read ({told}): check ingest.source.path, and 'object_store' in "
        "conf/local/credentials.yml."
    )
