"""The invert pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.invert.nodes import (
    draw_inverted,
    invert_images,
    list_distances,
    prepare_encoder,
    read_originals,
)


def create_pipeline() -> Pipeline:
    """Create the pipeline from images to latents, distances and a sheet."""
    return Pipeline(
        [
            Node(
                read_originals,
                inputs=["generator", "unpacked_folder", "params:invert", "params:ingest"],
                outputs="originals",
                name="read_originals",
            ),
            Node(
                prepare_encoder,
                # The same file, which a node can't both read and write by one name.
                inputs=["encoder", "generator", "class_list"],
                outputs="prepared_encoder",
                name="prepare_encoder",
            ),
            Node(
                invert_images,
                inputs=[
                    "generator",
                    "prepared_encoder",
                    "class_list",
                    "collection_folder",
                    "originals",
                    "params:invert",
                ],
                outputs=["inverted", "inverted_latents", "inverted_medians"],
                name="invert_images",
            ),
            Node(
                list_distances,
                inputs=["inverted", "class_list"],
                outputs="inverted_distances",
                name="list_distances",
            ),
            Node(
                draw_inverted,
                inputs="inverted",
                outputs="inverted_sheet",
                name="draw_inverted",
            ),
        ],
        namespace="invert",
        prefix_datasets_with_namespace=False,
    )
