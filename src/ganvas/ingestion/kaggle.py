"""Download datasets from Kaggle with kagglehub."""

import contextlib
import io
import logging
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ganvas.errors import GanvasError
from ganvas.progress import in_terminal

HUB, CREDENTIALS_ENTRY = "Kaggle", "kaggle"
# Allowed sets of keys in the entry of credentials.yml.
CREDENTIALS_KEYS = (["token"], ["username", "key"])
PACKAGES = ("kagglehub",)
VARIABLES = {"username": "KAGGLE_USERNAME", "key": "KAGGLE_KEY", "token": "KAGGLE_API_TOKEN"}


def download(handle: str, folder: Path, credentials: dict[str, str]) -> tuple[Path, str]:
    """Download and unpack a dataset; an interrupted download is resumed.

    Args:
        handle: Dataset, as owner/name.
        folder: Holds the archive and its content until both are complete.
        credentials: `token`, or `username` and `key`; empty: kagglehub's defaults.

    Returns:
        The folder of the unpacked files, somewhere below `folder`, and the version.

    Raises:
        GanvasError: The archive is damaged, or kagglehub's own configuration is.
    """
    import kagglehub

    # kagglehub resumes downloads only in its cache, and refuses an output_dir with partial files.
    # So its cache is set to `folder`, on the disk of the raw images.
    with _environment(folder, credentials), _no_progress_bar_in_logs():
        try:
            path = Path(kagglehub.dataset_download(handle))
        except (zipfile.BadZipFile, zlib.error, kagglehub.exceptions.DataCorruptionError) as error:
            raise _damaged(handle, folder) from error
        except ValueError as error:
            # kagglehub keeps an archive of unknown type, so that the next run would fail too.
            if "archive type" in str(error):
                raise _damaged(handle, folder) from error
            # For example a broken kaggle.json.
            raise GanvasError(f"kagglehub can't download {handle}: {error}.") from error
    return path, path.name


def hub_errors() -> tuple[type[Exception], ...]:
    """Return the errors that kagglehub raises for failed requests."""
    from requests import RequestException

    return (RequestException,)


@contextlib.contextmanager
def _environment(folder: Path, credentials: dict[str, str]) -> Iterator[None]:
    """Configure kagglehub by the environment variables that it reads at each call."""
    values = {VARIABLES[key]: value for key, value in credentials.items()}
    # In notebooks of Kaggle or Colab it would return a folder that can't be moved.
    switches = {"DISABLE_KAGGLE_CACHE": "true", "DISABLE_COLAB_CACHE": "true"}
    before = dict(os.environ)
    for name in VARIABLES.values() if values else []:
        os.environ.pop(name, None)
    os.environ.update(switches | values | {"KAGGLEHUB_CACHE": str(folder)})
    try:
        yield
    finally:
        for name in {*VARIABLES.values(), *switches, "KAGGLEHUB_CACHE"}:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


@contextlib.contextmanager
def _no_progress_bar_in_logs() -> Iterator[None]:
    # kagglehub has no option for it.
    if in_terminal():
        yield
        return
    logging.getLogger("kagglehub").setLevel(logging.WARNING)
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _damaged(handle: str, folder: Path) -> GanvasError:
    for archive in folder.rglob("*.archive"):
        archive.unlink()
    return GanvasError(
        f"The archive of {handle} from Kaggle is damaged and was deleted: run "
        "`kedro run --pipelines=fetch` again."
    )
