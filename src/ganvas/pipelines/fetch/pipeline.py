"""The fetch pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.fetch.nodes import fetch_images


def create_pipeline() -> Pipeline:
    """Create the pipeline from a hub to the folder of a source."""
    return Pipeline(
        [
            Node(
                fetch_images,
                inputs=[
                    "raw_images",
                    "params:ingest",
                    "params:fetch",
                    "kaggle_credentials",
                    "huggingface_credentials",
                ],
                outputs="fetched",
                name="fetch_images",
            )
        ],
        namespace="fetch",
        prefix_datasets_with_namespace=False,
    )
