"""Do the figures order spoilt images as a person would? And what do they cost at 50,000?

python benchmarks/judgment.py order PACKED [OTHER] [--count 400]
    PACKED, OTHER: folders `collection/` below data/03_primary/<dataset>. Prints a table: real
    images against others of the same collection, blurred, noisy, with shuffled patches, 20
    of them repeated, and images of the other collection.
python benchmarks/judgment.py scale [COUNT]
    Memory and time at COUNT × 2048 made-up features, and those of the naive way where it can.
python benchmarks/judgment.py likelihood [COUNT]
    Memory and time of a Parzen window of COUNT made-up images of 64×64 pixels.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from ganvas.datasets.packed_collection import CollectionDataset
from ganvas.metrics.extractors import load_extractor
from ganvas.metrics.features import extract
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.kid import kernel_distance, kernel_distance_subsets
from ganvas.metrics.pairwise import mean_pairwise_distance
from ganvas.metrics.parzen import parzen
from ganvas.metrics.prdc import compute_prdc

COLUMNS = ("FD", "KD × 1000", "precision", "recall", "density", "coverage", "diversity")


def blur(images: np.ndarray, width: float) -> np.ndarray:
    """Blur by a Gaussian of so many pixels."""
    soft = ImageFilter.GaussianBlur(width)
    return np.stack([np.asarray(Image.fromarray(image).filter(soft)) for image in images])


def add_noise(images: np.ndarray, deviation: float) -> np.ndarray:
    """Add normal noise of so many gray levels."""
    noise = np.random.default_rng(0).normal(0, deviation, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def shuffle_patches(images: np.ndarray, side: int) -> np.ndarray:
    """Cut each image into square patches and lay them in another order."""
    rng, (count, height, width, _) = np.random.default_rng(0), images.shape
    rows, columns = height // side, width // side
    patches = images.reshape(count, rows, side, columns, side, 3).swapaxes(2, 3)
    patches = patches.reshape(count, rows * columns, side, side, 3)
    patches = np.stack([each[rng.permutation(len(each))] for each in patches])
    patches = patches.reshape(count, rows, columns, side, side, 3).swapaxes(2, 3)
    return patches.reshape(images.shape)


def judge(real: np.ndarray, others: np.ndarray) -> list[float]:
    """Give one row of the table."""
    four = compute_prdc(real, others)
    distance = kernel_distance_subsets(real, others, 100, len(real) // 2, seed=0)[0]
    return [
        frechet_distance(real, others),
        1000 * distance,
        *four,
        mean_pairwise_distance(others),
    ]


def order(packed: str, other: str | None, most: int) -> None:
    """Print the table of spoilt images."""
    images = CollectionDataset(filepath=packed).load().images
    shuffled = np.random.default_rng(0).permutation(len(images))
    count = min(len(images) // 2, most)
    half, rest = (images[np.sort(each)] for each in (shuffled[:count], shuffled[count : 2 * count]))
    rows: dict[str, np.ndarray] = {
        "other images of the collection": rest,
        "blurred, σ = 1 pixel": blur(rest, 1),
        "blurred, σ = 2 pixels": blur(rest, 2),
        "noise, σ = 15 gray levels": add_noise(rest, 15),
        "noise, σ = 40 gray levels": add_noise(rest, 40),
        "patches of 32 pixels shuffled": shuffle_patches(rest, 32),
        "patches of 8 pixels shuffled": shuffle_patches(rest, 8),
        "20 images repeated": rest[np.arange(count) % 20],
    }
    if other:
        there = CollectionDataset(filepath=other).load().images
        rows["another collection"] = there[np.arange(count) % len(there)]
    for name in ("efficientnet_lite0", "efficientnet_lite2"):
        extractor = load_extractor(name)
        real = extract(extractor, half)
        print(f"\n{count} images a side, {name}\n\n| images | {' | '.join(COLUMNS)} |")
        print("|---|" + "---|" * len(COLUMNS))
        for title, others in rows.items():
            told = " | ".join(f"{value:.3g}" for value in judge(real, extract(extractor, others)))
            print(f"| {title} | {told} |", flush=True)


def naive_manifold(real: np.ndarray, others: np.ndarray) -> None:
    """The authors' way: all distances at once."""
    from prdc import compute_prdc

    compute_prdc(real, others, nearest_k=5)


def naive_frechet(real: np.ndarray, others: np.ndarray) -> None:
    """pytorch-fid's way: a root of a matrix."""
    from scipy.linalg import sqrtm

    sqrtm(np.cov(real, rowvar=False) @ np.cov(others, rowvar=False))


def scale(count: int) -> None:
    """Print time and peak memory of each figure at so many features, after the naive way's."""
    rng = np.random.default_rng(0)

    def timed(title: str, function: Callable, *arguments: np.ndarray) -> None:
        begun = time.perf_counter()
        function(*arguments)
        seconds = time.perf_counter() - begun
        print(f"{title}: {seconds:.1f} s, peak so far {peak():.2f} GB", flush=True)

    ours = {
        "Fréchet distance": frechet_distance,
        "kernel distance, all pairs": kernel_distance,
        "precision to coverage": compute_prdc,
        "diversity": lambda real, _: mean_pairwise_distance(real),
    }
    real, others = (rng.gamma(1, 0.5, (count, 2048)).astype(np.float32) for _ in range(2))
    for title, function in ours.items():
        timed(f"{count} × 2048, {title}", function, real, others)
    real, others = real[:5000], others[:5000]
    for title, function in ours.items():
        timed(f"5000 × 2048, {title}", function, real, others)
    timed("5000 × 2048, Fréchet distance, naive", naive_frechet, real, others)
    timed("5000 × 2048, precision to coverage, naive", naive_manifold, real, others)


def likelihood(count: int) -> None:
    """Print time and peak memory of a Parzen window on 1,000 images, chosen on 1,000 others."""
    rng = np.random.default_rng(0)
    samples, validation, test = (
        rng.integers(0, 256, (number, 64, 64, 3), dtype=np.uint8) for number in (count, 1000, 1000)
    )
    before = peak()
    begun = time.perf_counter()
    found = parzen(samples, validation, test)
    print(
        f"{count} × 64 × 64 × 3: {time.perf_counter() - begun:.1f} s, peak {peak():.2f} GB, "
        f"{before:.2f} GB of it before; {found}"
    )


def peak() -> float:
    """Give the most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    ordering = commands.add_parser("order")
    ordering.add_argument("packed")
    ordering.add_argument("other", nargs="?")
    ordering.add_argument("--count", type=int, default=400)
    scaling = commands.add_parser("scale")
    scaling.add_argument("count", nargs="?", type=int, default=50_000)
    window = commands.add_parser("likelihood")
    window.add_argument("count", nargs="?", type=int, default=10_000)
    options = parser.parse_args()
    if options.command == "order":
        order(options.packed, options.other, options.count)
    else:
        {"scale": scale, "likelihood": likelihood}[options.command](options.count)


if __name__ == "__main__":
    main()
