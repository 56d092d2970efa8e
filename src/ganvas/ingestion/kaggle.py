"""Data sets of Kaggle, downloaded by kagglehub."""

import contextlib
import io
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ganvas.errors import GanvasError
from ganvas.ingestion.hub import NO_NETWORK, REFUSED, UNKNOWN, import_client
from ganvas.progress import in_terminal

HUB, ENTRY = "Kaggle", "kaggle"
# Keys of the entry in credentials.yml: one of these sets.
KEYS = (["token"], ["username", "key"])
VARIABLES = {"username": "KAGGLE_USERNAME", "key": "KAGGLE_KEY", "token": "KAGGLE_API_TOKEN"}


def download(handle: str, folder: Path, credentials: dict[str, str]) -> tuple[Path, str]:
    """Download a data set and unpack it; a download that was stopped on the way goes on.

    Args:
        handle: The data set, as owner/name.
        folder: Where the archive and what is in it are kept until they are complete.
        credentials: Kaggle's `token`, or `username` and `key`; empty: what kagglehub finds
            itself.

    Returns:
        The folder with the unpacked files, somewhere below `folder`, and the version.

    Raises:
        GanvasError: kagglehub is not installed, or the data set can't be had.
    """
    kagglehub = import_client("kagglehub")
    # Only its cache makes kagglehub go on with an archive: an output_dir that holds a part of
    # one is refused. So it is given a cache of its own, on the disk of the raw images.
    with _environment(folder, credentials), _quiet_in_a_log(), _one_sentence(handle, credentials):
        try:
            path = Path(kagglehub.dataset_download(handle))
        except (zipfile.BadZipFile, zlib.error, kagglehub.exceptions.DataCorruptionError) as error:
            raise _damaged(handle, folder) from error
        except ValueError as error:
            # Raised before the archive is thrown away, so the next run would stumble over it.
            if "archive type" in str(error):
                raise _damaged(handle, folder) from error
            # Of a broken kaggle.json, for one.
            raise GanvasError(f"kagglehub can't fetch {handle}: {error}.") from error
    return path, path.name


@contextlib.contextmanager
def _environment(folder: Path, credentials: dict[str, str]) -> Iterator[None]:
    """Tell kagglehub by its variables, which it reads at each call, and leave none behind."""
    given = {VARIABLES[key]: value for key, value in credentials.items()}
    cleared = VARIABLES.values() if given else []
    # In a notebook of Kaggle or Colab it would answer with a folder that can't be moved.
    switches = {"DISABLE_KAGGLE_CACHE": "true", "DISABLE_COLAB_CACHE": "true"}
    before = dict(os.environ)
    for name in cleared:
        os.environ.pop(name, None)
    os.environ.update(switches | given | {"KAGGLEHUB_CACHE": str(folder)})
    try:
        yield
    finally:
        for name in {*VARIABLES.values(), *switches, "KAGGLEHUB_CACHE"}:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


@contextlib.contextmanager
def _quiet_in_a_log() -> Iterator[None]:
    """Keep kagglehub's bar and remarks out of a log: it has no switch for its bar."""
    if in_terminal():
        yield
        return
    logging.getLogger("kagglehub").setLevel(logging.WARNING)
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _one_sentence(handle: str, credentials: dict[str, str]) -> Iterator[None]:
    # Comes with kagglehub, which raises its errors.
    from requests import RequestException

    names = {"hub": HUB, "handle": handle, "entry": ENTRY, "what": "token"}
    try:
        yield
    except RequestException as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            given = "refuses your credential for" if credentials else "wants a credential for"
            raise GanvasError(REFUSED.format(given=given, **names)) from error
        if status == 404:
            raise GanvasError(UNKNOWN.format(**names)) from error
        reason = f"it answers with status {status}" if status else "it can't be reached"
        raise GanvasError(NO_NETWORK.format(reason=reason, **names)) from error


def _damaged(handle: str, folder: Path) -> GanvasError:
    for archive in folder.rglob("*.archive"):
        archive.unlink()
    return GanvasError(
        f"The archive of {handle} arrived damaged from Kaggle and was thrown away: run "
        "`kedro run --pipelines=fetch` again."
    )
