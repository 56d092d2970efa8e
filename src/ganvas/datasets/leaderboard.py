"""The leaderboard in the catalog: a file for each evaluated run, and a table of all to look at."""

from kedro_datasets._typing import TablePreview
from kedro_datasets.partitions import PartitionedDataset

from ganvas.datasets.atomic import preview_table
from ganvas.visualization.comparison import tabulate


class LeaderboardDataset(PartitionedDataset):
    """`partitions.PartitionedDataset` of rows of the leaderboard, a table in kedro-viz."""

    def preview(self, nrows: int = 20) -> TablePreview:
        """Give the first rows to kedro-viz, the best run of each collection before the others."""
        rows = [load() for load in self.load().values()]
        return preview_table(tabulate(rows).head(nrows))
