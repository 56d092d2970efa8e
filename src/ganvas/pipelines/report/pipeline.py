"""The report pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.report.nodes import (
    animate_progress,
    draw_classes,
    draw_generated,
    draw_history,
    draw_progress,
    draw_real,
    draw_samples,
    draw_walk,
    plot_history,
    write_card,
    write_report,
)


def create_pipeline() -> Pipeline:
    """From trained networks, their history and figures to one page."""
    return Pipeline(
        [
            Node(
                draw_samples,
                inputs=["generator", "params:report"],
                outputs="sample_grid",
                name="draw_samples",
            ),
            Node(
                draw_classes,
                inputs=["generator", "class_list", "collection", "params:report"],
                outputs="class_sheets",
                name="draw_classes",
            ),
            Node(
                draw_real,
                inputs=["collection", "params:report"],
                outputs="real_grid",
                name="draw_real",
            ),
            Node(
                draw_generated,
                inputs=["generator", "params:report"],
                outputs="generated_grid",
                name="draw_generated",
            ),
            Node(
                draw_progress,
                inputs=["snapshots", "training_summary", "generator"],
                outputs="progress_strip",
                name="draw_progress",
            ),
            Node(
                animate_progress,
                inputs=["snapshots", "training_summary"],
                outputs="progress_animation",
                name="animate_progress",
            ),
            Node(
                draw_walk,
                inputs=["generator", "params:report"],
                outputs="latent_walk",
                name="draw_walk",
            ),
            Node(draw_history, inputs="history", outputs="curves", name="draw_history"),
            Node(plot_history, inputs="history", outputs="curves_plot", name="plot_history"),
            Node(
                write_report,
                inputs=[
                    "sample_grid",
                    "real_grid",
                    "generated_grid",
                    "progress_strip",
                    "progress_animation",
                    "curves",
                    "curves_plot",
                    "class_sheets",
                    "neighbours",
                    "latent_walk",
                    "metrics",
                    "training_summary",
                    "collection",
                    "params:report",
                ],
                outputs="report",
                name="write_report",
            ),
            Node(
                write_card,
                inputs=["generator", "metrics", "training_summary"],
                outputs="model_card",
                name="write_card",
            ),
        ],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
