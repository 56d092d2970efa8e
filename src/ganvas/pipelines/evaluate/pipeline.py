"""The evaluate pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.evaluate.class_metrics import measure_classes
from ganvas.pipelines.evaluate.diversity import measure_class_diversity
from ganvas.pipelines.evaluate.feature_metrics import extract_features, measure_distances
from ganvas.pipelines.evaluate.latent_paths import measure_path_length
from ganvas.pipelines.evaluate.memorization import find_nearest_training_images
from ganvas.pipelines.evaluate.nodes import (
    generate_for_evaluation,
    join_metrics,
    make_leaderboard_entry,
    measure_discriminator_accuracy,
    measure_faces,
    measure_likelihood,
    summarize_history,
)
from ganvas.pipelines.evaluate.pyramid_metrics import measure_sliced_wasserstein


def create_pipeline() -> Pipeline:
    """Create the pipeline that turns trained networks into metrics and a leaderboard row."""
    return Pipeline(
        [
            Node(
                generate_for_evaluation,
                inputs=["generator", "collection", "class_list", "params:evaluate"],
                outputs=["generated", "target_classes"],
                name="generate_for_evaluation",
            ),
            Node(
                summarize_history,
                inputs=["history", "training_summary"],
                outputs="history_metrics",
                name="summarize_history",
            ),
            Node(
                measure_discriminator_accuracy,
                inputs=[
                    "discriminator",
                    "generated",
                    "target_classes",
                    "collection",
                    "class_list",
                    "training_summary",
                ],
                outputs="discriminator_metrics",
                name="measure_discriminator_accuracy",
            ),
            Node(
                extract_features,
                inputs=["generated", "collection", "params:evaluate"],
                outputs="features",
                name="extract_features",
            ),
            Node(
                measure_distances,
                inputs=["features", "params:evaluate"],
                outputs="distance_metrics",
                name="measure_distances",
            ),
            Node(
                measure_sliced_wasserstein,
                inputs=["generated", "features", "collection", "params:evaluate"],
                outputs="pyramid_metrics",
                name="measure_sliced_wasserstein",
            ),
            Node(
                find_nearest_training_images,
                inputs=["generated", "features", "collection"],
                outputs=["memorization_metrics", "neighbours"],
                name="find_nearest_training_images",
            ),
            Node(
                measure_classes,
                inputs=[
                    "features",
                    "target_classes",
                    "collection",
                    "class_list",
                    "params:evaluate",
                ],
                outputs="class_metrics",
                name="measure_classes",
            ),
            Node(
                measure_class_diversity,
                inputs=[
                    "generated",
                    "target_classes",
                    "features",
                    "collection",
                    "class_list",
                    "params:evaluate",
                ],
                outputs="class_diversity_metrics",
                name="measure_class_diversity",
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
                measure_path_length,
                inputs=["generator", "collection", "class_list", "params:evaluate"],
                outputs="path_length_metrics",
                name="measure_path_length",
            ),
            Node(
                join_metrics,
                inputs=[
                    "training_summary",
                    "distance_metrics",
                    "pyramid_metrics",
                    "class_diversity_metrics",
                    "class_metrics",
                    "face_metrics",
                    "likelihood_metrics",
                    "path_length_metrics",
                    "memorization_metrics",
                    "discriminator_metrics",
                    "history_metrics",
                ],
                outputs="metrics",
                name="join_metrics",
            ),
            Node(
                make_leaderboard_entry,
                inputs=[
                    "metrics",
                    "training_summary",
                    "generated",
                    "target_classes",
                    "features",
                    "history",
                ],
                outputs=["leaderboard", "leaderboard_pictures"],
                name="make_leaderboard_entry",
            ),
        ],
        namespace="evaluate",
        prefix_datasets_with_namespace=False,
    )
