"""The ingest pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.ingest.nodes import list_source, pack_images, show_tables


def create_pipeline() -> Pipeline:
    """Create the pipeline from the folder of a source to the packed collection and its tables."""
    return Pipeline(
        [
            Node(
                list_source,
                inputs=["raw_images", "collection_folder", "params:ingest"],
                outputs=["image_records", "skipped_files", "artists", "image_choice"],
                name="list_source",
            ),
            Node(
                pack_images,
                inputs=[
                    "image_records",
                    "skipped_files",
                    "artists",
                    "image_choice",
                    "raw_images",
                    "collection_folder",
                    "params:ingest",
                ],
                outputs="collection",
                name="pack_images",
            ),
            Node(
                show_tables,
                inputs="collection",
                outputs=["image_index", "rejected"],
                name="show_tables",
            ),
        ],
        namespace="ingest",
        prefix_datasets_with_namespace=False,
    )
