import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ganvas.errors import GanvasError
from ganvas.hooks import GanvasHooks
from ganvas.pipeline_registry import register_pipelines


def test_a_run_that_diverged_ends_in_its_sentence_and_the_next_one_does_not():
    hooks, pipeline = GanvasHooks(), Pipeline([])
    hooks.before_pipeline_run(pipeline, DataCatalog(), {})
    summary = {"ended_by": "diverged", "message": "Training diverged."}
    hooks.after_dataset_saved("training_summary", summary)
    with pytest.raises(GanvasError, match="Training diverged"):
        hooks.after_pipeline_run(pipeline)
    hooks.before_pipeline_run(pipeline, DataCatalog(), {})
    hooks.after_pipeline_run(pipeline)


class Everything(DataCatalog):
    """As if all had been made."""

    def exists(self, name):
        return True


OLD = "2026-01-01T00.00.00.000Z"


def ask(pipeline, *names):
    versions = {"load_versions": dict.fromkeys(names, OLD)}
    GanvasHooks().before_pipeline_run(register_pipelines()[pipeline], Everything(), versions)


@pytest.mark.parametrize("pipeline", ["evaluate", "report"])
@pytest.mark.parametrize("name", ["generator", "class_list"])
def test_older_models_are_not_judged_as_the_newest_training(pipeline, name):
    ask(pipeline)
    with pytest.raises(GanvasError, match=f"An older version of {name} can't be judged"):
        ask(pipeline, name)


@pytest.mark.parametrize("pipeline", ["sample", "export"])
def test_a_generator_paints_with_the_classes_of_its_own_version(pipeline):
    ask(pipeline, "generator", "class_list")
    for name in ("generator", "class_list"):
        with pytest.raises(GanvasError, match="generator and class_list must be of the same"):
            ask(pipeline, name)
