"""The evaluate pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.evaluate.face_metrics import measure_faces
from ganvas.pipelines.evaluate.feature_metrics import look, measure_classes, measure_distances
from ganvas.pipelines.evaluate.memorization import find_copies
from ganvas.pipelines.evaluate.nodes import (
    enter_leaderboard,
    join_metrics,
    judge_by_discriminator,
    measure_likelihood,
    paint_for_judgment,
    summarize_history,
)


def create_pipeline() -> Pipeline:
    """From trained networks to a table of figures."""
    return Pipeline(
        [
            Node(
                paint_for_judgment,
                inputs=["generator", "collection", "class_list", "params:evaluate"],
                outputs=["generated", "asked"],
                name="paint_for_judgment",
            ),
            Node(
                summarize_history,
                inputs=["history", "training_summary"],
                outputs="history_metrics",
                name="summarize_history",
            ),
            Node(
                judge_by_discriminator,
                inputs=[
                    "discriminator",
                    "generated",
                    "asked",
                    "collection",
                    "class_list",
                    "training_summary",
                ],
                outputs="discriminator_metrics",
                name="judge_by_discriminator",
            ),
            Node(
                look,
                inputs=["generated", "collection", "params:evaluate"],
                outputs="features",
                name="look",
            ),
            Node(
                measure_distances,
                inputs=["features", "params:evaluate"],
                outputs="distance_metrics",
                name="measure_distances",
            ),
            Node(
                find_copies,
                inputs=["generated", "features", "collection"],
                outputs=["memorizing_metrics", "neighbours"],
                name="find_copies",
            ),
            Node(
                measure_classes,
                inputs=["features", "asked", "collection", "class_list", "params:evaluate"],
                outputs="class_metrics",
                name="measure_classes",
            ),
            Node(
                measure_faces,
                inputs=["generated", "collection", "params:evaluate"],
                outputs="face_metrics",
                name="measure_faces",
            ),
            Node(
                measure_likelihood,
                inputs=["generator", "collection", "class_list", "params:evaluate"],
                outputs="likelihood_metrics",
                name="measure_likelihood",
            ),
            Node(
                join_metrics,
                inputs=[
                    "training_summary",
                    "distance_metrics",
                    "class_metrics",
                    "face_metrics",
                    "likelihood_metrics",
                    "memorizing_metrics",
                    "discriminator_metrics",
                    "history_metrics",
                ],
                outputs="metrics",
                name="join_metrics",
            ),
            Node(
                enter_leaderboard,
                inputs=["metrics", "training_summary", "generated", "features"],
                outputs=["leaderboard", "leaderboard_pictures"],
                name="enter_leaderboard",
            ),
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
