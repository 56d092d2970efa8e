"""The pipeline on a saved model: what it keeps with the model, and what it draws."""

import numpy as np
from PIL import Image

from ganvas.latents.directions import from_arrays
from ganvas.saved_arrays import read_arrays
from projects import error_sentence
from shaped_models import save_model

FAST = {"directions__samples": 256, "directions__rows": 2, "directions__columns": 3}


def test_directions_are_kept_with_the_model_and_drawn(project, kedro_run):
    models, output = project / "data/06_models", project / "data/07_model_output/sample/dcgan"
    save_model(models, "sample/dcgan", (32, 64, 3))

    def run(**params):
        return kedro_run("--pipelines=directions", ingest__size="[32,64]", **FAST, **params)

    result = run(directions__measure="brightness")
    assert result.exit_code == 0, result.output
    (version,) = (models / "sample/dcgan/generator.keras").iterdir()
    file = models / "sample/dcgan/directions.npz" / version.name / "directions.npz"
    (first,) = from_arrays(read_arrays(file))
    assert first.name == "brightness" and first.vector.shape == (6,) and first.effect > 0
    assert run(directions__count=2, directions__names="[main]").exit_code == 0
    found = from_arrays(read_arrays(file))
    assert [x.name for x in found] == ["brightness", "main", "ganspace_2"]
    np.testing.assert_array_equal(found[0].vector, first.vector)
    rename = {"directions__rename": "{main: disk}", "directions__remove": "[ganspace_2]"}
    assert run(**rename).exit_code == 0
    assert [x.name for x in from_arrays(read_arrays(file))] == ["brightness", "disk"]

    strips = sorted((output / "directions").iterdir())
    assert [x.name for x in strips] == ["brightness.png", "disk.png"]
    with Image.open(strips[0]) as strip, Image.open(output / "directions_overview.png") as overview:
        assert strip.width > 3 * 64 and overview.width > 3 * 64
    unknown = error_sentence(run(directions__remove="[disc]"))
    assert unknown == (
        "Error: directions.remove has 'disc' (did you mean 'disk'?), but this generator has "
        "brightness, disk: choose among them."
    )
    assert run(directions__remove="[brightness,disk]").exit_code == 0
    assert not file.exists() and not (output / "directions_overview.png").exists()
