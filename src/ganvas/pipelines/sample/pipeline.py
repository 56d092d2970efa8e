"""The sample pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.sample.nodes import generate_samples, make_samples_grid


def create_pipeline() -> Pipeline:
    """Create the pipeline from the newest saved generator to images and a grid of them."""
    return Pipeline(
        [
            Node(
                generate_samples,
                inputs=["generator", "class_list", "collection_folder", "params:sample"],
                outputs="samples",
                name="generate_samples",
            ),
            Node(
                make_samples_grid,
                inputs=["samples", "class_list", "params:sample"],
                outputs="samples_grid",
                name="make_samples_grid",
            ),
        ],
        namespace="sample",
        prefix_datasets_with_namespace=False,
    )
