"""The project's pipelines, by the names that `kedro run --pipelines=…` takes."""

from kedro.pipeline import Pipeline

from ganvas.pipelines.compare.pipeline import create_pipeline as create_compare
from ganvas.pipelines.evaluate.pipeline import create_pipeline as create_evaluate
from ganvas.pipelines.export.pipeline import create_pipeline as create_export
from ganvas.pipelines.fetch.pipeline import create_pipeline as create_fetch
from ganvas.pipelines.ingest.pipeline import create_pipeline as create_ingest
from ganvas.pipelines.report.pipeline import create_pipeline as create_report
from ganvas.pipelines.sample.pipeline import create_pipeline as create_sample
from ganvas.pipelines.train.pipeline import create_pipeline as create_train


def register_pipelines() -> dict[str, Pipeline]:
    """Register the pipelines; train includes ingest, which is skipped if nothing changed."""
    ingest = create_ingest()
    train = ingest + create_train()
    evaluate, report = create_evaluate(), create_report()
    return {
        "__default__": train + evaluate + report,
        "fetch": create_fetch(),
        "ingest": ingest,
        "train": train,
        "evaluate": evaluate,
        "report": report,
        "sample": create_sample(),
        "export": create_export(),
        "compare": create_compare(),
    }
