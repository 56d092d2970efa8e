"""Compare the speed of ingestion with OpenCV and pyvips, on enlarged copies of real images.

    python benchmarks/ingestion.py FOLDER [--count 400] [--sizes 64 128] [--rounds 3] [--workers 2]

FOLDER holds JPEG images; up to `count` of them are first enlarged to about 1500×1200 pixels, as
JPEG of quality 90 in a temporary folder. Each round packs them by `pack`, which also hashes, finds
duplicates and writes shards and index, and then reads them by each of the others in as many
processes, which are forked from this one and return arrays. Opponents that are not installed are
left out.

Prints of each round images per second, the CPU-seconds of a thousand images, and how many times as
fast as each opponent ingestion was; at the end the mean absolute difference of the images from
Lanczos resampling of fully decoded ones.
"""

import argparse
import logging
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ganvas.ingestion.file_index import FILE_STATS, list_files, make_skipped
from ganvas.ingestion.packing import PackParams, pack

try:
    import cv2
except ImportError:
    cv2 = None
try:
    import pyvips
except (ImportError, OSError):
    pyvips = None

AREA = 1500 * 1200
# Files that a process of an opponent takes at once.
CHUNK = 16


def enlarge(folder: Path, raw: Path, count: int) -> None:
    """Write copies of the same aspect ratios with about 1.8 million pixels each."""
    files = sorted(path for path in folder.rglob("*.jpg") if path.is_file())
    for number, file in enumerate(islice(files[:: max(1, len(files) // count)], count)):
        with Image.open(file) as image:
            scale = (AREA / (image.width * image.height)) ** 0.5
            size = round(image.width * scale), round(image.height * scale)
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        large.save(raw / f"{number:05d}.jpg", quality=90)


def read_by_lanczos(file: Path, size: int) -> np.ndarray:
    """Resize the center square of a fully decoded image: the reference."""
    with Image.open(file) as image:
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        small = image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.array(small)


def read_by_opencv(file: Path, size: int) -> np.ndarray:
    """Decode at the smallest scale that is no smaller than the result, and average areas."""
    flags = {
        8: cv2.IMREAD_REDUCED_COLOR_8,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        1: cv2.IMREAD_COLOR,
    }
    # All images have about the same size; that of one with an aspect ratio up to 2 is enough.
    scale = next(scale for scale in flags if (AREA / 2) ** 0.5 / scale >= size or scale == 1)
    image = cv2.imread(str(file), flags[scale])
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    small = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)


def read_by_pyvips(file: Path, size: int) -> np.ndarray:
    """Make a thumbnail of the center square."""
    thumbnail = pyvips.Image.thumbnail(str(file), size, height=size, crop="centre")
    return thumbnail.numpy()


def read_all(read: Callable, files: list[Path], size: int, workers: int) -> np.ndarray:
    """Read all images by processes, which are forked since those of other methods start later."""
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return np.stack(pool.map(partial(read, size=size), files, CHUNK))


def cpu_seconds() -> float:
    """Return the CPU-seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(name: str, run: Callable[[], np.ndarray], count: int) -> tuple[np.ndarray, float]:
    """Run once and print the speed; return the images and how many a second."""
    start, cpu = time.perf_counter(), cpu_seconds()
    images = run()
    rate = count / (time.perf_counter() - start)
    cost = (cpu_seconds() - cpu) / count * 1000
    print(f"  {name:7} {rate:6.1f} images/s, {cost:5.2f} CPU-seconds per 1000", flush=True)
    return images, rate


def compare(raw: Path, size: int, rounds: int, workers: int) -> None:
    """Measure ingestion and its opponents alternately, and print the results."""
    files = sorted(raw.iterdir())
    records = pd.DataFrame(sorted(list_files(raw)), columns=["path", *FILE_STATS])
    params = PackParams(size=size, workers=workers)

    def read_by_pack() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            collection = pack(records, make_skipped([], ""), raw, Path(folder) / "packed", params)
            # Copies would have been left out.
            paths = collection.index["path"].tolist()
            assert paths == [file.name for file in files], "two images are equal"
            return collection.images[np.arange(len(files))]

    runs = {"ours": read_by_pack}
    for name, module, read in (("OpenCV", cv2, read_by_opencv), ("pyvips", pyvips, read_by_pyvips)):
        if module is not None:
            runs[name] = partial(read_all, read, files, size, workers)
    reference = np.stack([read_by_lanczos(file, size) for file in files]).astype(int)
    ratios: dict[str, list[float]] = {name: [] for name in runs}
    distances = {}
    for number in range(rounds):
        print(f"{size}×{size} pixels, round {number + 1}:", flush=True)
        rates = {}
        for name, run in runs.items():
            images, rates[name] = measure(name, run, len(files))
            distances[name] = np.abs(images.astype(int) - reference).mean()
        for name in runs:
            ratios[name].append(rates["ours"] / rates[name])
    for name in runs:
        line = f"{name}: mean difference from Lanczos {distances[name]:.2f} gray levels"
        if name != "ours":
            each = ", ".join(f"{ratio:.2f}" for ratio in ratios[name])
            line += f"; ours is {statistics.median(ratios[name]):.2f} times as fast ({each})"
        print(line, flush=True)


def main() -> None:
    """Enlarge the images, and compare at each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    for name, module, package in (
        ("OpenCV", cv2, "opencv-python-headless"),
        ("pyvips", pyvips, "pyvips[binary]"),
    ):
        if module is None:
            print(f"{name} is left out, since it is not installed: pip install '{package}'.")
    if cv2 is not None:
        cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw"
        raw.mkdir()
        enlarge(options.folder, raw, options.count)
        for size in options.sizes:
            compare(raw, size, options.rounds, options.workers)


if __name__ == "__main__":
    main()
