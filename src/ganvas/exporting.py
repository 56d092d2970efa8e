"""Export of generators to ONNX and LiteRT.

Keras writes both formats. Each file is run by its own runtime and its images are compared with the
generator's before it replaces an earlier one.
"""

import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import keras
import numpy as np
from keras import KerasTensor, ops

from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.networks.batches import as_inputs, batch_size
from ganvas.networks.equalized import make_one
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import cycle_classes, sample_latents
from ganvas.networks.styles import class_mean_styles

# Seed of the latents on which files are compared with the generator.
SEED = 0
# Environment variable of tf2onnx: whether it goes on after a failed optimization of the graph.
CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"
# File that describes the exported ones, which the catalog saves after them.
MANIFEST = "export.json"
# Name of the input for truncation, and what it is compared with from the first image to the last.
TRUNCATION_INPUT, TRUNCATION_RANGE = "truncation", (0.5, 1.5)

# A number for all images of a file, or a further input of the file.
Truncation = float | Literal["input"]


class Format(NamedTuple):
    """An export format.

    Attributes:
        suffix: Suffix of its files.
        batch: Fixed batch size; None: any.
        modules: Modules needed to write and run it; the last one is the runtime.
        run: Runs a file on inputs by name: (runtime, file, inputs) to images.
    """

    suffix: str
    batch: int | None
    modules: tuple[str, ...]
    run: Callable[[ModuleType, Path, dict[str, np.ndarray]], np.ndarray]


def _run_onnx(runtime: ModuleType, file: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (images,) = session.run(None, inputs)
    return np.asarray(images)


def _run_litert(runtime: ModuleType, file: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    run = runtime.Interpreter(model_path=str(file)).get_signature_runner()
    count = len(next(iter(inputs.values())))
    batches = [{name: x[k : k + 1] for name, x in inputs.items()} for k in range(count)]
    return np.concatenate([image for batch in batches for image in run(**batch).values()])


FORMATS = {
    "onnx": Format(".onnx", None, ("tf2onnx", "onnxruntime"), _run_onnx),
    # The converter can't infer the sides of feature maps where the batch size is open.
    "litert": Format(".tflite", 1, ("ai_edge_litert.interpreter",), _run_litert),
}


def export_generator(
    generator: keras.Model,
    formats: Sequence[str],
    folder: Path,
    checked: int,
    tolerance: float,
    truncation: Truncation = 1.0,
    by_class: bool = True,
) -> dict[str, tuple[Path, float]]:
    """Export a generator, and check that every file generates the same images.

    Args:
        generator: Maps latents (N, Z), and class weights (N, K) if it has classes, to images
            (N, H, W, C) in [-1, 1].
        formats: onnx, litert or both.
        folder: Where generator.onnx and generator.tflite are written. A file of a format not
            requested and the earlier manifest are removed, so that none of another generator stays.
        checked: Number of images to compare.
        tolerance: Maximum difference of any channel, of values in [-1, 1].
        truncation: See `build_exported`.
        by_class: See `build_exported`.

    Returns:
        For each format, the file and the largest difference found.

    Raises:
        GanvasError: A format's packages are missing, or images differ by more than the tolerance.
            The folder is left as it was.

    Example:
        >>> generator = keras.saving.load_model("generator.keras")
        >>> export_generator(generator, ["onnx"], Path("exported"), checked=16, tolerance=1e-3)
        {'onnx': (PosixPath('exported/generator.onnx'), 1.1920928955078125e-06)}
    """
    runtimes = {name: _import_runtime(name) for name in formats}
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"generator{form.suffix}" for name, form in FORMATS.items()}
    unfinished = {name: files[name].with_name(f".partial.{files[name].name}") for name in runtimes}
    try:
        # Write and check all formats before any file is replaced.
        differences = _write_all(
            generator, runtimes, unfinished, checked, tolerance, truncation, by_class
        )
        (folder / MANIFEST).unlink(missing_ok=True)
        for name, file in files.items():
            if name in unfinished:
                unfinished[name].replace(file)
            else:
                file.unlink(missing_ok=True)
    finally:
        for file in unfinished.values():
            file.unlink(missing_ok=True)
    return {name: (files[name], differences[name]) for name in unfinished}


def _write_all(
    generator: keras.Model,
    runtimes: dict[str, ModuleType],
    files: dict[str, Path],
    checked: int,
    tolerance: float,
    truncation: Truncation,
    by_class: bool,
) -> dict[str, float]:
    """Write a file for each format; return its largest difference from the generator's images."""
    differences = {}
    inputs = [sample_latents(generator, checked, SEED), cycle_classes(generator, checked)]
    inputs = inputs[: len(generator.inputs)]
    if truncation == "input":
        inputs.append(np.linspace(*TRUNCATION_RANGE, checked, dtype=np.float32)[:, None])
    exported = partial(build_exported, generator, truncation, by_class)
    expected = generator if truncation == 1 else exported()
    for name, file in files.items():
        _write(exported(), file, FORMATS[name].batch, name)
        run = partial(FORMATS[name].run, runtimes[name], file)
        differences[name] = _measure_difference(expected, run, inputs)
        # Not `>`, which NaN would pass.
        if not differences[name] <= tolerance:
            raise GanvasError(
                f"The {name} file generates other images, which differ by up to "
                f"{differences[name]:g} of a channel's range of 2: export.tolerance allows "
                f"{tolerance:g}, so no file was written."
            )
    return differences


def _measure_difference(
    generator: keras.Model,
    run: Callable[[dict[str, np.ndarray]], np.ndarray],
    inputs: list[np.ndarray],
) -> float:
    """Return the largest difference between a file's images and the generator's."""
    size = batch_size(*generator.output_shape[1:3])
    largest = 0.0
    # Batch by batch, since many large images may not fit into memory.
    for start in range(0, len(inputs[0]), size):
        batch = [x[start : start + size] for x in inputs]
        expected = generator.predict(as_inputs(batch), batch_size=size, verbose=0)
        named = {tensor.name: x for tensor, x in zip(generator.inputs, batch, strict=True)}
        # Of NaN, Python's `max` may return the other number.
        largest = float(np.maximum(largest, np.abs(run(named) - expected).max()))
    return largest


def build_exported(
    generator: keras.Model, truncation: Truncation, by_class: bool = True
) -> keras.Model:
    """Return a generator as it is exported: of truncated images, with the weights of the given one.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        truncation: That of `ganvas.networks.sampling.generate_batches`: of style-based generators
            the factor of the styles' distance to their mean, of others a factor of the latents. A
            number, or "input": a further input `truncation` of shape (N, 1), the last one.
        by_class: Whether this mean is that of an image's class; else, as with several label
            columns, that of all images.
    """
    inputs = [keras.Input(x.shape[1:], name=x.name) for x in generator.inputs]
    latents, *labels = inputs
    factor: float | KerasTensor
    if truncation == "input":
        factor = keras.Input((1,), name=TRUNCATION_INPUT)
        inputs.append(factor)
    else:
        factor = truncation
    if is_style_based(generator):
        images = _synthesize(generator, latents, labels, factor, by_class)
    else:
        plain = _replace_grouped_convolutions(generator)
        if truncation == 1:
            return plain
        images = plain([latents * factor, *labels] if labels else latents * factor)
    return keras.Model(inputs if len(inputs) > 1 else latents, images, name=generator.name)


def _synthesize(
    generator: keras.Model,
    latents: KerasTensor,
    labels: list[KerasTensor],
    factor: float | KerasTensor,
    by_class: bool,
) -> KerasTensor:
    """Return images of styles that are moved towards the mean, with classes that of the class."""
    one = make_one(latents)
    mapping, synthesis = generator.get_layer("mapping"), generator.get_layer("synthesis")
    mean = generator.get_layer("style_mean")(one)
    # A constant, since the input may have the name of this layer.
    psi = np.asarray(generator.get_layer("truncation").kernel)
    w = mapping([latents, *labels] if labels else latents)
    if not (isinstance(factor, float) and factor == 1):
        class_mean = mean
        if labels and by_class:
            class_mean = ops.matmul(labels[0], class_mean_styles(generator))
        w = class_mean + factor * (w - class_mean)
    # The stored ψ acts last, as in `ganvas.networks.styles`.
    styles = mean + (ops.expand_dims(w, 1) - mean) * psi
    # Also 1, but LiteRT's converter doesn't know: it would store the sum of noise and biases, with
    # the channels of the feature maps, which is larger than all weights.
    hidden_one = ops.cast(ops.square(ops.sum(latents)) >= 0, "float32")
    names = [x.name.removeprefix("noise_") for x in synthesis.inputs[1:]]
    noises = [generator.get_layer(f"{name}_noise_const")(one) * hidden_one for name in names]
    return synthesis([styles, *noises])


def _write(generator: keras.Model, file: Path, batch: int | None, name: str) -> None:
    specs = [
        keras.InputSpec("float32", (batch, *tensor.shape[1:]), name=tensor.name)
        for tensor in generator.inputs
    ]
    signature = [specs] if len(specs) > 1 else specs
    # Keras exports only models that have been called.
    zeros = [np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in generator.inputs]
    generator.predict(as_inputs(zeros), verbose=0)
    with warnings.catch_warnings(), _graph_in_place() if name == "onnx" else nullcontext():
        # Keras warns of inputs passed as a tuple, tf2onnx of NumPy's names.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        generator.export(file, format=name, input_signature=signature, verbose=False)


@contextmanager
def _graph_in_place() -> Iterator[None]:
    """Let tf2onnx optimize its graph in place, which takes a third of the memory.

    To go on after a failed optimization, it copies the graph with all weights before each of its
    three dozen passes. After each it also writes the weights into its messages again, which don't
    free the earlier ones; they are written once more at the end.
    """
    base = importlib.import_module("tf2onnx.optimizer.optimizer_base").GraphOptimizerBase

    def optimize(optimizer: Any, graph: Any, iteration: int) -> Any:
        optimizer.opt_iteration = iteration
        graph = optimizer._optimize(graph)
        graph.delete_unused_nodes(graph.outputs)
        return graph

    environment = {CATCH_ERRORS: "FALSE"}
    with patch.object(base, "optimize", optimize), patch.dict(os.environ, environment):
        yield


def _replace_grouped_convolutions(generator: keras.Model) -> keras.Model:
    """Return an equal generator whose grouped convolutions are plain ones.

    Keras runs grouped convolutions in XLA, which no exporter supports. A plain one with zeros
    between the groups computes the same.
    """

    def copy(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        return layer.__class__.from_config(config | {"groups": 1} if "groups" in config else config)

    plain = keras.models.clone_model(generator, clone_function=copy)
    for layer in generator.layers:
        weights = layer.get_weights()
        if getattr(layer, "groups", 1) > 1:
            weights[0] = _ungroup_kernel(weights[0], layer.groups)
        plain.get_layer(layer.name).set_weights(weights)
    return plain


def _ungroup_kernel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Expand a grouped kernel (h, w, I / groups, O) to a plain one (h, w, I, O)."""
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    plain = np.zeros((*kernel.shape[:2], inputs * groups, kernel.shape[3]), kernel.dtype)
    for group in range(groups):
        rows = slice(group * inputs, (group + 1) * inputs)
        columns = slice(group * outputs, (group + 1) * outputs)
        plain[:, :, rows, columns] = kernel[..., columns]
    return plain


def _import_runtime(name: str) -> ModuleType:
    try:
        return [importlib.import_module(module) for module in FORMATS[name].modules][-1]
    except ImportError as error:
        raise GanvasError(
            f"Exporting as {name} needs the module {error.name}, which can't be imported: "
            f"run `{install_command('export')}`, or leave the format out of export.formats."
        ) from error
