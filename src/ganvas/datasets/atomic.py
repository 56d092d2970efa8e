"""Kedro's datasets of single files, saved under a temporary name that is then changed.

A run that is killed while it saves leaves the file of the run before it, never half a file. The
hidden temporary file that it leaves too is removed when a file of that name is saved there a day
later; on an object store, which renames by copying, it stays.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from inspect import unwrap
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from kedro.io.core import AbstractVersionedDataset, get_filepath_str
from kedro_datasets._typing import TablePreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset
from kedro_datasets.tensorflow import TensorFlowModelDataset
from kedro_datasets.text import TextDataset

from ganvas.errors import GanvasError

# Seconds: no save takes as long, so what is older was left by a run that was killed.
ABANDONED = 24 * 3600

if TYPE_CHECKING:
    _Dataset = AbstractVersionedDataset[Any, Any]
else:
    _Dataset = object


class AtomicSave(_Dataset):
    """Put before a versioned file dataset of Kedro's: its `save` writes beside the file."""

    _ending = ""
    _fs: Any
    _protocol: str
    _invalidate_cache: Callable[[], None]

    def save(self, data: Any) -> None:
        """Save under a temporary name, then rename.

        Raises:
            GanvasError: A store can't be written to.
        """
        target = get_filepath_str(self._get_save_path(), self._protocol)
        # Of its own, for two runs may save at once; last, so that nothing takes it for a table.
        self._ending = f".{uuid.uuid4().hex}.partial"
        partial = get_filepath_str(self._get_save_path(), self._protocol)
        try:
            # The plain function: its wrapper would look for the version before it is in place.
            unwrap(super().save)(self, data)  # type: ignore[safe-super]  # a dataset's own
            self._fs.mv(partial, target)
        except Exception as error:  # each store has errors of its own
            if self._protocol == "file":
                raise
            with suppress(Exception):
                self._fs.rm(partial)
            told = " ".join(str(error).split()) or type(error).__name__
            raise GanvasError(
                f"{self._protocol}://{target} can't be written ({told}): check its path in the "
                "catalog, and 'object_store' in conf/local/credentials.yml."
            ) from error
        finally:
            self._ending = ""
            if self._protocol == "file":
                _clean(Path(target), Path(partial))
        self._invalidate_cache()

    def _get_save_path(self) -> PurePosixPath:
        path = super()._get_save_path()
        return path.with_name(f".{path.name}{self._ending}") if self._ending else path


def _clean(target: Path, partial: Path) -> None:
    """Remove what this save and killed runs have left, but not what others are saving now."""
    for path in target.parent.glob(".*.partial"):
        # Another run may be faster.
        with suppress(OSError):
            ours = path.name.startswith(f".{target.name}.")
            if path == partial or (ours and time.time() - path.stat().st_mtime > ABANDONED):
                path.unlink()


class TablePreviewed(_Dataset):
    """Put before a dataset of a table: its preview shows lists too, and gaps as gaps."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """Give the first rows to kedro-viz."""
        return preview_table(self.load().head(nrows))


def preview_table(table: pd.DataFrame) -> TablePreview:
    """Give a table to kedro-viz, as people read it: four digits, lists with commas, gaps empty.

    JSON has no NaN, so a gap that stayed one would leave the whole table unseen.
    """
    shown = table.map(_as_text, na_action="ignore").astype(object)
    return TablePreview(shown.where(shown.notna(), "").to_dict(orient="split"))


def _as_text(value: Any) -> Any:
    if isinstance(value, float) and not value.is_integer():
        return float(f"{value:.4g}")
    return ", ".join(value) if isinstance(value, np.ndarray | list) else value


class AtomicCSVDataset(AtomicSave, TablePreviewed, CSVDataset):
    """`pandas.CSVDataset`, saved whole."""


class AtomicParquetDataset(AtomicSave, TablePreviewed, ParquetDataset):
    """`pandas.ParquetDataset`, saved whole."""


class AtomicJSONDataset(AtomicSave, JSONDataset):
    """`json.JSONDataset`, saved whole."""


class AtomicPlotlyDataset(AtomicSave, PlotlyDataset):
    """`plotly.JSONDataset`, saved whole."""


class AtomicTextDataset(AtomicSave, TextDataset):
    """`text.TextDataset`, saved whole."""


class AtomicModelDataset(AtomicSave, TensorFlowModelDataset):
    """`tensorflow.TensorFlowModelDataset`, saved whole."""
