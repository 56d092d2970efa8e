"""The pretrained generator of the sample collection, as it comes with the package."""

import hashlib
import json
import zipfile

import keras
import numpy as np

from ganvas.gallery.model_store import PRETRAINED, ModelStore, find_pretrained
from ganvas.networks.sampling import cycle_classes, generate_images, latent_dim, sample_latents
from ganvas.sample_collection import STYLES

MANIFEST = json.loads((PRETRAINED / "manifest.json").read_text())


def test_its_files_are_those_that_the_script_wrote():
    files = {file.name: file for file in PRETRAINED.iterdir() if file.name != "manifest.json"}
    assert set(files) == set(MANIFEST["sha256"])
    for name, digest in MANIFEST["sha256"].items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name
    assert sum(file.stat().st_size for file in files.values()) < 8 * 2**20


def test_it_loads_in_safe_mode_and_has_no_code():
    with zipfile.ZipFile(PRETRAINED / "generator.keras") as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        assert "Lambda" not in archive.read("config.json").decode()
    generator = keras.models.load_model(PRETRAINED / "generator.keras", safe_mode=True)
    assert generator.output_shape == (None, 64, 64, 3)


def test_it_generates_varied_images_of_its_classes(tmp_path):
    model = ModelStore(tmp_path).load()
    assert model.label_column == "genre" and len(model.class_names) == len(STYLES)
    latents = sample_latents(model.generator, 32, seed=0)
    labels = cycle_classes(model.generator, 32)
    images = generate_images(model.generator, latents, labels).astype(float)
    by_class = images.reshape(4, 8, 64, 64, 3)
    # Root mean squared differences within a class, and between the means of classes.
    assert by_class.std(axis=0).mean() > 20
    assert by_class.mean(axis=0).std(axis=0).mean() > 20


def test_summary_and_card_describe_it():
    training = json.loads((PRETRAINED / "training.json").read_text())
    assert training["command"] == MANIFEST["command"] == "kedro run --params=train.seed=0"
    assert training["ended_by"] == "steps" and training["dataset"] == "sample"
    saved = find_pretrained()
    assert saved.version == MANIFEST["version"]
    generator = keras.models.load_model(saved.file("generator.keras"), compile=False)
    card = saved.file("model_card.md").read_text()
    assert f"standard_normal((16, {latent_dim(generator)})" in card
    assert all(name in card for name in training["classes"]["names"])


def test_its_images_stay_the_same(tmp_path):
    # Coarse means, so that another version of TensorFlow may round differently.
    model = ModelStore(tmp_path).load()
    latents = sample_latents(model.generator, 8, seed=0)
    images = generate_images(model.generator, latents, cycle_classes(model.generator, 8))
    means = images.mean(axis=(1, 2)).round().astype(int)
    np.testing.assert_allclose(means[[2, 4, 7]], EXPECTED_MEANS, atol=2)


# Mean red, green and blue of images 2, 4 and 7 of seed 0.
EXPECTED_MEANS = [[171, 170, 168], [90, 67, 117], [93, 89, 72]]
