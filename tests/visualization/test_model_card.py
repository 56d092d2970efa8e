import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from huggingface_hub import ModelCard
from PIL import Image

from ganvas.networks.sampling import generate_images, one_hot, sample_latents
from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.model_card import render_card

METRICS = {
    "kernel_distance": metric_entry("Kernel distance (KD-x)", (0.125, 0.5), "N=4", real=-0.25),
    "loss_g": metric_entry("Generator loss", 2.0, "mean over epoch 3", "nats"),
}


NO_CLASSES = {"column": None, "names": []}
WARNING = {"epoch": 7, "name": "mode collapse", "evidence": "12%", "advice": "less"}


def test_hugging_face_can_read_the_card(training):
    card = ModelCard(render_card(METRICS, training, (32, 32), 6))
    assert card.data.library_name == "keras" and "gan" in card.data.tags
    assert [(result.metric_type, result.metric_value) for result in card.data.eval_results] == [
        ("kernel_distance", 0.125),
        ("loss_g", 2.0),
    ]
    assert card.data.eval_results[0].dataset_name == "sample"


def test_metrics_warnings_and_parameters_are_listed(training):
    summary = training | {"classes": NO_CLASSES, "warnings": [WARNING]}
    page = render_card(METRICS, summary, (32, 48), 6)
    assert "| Kernel distance (KD-x) | 0.125 ± 0.5 | -0.25 | N=4 |" in page
    assert "| Generator loss | 2 nats |  | mean over epoch 3 |" in page
    assert "**Mode collapse** in epoch 7: 12%." in page
    assert "| `train.seed` | `7` |" in page and "32×48 pixels, without classes" in page


def test_the_command_and_what_it_needs_besides_are_shown(training):
    page = render_card(METRICS, training | {"ended_by": "interrupted"}, (32, 32), 6)
    assert f"```sh\n{training['command']}\n```\n\nThe run was interrupted: to end at" in page
    assert "add train.max_steps=231 to --params.\n\n## Versions" in page
    assert "3 epochs, 231 steps, 3,702 images seen" in page


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), ("Op", "Pop")])
def test_the_example_code_of_the_card_generates_images(tmp_path, networks, training, names):
    generator, _ = networks
    if names:
        latent, classes = keras.Input((6,)), keras.Input((2,))
        shift = keras.layers.Dense(32 * 32 * 3, activation="tanh")(classes)
        images = keras.layers.Add()([generator(latent), keras.layers.Reshape((32, 32, 3))(shift)])
        generator = keras.Model([latent, classes], images)
    folder = tmp_path / "generator.keras" / "2026-01-01"
    folder.mkdir(parents=True)
    generator.save(folder / "generator.keras")
    summary = training | {"classes": {"column": "style", "names": list(names)}}
    page = render_card(METRICS, summary, (32, 32), 6)
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", script]
    subprocess.run(command, cwd=tmp_path, check=True, env=environment, capture_output=True)
    saved = np.asarray(Image.open(tmp_path / "images.png"))
    # Four images a class.
    labels = one_hot(np.repeat([0, 1, 0, 1], 4), len(names))
    expected = generate_images(generator, sample_latents(generator, 16, seed=0), labels)
    tiles = saved.reshape(4, 32, 4, 32, 3).swapaxes(1, 2).reshape(16, 32, 32, 3)
    assert np.abs(tiles.astype(int) - expected).max() <= 1
