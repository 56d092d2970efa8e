"""Check that metrics rank degraded images as expected, and measure their cost at 50,000 images.

python benchmarks/metric_sanity.py order PACKED [OTHER] [--count 400]
    PACKED, OTHER: folders `collection/` below data/03_primary/<dataset>. Prints a table of metrics
    between real images and other images of the same collection, as they are, blurred, noisy, with
    shuffled patches and 20 of them repeated, and images of the other collection.
python benchmarks/metric_sanity.py repetition MODEL PACKED [--column genre] [--count 62]
    Diversity within classes of a generator that repeats 1, 2, 4, 8 and 16 images of each class.
    MODEL: a folder with generator.keras and class_list.json, such as src/ganvas/pretrained/sample.
python benchmarks/metric_sanity.py scale [COUNT]
    Memory and time at COUNT × 2048 random features, and those of naive implementations at 5,000.
python benchmarks/metric_sanity.py likelihood [COUNT]
    Memory and time of the Parzen-window log-likelihood of COUNT random images of 64×64 pixels.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from ganvas.arrays import take
from ganvas.datasets.packed_collection import CollectionDataset
from ganvas.metrics.class_diversity import (
    class_distances,
    class_diversity,
    class_nearest_distances,
    count_common,
)
from ganvas.metrics.feature_extractors import compute_features, load_extractor
from ganvas.metrics.frechet import frechet_distance
from ganvas.metrics.kid import kernel_distance, kernel_distance_subsets
from ganvas.metrics.pairwise import (
    mean_image_distance,
    mean_nearest_distance,
    mean_nearest_image_distance,
    mean_pairwise_distance,
)
from ganvas.metrics.parzen import parzen
from ganvas.metrics.prdc import compute_prdc
from ganvas.networks.sampling import generate_images, one_hot, sample_latents

COLUMNS = ("FD", "KD × 1000", "precision", "recall", "density", "coverage", "diversity")


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blur images by a Gaussian with a standard deviation in pixels."""
    kernel = ImageFilter.GaussianBlur(sigma)
    return np.stack([np.asarray(Image.fromarray(image).filter(kernel)) for image in images])


def add_noise(images: np.ndarray, sigma: float) -> np.ndarray:
    """Add Gaussian noise with a standard deviation in gray levels."""
    noise = np.random.default_rng(0).normal(0, sigma, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def shuffle_patches(images: np.ndarray, side: int) -> np.ndarray:
    """Shuffle the square patches of each image."""
    rng, (count, height, width, _) = np.random.default_rng(0), images.shape
    rows, columns = height // side, width // side
    patches = images.reshape(count, rows, side, columns, side, 3).swapaxes(2, 3)
    patches = patches.reshape(count, rows * columns, side, side, 3)
    patches = np.stack([image[rng.permutation(len(image))] for image in patches])
    patches = patches.reshape(count, rows, columns, side, side, 3).swapaxes(2, 3)
    return patches.reshape(images.shape)


def compute_metrics(real: np.ndarray, others: np.ndarray) -> list[float]:
    """Compute the metrics of COLUMNS between two sets of features."""
    kernel, _ = kernel_distance_subsets(real, others, 100, len(real) // 2, seed=0)
    return [
        frechet_distance(real, others),
        1000 * kernel,
        *compute_prdc(real, others),
        mean_pairwise_distance(others),
    ]


def order(packed: str, other: str | None, max_count: int) -> None:
    """Print the metrics of degraded images."""
    images = CollectionDataset(filepath=packed).load().images
    shuffled = np.random.default_rng(0).permutation(len(images))
    count = min(len(images) // 2, max_count)
    reference = images[np.sort(shuffled[:count])]
    rest = images[np.sort(shuffled[count : 2 * count])]
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
        foreign = CollectionDataset(filepath=other).load().images
        rows["another collection"] = foreign[np.arange(count) % len(foreign)]
    for name in ("efficientnet_lite0", "efficientnet_lite2"):
        extractor = load_extractor(name)
        real = compute_features(extractor, reference)
        print(f"\n{count} images a side, {name}\n\n| images | {' | '.join(COLUMNS)} |")
        print("|---|" + "---|" * len(COLUMNS))
        for title, others in rows.items():
            metrics = compute_metrics(real, compute_features(extractor, others))
            cells = " | ".join(f"{value:.3g}" for value in metrics)
            print(f"| {title} | {cells} |", flush=True)


def repetition(model: str, packed: str, column: str, count: int) -> None:
    """Print the worst class's diversity of images generated from a few latents of each class."""
    collection = CollectionDataset(filepath=packed).load()
    generator = keras.models.load_model(Path(model, "generator.keras"))
    names = json.loads(Path(model, "class_list.json").read_text())["names"]
    training = np.flatnonzero(collection.index["split"] == "train")
    real_labels = pd.Categorical(collection.index[column].iloc[training], names).codes.astype(int)
    extractor = load_extractor("efficientnet_lite2")
    pixels = take(collection.images, training)
    real = (pixels, compute_features(extractor, pixels))
    measures = (
        (mean_image_distance, mean_nearest_image_distance),
        (mean_pairwise_distance, mean_nearest_distance),
    )
    labels = np.repeat(np.arange(len(names)), count)
    sizes = count_common(labels, real_labels)
    latents = sample_latents(generator, len(labels), 1)
    first = np.arange(len(labels)) // count * count
    print("latents a class, noise: all by features; diversity and nearest by pixels; by features")
    for repeated, noise in (*((k, 0.0) for k in (1, 2, 4, 8, 16, count)), (8, 0.1), (8, 0.3)):
        rng = np.random.default_rng(0)
        rows = (
            first
            + rng.permuted(np.resize(np.arange(repeated), (len(names), count)), axis=1).ravel()
        )
        noisy = latents[rows] + noise * rng.standard_normal(latents.shape, dtype=np.float32)
        images = generate_images(generator, noisy, one_hot(labels, len(names)))
        ours = (images, compute_features(extractor, images))
        values = [mean_pairwise_distance(ours[1]) / mean_pairwise_distance(real[1])]
        for x, y, (mean, nearest) in zip(ours, real, measures, strict=True):
            sides = ((x, labels), (y, real_labels))
            for shares in (
                class_diversity(*(class_distances(*side, mean) for side in sides)),
                class_diversity(*(class_nearest_distances(*s, sizes, nearest) for s in sides)),
            ):
                values.append(min(shares.values()))
        print(f"{repeated}, {noise}: {' '.join(f'{value:.2f}' for value in values)}")


def naive_prdc(real: np.ndarray, others: np.ndarray) -> None:
    """Compute PRDC as its authors do, with all distances in memory."""
    from prdc import compute_prdc

    compute_prdc(real, others, nearest_k=5)


def naive_frechet(real: np.ndarray, others: np.ndarray) -> None:
    """Compute the Fréchet distance as pytorch-fid does, by a matrix square root."""
    from scipy.linalg import sqrtm

    sqrtm(np.cov(real, rowvar=False) @ np.cov(others, rowvar=False))


def scale(count: int) -> None:
    """Print time and peak memory of each metric, and of naive implementations at 5,000 features."""
    rng = np.random.default_rng(0)

    def measure(title: str, function: Callable, *arguments: np.ndarray) -> None:
        start = time.perf_counter()
        function(*arguments)
        seconds = time.perf_counter() - start
        print(f"{title}: {seconds:.1f} s, peak so far {peak_memory():.2f} GB", flush=True)

    metrics = {
        "Fréchet distance": frechet_distance,
        "kernel distance, all pairs": kernel_distance,
        "PRDC": compute_prdc,
        "diversity": lambda real, _: mean_pairwise_distance(real),
    }
    real, others = (rng.gamma(1, 0.5, (count, 2048)).astype(np.float32) for _ in range(2))
    for title, function in metrics.items():
        measure(f"{count} × 2048, {title}", function, real, others)
    real, others = real[:5000], others[:5000]
    for title, function in metrics.items():
        measure(f"5000 × 2048, {title}", function, real, others)
    measure("5000 × 2048, Fréchet distance, naive", naive_frechet, real, others)
    measure("5000 × 2048, PRDC, naive", naive_prdc, real, others)


def likelihood(count: int) -> None:
    """Print time and peak memory of the Parzen-window log-likelihood of 1,000 images."""
    rng = np.random.default_rng(0)
    samples, validation, test = (
        rng.integers(0, 256, (number, 64, 64, 3), dtype=np.uint8) for number in (count, 1000, 1000)
    )
    before = peak_memory()
    start = time.perf_counter()
    result = parzen(samples, validation, test)
    print(
        f"{count} × 64 × 64 × 3: {time.perf_counter() - start:.1f} s, peak {peak_memory():.2f} "
        f"GB, {before:.2f} GB of it before; {result}"
    )


def peak_memory() -> float:
    """Return the peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    order_parser = commands.add_parser("order")
    order_parser.add_argument("packed")
    order_parser.add_argument("other", nargs="?")
    order_parser.add_argument("--count", type=int, default=400)
    scale_parser = commands.add_parser("scale")
    scale_parser.add_argument("count", nargs="?", type=int, default=50_000)
    repetition_parser = commands.add_parser("repetition")
    repetition_parser.add_argument("model")
    repetition_parser.add_argument("packed")
    repetition_parser.add_argument("--column", default="genre")
    repetition_parser.add_argument("--count", type=int, default=62)
    likelihood_parser = commands.add_parser("likelihood")
    likelihood_parser.add_argument("count", nargs="?", type=int, default=10_000)
    options = parser.parse_args()
    if options.command == "order":
        order(options.packed, options.other, options.count)
    elif options.command == "repetition":
        repetition(options.model, options.packed, options.column, options.count)
    else:
        {"scale": scale, "likelihood": likelihood}[options.command](options.count)


if __name__ == "__main__":
    main()
