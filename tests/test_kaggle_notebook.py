"""The notebook for Kaggle and Colab installs the wheel and trains on the collection's layout."""

import io
import json
import zipfile

import nbformat
import pytest
from nbclient import NotebookClient

from hubs import artworks_archive
from projects import DCGAN, ROOT, TINY, build_wheel

FILE = ROOT / "notebooks/kaggle_colab.ipynb"
OPTIONS = {
    **{key: value for key, value in (TINY | DCGAN).items() if not key.startswith("ingest.source")},
    "train.epochs": 1,
    "ingest.validation_share": 0.3,
}


@pytest.mark.exhaustive
@pytest.mark.slow
def test_it_trains_on_the_mounted_collection(tmp_path, monkeypatch):
    # What Kaggle mounts: a data set with the packaged project, and the collection.
    mounted = tmp_path / "input"
    build_wheel(mounted / "ganvas")
    with zipfile.ZipFile(io.BytesIO(artworks_archive())) as archive:
        archive.extractall(mounted / "best-artworks-of-all-time")
    # All requirements are installed, and this environment must not change: pip only unpacks the
    # wheel into a folder that comes before what is installed.
    for name, value in {"TARGET": tmp_path / "site", "NO_DEPS": 1, "NO_INDEX": 1}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    working = tmp_path / "working"
    working.mkdir()
    source = FILE.read_text()
    chosen = ",".join(f"{key}={value}" for key, value in OPTIONS.items())
    for old, new in {"/kaggle/input": str(mounted), "train.max_minutes=120": chosen}.items():
        assert source.count(old) == 1
        source = source.replace(old, new)
    notebook = nbformat.reads(source, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(working)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    # The installed wheel ran, not the code beside this test.
    assert (tmp_path / "site/ganvas/__main__.py").is_file()
    assert "/best-artworks-of-all-time" in printed and "There is no GPU" in printed
    kept = (working / "kept.txt").read_text()
    assert {line.partition("==")[0] for line in kept.splitlines()} >= {"tensorflow", "keras"}
    (page,) = [
        output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})
    ]
    assert "<iframe srcdoc=" in page and "artworks" in page
    files = zipfile.ZipFile(working / "generator.zip").namelist()
    assert any(name.endswith("/generator.keras") for name in files) and "model_card.md" in files


def test_it_keeps_what_the_machine_brings():
    """TensorFlow is never upgraded, nor named in an installation."""
    cells = json.loads(FILE.read_text())["cells"]
    commands = [line for cell in cells for line in cell["source"] if line.startswith("!")]
    (install,) = [line for line in commands if " pip install " in line]
    assert "--constraint kept.txt" in install and "--upgrade" not in install
