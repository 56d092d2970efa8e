"""The select pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.select.nodes import select_epoch


def create_pipeline() -> Pipeline:
    """Create the pipeline from the checkpoints of a run to the models of one of its epochs."""
    return Pipeline(
        [
            Node(
                select_epoch,
                inputs=[
                    "collection",
                    "params:ingest",
                    "params:network",
                    "params:train",
                    "params:select",
                    "checkpoints",
                    "command",
                ],
                # Those of training, which they replace as its newest version.
                outputs=[
                    "generator",
                    "discriminator",
                    "encoder",
                    "class_list",
                    "history",
                    "training_summary",
                ],
                name="select_epoch",
            ),
        ],
        namespace="select",
        prefix_datasets_with_namespace=False,
    )
