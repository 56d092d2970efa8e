"""A film by the command line, of a generator that earlier runs have saved."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from ganvas.latents.directions import Direction, to_arrays
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.saved_arrays import write_arrays
from projects import PLAIN, error_sentence, make_project, run_kedro
from shaped_models import save_model

pytestmark = pytest.mark.slow


def test_a_film_of_the_newest_generator(tmp_path, monkeypatch):
    project = make_project(tmp_path)
    monkeypatch.chdir(project)
    models = project / "data/06_models"
    generator = save_model(models, PLAIN, (32, 32, 3))
    (version,) = (models / PLAIN / "generator.keras").iterdir()
    arrays = models / PLAIN / "directions.npz" / version.name / "directions.npz"
    arrays.parent.mkdir(parents=True)
    direction = Direction("warm", "sefa", np.full(6, 0.5, np.float32), -3, 3, 1, {})
    with arrays.open("wb") as file:
        write_arrays(file, to_arrays([direction]))
    keyframes = "[0, {seed: 2, number: 1, edits: {warm: 2}}, seed0_000004]"
    params = {
        "film.keyframes": keyframes,
        "film.seconds": 1,
        "film.fps": 5,
        "film.formats": "[webp, gif, zip]",
        "film.quality": 100,
        "film.name": "three",
    }
    result = run_kedro(project, "--pipelines=film", **params)
    assert result.exit_code == 0, result.output
    latents = [sample_latents(generator, 5, 0)[[0, 4]], sample_latents(generator, 2, 2)[1:]]
    latents[1] += 2 * direction.vector
    first, last, edited = generate_images(generator, np.concatenate(latents))
    folder = project / "data/07_model_output" / PLAIN / "films"
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["keyframes.png", "three.gif", "three.webp", "three.zip"]
    for form in ("webp", "gif"):
        with Image.open(folder / f"three.{form}") as film:
            assert film.n_frames == 5
            tolerance = 0 if form == "webp" else 6
            for number, expected in ((0, first), (2, edited), (4, last)):
                film.seek(number)
                frame = np.asarray(film.convert("RGB")).astype(int)
                assert np.abs(frame - expected).max() <= tolerance
    with zipfile.ZipFile(folder / "three.zip") as archive:
        assert len(archive.namelist()) == 5
    with Image.open(folder / "keyframes.png") as sheet:
        np.testing.assert_array_equal(np.asarray(sheet)[2:34, 36:68], edited)
    params["film.keyframes"] = "[0, {edits: {wram: 2}}]"
    message = error_sentence(run_kedro(project, "--pipelines=film", **params))
    assert "no direction 'wram' (did you mean 'warm'?): choose among warm." in message
