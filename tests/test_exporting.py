"""Generators in other formats, run by those formats' own runtimes."""

import json
import sys

import keras
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.exporting import FACTS, FORMATS, export_generator
from ganvas.networks import NetworkParams, build

NETWORKS = {
    "dcgan": {"latent": 6, "generator_width": 2, "discriminator_width": 2},
    "artgan": {"latent": 6, "width": 4},
    "r3gan": {"latent": 6, "width": 4, "max_width": 8, "group_width": 4, "class_embedding": 4},
}
# Runs in which the numbers are what the runtimes give, not what our own code makes of them.
RUN = {
    "onnx": lambda file, inputs: onnxruntime.InferenceSession(file).run(None, inputs)[0],
    "litert": lambda file, inputs: np.concatenate(
        [
            Interpreter(str(file)).get_signature_runner()(
                **{name: each[k : k + 1] for name, each in inputs.items()}
            )["output_0"]
            for k in range(len(inputs["latent"]))
        ]
    ),
}


def make_generator(name: str, classes: int) -> keras.Model:
    """A generator whose norms have seen something, so that their averages matter."""
    keras.utils.set_random_seed(3)
    params = NetworkParams(name=name, **{name: NETWORKS[name]})
    generator = build(params, (32, 32, 3), classes).generator
    rng = np.random.default_rng(0)
    for weight in generator.weights:
        moved = np.asarray(weight) + rng.normal(0, 0.2, weight.shape)
        weight.assign(np.abs(moved) if "variance" in weight.path else moved)
    return generator


@pytest.mark.parametrize("form", ["onnx", "litert"])
@pytest.mark.parametrize(
    ("name", "classes"), [("dcgan", 0), ("dcgan", 3), ("artgan", 3), ("r3gan", 3)]
)
def test_other_runtimes_paint_the_same_for_any_number_of_latents(tmp_path, form, name, classes):
    generator = make_generator(name, classes)
    written = export_generator(generator, [form], tmp_path, checked=3, tolerance=1e-3)
    file, apart = written[form]
    assert apart <= 1e-3 and [each.name for each in tmp_path.iterdir()] == [file.name]
    for count in (1, 5):
        rng = np.random.default_rng(count)
        inputs = {"latent": rng.standard_normal((count, 6), dtype=np.float32)}
        if classes:
            inputs["classes"] = np.eye(classes, dtype=np.float32)[rng.integers(0, classes, count)]
        expected = np.asarray(generator(list(inputs.values()) if classes else inputs["latent"]))
        assert expected.std() > 0.1
        painted = RUN[form](file, inputs)
        assert painted.shape == (count, 32, 32, 3)
        assert np.abs(painted - expected).max() <= 1e-3


def test_a_format_that_paints_otherwise_leaves_the_file_of_before(tmp_path):
    (tmp_path / "generator.onnx").write_text("before")
    with pytest.raises(GanvasError, match=r"export\.tolerance allows 1e-12"):
        export_generator(make_generator("dcgan", 0), ["onnx"], tmp_path, 3, tolerance=1e-12)
    assert [each.name for each in tmp_path.iterdir()] == ["generator.onnx"]
    assert (tmp_path / "generator.onnx").read_text() == "before"


def write_old_files(folder):
    """Files of an earlier export, by their names."""
    old = dict.fromkeys(("generator.onnx", "generator.tflite", FACTS), "before")
    for name, text in old.items():
        (folder / name).write_text(text)
    return old


def test_where_one_format_fails_all_files_stay_as_they_were(tmp_path, monkeypatch):
    old = write_old_files(tmp_path)
    both = ["onnx", "litert"]
    with monkeypatch.context() as broken:
        black = FORMATS["litert"]._replace(run=lambda *_: np.full((3, 32, 32, 3), -1.0))
        broken.setitem(FORMATS, "litert", black)
        with pytest.raises(GanvasError, match=r"In the format litert .* no file was written"):
            export_generator(make_generator("dcgan", 0), both, tmp_path, 3, 1e-3)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == old
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(GanvasError, match="Exporting as litert needs"):
        export_generator(make_generator("dcgan", 0), both, tmp_path, 3, 1e-3)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == old


def test_nothing_stays_of_an_earlier_export(tmp_path):
    write_old_files(tmp_path)
    export_generator(make_generator("dcgan", 0), ["onnx"], tmp_path, 3, 1e-3)
    # What tells of the files is written by the catalog, after them.
    assert [each.name for each in tmp_path.iterdir()] == ["generator.onnx"]


@pytest.mark.parametrize(
    ("form", "module"), [("onnx", "tf2onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")]
)
def test_a_missing_package_is_named_with_what_to_install(tmp_path, monkeypatch, form, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.interpreter", None)
    with pytest.raises(
        GanvasError, match=rf"{module}.*can't be imported: run `pip install \"ganva"
    ):
        export_generator(make_generator("dcgan", 0), [form], tmp_path, 3, 1e-3)
    assert not list(tmp_path.iterdir())


def test_litert_alone_asks_for_none_of_onnx(tmp_path, monkeypatch):
    for module in ("tf2onnx", "onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    written = export_generator(make_generator("dcgan", 0), ["litert"], tmp_path, 3, 1e-3)
    assert written["litert"][0].name == "generator.tflite"


def test_the_pipeline_writes_both_formats_which_paint_the_sample_pipelines_images(
    project, kedro_run
):
    assert kedro_run("--pipelines=train", train__epochs=1).exit_code == 0
    result = kedro_run("--pipelines=export")
    assert result.exit_code == 0, result.output
    folder = project / "data/06_models/sample/dcgan/exported"
    facts = json.loads((folder / "export.json").read_text())
    assert facts["inputs"] == {"latent": {"shape": [None, 6], "values": "drawn from N(0, 1)"}}
    assert facts["output"]["shape"] == [None, 32, 32, 3]
    kedro_run("--pipelines=sample", sample__count=3, sample__seed=7)
    files = sorted((project / "data/07_model_output/sample/dcgan/samples").glob("seed7_*.png"))
    latents = np.random.default_rng(7).standard_normal((3, 6), dtype=np.float32)
    for form, told in facts["files"].items():
        assert told["bytes"] == (folder / told["file"]).stat().st_size
        painted = (RUN[form](folder / told["file"], {"latent": latents}) + 1) * 127.5
        for file, image in zip(files, painted, strict=True):
            with Image.open(file) as saved:
                assert np.abs(np.asarray(saved) - image).max() <= 0.51 + 0.2
