"""Without MLflow, or with tracking disabled, nothing is logged."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from ganvas.errors import GanvasError
from ganvas.tracking import TrackingParams, connect


def test_tracking_is_off_by_default(project, kedro_run):
    assert kedro_run("--pipelines=train", train__epochs=1).exit_code == 0
    assert not (project / "data/09_tracking").exists()


@pytest.mark.slow
def test_mlflow_is_not_imported_with_the_project():
    code = (
        "import sys, ganvas.settings, ganvas.pipeline_registry; sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_missing_mlflow_raises_an_error_with_the_command_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "mlflow" else find_spec(name)
    )
    with pytest.raises(GanvasError, match=r"\.\[mlflow\]"):
        connect(TrackingParams(mlflow=True), tmp_path)
