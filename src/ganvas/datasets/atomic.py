"""Kedro datasets of single files that are saved atomically.

Files are saved under a temporary name and renamed, so a run that is killed while saving leaves the
previous file. Its hidden temporary file is removed by a save at least a day later; on object
stores, it stays.
"""

import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from inspect import unwrap
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pandas as pd
from kedro.io.core import (
    AbstractVersionedDataset,
    DatasetError,
    Version,
    get_filepath_str,
    get_protocol_and_path,
)
from kedro_datasets._typing import TablePreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset
from kedro_datasets.text import TextDataset

from ganvas.datasets.preview import empty_until_made
from ganvas.datasets.versions import NewestVersion
from ganvas.disk_space import explain_full_disk, find_full_disk
from ganvas.errors import GanvasError
from ganvas.keras_types import Model

# Age in seconds of temporary files that are removed: no save takes as long.
STALE_AGE = 24 * 3600

if TYPE_CHECKING:
    _Dataset = AbstractVersionedDataset[Any, Any]
else:
    _Dataset = object


class AtomicSave(NewestVersion):
    """Mixin for Kedro's versioned file datasets that makes `save` atomic."""

    _suffix = ""
    _fs: Any
    _protocol: str
    _invalidate_cache: Callable[[], None]

    def save(self, data: Any) -> None:
        """Save under a temporary name, then rename.

        Raises:
            GanvasError: The disk is full, or an object store can't be written to.
        """
        target = get_filepath_str(self._get_save_path(), self._protocol)
        # Unique, since two runs may save at once; at the end, so that no glob for a suffix matches.
        self._suffix = f".{uuid.uuid4().hex}.partial"
        partial = get_filepath_str(self._get_save_path(), self._protocol)
        try:
            # Unwrapped, since Kedro's wrapper checks for the version before it is renamed.
            unwrap(super().save)(self, data)  # type: ignore[safe-super]  # defined by the dataset
            self._fs.mv(partial, target)
        except Exception as error:  # each store raises its own errors
            if self._protocol == "file":
                if full := find_full_disk(error):
                    temporary = Path(tempfile.gettempdir())
                    raise GanvasError(explain_full_disk(full, Path(target), temporary)) from full
                raise
            with suppress(Exception):
                self._fs.rm(partial)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise GanvasError(
                f"{self._protocol}://{target} can't be written ({reason}): check its path in the "
                "catalog, and 'object_store' in conf/local/credentials.yml."
            ) from error
        finally:
            self._suffix = ""
            if self._protocol == "file":
                _remove_temporary_files(Path(target), Path(partial))
        self._invalidate_cache()

    def _get_save_path(self) -> PurePosixPath:
        path = super()._get_save_path()
        return path.with_name(f".{path.name}{self._suffix}") if self._suffix else path


def _remove_temporary_files(target: Path, partial: Path) -> None:
    """Remove the temporary files of this save and of killed runs, but not those of running ones."""
    for path in target.parent.glob(".*.partial"):
        # Another run may remove the same file.
        with suppress(OSError):
            same_target = path.name.startswith(f".{target.name}.")
            if path == partial or (same_target and time.time() - path.stat().st_mtime > STALE_AGE):
                path.unlink()


class TablePreviewed(_Dataset):
    """Mixin for datasets of tables whose preview supports lists and missing values."""

    @empty_until_made
    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        return preview_table(self.load().head(nrows))


def preview_table(table: pd.DataFrame) -> TablePreview:
    """Return a preview for Kedro-Viz: four digits, comma-separated lists, missing values empty.

    JSON has no NaN, and a single one would hide the whole table.
    """
    formatted = table.map(_format, na_action="ignore").astype(object)
    return TablePreview(formatted.where(formatted.notna(), "").to_dict(orient="split"))


def _format(value: Any) -> Any:
    if isinstance(value, float) and not value.is_integer():
        return float(f"{value:.4g}")
    return ", ".join(value) if isinstance(value, np.ndarray | list) else value


class AtomicCSVDataset(AtomicSave, TablePreviewed, CSVDataset):
    """`pandas.CSVDataset` with atomic saves."""


class AtomicParquetDataset(AtomicSave, TablePreviewed, ParquetDataset):
    """`pandas.ParquetDataset` with atomic saves."""


class AtomicJSONDataset(AtomicSave, JSONDataset):
    """`json.JSONDataset` with atomic saves."""

    preview = empty_until_made(JSONDataset.preview)


class AtomicPlotlyDataset(AtomicSave, PlotlyDataset):
    """`plotly.JSONDataset` with atomic saves."""

    preview = empty_until_made(PlotlyDataset.preview)


class AtomicTextDataset(AtomicSave, TextDataset):
    """`text.TextDataset` with atomic saves."""


class _KerasModelDataset(AbstractVersionedDataset[Model, Model]):
    """A Keras model in the format `.keras`, which is loaded in safe mode.

    `tensorflow.TensorFlowModelDataset` can do the same, but its module imports TensorFlow, which
    takes seconds, and Kedro imports the classes of all datasets to describe the catalog.

    Args:
        filepath: Path or URL of the file.
        version: Kedro's versions of load and save.
        credentials: Credentials of the file system.
        metadata: For plugins such as Kedro-Viz.
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._protocol, path = get_protocol_and_path(filepath, version)
        options = {"auto_mkdir": True} if self._protocol == "file" else {}
        self._fs = fsspec.filesystem(self._protocol, **(credentials or {}), **options)
        self.metadata = metadata
        super().__init__(PurePosixPath(path), version, self._fs.exists, self._fs.glob)

    def load(self) -> Model:
        """Load the model."""
        import keras

        with tempfile.TemporaryDirectory() as folder:
            local = str(Path(folder) / "model.keras")
            self._fs.get(get_filepath_str(self._get_load_path(), self._protocol), local)
            return keras.saving.load_model(local, safe_mode=True)

    def save(self, data: Model) -> None:
        """Save the model."""
        with tempfile.TemporaryDirectory() as folder:
            local = str(Path(folder) / "model.keras")
            data.save(local)
            self._fs.put(local, get_filepath_str(self._get_save_path(), self._protocol))

    def _exists(self) -> bool:
        try:
            path = get_filepath_str(self._get_load_path(), self._protocol)
        except DatasetError:  # there is no version yet
            return False
        return bool(self._fs.exists(path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol, "version": self._version}

    def _release(self) -> None:
        super()._release()
        self._invalidate_cache()

    def _invalidate_cache(self) -> None:
        self._fs.invalidate_cache(get_filepath_str(self._filepath, self._protocol))


class AtomicModelDataset(AtomicSave, _KerasModelDataset):
    """A Keras model with atomic saves."""
