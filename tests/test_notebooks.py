"""The notebooks run in order in one small project, and git keeps them without outputs."""

import base64
import io
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from ganvas.latents.video import count_frames_in
from projects import DCGAN, ROOT, TINY, make_project, write_parameters

FILES = sorted((ROOT / "notebooks").glob("[0-9]_*.ipynb"))
# Kedro prints values with ANSI colors.
COLOR = re.compile(r"\x1b\[[\d;]*m")


def execute(file: Path, project: Path) -> list[nbformat.NotebookNode]:
    """Execute a notebook in a project, and return the outputs of its cells."""
    notebook = nbformat.read(file, as_version=4)
    resources = {"metadata": {"path": str(project / "notebooks")}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    return [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]


def texts(outputs: list[nbformat.NotebookNode]) -> str:
    parts = [output.get("text") or output.data.get("text/plain", "") for output in outputs]
    return COLOR.sub("", "\n".join(parts))


def images(outputs: list[nbformat.NotebookNode]) -> list[np.ndarray]:
    encoded = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in encoded
    ]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_notebooks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", str(ROOT / "conf/logging.yml"))
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    project = make_project(tmp_path)
    (project / "notebooks").mkdir()
    write_parameters(project / "conf/local/parameters.yml", TINY | DCGAN)
    outputs = [execute(file, project) for file in FILES]
    explore_data, train, compare, explore_latents, invert = map(texts, outputs)
    assert "(24, 32, 32, 3)" in explore_data and "Every file could be used." in explore_data
    for network in ("dcgan", "dcgan_by_genre"):
        assert len(list((project / "data/06_models/sample" / network).rglob("generator.keras/*")))
    assert "did you mean 'batch_size'" in train
    assert "network.label" in compare and "Generator loss" in compare
    assert "Night Skies" in explore_latents and "Colour Fields → Still Lifes" in explore_latents
    # The generator is one that comes with Ganvas.
    assert "classes: ['Night Skies', 'Still Lifes']" in invert
    film = project / "data/07_model_output/sample/pretrained/films/film.webp"
    assert count_frames_in(film, "webp") == 96
    assert [len(images(output)) for output in outputs] == [5, 4, 2, 7, 3]
    # An empty figure has one color.
    assert all(image.std() > 5 for output in outputs for image in images(output))
    # The notebook that compares runs also works with a single one.
    first, *others = sorted((project / "data/08_reporting/leaderboard").iterdir())
    for file in others:
        if file.stem != first.stem:
            file.unlink()
    assert len(images(execute(FILES[2], project))) == 2


@pytest.mark.parametrize(
    "file", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda file: file.stem
)
def test_notebooks_are_stored_without_outputs(file):
    notebook = json.loads(file.read_text())
    nbformat.validate(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"] and cell["execution_count"] is None
        assert not cell["metadata"]
