"""The project's pipelines, by the names that `kedro run --pipelines=…` takes."""

from kedro.pipeline import Pipeline

from ganvas.pipelines.compare.pipeline import create_pipeline as create_compare
from ganvas.pipelines.directions.pipeline import create_pipeline as create_directions
from ganvas.pipelines.evaluate.pipeline import create_pipeline as create_evaluate
from ganvas.pipelines.evaluate_images.pipeline import create_pipeline as create_evaluate_images
from ganvas.pipelines.export.pipeline import create_pipeline as create_export
from ganvas.pipelines.fetch.pipeline import create_pipeline as create_fetch
from ganvas.pipelines.film.pipeline import create_pipeline as create_film
from ganvas.pipelines.ingest.pipeline import create_pipeline as create_ingest
from ganvas.pipelines.invert.pipeline import create_pipeline as create_invert
from ganvas.pipelines.report.pipeline import create_pipeline as create_report
from ganvas.pipelines.sample.pipeline import create_pipeline as create_sample
from ganvas.pipelines.select.pipeline import create_pipeline as create_select
from ganvas.pipelines.train.pipeline import create_pipeline as create_train

STAGES = {
    "fetch": create_fetch,
    "ingest": create_ingest,
    "train": create_train,
    "select": create_select,
    "evaluate": create_evaluate,
    "report": create_report,
    "sample": create_sample,
    "film": create_film,
    "directions": create_directions,
    "export": create_export,
    "invert": create_invert,
    "evaluate_images": create_evaluate_images,
    "compare": create_compare,
}


def register_pipelines() -> dict[str, Pipeline]:
    """Register the pipelines; train includes ingest, which is skipped if nothing changed.

    All nodes of a stage have its name as a tag too, for `kedro run --tags=…`.
    """
    stages = {name: Pipeline(create(), tags=name) for name, create in STAGES.items()}
    stages["train"] = stages["ingest"] + stages["train"]
    return {"__default__": stages["train"] + stages["evaluate"] + stages["report"]} | stages
