import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from PIL import Image

from ganvas.networks.sampling import generate_images, one_hot, sample_latents
from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.model_card import render_card

METRICS = {
    "kernel_distance": metric_entry("Kernel distance (KD-x)", (0.0125, 0.005), "N=4", real=-0.025),
    "frechet_distance": metric_entry("Fréchet distance (FID)", 12.25, "N=4", real=1.5),
    "kernel_distance_000": metric_entry("Kernel distance (KD-x)", 0.5, "N=2", of="Op"),
    "nearest_training_distance": metric_entry("Distance", 40.0, "N=4", "levels", real=50.0),
    "loss_g": metric_entry("Generator loss", 2.0, "mean over epoch 3", "nats"),
}
VERDICT = {"summary": "Varied", "sentences": ["One.", "Two."]}
NO_CLASSES = {"column": None, "names": []}
WARNING = {"epoch": 7, "name": "mode collapse", "evidence": "12%", "advice": "less"}


def with_source(training, name, **parameters):
    source = {"name": name, "path": None, "sample": {"seed": 5}, "folder": {"csv": "a.csv"}}
    tree = training["parameters"] | {"ingest": {"source": source} | parameters}
    return training | {"parameters": tree}


def test_hugging_face_can_read_the_card(training):
    card = ModelCard(render_card(METRICS, VERDICT, training, (32, 32, 3), 6))
    assert card.data.library_name == "keras" and "gan" in card.data.tags
    # Neither single classes nor metrics that compare nothing with real images.
    assert [(result.metric_type, result.metric_value) for result in card.data.eval_results] == [
        ("kernel_distance", 0.0125),
        ("fid", 12.25),
    ]
    assert card.data.eval_results[0].dataset_name == "sample"
    assert (card.data.license, card.data.license_name) == ("other", "unknown")


def test_the_card_names_the_presets(training):
    summary = training | {"command": "kedro run --env=celeba,gpu"}
    page = render_card(METRICS, VERDICT, summary, (32, 32, 3), 6)
    assert "The run has the presets celeba and gpu of conf, each of which overrides those" in page


def test_a_task_of_the_hub_is_named_only_without_classes(training):
    by_class = ModelCard(render_card(METRICS, VERDICT, training, (32, 32, 3), 6)).data
    assert by_class.pipeline_tag is None
    assert "class-conditional-image-generation" in by_class.tags
    summary = training | {"classes": NO_CLASSES}
    plain = ModelCard(render_card(METRICS, VERDICT, summary, (32, 32, 3), 6)).data
    assert plain.pipeline_tag == "unconditional-image-generation"
    assert plain.eval_results[0].task_type == plain.pipeline_tag


def test_a_run_without_metrics_has_a_card(training):
    losses = {"loss_g": METRICS["loss_g"]}
    card = ModelCard(render_card(losses, VERDICT, training, (32, 32, 3), 6))
    assert card.data.eval_results is None


def test_the_card_of_the_sample_says_that_nobody_else_has_rights(training):
    page = render_card(METRICS, VERDICT, with_source(training, "sample"), (32, 32, 3), 6)
    assert ModelCard(page).data.license_name == "no-third-party-rights"
    assert "procedurally drawn sample: no third-party rights." in page
    page = render_card(METRICS, VERDICT, with_source(training, "folder"), (32, 32, 3), 6)
    assert ModelCard(page).data.license_name == "unknown"
    assert "State a license before you share the model." in page


def test_the_title_and_an_image_come_first(training):
    _, _, page = render_card(METRICS, VERDICT, training, (32, 48, 3), 6).split("---\n", 2)
    assert page.startswith(
        "\n# sample · DCGAN, by style · 48×32 pixels\n\n"
        "![Generated images, not selected](samples.png)\n\n"
        "A generator of 48×32 pixels for 2 classes of style: Op, Pop.\n"
    )


@pytest.mark.parametrize(
    ("channels", "mode", "text"),
    [
        (1, "L", "1 channel, gray levels in [-1, 1]."),
        (3, "RGB", "3 channels, RGB in [-1, 1]."),
        (4, "RGBA", "4 channels, RGB and straight (unmultiplied) alpha in [-1, 1]."),
    ],
)
def test_the_example_code_saves_images_of_any_channels(channels, mode, text, training, tmp_path):
    page = render_card(METRICS, VERDICT, training, (96, 64, channels), 6)
    assert f"shape (N, 96, 64, {channels}): N images of height 96, width 64 and {text}" in page
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    # What follows the generator.
    code = script[script.index("pixels = ") :].replace("images.png", f"{tmp_path}/images.png")
    images = np.linspace(-1, 1, 16 * 96 * 64 * channels).reshape(16, 96, 64, channels)
    exec(code, {"np": np, "Image": Image, "images": images})
    saved = Image.open(tmp_path / "images.png")
    assert (saved.mode, saved.size) == (mode, (256, 384))


def test_metrics_warnings_and_parameters_are_listed(training):
    summary = training | {"classes": NO_CLASSES, "warnings": [WARNING]}
    page = render_card(METRICS, VERDICT, summary, (32, 48, 3), 6)
    assert "**Varied.** One. Two." in page
    assert "| Kernel distance × 1000 (KD-x) ↓ | 12.5 ± 5.0 | −25.0 |  |" in page
    assert "| Distance ≈ | 40.0 levels | 50.0 |" in page and "Unless said otherwise: N=4." in page
    assert "Generator loss" not in page
    assert "**Mode collapse** in epoch 7: 12%." in page
    assert "| `train.seed` | `7` |" in page and "48×32 pixels, without classes" in page


def test_only_parameters_that_the_run_used_are_listed(training):
    page = render_card(
        METRICS, VERDICT, with_source(training, "sample", workers=None), (32, 32, 3), 6
    )
    assert "| `ingest.source.sample.seed` | `5` |" in page
    for key in ("ingest.source.folder", "ingest.source.path", "workers", "max_minutes"):
        assert key not in page


def test_the_command_and_what_it_needs_besides_are_shown(training):
    page = render_card(METRICS, VERDICT, training | {"ended_by": "interrupted"}, (32, 32, 3), 6)
    assert "train.max_steps=231,train.max_minutes=null'\n```\n\nThe run was interrupted: " in page
    assert "same step, 231.\n\nThe run has the preset celeba of conf.\n\n## Versions" in page
    assert "3 epochs, 231 steps, 3,702 images seen" in page


@pytest.mark.exhaustive
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
    page = render_card(METRICS, VERDICT, summary, (32, 32, 3), 6)
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


def test_the_card_of_stylegan2_shows_how_to_truncate(training):
    def read_code(network):
        page = render_card(METRICS, VERDICT, training | {"network": network}, (32, 32, 3), 6)
        return re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]

    code = read_code("stylegan2")
    lines = code[code.index("truncation = ") : code.index("latents = ")]

    class Layers:
        def get_layer(self, name):
            return {"truncation": dense}[name]

    dense = keras.layers.Dense(1)
    dense.build((None, 10))
    exec(lines.replace("1.0", "0.7"), {"np": np, "generator": Layers()})
    np.testing.assert_allclose(dense.kernel, 0.7)
    assert "truncation" not in read_code("dcgan")


def test_the_license_of_weights_that_training_started_from_is_named(training):
    tree = training["parameters"] | {"train": {"weights_from": "data/06_models/a|b"}}
    page = render_card(METRICS, VERDICT, training | {"parameters": tree}, (32, 32, 3), 6)
    assert "weights of `data/06_models/a\\|b`: their license counts as well" in page
    assert "counts as well" not in render_card(METRICS, VERDICT, training, (32, 32, 3), 6)


def test_names_are_text_and_never_markup(training):
    evil = [
        "<img src=x onerror=alert(1)>",
        "[a](javascript:b)",
        "a|b",
        "`c`",
        "*d*",
        "e\n# f",
        "\x1bg",
    ]
    summary = with_source(training, "folder", dataset="a|`b`\n|c") | {
        "classes": {"column": "<b>", "names": evil},
        "dataset": "<script>",
        "message": "Ended\x1b[31m.",
        "command": "kedro run '--params=a=```\x1b[31m'",
    }
    verdict = {"summary": "<i>", "sentences": ["The class <u> | is *worst*."]}
    card = render_card(METRICS, verdict, summary, (32, 32, 3), 6)
    assert "\x1b" not in card
    tokens = MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2])
    inline = [child for token in tokens for child in token.children or []]
    kinds = {token.type for token in tokens} | {child.type for child in inline}
    assert not kinds & {"html_inline", "html_block"}
    assert [x.attrs["href"] for x in inline if x.type == "link_open"] == ["https://kedro.org"]
    text = "".join(child.content for child in inline)
    for name in ["<img src=x onerror=alert(1)>", "[a](javascript:b)", "a|b", "`c`", "*d*", "e # f"]:
        assert name in text
    (block,) = [token for token in tokens if token.type == "fence" and token.info == "sh"]
    assert block.content == "kedro run '--params=a=```\\x1b[31m'\n"
