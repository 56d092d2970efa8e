"""Measure whether directions of measures change them monotonically in images of fresh seeds.

A direction is found as `kedro run --pipelines=directions --params=directions.measure=…` does. Then
images of other seeds are edited at strengths evenly spaced in its range. An image counts as
monotonic if the measure rises from each strength to the next: Spearman's rank correlation is 1.

    python benchmarks/directions.py data/06_models/celeba/dcgan brightness warmth
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np

from ganvas.label_columns import read_class_list
from ganvas.latents.direction_effects import generate_edits
from ganvas.latents.directions import from_arrays
from ganvas.latents.image_measures import MEASURES, measure_images
from ganvas.latents.latent_samples import sample_w
from ganvas.pipelines.directions.nodes import find_directions
from ganvas.pipelines.directions.params import DirectionsParams
from ganvas.pipelines.evaluate.params import EvaluateParams

# Added to the seed of directions, and used by nothing else.
FRESH = 5_000_000


def main() -> None:
    """Print a row for each measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "model", type=Path, help="folder of a model, with generator.keras/<version>"
    )
    parser.add_argument("measures", nargs="*", default=[*MEASURES], help="default: all")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--strengths", type=int, default=9)
    options = parser.parse_args()
    version = max(options.model.glob("generator.keras/*")).name
    file = options.model / "generator.keras" / version / "generator.keras"
    generator = keras.models.load_model(file, compile=False)
    classes = json.loads(
        (options.model / "class_list.json" / version / "class_list.json").read_text()
    )
    params = DirectionsParams(measure=options.measures)
    arrays = find_directions(
        generator, classes, {}, {}, Path(), params, EvaluateParams(extractor=None)
    )
    table = read_class_list(classes)
    rows = table.weigh(np.arange(len(table.combinations)))
    fresh = sample_w(generator, rows, options.images, params.seed + FRESH)
    print("measure            R²    range        effect   monotonic")
    for direction in from_arrays(arrays):
        strengths = np.linspace(direction.low, direction.high, options.strengths)
        edited = generate_edits(generator, fresh, direction.vector, strengths)
        values = measure_images(edited.reshape(-1, *edited.shape[2:]), direction.name)
        rises = (np.diff(values.reshape(len(edited), -1), axis=1) > 0).all(axis=1)
        print(
            f"{direction.name:18} {direction.about['score']:.2f}  {direction.low:5.1f} "
            f"{direction.high:5.1f}  {direction.effect:+8.4f}   {rises.sum()} of {len(rises)}"
        )


if __name__ == "__main__":
    main()
