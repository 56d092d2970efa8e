import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from ganvas.errors import GanvasError
from ganvas.hooks import GanvasHooks
from ganvas.pipeline_registry import register_pipelines


def test_a_diverged_run_raises_its_message_and_the_next_run_does_not():
    hooks, pipeline = GanvasHooks(), Pipeline([])
    hooks.before_pipeline_run(pipeline, DataCatalog(), {})
    summary = {"ended_by": "diverged", "message": "Training diverged."}
    hooks.after_dataset_saved("training_summary", summary)
    with pytest.raises(GanvasError, match="Training diverged"):
        hooks.after_pipeline_run(pipeline)
    hooks.before_pipeline_run(pipeline, DataCatalog(), {})
    hooks.after_pipeline_run(pipeline)


class CompleteCatalog(DataCatalog):
    """A catalog in which every dataset exists."""

    def exists(self, name):
        return True


OLD_VERSION = "2026-01-01T00.00.00.000Z"


def check_old_versions(pipeline, *names):
    """Run the checks before a pipeline with old versions of some datasets."""
    run_params = {"load_versions": dict.fromkeys(names, OLD_VERSION)}
    GanvasHooks().before_pipeline_run(register_pipelines()[pipeline], CompleteCatalog(), run_params)


@pytest.mark.parametrize("pipeline", ["evaluate", "report"])
@pytest.mark.parametrize("name", ["generator", "class_list"])
def test_older_models_are_not_evaluated_as_the_newest_training(pipeline, name):
    check_old_versions(pipeline)
    with pytest.raises(GanvasError, match=f"An older version of {name} can't be evaluated"):
        check_old_versions(pipeline, name)


@pytest.mark.parametrize("pipeline", ["sample", "export"])
def test_a_generator_needs_the_class_list_of_its_own_version(pipeline):
    check_old_versions(pipeline, "generator", "class_list")
    for name in ("generator", "class_list"):
        with pytest.raises(GanvasError, match="generator and class_list must be of the same"):
            check_old_versions(pipeline, name)
