"""The data catalog: versions of models that belong together, and errors that name the file."""

from typing import Any, cast

from kedro.framework.project import pipelines
from kedro.io import (
    AbstractDataset,
    AbstractVersionedDataset,
    CatalogProtocol,
    DataCatalog,
    DatasetError,
    DatasetNotFoundError,
    Version,
)
from kedro.pipeline import Pipeline

from ganvas.datasets.model_arrays import ModelArraysDataset
from ganvas.datasets.unreadable import explain_unreadable, find_cause
from ganvas.datasets.versions import NewestVersion
from ganvas.errors import GanvasError

# Versioned datasets that one training saves together, and its summary, which names their version.
TRAINED, SUMMARY = ("generator", "discriminator", "class_list"), "training_summary"


class GanvasCatalog(DataCatalog):
    """`DataCatalog` with these differences.

    - The newest version of a model is that of the last training, as training.json records it.
    - Arrays that belong to a generator, such as its encoder, are those of its loaded version.
    - An error on loading is one sentence: which file, why, and which command creates it again.
    """

    @classmethod
    def from_config(cls, *args: Any, **options: Any) -> "GanvasCatalog":
        """Create a catalog from its configuration.

        Raises:
            GanvasError: `--load-versions` names a dataset that doesn't exist.
        """
        try:
            return cast(GanvasCatalog, super().from_config(*args, **options))
        except DatasetNotFoundError as error:
            names = ", ".join(options.get("load_versions") or {})
            raise GanvasError(
                f"--load-versions has {names}, but there are versions of {', '.join(TRAINED)} "
                "alone: write generator:VERSION,class_list:VERSION."
            ) from error

    def get(
        self,
        key: str,
        fallback_to_runtime_pattern: bool = False,
        version: Version | None = None,
    ) -> AbstractDataset[Any, Any] | None:
        """Return a dataset; models know the summary of the last training, arrays their model."""
        dataset = super().get(key, fallback_to_runtime_pattern, version)
        if isinstance(dataset, ModelArraysDataset):
            dataset.generator = cast(NewestVersion | None, self.get("generator"))
        if key in TRAINED and isinstance(dataset, NewestVersion):
            dataset.summary = super().get(SUMMARY)
        return dataset

    def load(self, ds_name: str, version: str | None = None) -> Any:
        """Load a dataset.

        Raises:
            DatasetError: There is no such dataset or version, or a GanvasError, its cause, says
                why the file can't be read.
        """
        try:
            return super().load(ds_name, version)
        except DatasetError as error:
            # Kedro's own errors, such as that of a missing version, have no other cause, and
            # the last two say nothing about the file.
            if isinstance(find_cause(error), DatasetError | MemoryError | ImportError):
                raise
            explained = explain_unreadable(self[ds_name], error, creating_pipeline(ds_name))
            raise DatasetError(str(explained)) from explained


def check_versions(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], versions: dict[str, str]
) -> None:
    """Check that the versions to load exist and belong to one training.

    Args:
        pipeline: The pipeline to run.
        catalog: The catalog.
        versions: Versions in `--load-versions`, by the names of their datasets.

    Raises:
        GanvasError: A version does not exist or has no effect, or is of another training.
    """
    trained = [name for name in TRAINED if name in versions]
    summarized = SUMMARY in pipeline.inputs()
    if trained and summarized:
        raise GanvasError(
            f"An older version of {', '.join(trained)} can't be evaluated or reported on, since "
            "training.json describes the newest training only: leave --load-versions out; "
            "`kedro run --pipelines=sample` generates images with older versions."
        )
    both = {"generator", "class_list"}
    if both <= pipeline.inputs() and len({versions.get(name) for name in both}) > 1:
        raise GanvasError(
            "generator and class_list must be of the same training: set --load-versions for both, "
            "generator:VERSION,class_list:VERSION."
        )
    for name, version in versions.items():
        _check_version(name, version, pipeline, catalog)
    for name in TRAINED:
        if summarized and name in pipeline.inputs():
            _check_recorded(name, catalog)


def _check_version(
    name: str, version: str, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
) -> None:
    """Check a version of `--load-versions`."""
    dataset = catalog.get(name)
    if not isinstance(dataset, AbstractVersionedDataset) or dataset._version is None:
        raise GanvasError(
            f"--load-versions can't have {name}, which has no versions: there are versions of "
            f"{', '.join(TRAINED)}."
        )
    if name not in pipeline.inputs():
        why = "creates it itself" if name in pipeline.all_outputs() else "doesn't read it"
        raise GanvasError(
            f"--load-versions has {name}:{version}, but this run {why}: leave it out, or choose "
            "another pipeline by --pipelines, such as sample."
        )
    existing = dataset.list_versions(full_path=False)
    if version not in existing:
        known = f"there are {', '.join(existing)}" if existing else "there is none yet"
        raise GanvasError(
            f"There is no version '{version}' of {name} in {_folder(dataset)}: {known}."
        )


def _check_recorded(name: str, catalog: CatalogProtocol[Any, Any]) -> None:
    """Check that the version to load is that of the training that training.json describes."""
    dataset = catalog.get(name)
    if not isinstance(dataset, NewestVersion) or not dataset.exists():
        return
    recorded = dataset.read_recorded()
    if recorded not in (None, dataset.resolve_load_version()):
        raise GanvasError(
            f"There is no version '{recorded}' of {name} in {_folder(dataset)}, although "
            "training.json describes it: copy it there, or create a new one by "
            "`kedro run --pipelines=train` with the same --env and --params."
        )


def _folder(dataset: AbstractVersionedDataset[Any, Any]) -> str:
    return str(dataset._describe()["filepath"])


def creating_pipeline(name: str) -> str | None:
    """Return the smallest pipeline that creates a dataset; None if none does.

    It isn't `select`, which makes what training has made again.
    """
    creating = [
        key
        for key, pipeline in pipelines.items()
        if key != "select" and name in pipeline.all_outputs()
    ]
    # A leaderboard is rather created again from the project's own models.
    return min(
        creating,
        key=lambda key: (key == "evaluate_images", len(pipelines[key].nodes)),
        default=None,
    )
