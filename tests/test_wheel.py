"""The packaged project: a wheel and an archive of conf, run in an empty folder."""

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

from projects import DCGAN, ROOT, TINY

# Runs the project, and tells where its modules came from.
TELLING = """
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
    """A folder with the installed wheel, and beside it the archive of conf."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", source / "src", ignore=left)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = ["-m", "build", "--wheel", "--no-isolation", f"--outdir={folder}", str(source)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("ganvas-*.whl")
    install = ["-m", "pip", "install", "--no-deps", "--no-index", f"--target={folder / 'site'}"]
    subprocess.run([sys.executable, *install, str(wheel)], check=True, capture_output=True)
    # As `kedro package` makes it.
    with tarfile.open(folder / "conf-ganvas.tar.gz", "w:gz") as archive:
        archive.add(
            ROOT / "conf",
            "conf",
            filter=lambda each: None if each.name.startswith("conf/local/") else each,
        )
    return folder / "site"


def make_empty(site: Path, folder: Path) -> Path:
    """Give a folder with nothing in it but the archive."""
    shutil.copy(site.parent / "conf-ganvas.tar.gz", folder)
    return folder


@pytest.fixture(scope="module")
def trained(site, tmp_path_factory) -> tuple[Path, str]:
    """A folder that was empty before the default run, and what that said."""
    folder = make_empty(site, tmp_path_factory.mktemp("empty"))
    packed = ["--conf-source=conf-ganvas.tar.gz", PARAMS + ",train.epochs=1"]
    done = run(site, folder, "-c", TELLING, *packed)
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


def environment(site: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COV_CORE")}
    return kept | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}


def run(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(site),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=250,
    )


def test_what_the_wheel_asks_for_can_be_installed_together(site):
    (wheel,) = site.parent.glob("ganvas-*.whl")
    # Here everything is installed already, so pip has but to find no contradiction.
    command = ["-m", "pip", "install", "--dry-run", "--no-index", str(wheel)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_default_run_in_an_empty_folder_leads_to_a_report(site, trained):
    empty, said = trained
    places = [line for line in said.splitlines() if line.startswith("imported ")]
    assert len(places) > 50
    assert all(str(site) in place for place in places), places
    assert "No Kedro project" not in said
    report = (empty / "data/08_reporting/sample/dcgan/report.html").read_text()
    assert "<h1>sample, painted by dcgan</h1>" in report
    assert f"ganvas --conf-source={empty.resolve()}/conf-ganvas.tar.gz --params=" in report
    for name in ("generator", "discriminator"):
        models = empty / "data/06_models/sample/dcgan"
        assert len(list(models.glob(f"{name}.keras/*/{name}.keras"))) == 1
    assert (empty / "data/06_models/sample/dcgan/model_card.md").is_file()
    assert sorted(path.name for path in empty.iterdir()) == ["conf-ganvas.tar.gz", "data"]


def test_one_pipeline_with_unpacked_conf(site, trained, tmp_path):
    empty, _ = trained
    shutil.copytree(empty / "data", tmp_path / "data")
    with tarfile.open(empty / "conf-ganvas.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    count = "--params=network.name=dcgan,network.label=null,sample.count=3"
    done = run(site, tmp_path, str(site / "bin" / "ganvas"), "--pipelines=sample", count)
    assert done.returncode == 0, done.stdout
    assert len(list((tmp_path / "data/07_model_output/sample/dcgan/samples").glob("*.png"))) == 4


def test_a_preset_reads_its_images_below_the_working_folder(site, tmp_path):
    empty = make_empty(site, tmp_path)
    words = ["-m", "ganvas", "--conf-source=conf-ganvas.tar.gz", "--env=celeba"]
    failed = run(site, empty, *words)
    assert failed.returncode == 1
    told = [line for line in failed.stdout.splitlines() if "does not exist" in line]
    assert len(told) == 1 and told[0].startswith(f"Error: The folder {empty.resolve()}/data/01_raw")
    raw = empty / "data/01_raw/celeba/img_align_celeba"
    raw.mkdir(parents=True)
    for number in range(1, 6):
        Image.new("RGB", (64, 80), (number * 40, 20, 90)).save(raw / f"{number:06d}.jpg")
    done = run(site, empty, *words, "--pipelines=ingest")
    assert done.returncode == 0, done.stdout
    assert (empty / "data/03_primary/celeba/collection/manifest.json").is_file()


def test_the_gallery_shows_the_working_folder(site, trained):
    empty, _ = trained
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ganvas", "gallery", f"--port={port}"]
    server = subprocess.Popen(
        command, cwd=empty, env=environment(site), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        page = fetch_when_open(f"http://127.0.0.1:{port}/", server)
        assert "dcgan" in page
        assert "{" in fetch_when_open(f"http://127.0.0.1:{port}/static/gallery.css", server)
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
