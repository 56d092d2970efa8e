"""Compare the speed of ingestion with a naive loop, on enlarged copies of real images.

    python benchmarks/ingest.py FOLDER [--count 200] [--rounds 3] [--size 64]

FOLDER holds JPEG images; up to `count` of them are first enlarged to about 1500×1200 in a temporary
folder. Prints images per second of both, their ratio, and the mean distance of the packed images to
full-resolution Lanczos resampling.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ganvas.ingestion.file_index import FILE_STATS, list_files, make_skipped
from ganvas.ingestion.packing import PackParams, pack

AREA = 1500 * 1200


def enlarge(folder: Path, raw: Path, count: int) -> None:
    """Write copies of the same aspect ratios with about 1.8 million pixels each."""
    files = sorted(path for path in folder.rglob("*.jpg"))[:: max(1, 1978 // count)][:count]
    for number, file in enumerate(files):
        with Image.open(file) as image:
            scale = (AREA / (image.width * image.height)) ** 0.5
            size = round(image.width * scale), round(image.height * scale)
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        large.save(raw / f"{number:05d}.jpg", quality=90)


def naive_loop(raw: Path, size: int) -> np.ndarray:
    """Decode and resize one image after the other, as in many notebooks."""
    images = []
    for file in sorted(raw.iterdir()):
        image = Image.open(file).convert("RGB").resize((size, size))
        images.append(np.array(image))
    return np.stack(images)


def full_lanczos(raw: Path, size: int) -> np.ndarray:
    """Resize the center squares of fully decoded images: the reference for the packed ones."""
    images = []
    for file in sorted(raw.iterdir()):
        with Image.open(file) as image:
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
            small = image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS, box=box)
        images.append(np.array(small))
    return np.stack(images)


def main() -> None:
    """Enlarge the images, measure both alternately, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw"
        raw.mkdir()
        enlarge(options.folder, raw, options.count)
        files = sorted(list_files(raw))
        records = pd.DataFrame(files, columns=["path", *FILE_STATS])
        params = PackParams(size=options.size)
        for number in range(options.rounds):
            start = time.perf_counter()
            target = Path(scratch) / f"packed{number}"
            collection = pack(records, make_skipped([], ""), raw, target, params)
            ours = len(files) / (time.perf_counter() - start)
            start = time.perf_counter()
            naive_loop(raw, options.size)
            naive = len(files) / (time.perf_counter() - start)
            ratios.append(ours / naive)
            line = f"ours {ours:.1f} images/s, naive loop {naive:.1f}, ratio {ratios[-1]:.2f}"
            print(f"round {number + 1}: {line}", flush=True)
        reference = full_lanczos(raw, options.size)
        distance = np.abs(collection.images[:].astype(int) - reference).mean()
    print(f"ratio: median {statistics.median(ratios):.2f}")
    print(f"mean distance to full-resolution Lanczos: {distance:.2f} gray levels")


if __name__ == "__main__":
    main()
