"""The leaderboard: one file per evaluated run, previewed as a table."""

from kedro_datasets._typing import TablePreview
from kedro_datasets.partitions import PartitionedDataset

from ganvas.datasets.atomic import preview_table
from ganvas.datasets.preview import empty_until_made
from ganvas.visualization.comparison import tabulate


class LeaderboardDataset(PartitionedDataset):
    """`partitions.PartitionedDataset` of leaderboard entries, with a table as preview."""

    @empty_until_made
    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz; the best run of each collection comes first."""
        rows = [load() for load in self.load().values()]
        return preview_table(tabulate(rows).head(nrows))
