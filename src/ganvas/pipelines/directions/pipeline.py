"""The directions pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.directions.nodes import draw_directions, find_directions


def create_pipeline() -> Pipeline:
    """Create the pipeline from the newest saved generator to directions and their strips."""
    return Pipeline(
        [
            Node(
                find_directions,
                inputs=[
                    "generator",
                    "class_list",
                    "kept_directions",
                    "encoder",
                    "collection_folder",
                    "params:directions",
                    "params:evaluate",
                ],
                outputs="directions",
                name="find_directions",
            ),
            Node(
                draw_directions,
                inputs=["generator", "class_list", "directions", "params:directions"],
                outputs=["direction_strips", "directions_overview"],
                name="draw_directions",
            ),
        ],
        namespace="directions",
        prefix_datasets_with_namespace=False,
    )
