"""The train pipeline."""

import warnings

from kedro.pipeline import Node, Pipeline
from kedro.utils import KedroExperimentalWarning

from ganvas.pipelines.train.nodes import train_gan
from ganvas.pipelines.train.preview import preview_network


def create_pipeline() -> Pipeline:
    """Create the pipeline from the packed collection to saved networks, history and summary."""
    with warnings.catch_warnings():
        # Kedro would warn in every command that previews of nodes are experimental.
        warnings.simplefilter("ignore", KedroExperimentalWarning)
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
                    # The class list is saved after what belongs to the same version, since the
                    # gallery lists versions that have one. The summary comes last: a hook stops a
                    # diverged run once it is saved.
                    outputs=[
                        "generator",
                        "discriminator",
                        "encoder",
                        "class_list",
                        "history",
                        "training_summary",
                    ],
                    name="train_gan",
                    preview_fn=preview_network,
                ),
            ],
            namespace="train",
            prefix_datasets_with_namespace=False,
        )
