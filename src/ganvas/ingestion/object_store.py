"""Mirror images from an object store to a local folder."""

import json
import logging
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import fsspec
from pydantic import BaseModel, Field

from ganvas.atomic_files import atomic_write
from ganvas.disk_space import explain_disk_error, is_disk_full
from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.file_lock import exclusive_lock
from ganvas.progress import track
from ganvas.redaction import redact
from ganvas.saved_json import read_json

logger = logging.getLogger(__name__)

# Holds the URL of the mirrored folder and the version of each downloaded object.
MARKER = ".mirrored.json"
# Objects downloaded concurrently; at most as many are lost when a run is killed.
BATCH = 256
# Keys under which stores report the version of an object, and its modification time.
VERSION_KEYS = ("ETag", "etag", "blob_id", "sha")
TIME_KEYS = ("LastModified", "last_modified", "updated", "mtime", "created")


class StoredObject(NamedTuple):
    """An object of the store: full name, version, and modification time in Unix seconds."""

    name: str
    version: str
    modified: float


class MirrorMarker(BaseModel):
    """What a folder mirrors: a URL, and the version of each object by its path in the folder.

    No part of a path begins with a dot, so none leads out of the folder.
    """

    url: str
    objects: dict[Annotated[str, Field(pattern=r"^[^./][^/]*(/[^./][^/]*)*$")], str]
    complete: bool = False


def is_url(path: str) -> bool:
    """Return whether a path is a URL of an object store."""
    return "://" in path


def check_protocol(url: str) -> None:
    """Check that the file system for a URL is installed.

    Raises:
        GanvasError: It is not installed, or the protocol is unknown.
    """
    protocol = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = f": run `{install_command('s3')}`" if protocol in ("s3", "s3a") else ""
        raise GanvasError(
            f"{url} needs a package that is not installed ({error}){extra}."
        ) from error
    except ValueError as error:
        raise GanvasError(
            f"{url} can't be read, since the protocol {protocol}:// is unknown: it must be s3:// "
            "or another protocol of fsspec."
        ) from error


def mirror(url: str, folder: Path, options: dict[str, Any]) -> None:
    """Mirror the objects below a URL to a folder, downloading only new and changed ones.

    If the store can't be read, a complete mirror is kept with a warning. Hidden objects are
    skipped. Downloaded files whose objects were deleted are deleted; other files in the folder are
    kept. Files get the modification time of their objects, so that
    ingestion sees them as unchanged after a second mirror.

    Args:
        url: URL of a folder, with any protocol of fsspec.
        folder: New or empty folder, or an earlier mirror of the same URL.
        options: Arguments of the protocol's file system, such as credentials.

    Raises:
        GanvasError: The store can't be read or is empty, the folder holds other files, or another
            run mirrors to it.

    Example:
        >>> mirror("s3://bucket/images", Path("data/01_raw/mine"), {"key": "…", "secret": "…"})
    """
    versions, complete = _read_marker(url, folder)
    try:
        store, root, listing = _find(url, options)
    except GanvasError as error:
        if not complete or not all((folder / path).is_file() for path in versions):
            raise
        logger.warning("%s The files that were mirrored to %s are used.", error, folder)
        return
    objects = _select_objects(url, root, listing)
    with exclusive_lock(folder, f"mirrors to {folder}", "set ingest.dataset"):
        _update(url, folder, versions, store, objects)


def _update(
    url: str,
    folder: Path,
    versions: dict[str, str],
    store: Any,
    objects: dict[str, StoredObject],
) -> None:
    """Delete and download what has changed in the store since `versions`."""
    deleted = versions.keys() - objects.keys()
    for path in deleted:
        (folder / path).unlink(missing_ok=True)
        del versions[path]
    if deleted:
        _write_marker(url, folder, versions)
    changed = [
        path
        for path, stored in objects.items()
        if versions.get(path) != stored.version or not (folder / path).is_file()
    ]
    if not changed:
        _write_marker(url, folder, versions, complete=True)
        logger.info("%s is unchanged: %d files.", url, len(objects))
        return
    for start in track(range(0, len(changed), BATCH), "Mirroring"):
        batch = {path: objects[path] for path in changed[start : start + BATCH]}
        try:
            _download(store, folder, batch)
        except Exception as error:  # each store raises its own errors
            if isinstance(error, OSError) and is_disk_full(error):
                raise GanvasError(explain_disk_error(error, folder, "filled")) from error
            raise _unreadable(url, error) from error
        versions |= {path: stored.version for path, stored in batch.items()}
        _write_marker(url, folder, versions, complete=start + BATCH >= len(changed))
    logger.info("%d of %d files of %s downloaded to %s.", len(changed), len(objects), url, folder)


def _read_marker(url: str, folder: Path) -> tuple[dict[str, str], bool]:
    """Return the versions of mirrored objects by path, and whether these are all.

    The marker of a new mirror is created.
    """
    marker = folder / MARKER
    if not marker.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise GanvasError(
                f"{folder} holds files that are no mirror of {url}, which are kept: set "
                "ingest.dataset to mirror it to another folder."
            )
        _write_marker(url, folder, {})
    content = read_json(marker, MirrorMarker, f"delete {folder} to mirror {url} again")
    if redact(content.url) != redact(url):
        raise GanvasError(
            f"{folder} mirrors {content.url}, not {url}: set ingest.dataset to mirror that to "
            "another folder, or delete this one."
        )
    return content.objects, content.complete


def _write_marker(url: str, folder: Path, versions: dict[str, str], complete: bool = False) -> None:
    content = json.dumps({"url": redact(url), "objects": versions, "complete": complete})
    atomic_write(folder / MARKER, content.encode())


def _find(url: str, options: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
    """Return the file system, the path of a URL in it, and a description of each object below."""
    try:
        store, root = fsspec.url_to_fs(url, **options)
        # fsspec caches listings within a process.
        store.invalidate_cache()
        root = root.rstrip("/")
        listing = store.find(root, detail=True)
    except Exception as error:  # each store raises its own errors
        raise _unreadable(url, error) from error
    return store, root, listing


def _select_objects(url: str, root: str, listing: dict[str, Any]) -> dict[str, StoredObject]:
    """Return the objects that are not hidden by relative path."""
    objects = {}
    for name, info in listing.items():
        path = name.removeprefix(root).lstrip("/")
        # Skip hidden objects, and with them "..", which would leave the folder.
        if all(part and not part.startswith(".") for part in path.split("/")):
            time = _modification_time(info)
            version = next((info[key] for key in VERSION_KEYS if info.get(key)), time)
            objects[path] = StoredObject(name, f"{version} {info['size']}", time)
    if not objects:
        raise GanvasError(
            f"There are no files at {url}: set ingest.source.path to the bucket and the folder "
            "that holds the images."
        )
    return objects


def _modification_time(info: dict[str, Any]) -> float:
    """Return the modification time in Unix seconds; 0 if the store reports none."""
    time = next((info[key] for key in TIME_KEYS if info.get(key)), 0.0)
    time = datetime.fromisoformat(time) if isinstance(time, str) else time
    return time.timestamp() if isinstance(time, datetime) else float(time)


def _download(store: Any, folder: Path, objects: dict[str, StoredObject]) -> None:
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    local = [str(partial / f"{number}") for number in range(len(objects))]
    store.get([stored.name for stored in objects.values()], local)
    for file, (path, stored) in zip(local, objects.items(), strict=True):
        os.utime(file, (stored.modified, stored.modified))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Path(file).replace(folder / path)
    partial.rmdir()


def _unreadable(url: str, error: Exception) -> GanvasError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return GanvasError(
        f"{url} can't be read ({reason}): check ingest.source.path, and 'object_store' in "
        "conf/local/credentials.yml."
    )
