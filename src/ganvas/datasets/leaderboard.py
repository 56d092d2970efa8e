"""The leaderboard: one file per evaluated run, previewed as a table."""

import logging
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from kedro.io import DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets.partitions import PartitionedDataset

from ganvas.augment_names import with_present_names
from ganvas.datasets.atomic import preview_table
from ganvas.datasets.preview import empty_until_made
from ganvas.datasets.unreadable import explain_unreadable_file, find_cause
from ganvas.errors import GanvasError
from ganvas.record_schemas import check_leaderboard_entry
from ganvas.visualization.comparison import tabulate

logger = logging.getLogger(__name__)


class EntriesDataset(PartitionedDataset):
    """`partitions.PartitionedDataset` of files that evaluations save, one for each run.

    A file that can't be read is a `GanvasError`, which names it.
    """

    def load(self) -> dict[str, Callable[[], Any]]:
        """Return functions that load the files, by the names of their runs."""
        return {name: self._explained(name, load) for name, load in super().load().items()}

    def _explained(self, name: str, load: Callable[[], Any]) -> Callable[[], Any]:
        def load_explained() -> Any:
            try:
                return self._check(load())
            except (DatasetError, GanvasError) as error:
                path = str(PurePath(self._path) / f"{name}{self._filename_suffix}")
                raise explain_unreadable_file(path, find_cause(error), "evaluate") from error

        return load_explained

    def _check(self, data: Any) -> Any:
        return data


class LeaderboardDataset(EntriesDataset):
    """The leaderboard's entries, with a table as preview."""

    @empty_until_made
    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz; the best run of each collection comes first."""
        return preview_table(tabulate(self._read_rows()).head(nrows))

    def _read_rows(self) -> list[dict[str, Any]]:
        rows = []
        for load in self.load().values():
            try:
                rows.append(load())
            except GanvasError as error:
                logger.warning("%s", error)
        return rows

    def _check(self, data: Any) -> Any:
        check_leaderboard_entry(data)
        return data | {"parameters": with_present_names(data["parameters"])}
