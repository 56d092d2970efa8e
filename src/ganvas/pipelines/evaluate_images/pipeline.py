"""The evaluate_images pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.evaluate.class_metrics import measure_classes
from ganvas.pipelines.evaluate.diversity import measure_class_diversity
from ganvas.pipelines.evaluate.feature_metrics import extract_features, measure_distances
from ganvas.pipelines.evaluate.nodes import measure_faces
from ganvas.pipelines.evaluate.pyramid_metrics import measure_sliced_wasserstein
from ganvas.pipelines.evaluate_images.nodes import (
    find_nearest_to_images,
    join_image_metrics,
    make_images_entry,
    read_images,
    write_images_report,
)

PARAMS = ["params:evaluate", "params:ingest"]
CLASSES = ["external_classes", "external_features", "external_reference", "external_class_list"]


def create_pipeline() -> Pipeline:
    """Create the pipeline from images of any program to metrics, a page and a leaderboard row."""
    return Pipeline(
        [
            Node(
                read_images,
                inputs=["collection_folder", "unpacked_folder", *PARAMS],
                outputs=[
                    "external_images",
                    "external_classes",
                    "external_reference",
                    "external_class_list",
                    "external_rejected",
                ],
                name="read_images",
            ),
            Node(
                extract_features,
                inputs=["external_images", "external_reference", "params:evaluate"],
                outputs="external_features",
                name="extract_image_features",
            ),
            Node(
                measure_distances,
                inputs=["external_features", "params:evaluate"],
                outputs="external_distance_metrics",
                name="measure_image_distances",
            ),
            Node(
                measure_sliced_wasserstein,
                inputs=[
                    "external_images",
                    "external_features",
                    "external_reference",
                    "params:evaluate",
                ],
                outputs="external_pyramid_metrics",
                name="measure_image_pyramids",
            ),
            Node(
                measure_class_diversity,
                inputs=["external_images", *CLASSES, "params:evaluate"],
                outputs="external_class_diversity_metrics",
                name="measure_image_class_diversity",
            ),
            Node(
                measure_classes,
                inputs=[
                    "external_features",
                    "external_classes",
                    "external_reference",
                    "external_class_list",
                    "params:evaluate",
                ],
                outputs="external_class_metrics",
                name="measure_image_classes",
            ),
            Node(
                measure_faces,
                inputs=["external_images", "external_reference", "params:evaluate"],
                outputs="external_face_metrics",
                name="measure_image_faces",
            ),
            Node(
                find_nearest_to_images,
                inputs=[
                    "external_images",
                    "external_features",
                    "external_reference",
                    "params:evaluate",
                ],
                outputs=["external_memorization_metrics", "external_neighbours"],
                name="find_nearest_to_images",
            ),
            Node(
                join_image_metrics,
                inputs=[
                    *PARAMS,
                    "external_distance_metrics",
                    "external_pyramid_metrics",
                    "external_class_diversity_metrics",
                    "external_class_metrics",
                    "external_face_metrics",
                    "external_memorization_metrics",
                ],
                outputs="external_metrics",
                name="join_image_metrics",
            ),
            Node(
                write_images_report,
                inputs=[
                    "external_images",
                    "external_classes",
                    "external_reference",
                    "external_features",
                    "external_neighbours",
                    "external_metrics",
                    "external_rejected",
                    *PARAMS,
                ],
                outputs="external_report",
                name="write_images_report",
            ),
            Node(
                make_images_entry,
                inputs=[
                    "external_metrics",
                    "external_images",
                    "external_classes",
                    "external_features",
                    *PARAMS,
                ],
                outputs=["leaderboard", "leaderboard_pictures"],
                name="make_images_entry",
            ),
        ],
        namespace="evaluate_images",
        prefix_datasets_with_namespace=False,
    )
