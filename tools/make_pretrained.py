"""Package the generator of a finished default run as the gallery's pretrained sample generator.

    kedro run --params=train.seed=0
    kedro run --pipelines=directions \\
        '--params=directions.measure=[brightness,contrast,saturation,warmth,sharpness,top_brightness]'
    python tools/make_pretrained.py [--project .]

Reads the newest default run on the sample collection below the project's data, and replaces
src/ganvas/pretrained/sample: the generator (EMA weights), its classes, encoder and
directions, the training summary, the model card, and manifest.json with the run's version and the
SHA-256 of each file.

The weights are rounded to three of their four bytes and compressed, which makes the file about a
third smaller. The script fails if any of its images then differs by more than one of 255 levels.
"""

import argparse
import hashlib
import io
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from ganvas.atomic_files import atomic_write
from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents

MODEL = "sample/projected_by_genre"
OUTPUT = Path(__file__).parents[1] / "src" / "ganvas" / "pretrained" / "sample"
WEIGHTS = "model.weights.h5"
# Bits that are dropped of the 23 of a float32's mantissa: 8 leave whole bytes, which compress well.
DROPPED_BITS = 8
SEEDS, IMAGES = range(4), 256


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--project", type=Path, default=Path(), help="Project of the run.")
    project = parser.parse_args().project
    models = project / "data" / "06_models" / MODEL
    reports = project / "data" / "08_reporting" / MODEL
    generators = sorted(models.glob("generator.keras/*/generator.keras"))
    if not generators or not (models / "model_card.md").is_file():
        raise SystemExit(f"There is no finished default run in {project}: run `kedro run` there.")
    version = generators[-1].parent.name
    if not (models / f"directions.npz/{version}/directions.npz").is_file():
        raise SystemExit(f"{models} has no directions of version {version}: find them first.")
    training = json.loads((reports / "training.json").read_text())
    generator = keras.models.load_model(generators[-1], compile=False)
    content = compress_weights(generators[-1])
    atomic_write(OUTPUT / "generator.keras", content)
    check_images(generator, keras.models.load_model(OUTPUT / "generator.keras", compile=False))
    sources = {
        "class_list.json": models / f"class_list.json/{version}/class_list.json",
        "encoder.npz": models / f"encoder.npz/{version}/encoder.npz",
        "directions.npz": models / f"directions.npz/{version}/directions.npz",
        "training.json": reports / "training.json",
        # The card of this generator: a run writes it last, with the images that it shows.
        **{file.name: file for file in [models / "model_card.md", *models.glob("*.png")]},
    }
    for name, source in sources.items():
        atomic_write(OUTPUT / name, source.read_bytes())
    written = ("generator.keras", *sources)
    digests = {name: hashlib.sha256((OUTPUT / name).read_bytes()).hexdigest() for name in written}
    manifest = {"version": version, "command": training["command"], "sha256": digests}
    atomic_write(OUTPUT / "manifest.json", json.dumps(manifest, indent=2).encode() + b"\n")
    print(f"{OUTPUT}: {len(content) / 2**20:.1f} MB, version {version}.")


def compress_weights(file: Path) -> bytes:
    """Return a copy of a .keras file whose weights are rounded and compressed."""
    archive = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(archive, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            # A fixed date, so that the same weights give the same file.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            is_text = name != WEIGHTS
            info.compress_type = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
            target.writestr(info, data if is_text else _compress_h5(data))
    return archive.getvalue()


def _compress_h5(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as source, h5py.File(buffer, "w") as target:

        def copy(name: str, node: h5py.Group | h5py.Dataset) -> None:
            if isinstance(node, h5py.Group):
                made = target.require_group(name)
            else:
                values = node[()]
                values = round_mantissa(values) if values.dtype == np.float32 else values
                # HDF5 cannot compress scalars.
                options = {"compression": 9, "shuffle": True} if values.shape else {}
                made = target.create_dataset(name, data=values, **options)
            made.attrs.update(node.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
    return buffer.getvalue()


def round_mantissa(values: np.ndarray) -> np.ndarray:
    """Round float32 values to 23 - DROPPED_BITS bits of mantissa."""
    bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
    bits = (bits + (1 << (DROPPED_BITS - 1))) >> DROPPED_BITS << DROPPED_BITS
    return bits.astype(np.uint32).view(np.float32).reshape(values.shape)


def check_images(generator: keras.Model, copy: keras.Model) -> None:
    """Compare the images of both generators at some seeds."""
    worst = 0
    for seed in SEEDS:
        latents, labels = sample_latents(generator, IMAGES, seed), cycle_classes(generator, IMAGES)
        images = [
            generate_images(model, latents, labels).astype(int) for model in (generator, copy)
        ]
        worst = max(worst, int(np.abs(images[0] - images[1]).max()))
    print(f"{len(SEEDS) * IMAGES} images differ by at most {worst} of 255 levels.")
    if worst > 1:
        raise SystemExit("The compressed generator makes other images: lower DROPPED_BITS.")


if __name__ == "__main__":
    main()
