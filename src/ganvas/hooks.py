"""Around a run: missing inputs explained, results named, a diverged run told as a failure."""

import logging
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from rich.logging import RichHandler

from ganvas.errors import GanvasError
from ganvas.progress import in_terminal
from ganvas.sources.mirror import check_protocol, is_url

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class GanvasHooks:
    """Kedro's hooks for this project."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._diverged: str | None = None

    @hook_impl
    def after_context_created(self) -> None:
        """Write whole lines to a log, and leave errors to the command line."""
        # Would say each a second time. Not in logging.yml, which a packed conf can't hand to Kedro.
        logging.getLogger("kedro.pipeline.node").setLevel(logging.CRITICAL)
        if not in_terminal():
            _log_plainly()

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember where the datasets lie, to name their places.

        Raises:
            GanvasError: One lies on a store that can't be reached with what is installed.
        """
        self._paths = {name: entry.get("filepath", "") for name, entry in conf_catalog.items()}
        for path in filter(is_url, self._paths.values()):
            check_protocol(path)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Say what to run first when an input of the pipeline has not been made yet.

        Raises:
            GanvasError: An input is missing.
        """
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:") or name == "parameters" or catalog.exists(name):
                continue
            makers = [key for key, other in pipelines.items() if name in other.all_outputs()]
            if not makers:
                continue
            maker = min(makers, key=lambda key: len(pipelines[key].nodes))
            place = f" at {self._paths[name]}" if self._paths.get(name) else ""
            raise GanvasError(
                f"There is no {name} yet{place}: make it by `kedro run --pipelines={maker}` "
                "with the same --env and --params."
            )

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note that training diverged: its last good models are still judged and reported."""
        if dataset_name == "training_summary":
            self._diverged = data["message"] if data["ended_by"] == "diverged" else None

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        """Name the results that a person wants to open.

        Raises:
            GanvasError: Training diverged.
        """
        for name, title in {
            "samples": "Samples",
            "report": "Report",
            "comparison": "Comparison",
        }.items():
            if name in pipeline.all_outputs():
                logger.info("%s: %s", title, self._paths[name])
        if self._diverged:
            raise GanvasError(self._diverged)


def _log_plainly() -> None:
    """Write whole lines: rich's handler, made for terminals, folds them at 80 columns in a log."""
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter(LOG_FORMAT, datefmt="%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, RichHandler)]:
        root.removeHandler(handler)
        root.addHandler(plain)
