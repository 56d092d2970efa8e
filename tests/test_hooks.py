import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ganvas.errors import GanvasError
from ganvas.hooks import GanvasHooks


def test_a_run_that_diverged_ends_in_its_sentence_and_the_next_one_does_not():
    hooks, pipeline = GanvasHooks(), Pipeline([])
    hooks.before_pipeline_run(pipeline, DataCatalog())
    summary = {"ended_by": "diverged", "message": "Training diverged."}
    hooks.after_dataset_saved("training_summary", summary)
    with pytest.raises(GanvasError, match="Training diverged"):
        hooks.after_pipeline_run(pipeline)
    hooks.before_pipeline_run(pipeline, DataCatalog())
    hooks.after_pipeline_run(pipeline)
