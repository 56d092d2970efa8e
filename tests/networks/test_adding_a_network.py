"""The example of docs/adding-a-network.md, executed in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PARAMS = (
    "ingest.size=32,ingest.source.sample.images=40,ingest.validation_share=0.3,train.epochs=1,"
    "train.batch_size=8,evaluate.count=16,evaluate.extractor=null"
)


@pytest.mark.exhaustive
def test_the_documented_network_trains_and_has_a_report(tmp_path):
    for name in ("conf", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, tmp_path / name)
    page = (ROOT / "docs" / "adding-a-network.md").read_text()
    file, parameters, line = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (command,) = re.findall(r"```sh\nkedro (.*?)\n```", page, flags=re.DOTALL)
    networks = tmp_path / "src" / "ganvas" / "networks"
    (networks / "tiles.py").write_text(file)
    with (networks / "config.py").open("a") as config:
        config.write(f"\n\n{parameters}")
    table = (networks / "__init__.py").read_text()
    table = table.replace("NETWORKS = {\n", "NETWORKS = {\n" + line)
    imported = "from ganvas.networks.config import TilesParams\n"
    (networks / "__init__.py").write_text(
        table.replace("\nclass Network(", f"{imported}\n\nclass Network(")
    )
    result = subprocess.run(
        [sys.executable, "-m", "kedro", *f"{command},{PARAMS}".split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    reporting = tmp_path / "data/08_reporting/sample/tiles_by_genre"
    assert "per class</h2>" in (reporting / "report.html").read_text()
    summary = json.loads((reporting / "training.json").read_text())
    assert summary["parameters"]["network"]["tiles"] == {"latent": 64, "width": 32}
