"""The packaged project, a wheel and an archive of conf, runs in an empty folder."""

import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
from PIL import Image

from projects import DCGAN, TINY, build_wheel

# Runs the project and prints the paths of its modules.
RUN_AND_PRINT_MODULES = """
import sys
from ganvas.__main__ import main
try:
    main()
finally:
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "ganvas":
            print("imported", module.__spec__.origin)
"""
PARAMS = "--params=" + ",".join(
    f"{key}={value}"
    for key, value in (TINY | DCGAN | {"ingest.source.sample.images": 40}).items()
    if key != "train.epochs"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the installed wheel, beside which is the archive of conf."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder)
    install = ["-m", "pip", "install", "--no-deps", "--no-index", f"--target={folder / 'site'}"]
    subprocess.run([sys.executable, *install, str(wheel)], check=True, capture_output=True)
    return folder / "site"


def copy_conf(site: Path, folder: Path) -> Path:
    """Copy the archive of conf to an empty folder, and return that."""
    shutil.copy(site.parent / "conf-ganvas.tar.gz", folder)
    return folder


@pytest.fixture(scope="module")
def trained(site, tmp_path_factory) -> tuple[Path, str]:
    """The folder of a default run, and the run's output."""
    folder = copy_conf(site, tmp_path_factory.mktemp("empty"))
    options = ["--conf-source=conf-ganvas.tar.gz", PARAMS + ",train.epochs=1"]
    result = run(site, folder, "-c", RUN_AND_PRINT_MODULES, *options)
    assert result.returncode == 0, result.stdout
    return folder, result.stdout


def environment(site: Path) -> dict[str, str]:
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("COV_CORE")}
    return inherited | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}


def run(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(site),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=250,
    )


@pytest.mark.slow
def test_the_requirements_of_the_wheel_are_consistent(site):
    (wheel,) = site.parent.glob("ganvas-*.whl")
    # Everything is installed already, so pip only checks the versions.
    command = ["-m", "pip", "install", "--dry-run", "--no-index", str(wheel)]
    result = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_default_run_in_an_empty_folder_produces_a_report(site, trained):
    folder, output = trained
    modules = [line for line in output.splitlines() if line.startswith("imported ")]
    assert len(modules) > 50
    assert all(str(site) in module for module in modules), modules
    assert "No Kedro project" not in output
    report = (folder / "data/08_reporting/sample/dcgan/report.html").read_text()
    assert "<h1>sample · DCGAN · 32×32 pixels</h1>" in report
    assert f"ganvas --conf-source={folder.resolve()}/conf-ganvas.tar.gz --params=" in report
    for name in ("generator", "discriminator"):
        models = folder / "data/06_models/sample/dcgan"
        assert len(list(models.glob(f"{name}.keras/*/{name}.keras"))) == 1
    assert (folder / "data/06_models/sample/dcgan/model_card.md").is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["conf-ganvas.tar.gz", "data"]


@pytest.mark.exhaustive
def test_one_pipeline_runs_with_unpacked_conf(site, trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "data", tmp_path / "data")
    with tarfile.open(folder / "conf-ganvas.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    params = "--params=network.name=dcgan,network.label=null,sample.count=3"
    result = run(site, tmp_path, str(site / "bin" / "ganvas"), "--pipelines=sample", params)
    assert result.returncode == 0, result.stdout
    assert len(list((tmp_path / "data/07_model_output/sample/dcgan/samples").glob("*.png"))) == 4


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_preset_reads_images_from_the_working_folder(site, tmp_path):
    folder = copy_conf(site, tmp_path)
    command = ["-m", "ganvas", "--conf-source=conf-ganvas.tar.gz", "--env=celeba"]
    result = run(site, folder, *command)
    assert result.returncode == 1
    (message,) = [line for line in result.stdout.splitlines() if "does not exist" in line]
    assert message.startswith(f"Error: The folder {folder.resolve()}/data/01_raw")
    raw = folder / "data/01_raw/celeba/img_align_celeba"
    raw.mkdir(parents=True)
    for number in range(1, 6):
        Image.new("RGB", (64, 80), (number * 40, 20, 90)).save(raw / f"{number:06d}.jpg")
    result = run(site, folder, *command, "--pipelines=ingest")
    assert result.returncode == 0, result.stdout
    assert (folder / "data/03_primary/celeba/collection/manifest.json").is_file()


@pytest.mark.exhaustive
def test_the_gallery_serves_the_models_of_the_working_folder(site, trained):
    folder, _ = trained
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", "ganvas", "gallery", f"--port={port}"]
    server = subprocess.Popen(
        command, cwd=folder, env=environment(site), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        page = fetch_when_open(f"http://127.0.0.1:{port}/", server)
        assert "dcgan" in page
        assert "{" in fetch_when_open(f"http://127.0.0.1:{port}/static/gallery.css", server)
        pretrained = fetch_when_open(f"http://127.0.0.1:{port}/?model=sample/pretrained", server)
        assert "Pretrained sample generator" in pretrained and "Night Skies" in pretrained
    finally:
        server.terminate()
        server.communicate()


def fetch_when_open(url: str, server: subprocess.Popen) -> str:
    for _ in range(600):
        assert server.poll() is None, server.communicate()[0].decode()
        try:
            return urllib.request.urlopen(url, timeout=20).read().decode()
        except HTTPError:
            raise
        except URLError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer.")
