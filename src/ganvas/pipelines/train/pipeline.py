"""The train pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.train.nodes import train_gan


def create_pipeline() -> Pipeline:
    """From the packed collection to saved networks, their history and the run's facts."""
    return Pipeline(
        [
            Node(
                train_gan,
                inputs=[
                    "collection",
                    "params:ingest",
                    "params:network",
                    "params:train",
                    "snapshots",
                    "checkpoints",
                    "command",
                ],
                # The summary comes last: a hook stops a diverged run once it is saved.
                outputs=[
                    "generator",
                    "discriminator",
                    "class_list",
                    "history",
                    "training_summary",
                ],
                name="train_gan",
            ),
        ],
        namespace="train",
        prefix_datasets_with_namespace=False,
    )
