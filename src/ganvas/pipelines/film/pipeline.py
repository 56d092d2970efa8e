"""The film pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.film.nodes import make_film


def create_pipeline() -> Pipeline:
    """Create the pipeline from the newest saved generator to a film through keyframes."""
    return Pipeline(
        [
            Node(
                make_film,
                inputs=[
                    "generator",
                    "class_list",
                    "encoder",
                    "directions",
                    "films",
                    "params:film",
                ],
                outputs="film_keyframes",
                name="make_film",
            ),
        ],
        namespace="film",
        prefix_datasets_with_namespace=False,
    )
