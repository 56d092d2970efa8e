"""Download the images of a source from Kaggle or Hugging Face."""

import importlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from ganvas.atomic_files import atomic_write
from ganvas.disk_space import AGAIN, explain_disk_error
from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.file_lock import exclusive_lock
from ganvas.ingestion import huggingface, kaggle
from ganvas.ingestion.file_index import list_files
from ganvas.saved_json import read_json

logger = logging.getLogger(__name__)

# Marks a complete download and holds what was downloaded.
MARKER = ".fetched.json"
# Marks the folder of an incomplete download and holds its handle.
PLAN = "plan.json"
CLIENTS: dict[str, ModuleType] = {"artworks": kaggle, "celeba": kaggle, "wikiart": huggingface}


class FetchPlan(BaseModel):
    """What an incomplete download is of."""

    handle: str


class FetchMarker(BaseModel, extra="allow"):
    """What was downloaded."""

    handle: str
    files: int
    bytes: int


def download_source(
    source: str, handle: str, folder: Path, credentials: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Download the images of a source to a folder, unless they are there already.

    An incomplete download stays in a hidden folder beside it and is resumed by the next call.

    Args:
        source: artworks, celeba or wikiart.
        handle: Dataset on the hub of the source, as owner/name.
        folder: Folder of the source; it must be new, empty, or a complete download.
        credentials: The entries `kaggle` and `huggingface` of credentials.yml.

    Returns:
        What the folder holds: source, handle, version, files, bytes and when it was downloaded.

    Raises:
        GanvasError: The source has no hub, the folder holds other files, credentials are
            malformed, the client of the hub is not installed, another run downloads to the folder,
            or the hub or the disk fails.

    Example:
        >>> handle = "huggan/wikiart"
        >>> download_source("wikiart", handle, Path("data/01_raw/wikiart"), credentials={})
    """
    if source not in CLIENTS:
        raise GanvasError(
            f"The source '{source}' can't be downloaded: ingest.source.name must be one of "
            f"{', '.join(CLIENTS)}."
        )
    client = CLIENTS[source]
    entry = credentials.get(client.CREDENTIALS_ENTRY)
    checked = _check_credentials(client.CREDENTIALS_ENTRY, client.CREDENTIALS_KEYS, entry)
    # Of a link, the hidden folder must be on the disk of its target.
    folder = folder.resolve()
    try:
        with exclusive_lock(folder, f"downloads to {folder}", "set ingest.dataset"):
            if downloaded := _find_complete(folder, handle):
                logger.info("%s is in %s already: %s", handle, folder, _describe(downloaded))
                return downloaded
            partial = _open_partial(folder, handle)
            _import_client(client)
            logger.info("Downloading %s from %s to %s", handle, client.HUB, folder)
            with _hub_errors_explained(client, handle, has_credentials=bool(checked)):
                content, version = client.download(handle, partial, checked)
            metadata = {"source": source, "handle": handle, "version": version}
            downloaded = _move_into_place(content, folder, partial, metadata)
    except OSError as error:
        raise GanvasError(explain_disk_error(error, folder, "downloaded to")) from error
    logger.info("Downloaded %s to %s: %s", handle, folder, _describe(downloaded))
    return downloaded


def _check_credentials(entry: str, allowed: tuple[list[str], ...], values: Any) -> dict[str, str]:
    """Check an entry of credentials.yml; messages must not contain its values."""
    values = {} if values is None else values
    # YAML reads a key of digits as a number.
    usable = isinstance(values, dict) and all(
        str(value).strip() and isinstance(value, str | int) for value in values.values()
    )
    if not usable or (values and set(values) not in [set(keys) for keys in allowed]):
        form = " or ".join(f"{{{', '.join(f'{key}: …' for key in keys)}}}" for keys in allowed)
        raise GanvasError(
            f"The entry '{entry}' in conf/local/credentials.yml can't be used: it must be {form}, "
            "with a value for each key and no other keys."
        )
    return {key: str(value).strip() for key, value in values.items()}


def _import_client(client: ModuleType) -> None:
    for package in client.PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise GanvasError(
                f"The download needs the package {package}, which can't be imported: run "
                f"`{install_command('fetch')}`."
            ) from error


@contextmanager
def _hub_errors_explained(client: ModuleType, handle: str, has_credentials: bool) -> Iterator[None]:
    """Raise errors of a hub's client again as a GanvasError of one sentence."""
    try:
        yield
    except client.hub_errors() as error:
        hub = client.HUB
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            # A hub may also answer so if there is no such dataset.
            verb = "rejects the credentials for" if has_credentials else "needs credentials for"
            message = (
                f"{hub} {verb} {handle}: put a valid token under '{client.CREDENTIALS_ENTRY}' in "
                "conf/local/credentials.yml, or correct 'fetch' in the parameters if the dataset "
                "has another name."
            )
        elif status == 404 or type(error).__name__ == "DatasetNotFoundError":
            message = (
                f"{hub} has no dataset {handle}: set 'fetch' in the parameters to the owner/name "
                f"of a dataset on {hub}."
            )
        else:
            reason = f"it answers with status {status}" if status else "it can't be reached"
            message = (
                f"{handle} can't be downloaded from {hub} ({reason}): check the network, then "
                f"{AGAIN}."
            )
        raise GanvasError(message) from error


def _find_complete(folder: Path, handle: str) -> dict[str, Any] | None:
    """Return what was downloaded to the folder; None if it is missing or empty."""
    marker = folder / MARKER
    hint = "set ingest.dataset or ingest.source.path to download to another folder"
    if not marker.is_file():
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise GanvasError(
                f"{folder} holds files that were not downloaded by Ganvas, which keeps them: "
                f"{hint}, or run without the fetch pipeline."
            )
        return None
    downloaded = read_json(
        marker, FetchMarker, f"delete {folder} to download it again"
    ).model_dump()
    if downloaded["handle"] != handle:
        raise GanvasError(
            f"{folder} was downloaded from {downloaded['handle']}, not {handle}: {hint}."
        )
    if (count := len(list_files(folder))) < downloaded["files"]:
        raise GanvasError(
            f"Of the {downloaded['files']} files downloaded to {folder} only {count} are left: "
            "delete that folder to download all again, or run without the fetch pipeline."
        )
    return downloaded


def _open_partial(folder: Path, handle: str) -> Path:
    """Create the folder of an incomplete download, or return that of an earlier call."""
    partial = folder.with_name(f".{folder.name}.fetching")
    plan = partial / PLAN
    delete = f"delete {partial} to download it again"
    if plan.is_file() and (planned := read_json(plan, FetchPlan, delete).handle) != handle:
        raise GanvasError(
            f"{partial} holds a part of {planned}, not of {handle}: delete it, or finish it with "
            "that name in 'fetch' of the parameters."
        )
    partial.mkdir(parents=True, exist_ok=True)
    atomic_write(plan, json.dumps({"handle": handle}).encode())
    return partial


def _move_into_place(
    content: Path, folder: Path, partial: Path, metadata: dict[str, Any]
) -> dict[str, Any]:
    """Write the marker and move the complete content to its folder."""
    for name in ("images", "resized"):
        _flatten(content, name)
    sizes = [size for _, size, _ in list_files(content)]
    when = datetime.now(UTC).isoformat(timespec="seconds")
    downloaded = metadata | {"files": len(sizes), "bytes": sum(sizes), "when": when}
    (content / MARKER).write_text(json.dumps(downloaded))
    if folder.is_dir():
        folder.rmdir()
    content.rename(folder)
    (folder / huggingface.CHECKPOINT).unlink(missing_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    return downloaded


def _flatten(content: Path, name: str) -> None:
    """Turn images/images/ of Kaggle's archive into images/, in steps that can be resumed."""
    outer, aside = content / name, content / f".{name}.outer"
    if (outer / name).is_dir() and len(list(outer.iterdir())) == 1:
        outer.rename(aside)
    if (aside / name).is_dir():
        (aside / name).rename(outer)
    if aside.is_dir():
        aside.rmdir()


def _describe(downloaded: dict[str, Any]) -> str:
    return f"{downloaded['files']} files, {downloaded['bytes']} bytes"
