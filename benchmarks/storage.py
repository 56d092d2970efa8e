"""Measure how large images are stored: formats, ingestion, and what training reads.

    python benchmarks/storage.py FOLDER … [--parts formats,ingest,pipeline] [--count 2000]

FOLDERs hold JPEG images, of any size. Two kinds of images are made from them in a temporary folder:
`smooth` ones are enlarged, so that they have less detail than photographs of their size, and
`detailed` ones are mosaics of parts that are not enlarged, which have more. Most real images lie
between.

- formats: bytes by raw bytes, and CPU time to encode and decode, of lossless WebP and PNG.
- ingest: `--count` smooth images of `--size`, packed raw and encoded: seconds, bytes on disk,
  memory that all processes hold at once, and whether the batches of an epoch are equal.
- pipeline: images a second that two cores deliver to training, beside what a GPU trains on.

CPU time does not depend on what else the machine does, as seconds do.
"""

import argparse
import contextlib
import hashlib
import io
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image

from ganvas.ingestion.collection import Collection
from ganvas.ingestion.encoded_shards import (
    WEBP_OPTIONS,
    EncodedImages,
    encode_pixels,
    write_encoded_shard,
)
from ganvas.ingestion.file_index import FILE_STATS, list_files, make_skipped
from ganvas.ingestion.packing import PackParams, pack
from ganvas.ingestion.shards import open_shards, write_shard

BATCH = 16
FORMATS = {
    **{f"WebP {m}": {"format": "WEBP", **WEBP_OPTIONS, "method": m} for m in (0, 1, 2, 4)},
    **{f"PNG {level}": {"format": "PNG", "compress_level": level} for level in (1, 6)},
}
# Seconds per 1,000 images by size, of one GPU: the fastest of the tables in the README of
# NVlabs/stylegan2-ada-pytorch (V100) and in docs/configs.md of NVlabs/stylegan3 (A100).
SECONDS = {
    "StyleGAN2-ADA, V100": {256: 21.6, 512: 72.5, 1024: 154.3},
    "StyleGAN3-T, A100": {256: 49.81, 512: 90.25, 1024: 156.91},
}
# 10,000 steps an hour of 8 images at 256, on one GPU (lucidrains/lightweight-gan, issue 89).
FASTGAN = {256: 10_000 * 8 / 3600}


def make_images(folders: list[Path], kind: str, size: int) -> Iterator[Image.Image]:
    """Yield RGB squares made of the images of folders."""
    found = sorted(file for folder in folders for file in folder.rglob("*.jpg"))
    files = itertools.cycle(np.random.default_rng(0).permutation(found))
    while True:
        if kind == "smooth":
            yield center(next(files)).resize((size, size), Image.Resampling.LANCZOS)
            continue
        mosaic = Image.new("RGB", (size, size))
        part = min(center(file).width for file in itertools.islice(files, 8))
        for top, left in itertools.product(range(0, size, part), repeat=2):
            mosaic.paste(center(next(files)), (left, top))
        yield mosaic


def center(file: Path) -> Image.Image:
    """Return the square in the center of an image."""
    with Image.open(file) as opened:
        image = opened.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def to_channels(image: Image.Image, channels: int) -> np.ndarray:
    """Return uint8 of shape (H, W, C); with alpha a disk on transparent white."""
    if channels == 1:
        return np.asarray(image.convert("L"))[..., None]
    pixels = np.asarray(image)
    if channels == 3:
        return pixels
    y, x = np.mgrid[-1 : 1 : 1j * image.height, -1 : 1 : 1j * image.width]
    alpha = (np.clip((1 - np.hypot(x, y)) * 20, 0, 1) * 255).astype(np.uint8)
    return np.dstack([np.where(alpha[..., None] > 0, pixels, 255), alpha]).astype(np.uint8)


def measure_formats(folders: list[Path]) -> None:
    """Print size and CPU time of each format."""
    print("\nkind      size channels format   bytes   encode   decode")
    for kind, (size, count), channels in itertools.product(
        ("smooth", "detailed"), ((256, 16), (512, 8), (1024, 4)), (3, 1, 4)
    ):
        made = itertools.islice(make_images(folders, kind, size), count)
        images = [Image.fromarray(np.squeeze(to_channels(image, channels))) for image in made]
        for name, options in FORMATS.items():
            start = time.process_time()
            encoded = [encode(image, options) for image in images]
            middle = time.process_time()
            for content in encoded:
                np.asarray(Image.open(io.BytesIO(content)))
            end = time.process_time()
            share = sum(map(len, encoded)) / (count * size * size * channels)
            times = [1000 * seconds / count for seconds in (middle - start, end - middle)]
            print(
                f"{kind:9} {size:4} {channels:8} {name:8} {share:5.3f} {times[0]:5.0f} ms "
                f"{times[1]:5.1f} ms",
                flush=True,
            )


def encode(image: Image.Image, options: dict) -> bytes:
    """Return the bytes of an image in a format."""
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


class Sampler(threading.Thread):
    """Samples CPU time and memory of this process and its children until `done` is set."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.memory, self.done = 0, threading.Event()
        self.before, self.cpu = sum(psutil.Process().cpu_times()[:2]), {}

    def run(self) -> None:
        """Sample."""
        while not self.done.wait(0.2):
            processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
            self.memory = max(self.memory, sum(map(anonymous_bytes, processes)))
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    self.cpu[process.pid] = sum(process.cpu_times()[:2])

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes, also of those that have ended."""
        return sum(self.cpu.values()) - self.before


def anonymous_bytes(process: psutil.Process) -> int:
    """Return the memory of a process without that of files, which may be given up any time."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def measure_ingestion(folders: list[Path], count: int, size: int) -> None:
    """Print seconds, bytes, memory and a hash of the batches of each storage."""
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary, "raw")
        raw.mkdir()
        # Larger than the packed images, as most sources are.
        made = make_images(folders, "smooth", size * 5 // 4)
        for number, image in enumerate(itertools.islice(made, count)):
            image.save(raw / f"{number:05d}.jpg", quality=90)
        records = pd.DataFrame(sorted(list_files(raw)), columns=["path", *FILE_STATS])
        print("\nstorage  images  seconds  CPU seconds  bytes on disk  memory")
        collections = {}
        for storage in ("raw", "encoded"):
            params = PackParams(size=size, storage=storage, workers=2, max_rejected_share=1)
            sampler, start = Sampler(), time.perf_counter()
            sampler.start()
            packed = Path(temporary, storage, "packed")
            collection = pack(records, make_skipped([], ""), raw, packed, params)
            seconds = time.perf_counter() - start
            sampler.done.set()
            sampler.join()
            total = sum(file.stat().st_size for file in packed.glob("images-*")) / 1e6
            memory = sampler.memory / 1e6
            print(
                f"{storage:8} {len(collection.images):6} {seconds:8.0f} "
                f"{sampler.cpu_seconds():11.0f} {total:11.0f} MB {memory:5.0f} MB",
                flush=True,
            )
            collections[storage] = collection
        # Last, since it imports TensorFlow, whose memory would be counted.
        for storage, collection in collections.items():
            print(f"batches of an epoch, {storage}: {hash_epoch(collection)}")


def hash_epoch(collection: Collection) -> str:
    """Return a hash of the batches of an epoch."""
    from ganvas.training.config import TrainParams
    from ganvas.training.dataset import TrainingSet, draw_batches

    data = TrainingSet(collection.images, collection.split("train"))
    digest, steps = hashlib.blake2b(digest_size=16), len(data.positions) // BATCH
    batches = draw_batches(data, 100, TrainParams(batch_size=BATCH))
    for arrays in itertools.islice(batches, steps):
        for array in arrays:
            digest.update(array.tobytes())
    return digest.hexdigest()


def measure_pipeline(folders: list[Path]) -> None:
    """Print what is delivered to training, and what GPUs need."""
    print("\nsize kind      storage  images a second  CPU ms an image  of two free cores")
    for (size, count), kind in itertools.product(
        ((256, 512), (512, 160), (1024, 64)), ("smooth", "detailed")
    ):
        made = itertools.islice(make_images(folders, kind, size), count)
        images = np.stack([np.asarray(image) for image in made])
        for storage in ("raw", "encoded"):
            with tempfile.TemporaryDirectory() as temporary:
                write(Path(temporary), images, storage)
                rate, cpu = measure_batches(Path(temporary))
            free = 2 / cpu
            print(
                f"{size:4} {kind:9} {storage:8} {rate:15.0f} {1000 * cpu:16.2f} {free:18.0f}",
                flush=True,
            )
    print("\nimages a second that a GPU trains on:")
    needs = {name: {size: 1000 / s for size, s in row.items()} for name, row in SECONDS.items()}
    for name, row in ({**needs, "FastGAN, one GPU": FASTGAN}).items():
        print(f"{name}: " + ", ".join(f"{size} px {rate:.1f}" for size, rate in row.items()))


def write(folder: Path, images: np.ndarray, storage: str) -> None:
    """Write a shard."""
    shape = images.shape[1:]
    if storage == "raw":
        write_shard(folder / "images-00000.npy", [images], shape)
        return
    contents = [encode_pixels(image) for image in images]
    lengths = np.array([len(content) for content in contents])
    encoded = EncodedImages(np.frombuffer(b"".join(contents), np.uint8), lengths)
    write_encoded_shard(folder / "images-00000.webps", [encoded], shape)


def measure_batches(folder: Path, seconds: float = 6) -> tuple[float, float]:
    """Return images a second and CPU seconds an image, through tf.data as in training."""
    from ganvas.training.config import TrainParams
    from ganvas.training.dataset import TrainingSet, draw_batches, make_dataset
    from ganvas.training.distribution import SINGLE_DEVICE

    images = open_shards(folder)
    data, params = TrainingSet(images, np.arange(len(images))), TrainParams(batch_size=BATCH)
    batches = iter(
        make_dataset(lambda share: draw_batches(data, 100, params, share=share), SINGLE_DEVICE)
    )
    # Those that were prefetched before the start would count as delivered in no time.
    for _ in range(4):
        next(batches)
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        next(batches)
        count += BATCH
    return count / (time.perf_counter() - start), (time.process_time() - cpu) / count


def main() -> None:
    """Measure the chosen parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--parts", default="formats,ingest,pipeline")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    parts = options.parts.split(",")
    if "formats" in parts:
        measure_formats(options.folders)
    if "ingest" in parts:
        measure_ingestion(options.folders, options.count, options.size)
    if "pipeline" in parts:
        measure_pipeline(options.folders)


if __name__ == "__main__":
    main()
