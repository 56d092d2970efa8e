"""The report pipeline."""

from kedro.pipeline import Node, Pipeline

from ganvas.pipelines.report import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline from trained networks, history and metrics to the report page."""
    return Pipeline(
        [
            Node(
                nodes.make_samples,
                inputs=["generator", "class_list", "params:report"],
                outputs=["sample_grid", "full_size_samples"],
                name="make_samples",
            ),
            Node(
                nodes.make_class_sheets,
                inputs=["generator", "class_list", "collection", "params:report"],
                outputs="class_sheets",
                name="make_class_sheets",
            ),
            Node(
                nodes.make_real_grid,
                inputs=["collection", "class_list", "params:report"],
                outputs="real_grid",
                name="make_real_grid",
            ),
            Node(
                nodes.make_generated_grid,
                inputs=["generator", "class_list", "params:report"],
                outputs="generated_grid",
                name="make_generated_grid",
            ),
            Node(
                nodes.draw_progress_strip,
                inputs=["snapshots", "training_summary", "generator"],
                outputs="progress_strip",
                name="draw_progress_strip",
            ),
            Node(
                nodes.collect_progress_frames,
                inputs=["snapshots", "training_summary"],
                outputs="progress_animation",
                name="collect_progress_frames",
            ),
            Node(
                nodes.make_interpolation_grid,
                inputs=["generator", "class_list", "params:report"],
                outputs="latent_walk",
                name="make_interpolation_grid",
            ),
            Node(
                nodes.make_truncation_sweep,
                inputs=["generator", "class_list", "params:report"],
                outputs="truncation_sweep",
                name="make_truncation_sweep",
            ),
            Node(
                nodes.make_style_mixing,
                inputs=["generator", "class_list", "params:report"],
                outputs="style_mixing",
                name="make_style_mixing",
            ),
            Node(nodes.draw_history, inputs="history", outputs="curves", name="draw_history"),
            Node(nodes.plot_history, inputs="history", outputs="curves_plot", name="plot_history"),
            Node(
                nodes.write_report,
                inputs=[
                    "sample_grid",
                    "full_size_samples",
                    "real_grid",
                    "generated_grid",
                    "snapshots",
                    "progress_animation",
                    "curves",
                    "curves_plot",
                    "class_sheets",
                    "neighbours",
                    "latent_walk",
                    "truncation_sweep",
                    "style_mixing",
                    "metrics",
                    "training_summary",
                    "collection",
                    "params:report",
                ],
                outputs="report",
                name="write_report",
            ),
            Node(
                nodes.write_epochs_page,
                inputs=["checkpoints", "snapshots", "training_summary", "generator"],
                outputs="epochs_page",
                name="write_epochs_page",
            ),
            Node(
                nodes.write_card,
                inputs=["generator", "metrics", "training_summary", "sample_grid"],
                outputs=["model_card", "model_card_image"],
                name="write_card",
            ),
        ],
        namespace="report",
        prefix_datasets_with_namespace=False,
    )
