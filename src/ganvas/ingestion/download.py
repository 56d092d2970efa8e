"""Fetching a source's images from the hub that hands them out."""

import json
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ganvas.atomic_files import atomic_write
from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion import huggingface, kaggle
from ganvas.ingestion.file_index import list_files
from ganvas.ingestion.locking import explain

logger = logging.getLogger(__name__)

# Says what the folder was fetched from. It comes into the folder's place with the images.
MARK = ".fetched.json"
# Says what a folder beside it is going to be, and that it is ours.
PLAN = "plan.json"
CLIENTS = {"artworks": kaggle, "celeba": kaggle, "wikiart": huggingface}

Handle = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w.-]*$")]


class FetchParams(Params):
    """Which data set each source is fetched from, as owner/name.

    Attributes:
        artworks: At Kaggle.
        celeba: At Kaggle.
        wikiart: At Hugging Face.
    """

    artworks: Handle = "ikarus777/best-artworks-of-all-time"
    celeba: Handle = "jessicali9530/celeba-dataset"
    wikiart: Handle = "huggan/wikiart"


def fetch(
    source: str, folder: Path, params: FetchParams, credentials: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Bring a source's images to a folder, unless they are there.

    What is not complete lies in a hidden folder beside it, and a later call goes on from there.

    Args:
        source: The source's name.
        folder: The source's folder; what others have put there is left alone.
        params: The data sets' names.
        credentials: The entries `kaggle` and `huggingface` of credentials.yml.

    Returns:
        What the folder holds: source, handle, version, files, bytes and the time it was fetched.

    Raises:
        GanvasError: The source is none that can be fetched, the folder holds other files, the
            hub's client is missing or the hub or the disk does not play along.
    """
    if source not in CLIENTS:
        raise GanvasError(
            f"There is nothing to fetch for the source '{source}': ingest.source.name must be one "
            f"of {', '.join(CLIENTS)}."
        )
    handle = getattr(params, source)
    client = CLIENTS[source]
    given = _check_credentials(client.ENTRY, client.KEYS, credentials.get(client.ENTRY))
    # Behind a link, so that the disk that it leads to takes the images from the beginning.
    folder = folder.resolve()
    try:
        if fetched := _find_fetched(folder, handle):
            logger.info("%s is in %s already: %s", handle, folder, _count(fetched))
            return fetched
        partial = _plan(folder, handle)
        logger.info("Fetching %s from %s to %s", handle, client.HUB, folder)
        content, version = client.download(handle, partial, given)
        facts = {"source": source, "handle": handle, "version": version}
        fetched = _put_in_place(content, folder, partial, facts)
    except OSError as error:
        raise GanvasError(explain(error, folder, "fetched", "fetch")) from error
    logger.info("Fetched %s to %s: %s", handle, folder, _count(fetched))
    return fetched


def _check_credentials(entry: str, sets: tuple[list[str], ...], given: Any) -> dict[str, str]:
    """Check an entry of credentials.yml, and never say what stands in it."""
    given = {} if given is None else given
    # A key of digits alone is read as a number.
    usable = isinstance(given, dict) and all(
        str(value).strip() and isinstance(value, str | int) for value in given.values()
    )
    if not usable or (given and set(given) not in [set(keys) for keys in sets]):
        form = " or ".join(f"{{{', '.join(f'{key}: …' for key in keys)}}}" for keys in sets)
        raise GanvasError(
            f"The entry '{entry}' in conf/local/credentials.yml can't be used: it must be {form}, "
            "with a value for each key and no other keys."
        )
    return {key: str(value).strip() for key, value in given.items()}


def _find_fetched(folder: Path, handle: str) -> dict[str, Any] | None:
    """What was fetched to the folder; None if it has yet to be filled."""
    mark = folder / MARK
    elsewhere = "set ingest.dataset or ingest.source.path to fetch to another folder"
    if not mark.is_file():
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise GanvasError(
                f"{folder} holds files that were not fetched by Ganvas, which leaves them alone: "
                f"{elsewhere}, or go without fetching."
            )
        return None
    fetched: dict[str, Any] = json.loads(mark.read_text())
    if fetched["handle"] != handle:
        raise GanvasError(
            f"{folder} was fetched from {fetched['handle']}, not {handle}: {elsewhere}."
        )
    if (there := len(list_files(folder, ""))) < fetched["files"]:
        raise GanvasError(
            f"Of the {fetched['files']} files fetched to {folder} only {there} are left: delete "
            "that folder to fetch them all again, or go without fetching."
        )
    return fetched


def _plan(folder: Path, handle: str) -> Path:
    """Make the folder for what is not complete, or find the one of a fetch that was stopped."""
    partial = folder.with_name(f".{folder.name}.fetching")
    plan = partial / PLAN
    if plan.is_file() and (planned := json.loads(plan.read_text())["handle"]) != handle:
        raise GanvasError(
            f"{partial} holds a part of {planned}, not of {handle}: delete it, or finish it with "
            "that name in 'fetch' of the parameters."
        )
    partial.mkdir(parents=True, exist_ok=True)
    atomic_write(plan, json.dumps({"handle": handle}).encode())
    return partial


def _put_in_place(
    content: Path, folder: Path, partial: Path, facts: dict[str, Any]
) -> dict[str, Any]:
    """Give the whole content its mark and its place."""
    for name in ("images", "resized"):
        _lift(content, name)
    sizes = [size for _, size, _ in list_files(content, "")]
    when = datetime.now(UTC).isoformat(timespec="seconds")
    fetched = facts | {"files": len(sizes), "bytes": sum(sizes), "when": when}
    (content / MARK).write_text(json.dumps(fetched))
    if folder.is_dir():
        folder.rmdir()
    content.rename(folder)
    (folder / huggingface.CHECKPOINT).unlink(missing_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    return fetched


def _lift(content: Path, name: str) -> None:
    """Make images/images/ to images/: Kaggle's archive of the artworks has folders twice.

    In steps, each of which is found again if the run ends after it.
    """
    outer, aside = content / name, content / f".{name}.outer"
    if (outer / name).is_dir() and len(list(outer.iterdir())) == 1:
        outer.rename(aside)
    if (aside / name).is_dir():
        (aside / name).rename(outer)
    if aside.is_dir():
        aside.rmdir()


def _count(fetched: dict[str, Any]) -> str:
    return f"{fetched['files']} files, {fetched['bytes']} bytes"
