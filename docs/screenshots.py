"""Take the screenshots of the README: `python docs/screenshots.py [--project FOLDER]`.

It opens the newest report in the project's data folder and the gallery of its newest generator in
Chromium, and saves the first screenful of each to docs/images/report.png and gallery.png. Run it
again when these pages have changed.
"""

import argparse
import io
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1200, 900
# A README is read on slow connections too.
MAX_BYTES = 300_000
SECONDS_TO_START = 180


def take_screenshots(report: str, gallery: str, folder: Path) -> None:
    """Save the first screenful of both pages as report.png and gallery.png.

    Args:
        report: URL of a report.
        gallery: URL of a gallery.
        folder: Folder to save to.
    """
    with _chromium() as driver:
        for url, name in ((report, "report.png"), (gallery, "gallery.png")):
            driver.get(url)
            # Interactive plots are drawn after the page has loaded.
            time.sleep(2)
            file = folder / name
            file.write_bytes(compress(driver.get_screenshot_as_png()))
            print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


def compress(png: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the PNG file with as many colors, of 256 at most, as fit into `max_bytes`.

    Raises:
        ValueError: Even 32 colors take more.
    """
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colors in (256, 128, 64, 32):
        stream = io.BytesIO()
        image.quantize(colors, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
        if stream.tell() <= max_bytes:
            return stream.getvalue()
    raise ValueError(f"The screenshot takes more than {max_bytes:,} bytes: take a smaller one.")


def find_newest_report(project: Path) -> Path:
    """Return the report of the run that finished last."""
    reports = list(project.glob("data/08_reporting/*/*/report.html"))
    if not reports:
        sys.exit(f"There is no report below {project / 'data'} yet: run `make run` first.")
    return max(reports, key=lambda report: report.stat().st_mtime)


@contextmanager
def serve_gallery(project: Path) -> Iterator[str]:
    """Start the gallery of a project on a free port; yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "kedro", "gallery", "--port", str(port)]
    server = subprocess.Popen(command, cwd=project)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=SECONDS_TO_START).close()
        except urllib.error.URLError:
            time.sleep(1)
        else:
            return
    sys.exit("The gallery did not start.")


@contextmanager
def _chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        light = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", light)
        yield driver
    finally:
        driver.quit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--project", type=Path, default=Path(__file__).parents[1], help="folder with data/ in it"
    )
    project = parser.parse_args().project.resolve()
    with serve_gallery(project) as gallery:
        take_screenshots(find_newest_report(project).as_uri(), gallery, IMAGES)
