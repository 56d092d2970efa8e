"""The notebooks, from first to last in one small project, and as git keeps them."""

import base64
import io
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from nbclient import NotebookClient
from PIL import Image

from projects import DCGAN, ROOT, TINY, make_project

FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Kedro prints values in colors.
COLOR = re.compile(r"\x1b\[[\d;]*m")


def write_parameters(file: Path) -> None:
    """Write the tiny size where people keep what is theirs alone."""
    tree: dict = {}
    for key, value in (TINY | DCGAN).items():
        *parents, last = key.split(".")
        place = tree
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = yaml.safe_load(value) if isinstance(value, str) else value
    file.write_text(yaml.safe_dump(tree))


def execute(file: Path, project: Path) -> list[nbformat.NotebookNode]:
    """Execute a notebook in a project; give the outputs of its cells."""
    book = nbformat.read(file, as_version=4)
    where = {"metadata": {"path": str(project / "notebooks")}}
    NotebookClient(book, timeout=300, resources=where).execute()
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def texts(outputs: list[nbformat.NotebookNode]) -> str:
    found = [output.get("text") or output.data.get("text/plain", "") for output in outputs]
    return COLOR.sub("", "\n".join(found))


def images(outputs: list[nbformat.NotebookNode]) -> list[np.ndarray]:
    found = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB")) for each in found
    ]


def test_notebooks_lead_from_images_to_the_latent_space(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", str(ROOT / "conf/logging.yml"))
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    project = make_project(tmp_path)
    (project / "notebooks").mkdir()
    write_parameters(project / "conf/local/parameters.yml")
    outputs = [execute(file, project) for file in FILES]
    look, train, compare, explore = map(texts, outputs)
    assert "(24, 32, 32, 3)" in look and "Every file could be used." in look
    for network in ("dcgan", "dcgan_by_genre"):
        assert len(list((project / "data/06_models/sample" / network).rglob("generator.keras/*")))
    assert "did you mean 'batch_size'" in train
    assert "network.label" in compare and "Generator loss" in compare
    assert "Night Skies" in explore and "Colour Fields → Still Lifes" in explore
    assert [len(images(each)) for each in outputs] == [5, 4, 2, 7]
    # A figure that nothing was drawn on has one color.
    assert all(image.std() > 5 for each in outputs for image in images(each))
    # A run alone has nothing to be compared with, and is shown all the same.
    first, *others = sorted((project / "data/08_reporting/leaderboard").iterdir())
    for file in others:
        if file.stem != first.stem:
            file.unlink()
    assert len(images(execute(FILES[2], project))) == 2


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_git_keeps_no_outputs(file):
    book = json.loads(file.read_text())
    nbformat.validate(book)
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"] and cell["execution_count"] is None
        assert not cell["metadata"]
