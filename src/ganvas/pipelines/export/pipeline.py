"""The export pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.export.nodes import export_formats


def create_pipeline() -> Pipeline:
    """Create the pipeline from the newest saved generator to ONNX and LiteRT files."""
    return Pipeline(
        [
            Node(
                export_formats,
                inputs=["generator", "class_list", "exported", "params:export"],
                outputs="export_manifest",
                name="export_formats",
            ),
        ],
        namespace="export",
        prefix_datasets_with_namespace=False,
    )
