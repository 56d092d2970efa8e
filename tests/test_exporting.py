"""Exported generators, run by the runtimes of their formats."""

import json
import os
import sys
from math import prod

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from tf2onnx.graph import Graph

from ganvas.errors import GanvasError
from ganvas.exporting import FORMATS, MANIFEST, build_exported, export_generator
from ganvas.label_columns import make_table
from ganvas.networks import NetworkParams, build
from ganvas.networks.batches import as_inputs, to_uint8
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.sampling import cycle_classes, generate_images, sample_latents
from ganvas.networks.styles import (
    map_latents,
    mean_style,
    repeat_styles,
    synthesize_batches,
    truncate,
)
from ganvas.pipelines.export.nodes import _describe_weights, export_formats
from ganvas.pipelines.export.params import ExportParams
from shaped_models import build_generator

NETWORKS = {
    "dcgan": {"latent": 6, "generator_width": 2, "discriminator_width": 2},
    "artgan": {"latent": 6, "width": 4},
    "r3gan": {"latent": 6, "width": 4, "max_width": 8, "group_width": 4, "class_embedding": 4},
    "fastgan": {"latent": 6, "generator_width": 4, "discriminator_width": 2, "class_embedding": 4},
    "projected": {"latent": 6, "generator_width": 8, "projection": 4, "head_width": 4},
    "stylegan2": {"latent": 6, "style": 6, "channel_base": 512, "max_width": 16},
}
# Independent of `FORMATS`: calls the runtimes directly.
RUN = {
    "onnx": lambda file, inputs: onnxruntime.InferenceSession(file).run(None, inputs)[0],
    "litert": lambda file, inputs: np.concatenate(
        [
            Interpreter(str(file)).get_signature_runner()(
                **{name: x[k : k + 1] for name, x in inputs.items()}
            )["output_0"]
            for k in range(len(inputs["latent"]))
        ]
    ),
}


def make_generator(name: str, classes: int) -> keras.Model:
    """Build a generator with perturbed weights, so that moving averages matter."""
    keras.utils.set_random_seed(3)
    params = NetworkParams(name=name, **{name: NETWORKS[name]})
    generator = build(params, (32, 32, 3), classes).generator
    rng = np.random.default_rng(0)
    for weight in generator.weights:
        perturbed = np.asarray(weight) + rng.normal(0, 0.2, weight.shape)
        weight.assign(np.abs(perturbed) if "variance" in weight.path else perturbed)
    if name == "projected":
        # As after training with anchors.
        anchors = rng.standard_normal((40, 6), dtype=np.float32)
        labels = np.arange(40) % classes if classes else None
        prior = LatentPrior(anchors, anchors.std(axis=0), 0.3, labels, classes)
        generator = add_prior(generator, prior)
    return generator


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "litert"])
@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("dcgan", 0),
        ("dcgan", 3),
        ("artgan", 3),
        ("r3gan", 3),
        ("fastgan", 3),
        ("projected", 0),
        ("projected", 3),
        ("stylegan2", 0),
        ("stylegan2", 3),
    ],
)
def test_runtimes_generate_the_same_images_for_any_batch_size(tmp_path, form, name, classes):
    generator = make_generator(name, classes)
    written = export_generator(generator, [form], tmp_path, checked=3, tolerance=1e-3)
    file, difference = written[form]
    assert difference <= 1e-3 and [path.name for path in tmp_path.iterdir()] == [file.name]
    for count in (1, 5):
        rng = np.random.default_rng(count)
        inputs = {"latent": rng.standard_normal((count, 6), dtype=np.float32)}
        if classes:
            inputs["classes"] = np.eye(classes, dtype=np.float32)[rng.integers(0, classes, count)]
        expected = np.asarray(generator(list(inputs.values()) if classes else inputs["latent"]))
        assert expected.std() > 0.1
        images = RUN[form](file, inputs)
        assert images.shape == (count, 32, 32, 3)
        assert np.abs(images - expected).max() <= 1e-3


def sample_inputs(generator, count):
    """Return latents, labels and truncation of so many images, by the names of a file's inputs."""
    return {
        "latent": sample_latents(generator, count, seed=5),
        "classes": cycle_classes(generator, count),
        "truncation": np.linspace(0.3, 1.8, count, dtype=np.float32)[:, None],
    }


@pytest.mark.parametrize(("name", "classes"), [("dcgan", 0), ("stylegan2", 0), ("stylegan2", 3)])
def test_exported_generators_truncate_as_generated_images(name, classes):
    generator = make_generator(name, classes)
    latents, labels, psi = sample_inputs(generator, 4).values()
    own = [latents, labels][: len(generator.inputs)]
    for truncation, inputs, factors in (("input", [*own, psi], psi[:, 0]), (0.6, own, 0.6)):
        exported = build_exported(generator, truncation)
        images = to_uint8(np.asarray(exported(as_inputs(inputs))))
        expected = generate_images(generator, latents, labels, factors).astype(int)
        assert np.abs(images - expected).max() <= 1
        whole = generate_images(generator, latents, labels).astype(int)
        assert np.abs(whole - expected).max() > 5


def test_the_input_of_several_labels_has_their_values_in_order():
    named = [("Smiling", ["no", "yes"]), ("Hair", ["black", "brown", "gray"])]
    described = _describe_weights(make_table(named, np.array([[0, 0], [1, 2]])))
    assert described["shape"] == [None, 5]
    assert described["classes"] == [
        "Smiling=no",
        "Smiling=yes",
        *(f"Hair={x}" for x in named[1][1]),
    ]
    assert described["labels"][1] == {"column": "Hair", "values": named[1][1], "first": 2}
    assert described["values"].startswith("for each label column 1/2 at one of its values")


def test_several_labels_are_truncated_towards_the_mean_of_all_images():
    generator = make_generator("stylegan2", 4)
    latents = sample_latents(generator, 3, seed=5)
    rows = np.float32([[0.5, 0, 0.5, 0], [0, 0.5, 0.5, 0], [0, 0.5, 0, 0.5]])
    exported = build_exported(generator, 0.6, by_class=False)
    styles = repeat_styles(generator, map_latents(generator, latents, rows))
    styles = truncate(styles, mean_style(generator), 0.6)
    images = to_uint8(np.asarray(exported([latents, rows]))).astype(int)
    expected = np.concatenate(list(synthesize_batches(generator, styles)))
    assert np.abs(images - expected).max() <= 1


@pytest.mark.slow
def test_files_of_stylegan2_have_truncation_as_input_and_weights_once(tmp_path):
    params = {"latent": 6, "style": 16, "channel_base": 4096, "max_width": 64}
    network = NetworkParams(name="stylegan2", stylegan2=params)
    generator = build(network, (32, 32, 1), 3).generator
    export_params = ExportParams(checked=2, truncation="input")
    manifest = export_formats(generator, {"names": ["a", "b", "c"]}, tmp_path, export_params)
    assert list(manifest["inputs"]) == ["latent", "classes", "truncation"]
    inputs = sample_inputs(generator, 3)
    latents, labels, psi = inputs.values()
    expected = generate_images(generator, latents, labels, psi[:, 0]).astype(int)
    kernels = {w.path: w.shape for w in generator.weights if w.shape[1:3] == (3, 3)}
    # Kernels are stored as they are used: with half of the low-pass filter those that double the
    # sides are 4×4. Demodulation needs the sums of squares of each 3×3 kernel.
    filtered = sum(7 * prod(shape[3:]) for path, shape in kernels.items() if "_conv0_" in path)
    stored = generator.count_params() + filtered + sum(prod(x[3:]) for x in kernels.values())
    for form, entry in manifest["files"].items():
        images = to_uint8(RUN[form](tmp_path / entry["file"], inputs))
        assert np.abs(images - expected).max() <= 1
        # Neither the kernels before they are filtered, nor noise with all channels.
        assert entry["bytes"] < 4 * stored + 100_000
    graph = onnx.load(tmp_path / "generator.onnx").graph
    constants = {tensor.name for tensor in graph.initializer}
    filters = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    assert len(filters) > 10 and constants.issuperset(filters)
    assert {tensor.data_type for tensor in graph.initializer} <= {1, 6, 7}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ((96, 64, 1), "gray levels made for [-1, 1]"),
        ((64, 96, 4), "RGB with straight (unmultiplied) alpha last, made for [-1, 1]"),
        ((1024, 512, 3), "RGB made for [-1, 1]"),
    ],
)
def test_generators_of_any_shape_are_exported(shape, values, tmp_path):
    params = ExportParams(checked=2)
    manifest = export_formats(build_generator(shape), {"names": []}, tmp_path, params)
    height, width, channels = shape
    assert manifest["output"] == {
        "shape": [None, *shape],
        "height": height,
        "width": width,
        "channels": channels,
        "values": values,
    }
    latents = np.zeros((2, 6), np.float32)
    for form, entry in manifest["files"].items():
        assert RUN[form](tmp_path / entry["file"], {"latent": latents}).shape == (2, *shape)


@pytest.mark.slow
def test_a_file_that_differs_does_not_replace_an_earlier_one(tmp_path):
    (tmp_path / "generator.onnx").write_text("before")
    with pytest.raises(GanvasError, match=r"export\.tolerance allows 1e-12"):
        export_generator(make_generator("dcgan", 0), ["onnx"], tmp_path, 3, tolerance=1e-12)
    assert [path.name for path in tmp_path.iterdir()] == ["generator.onnx"]
    assert (tmp_path / "generator.onnx").read_text() == "before"


def write_old_files(folder):
    """Write files of an earlier export; return their contents by name."""
    old = dict.fromkeys(("generator.onnx", "generator.tflite", MANIFEST), "before")
    for name, text in old.items():
        (folder / name).write_text(text)
    return old


@pytest.mark.slow
def test_all_files_stay_as_they_were_if_one_format_fails(tmp_path, monkeypatch):
    old = write_old_files(tmp_path)
    both = ["onnx", "litert"]
    with monkeypatch.context() as broken:
        black = FORMATS["litert"]._replace(run=lambda *_: np.full((3, 32, 32, 3), -1.0))
        broken.setitem(FORMATS, "litert", black)
        with pytest.raises(GanvasError, match=r"The litert file .* no file was written"):
            export_generator(make_generator("dcgan", 0), both, tmp_path, 3, 1e-3)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == old
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(GanvasError, match="Exporting as litert needs"):
        export_generator(make_generator("dcgan", 0), both, tmp_path, 3, 1e-3)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == old


@pytest.mark.slow
def test_files_of_an_earlier_export_are_removed_and_the_weights_copied_few_times(
    tmp_path, monkeypatch
):
    copied, written = [], []

    def copy(graph, memo):
        copied.append(graph)
        return graph

    def write(graph, *options):
        written.append(graph)
        return update(graph, *options)

    update = Graph.update_proto
    monkeypatch.setattr(Graph, "__deepcopy__", copy, raising=False)
    monkeypatch.setattr(Graph, "update_proto", write)
    monkeypatch.delenv("TF2ONNX_CATCH_ERRORS", raising=False)
    write_old_files(tmp_path)
    export_generator(make_generator("dcgan", 0), ["onnx"], tmp_path, 3, 1e-3)
    # The manifest is written by the catalog, after the files.
    assert [path.name for path in tmp_path.iterdir()] == ["generator.onnx"]
    # A copy of the graph has all weights: copies at each optimization took sixty times their bytes.
    assert not copied and 1 <= len(written) <= 3
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ


@pytest.mark.parametrize(
    ("form", "module"), [("onnx", "tf2onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")]
)
def test_a_missing_package_raises_an_error_with_the_command_to_install_it(
    tmp_path, monkeypatch, form, module
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.interpreter", None)
    with pytest.raises(
        GanvasError, match=rf"{module}.*can't be imported: run `pip install -e \"\.\[export"
    ):
        export_generator(make_generator("dcgan", 0), [form], tmp_path, 3, 1e-3)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_litert_does_not_need_onnx(tmp_path, monkeypatch):
    for module in ("tf2onnx", "onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, module, None)
    written = export_generator(make_generator("dcgan", 0), ["litert"], tmp_path, 3, 1e-3)
    assert written["litert"][0].name == "generator.tflite"


def test_the_pipeline_exports_both_formats_which_match_the_sample_pipeline(project, kedro_run):
    assert kedro_run("--pipelines=train", train__epochs=1).exit_code == 0
    result = kedro_run("--pipelines=export")
    assert result.exit_code == 0, result.output
    folder = project / "data/06_models/sample/dcgan/exported"
    manifest = json.loads((folder / "export.json").read_text())
    assert manifest["inputs"] == {"latent": {"shape": [None, 6], "values": "drawn from N(0, 1)"}}
    assert manifest["output"]["shape"] == [None, 32, 32, 3]
    kedro_run("--pipelines=sample", sample__count=3, sample__seed=7)
    files = sorted((project / "data/07_model_output/sample/dcgan/samples").glob("seed7_*.png"))
    latents = np.random.default_rng(7).standard_normal((3, 6), dtype=np.float32)
    for form, entry in manifest["files"].items():
        assert entry["bytes"] == (folder / entry["file"]).stat().st_size
        images = (RUN[form](folder / entry["file"], {"latent": latents}) + 1) * 127.5
        for file, image in zip(files, images, strict=True):
            with Image.open(file) as saved:
                assert np.abs(np.asarray(saved) - image).max() <= 0.51 + 0.2
