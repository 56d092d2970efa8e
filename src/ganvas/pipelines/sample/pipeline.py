"""The sample pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.sample.nodes import lay_sample_grid, paint_samples


def create_pipeline() -> Pipeline:
    """From the newest saved generator to single images and a grid of them."""
    return Pipeline(
        [
            Node(
                paint_samples,
                inputs=["generator", "class_list", "params:sample"],
                outputs="samples",
                name="paint_samples",
            ),
            Node(
                lay_sample_grid,
                inputs=["samples", "params:sample"],
                outputs="samples_grid",
                name="lay_sample_grid",
            ),
        ],
        namespace="sample",
        prefix_datasets_with_namespace=False,
    )
