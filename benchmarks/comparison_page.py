"""Time the comparison page with many runs: `python benchmarks/comparison_page.py [--runs 500]`.

Makes up a leaderboard, renders the page by the node of `kedro run --pipelines=compare`, and opens
it in headless Chromium, after a page of nothing has started the browser. Prints the seconds of
rendering, the megabytes of the page, and the milliseconds until its document is ready
(DOMContentLoaded) and until its table is painted.
"""

import argparse
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ganvas.datasets.leaderboard import EntriesDataset, LeaderboardDataset
from ganvas.pipelines.compare.nodes import write_comparison
from ganvas.pipelines.evaluate.metric_entry import metric_entry

# Classes and columns of a grid, and pixels between its images.
ROWS, COLUMNS, GAP = 8, 8, 2
METRICS = {
    "frechet_distance": ("Fréchet distance (FD-efficientnet_lite2)", 95, 34.5),
    "kernel_distance": ("Kernel distance (KD-efficientnet_lite2)", 0.034, -0.0009),
    "precision": ("Precision", 0.32, 0.99),
    "recall": ("Recall", 0.4, 0.99),
    "density": ("Density", 0.18, 1.06),
    "coverage": ("Coverage", 0.27, 0.99),
    "diversity": ("Diversity", 15, 15.4),
    "class_diversity_pixels": ("Diversity within classes, in pixels", 0.8, 0.96),
    "loss_g": ("Generator loss", 2, None),
    "loss_d": ("Discriminator loss", 1.2, None),
    "real_score": ("Score of real images", 0.7, None),
    "fake_score": ("Score of generated images", 0.3, None),
}
CHOICES: dict[str, list[Any]] = {
    "train.batch_size": [16, 32, 64],
    "train.generator_learning_rate": [0.001, 0.0005, 0.0002],
    "train.ema_decay": [0.998, 0.999],
    "train.loss.name": ["hinge", "least_squares", "relativistic"],
}


def make_entry(number: int, parameters: int = 100, points: int = 200) -> dict[str, Any]:
    """Make up the leaderboard entry of a run; three runs in a row differ in their seed alone."""
    rng = np.random.default_rng(number)
    network = ["projected", "dcgan", "r3gan"][number // 3 % 3]
    dataset = "sample" if number % 90 < 60 else "wikiart_by_style"
    protocol = "N=256 a side, training split, features of efficientnet_lite2, seed 0"
    count = "N=500 generated and 512 training images; seed 0"
    settings = {key: values[number // 9 % len(values)] for key, values in CHOICES.items()}
    epochs = int(rng.integers(50, 400))
    x = np.linspace(0, 1, min(points, epochs))
    shapes = {
        "loss_g": 1 + 3 * np.exp(-5 * x),
        "loss_d": 1 + np.exp(-3 * x),
        "real_score": 0.5 + 0.3 * x,
        "fake_score": 0.5 - 0.2 * x,
        "kernel_distance": 0.03 + 0.3 * np.exp(-4 * x),
        "diversity": 1 - np.exp(-6 * x),
        "class_diversity": 0.9 - 0.9 * np.exp(-5 * x),
        "novelty": 0.6 + 0.1 * x,
    }
    curves = {key: line + rng.normal(0, 0.03, len(x)) for key, line in shapes.items()}
    curves["epoch"] = np.round(1 + x * (epochs - 1))
    curves["images_seen"], curves["minutes"] = curves["epoch"] * 512, curves["epoch"] / 15
    return {
        "run": f"{dataset}-{network}-2026-{1 + number // 28:02d}-{1 + number % 28:02d}T09.14.31",
        "dataset": dataset,
        "extractor": "efficientnet_lite2" if number % 7 else "inception",
        "network": network,
        "started": f"2026-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}T09.14.31",
        "epochs": epochs,
        "images_seen": epochs * 512,
        "minutes": epochs / 15,
        "seed": number % 3,
        "version": "0.1.0",
        "ended_by": "steps",
        "model_version": "2026-01-01T09.14.31.000Z",
        "command": f"kedro run --params=network.name={network},train.seed={number % 3}",
        "parameters": {
            "ingest.size": 64,
            "network.name": network,
            "network.label": "genre",
            f"network.{network}.latent": 100,
            "train.seed": number % 3,
        }
        | settings
        | {f"train.group.parameter_{place}": place for place in range(parameters)},
        "metrics": {
            key: metric_entry(
                title,
                value * (1 + rng.gamma(2, 0.2)),
                count if key == "class_diversity_pixels" else protocol,
                real=real,
            )
            for key, (title, value, real) in METRICS.items()
        },
        "history": {key: line.tolist() for key, line in curves.items()},
    }


def make_grid_image(number: int, side: int = 64) -> np.ndarray:
    """Draw a grid of blobs of color in the layout of the leaderboard's grids."""
    rng = np.random.default_rng(number)
    size = ROWS * (side + GAP) + GAP
    grid = np.full((size, size, 3), 255, np.uint8)
    y, x = np.mgrid[0:side, 0:side] / side
    for place in range(ROWS * COLUMNS):
        row, column = divmod(place, COLUMNS)
        hue = rng.random(3) * (row + 1) / ROWS
        wave = np.sin(2 * math.pi * (rng.random() + x * (1 + row) + y * rng.normal(0, 2)))
        noise = rng.normal(0, 0.04, (side, side))
        image = np.clip(hue + (0.3 * wave + noise)[..., None] * rng.random(3), 0, 1)
        top, left = GAP + row * (side + GAP), GAP + column * (side + GAP)
        grid[top : top + side, left : left + side] = (255 * image).astype(np.uint8)
    return grid


def write_leaderboard(folder: Path, runs: int, side: int = 64) -> tuple[dict, dict]:
    """Save made-up runs and their grids; return what the catalog would load of them."""
    saved = {"dataset": "ganvas.datasets.atomic.AtomicJSONDataset", "filename_suffix": ".json"}
    entries = LeaderboardDataset(path=str(folder), **saved)
    images = {"dataset": "ganvas.datasets.images.ImageDataset", "filename_suffix": ".png"}
    grids = EntriesDataset(path=str(folder), **images)
    for number in range(runs):
        entry = make_entry(number)
        name = f"{entry['run']}-{number}"
        entries.save({name: entry | {"run": name}})
        # Drawing takes longer than what is measured.
        grids.save({name: make_grid_image(number % 20, side)})
    return entries.load(), grids.load()


def time_page(page: Path) -> dict[str, float]:
    """Return the milliseconds until the document is ready, and until its table is painted."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,900"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get("about:blank")
        driver.get(page.as_uri())
        # Two frames after loading, what the script has drawn is on the screen.
        painted = driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))"
        )
        timing = driver.execute_script(
            "const [n] = performance.getEntriesByType('navigation');"
            "const [p] = performance.getEntriesByName('first-contentful-paint');"
            "return [n.domContentLoadedEventEnd, n.loadEventEnd, p ? p.startTime : 0,"
            "document.querySelectorAll('#runs tbody tr:not(.group)').length]"
        )
    finally:
        driver.quit()
    names = ("ready", "loaded", "first paint", "rows")
    return dict(zip(names, timing, strict=True)) | {"two frames later": painted}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--side", type=int, default=64, help="side of a generated image in pixels")
    parser.add_argument("--keep", type=Path, help="folder for the page; by default a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.keep or Path(temporary)
        board = write_leaderboard(place / "leaderboard", arguments.runs, arguments.side)
        start = time.perf_counter()
        file = place / "comparison.html"
        file.write_text(write_comparison(*board))
        print(f"rendering: {time.perf_counter() - start:.1f} s")
        print(f"page: {file.stat().st_size / 1e6:.1f} MB")
        if not shutil.which("chromedriver"):
            sys.exit("There is no browser to open it: install chromium and chromium-driver.")
        for name, value in time_page(file).items():
            print(f"{name}: {value:,.0f}" + (" ms" if name != "rows" else ""))
