"""`kedro run` on a collection in CelebA's format, drawn by code, with two of its attributes."""

import json
import random
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw

from ganvas.gallery.model_store import ModelStore
from ganvas.networks.sampling import generate_images, sample_latents
from projects import error_sentence

NAME = "shapes/dcgan_by_Square_Red"


def draw_collection(folder: Path, count: int) -> None:
    """Draw disks and squares, red and blue, large and small, with CelebA's list of attributes."""
    rng = random.Random(0)
    (folder / "img_align_celeba").mkdir(parents=True)
    lines = [str(count), "Square Red Large"]
    for number in range(1, count + 1):
        square, red, large = (rng.random() < share for share in (0.5, 0.4, 0.3))
        image = Image.new("RGB", (48, 48), "white")
        radius = 18 if large else 10
        box = [24 - radius, 24 - radius, 24 + radius, 24 + radius]
        draw = ImageDraw.Draw(image)
        (draw.rectangle if square else draw.ellipse)(box, fill="red" if red else "blue")
        image.putpixel((0, 0), (number, 0, 0))
        name = f"{number:06d}.png"
        image.save(folder / "img_align_celeba" / name)
        signs = " ".join(str(1 if value else -1) for value in (square, red, large))
        lines.append(f"{name} {signs}")
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")


def read_json(file: Path) -> dict:
    return json.loads(file.read_text())


@pytest.mark.slow
def test_each_label_has_a_choice_of_its_own(project, kedro_run, tmp_path):
    draw_collection(tmp_path / "shapes", 48)
    options = {
        "ingest__source__name": "celeba",
        "ingest__source__path": tmp_path / "shapes",
        "ingest__dataset": "shapes",
        "network__label": "[Square,Red]",
        "train__epochs": 1,
        "sample__count": 4,
    }
    parts = "--pipelines=ingest,train,evaluate,report,sample"
    result = kedro_run(parts, **options, sample__classes="Red=yes")
    assert result.exit_code == 0, result.output

    # What is saved, and what the gallery reads.
    reporting = project / "data/08_reporting" / NAME
    training = read_json(reporting / "training.json")
    (file,) = (project / "data/06_models" / NAME / "class_list.json").glob("*/class_list.json")
    classes = read_json(file)
    assert training["classes"] == classes and training["parameters"]["network"]["label"] == [
        "Square",
        "Red",
    ]
    values = ["no", "yes"]
    assert classes["labels"] == [
        {"column": "Square", "values": values},
        {"column": "Red", "values": values},
    ]
    model = ModelStore(project / "data/06_models").load(NAME)
    assert sorted(model.class_names) == [
        f"Square={square}, Red={red}" for square in values for red in values
    ]
    rows = np.array(classes["rows"], np.float32)
    np.testing.assert_array_equal(model.one_hot(np.arange(4)), rows)

    # Samples of one value have it, and those of the other column in turn.
    chosen = [number for number, name in enumerate(classes["names"]) if "Red=yes" in name]
    files = sorted((project / "data/07_model_output" / NAME / "samples").glob("seed*.png"))
    names = [classes["names"][chosen[number % 2]] for number in range(4)]
    suffixes = [name.replace(", ", "-").replace("=", "-") for name in names]
    assert [x.stem for x in files] == [f"seed0_00000{n}_{x}" for n, x in enumerate(suffixes)]
    generator = keras.saving.load_model(
        file.parents[2] / "generator.keras" / file.parent.name / "generator.keras"
    )
    expected = generate_images(generator, sample_latents(generator, 4, 0), rows[chosen * 2])
    np.testing.assert_array_equal([np.asarray(Image.open(x)) for x in files], expected)

    # Metrics, report and card name values.
    metrics = read_json(reporting / "metrics.json")
    assert "discriminator_accuracy_generated" in metrics
    report = (reporting / "report.html").read_text()
    assert "a row for each combination of labels" in report and "Square=yes, Red=no" in report
    card = (project / "data/06_models" / NAME / "model_card.md").read_text()
    assert "with 2 labels" in card and "Red (no, yes)." in card
    assert "rows[np.arange(len(chosen))[:, None], chosen] = 1 / 2" in card

    # The run resumes; one label is another run, in another folder; and unknown values are named.
    result = kedro_run("--pipelines=train", **options | {"train__epochs": 2})
    assert "Resum" in result.output and result.exit_code == 0, result.output
    wrong = kedro_run("--pipelines=sample", **options, sample__classes="Red=maybe")
    assert "label columns Square (no, yes); Red (no, yes)" in error_sentence(wrong)
    unknown = kedro_run("--pipelines=train", **options | {"network__label": "[Square,Nose]"})
    assert "has 'Nose', but the collection has Square, Red, Large" in error_sentence(unknown)
