"""The compare pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.compare.nodes import write_comparison


def create_pipeline() -> Pipeline:
    """Create the pipeline from the leaderboard to the comparison page."""
    return Pipeline(
        [
            Node(
                write_comparison,
                inputs=["leaderboard", "leaderboard_pictures"],
                outputs="comparison",
                name="write_comparison",
            )
        ],
        namespace="compare",
        prefix_datasets_with_namespace=False,
    )
