"""Measure how near inversion comes to images, how long it takes, and whether memory stays flat.

python benchmarks/inversion.py distances GENERATOR [PACKED] [--count 200] [--sheet sheet.png]
    GENERATOR: a .keras file; PACKED: a folder `collection/` below data/03_primary/<dataset>. Prints
    the distances of generated images, whose latents are known, and of the collection's validation
    images, beside those of their nearest and of random training images.
python benchmarks/inversion.py memory GENERATOR [--count 500]
    Inverts batches of 1 to 20 images, and prints the memory of the process as it goes.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import psutil

from ganvas.arrays import SelectedImages
from ganvas.ingestion.collection import open_collection
from ganvas.latents.fit_encoder import fit_encoder
from ganvas.latents.inversion import STEPS, Inversion, Inverter
from ganvas.networks.image_encoder import encode, from_arrays
from ganvas.networks.latent_spaces import generate_from_w, map_to_w
from ganvas.networks.sampling import sample_latents
from ganvas.saved_arrays import read_arrays
from ganvas.visualization.image_grid import make_grid_of_rows, write_png
from ganvas.visualization.reduced_images import as_cells

# Images on a sheet, and training images whose distance is computed.
SHEET, COMPARED = 16, 4


def open_inverter(file: Path) -> Inverter:
    """Return the inverter of a saved generator, with the encoder beside it or a fitted one."""
    generator = keras.models.load_model(file, compile=False)
    version = file.parent.name
    beside = file.parent / "encoder.npz", file.parents[2] / f"encoder.npz/{version}/encoder.npz"
    found = [path for path in beside if path.is_file()]
    if found:
        return Inverter(generator, from_arrays(read_arrays(found[0])))
    started = time.monotonic()
    encoder = fit_encoder(generator)
    print(f"fitted an encoder in {time.monotonic() - started:.0f} s")
    return Inverter(generator, encoder)


def whiten(inverter: Inverter, w: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return coordinates in which the generator's latents have unit variance, (N, values)."""
    return ((w - inverter._mean(labels)) @ inverter._inverse.T).reshape(len(w), -1)


def draw_generated(inverter: Inverter, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return w, labels and images of a seed."""
    labels = inverter.label_rows[np.arange(count) % len(inverter.label_rows)]
    w = map_to_w(inverter.generator, sample_latents(inverter.generator, count, 0), labels)
    return w, labels, generate_from_w(inverter.generator, w, labels)


def describe(name: str, pixels: np.ndarray, features: np.ndarray, more: str = "") -> None:
    """Print medians of distances."""
    print(
        f"{name:28} pixels {np.median(pixels):.4f}  features {np.median(features):.4f}{more}",
        flush=True,
    )


def invert(inverter: Inverter, name: str, images: np.ndarray, steps: int) -> Inversion:
    """Invert images, and print distances and seconds."""
    started = time.monotonic(), time.process_time()
    found = inverter.invert(images, steps=steps)
    describe(f"{name}, {steps} steps", *found[3:], f"  {describe_time(started, len(images))}")
    return found


def describe_time(started: tuple[float, float], count: int) -> str:
    """Return the time an image takes, and that of all cores, whatever else they run."""
    wall, cpu = time.monotonic() - started[0], time.process_time() - started[1]
    return f"{wall / count:.2f} s an image ({cpu / count:.2f} CPU-seconds)"


def measure_distances(file: Path, packed: Path | None, count: int, sheet: Path | None) -> None:
    """Print distances of generated and validation images, and draw some of them."""
    inverter = open_inverter(file)
    w, labels, generated = draw_generated(inverter, count)
    rows = [generated]
    for steps in (0, STEPS):
        found = invert(inverter, "generated", generated, steps)
        rows.append(found.images)
        pairs = zip(whiten(inverter, found.w, labels), whiten(inverter, w, labels), strict=True)
        correlations = [np.corrcoef(*pair)[0, 1] for pair in pairs]
        same = (found.labels == labels).all(axis=1).mean()
        print(f"    median correlation of latents {np.median(correlations):.3f}, class {same:.0%}")
    inverter.invert(generated[:1])  # which compiles
    started = time.monotonic(), time.process_time()
    for number in range(3):
        inverter.invert(generated[number : number + 1])
    print(f"    alone: {describe_time(started, 3)}")
    if packed:
        rows += compare_real(inverter, packed, count)
    if sheet:
        write_png(sheet, make_grid_of_rows([as_cells(row[:SHEET]) for row in rows]))


def compare_real(inverter: Inverter, packed: Path, count: int) -> list[np.ndarray]:
    """Print distances of validation images; return them, what was found, and the nearest."""
    collection = open_collection(packed)
    real = collection.images[np.sort(collection.shuffled("validation")[:count])]
    rows = [real, *(invert(inverter, "validation", real, steps).images for steps in (0, STEPS))]
    positions = collection.split("train")
    training = SelectedImages(collection.images, positions)
    codes = [encode(inverter.encoder, x).reshape(len(x), -1) for x in (training, real)]
    nearest, distances = np.empty_like(real), np.empty((2, len(real)), np.float32)
    for number, code in enumerate(codes[1]):
        candidates = training[np.square(codes[0] - code).sum(axis=1).argsort()[:COMPARED]]
        both = np.stack(inverter.distances(candidates, real[[number] * len(candidates)]))
        best = both[1].argmin()
        nearest[number], distances[:, number] = candidates[best], both[:, best]
    describe("nearest training image", *distances)
    random = collection.images[np.random.default_rng(0).choice(positions, len(real))]
    describe("random training image", *inverter.distances(random, real))
    return [*rows, nearest]


def measure_memory(file: Path, count: int) -> None:
    """Print the memory after each fifth of some inversions."""
    inverter = open_inverter(file)
    _, _, images = draw_generated(inverter, 20)
    process, rng, reported = psutil.Process(), np.random.default_rng(0), 0
    for number in range(count):
        size = int(rng.choice([1, 1, 1, 2, 7, 20]))
        inverter.invert(images[:size], steps=2)
        if number * 5 // count >= reported:
            reported += 1
            print(f"after {number + 1:4} calls: {process.memory_info().rss / 2**20:,.0f} MB")
    print(f"after {count:4} calls: {process.memory_info().rss / 2**20:,.0f} MB")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    distances = commands.add_parser("distances")
    distances.add_argument("generator", type=Path)
    distances.add_argument("packed", type=Path, nargs="?")
    distances.add_argument("--count", type=int, default=200)
    distances.add_argument("--sheet", type=Path)
    memory = commands.add_parser("memory")
    memory.add_argument("generator", type=Path)
    memory.add_argument("--count", type=int, default=500)
    options = parser.parse_args()
    if options.command == "memory":
        measure_memory(options.generator, options.count)
    else:
        measure_distances(options.generator, options.packed, options.count, options.sheet)


if __name__ == "__main__":
    main()
