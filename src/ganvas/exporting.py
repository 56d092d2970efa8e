"""Generators in formats that other programs run: ONNX and LiteRT.

Keras writes both. Each file is run by its own runtime, on the latents of images whose pixels are
known, before any of them gets its name.
"""

import importlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import keras
import numpy as np

from ganvas.errors import GanvasError
from ganvas.networks.sampling import as_inputs, cycle_classes, sample_latents

# Of the latents that all paint from.
SEED = 0
# What tells programs of the files; the catalog saves it once they are there.
FACTS = "export.json"


class Format(NamedTuple):
    """A way of writing a generator down.

    Attributes:
        suffix: Of its files.
        batch: How many images a call paints; None: any number.
        modules: What must be there to write it and to run it; the last is the runtime.
        run: Runs a file: takes the runtime, the file and the inputs by their names; gives images.
    """

    suffix: str
    batch: int | None
    modules: tuple[str, ...]
    run: Callable[[ModuleType, Path, dict[str, np.ndarray]], np.ndarray]


def _run_onnx(runtime: ModuleType, file: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    (images,) = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
        None, inputs
    )
    return np.asarray(images)


def _run_litert(runtime: ModuleType, file: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    run = runtime.Interpreter(model_path=str(file)).get_signature_runner()
    count = len(next(iter(inputs.values())))
    parts = [{name: each[k : k + 1] for name, each in inputs.items()} for k in range(count)]
    return np.concatenate([image for part in parts for image in run(**part).values()])


FORMATS = {
    "onnx": Format(".onnx", None, ("tf2onnx", "onnxruntime"), _run_onnx),
    # Its converter loses sight of the maps' sides where the number of images is open.
    "litert": Format(".tflite", 1, ("ai_edge_litert.interpreter",), _run_litert),
}


def export_generator(
    generator: keras.Model, formats: Sequence[str], folder: Path, checked: int, tolerance: float
) -> dict[str, tuple[Path, float]]:
    """Write a generator in other formats, and see that it paints the same in each.

    Args:
        generator: (N, Z), and with classes (N, K) beside it, to (N, H, W, 3) made for [-1, 1].
        formats: onnx, litert or both.
        folder: Where generator.onnx and generator.tflite are put. One that isn't asked for and
            what told of the old ones are removed, so that nothing stays of another generator.
        checked: How many images are painted by all.
        tolerance: The most that a channel of a pixel may differ by, of values in [-1, 1].

    Returns:
        For each format the file, and the most that a channel has differed by.

    Raises:
        GanvasError: A format's packages aren't installed, or images differ by more; what lay
            in the folder stays.
    """
    runtimes = {name: _import_runtime(name) for name in formats}
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"generator{each.suffix}" for name, each in FORMATS.items()}
    partials = {name: files[name].with_name(f".partial.{files[name].name}") for name in runtimes}
    try:
        apart = _write_all(generator, runtimes, partials, checked, tolerance)
        (folder / FACTS).unlink(missing_ok=True)
        for name, file in files.items():
            if name in partials:
                partials[name].replace(file)
            else:
                file.unlink(missing_ok=True)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    return {name: (files[name], apart[name]) for name in partials}


def _write_all(
    generator: keras.Model,
    runtimes: dict[str, ModuleType],
    files: dict[str, Path],
    checked: int,
    tolerance: float,
) -> dict[str, float]:
    """Write a file for each format; give how far its images are apart from the generator's."""
    rows = cycle_classes(generator, checked)
    inputs = [sample_latents(generator, checked, SEED), rows][: len(generator.inputs)]
    expected = generator.predict(as_inputs(inputs), verbose=0)
    named = {each.name: given for each, given in zip(generator.inputs, inputs, strict=True)}
    apart = {}
    for name, file in files.items():
        _write(_rebuild(generator), file, name)
        painted = FORMATS[name].run(runtimes[name], file, named)
        apart[name] = float(np.abs(painted - expected).max())
        # Not "more than": what is no number differs too.
        if not apart[name] <= tolerance:
            raise GanvasError(
                f"In the format {name} the generator paints other images, by up to "
                f"{apart[name]:g} of a channel's 2: export.tolerance allows {tolerance:g}, so no "
                "file was written."
            )
    return apart


def _write(generator: keras.Model, file: Path, name: str) -> None:
    batch = FORMATS[name].batch
    shapes = [
        keras.InputSpec("float32", (batch, *each.shape[1:]), name=each.name)
        for each in generator.inputs
    ]
    signature = [shapes] if len(shapes) > 1 else shapes
    with warnings.catch_warnings():
        # Of an input that is handed on in a tuple; and of NumPy's names, by tf2onnx.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", FutureWarning)
        generator.export(file, format=name, input_signature=signature, verbose=False)


def _rebuild(generator: keras.Model) -> keras.Model:
    """Give an equal network whose convolutions are all plain ones.

    Keras has TensorFlow compile grouped ones, which no exporter can look into. As plain ones they
    have kernels that are 0 between groups.
    """

    def copy(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        return layer.__class__.from_config(config | {"groups": 1} if "groups" in config else config)

    plain = keras.models.clone_model(generator, clone_function=copy)
    for old in generator.layers:
        weights = old.get_weights()
        if getattr(old, "groups", 1) > 1:
            weights[0] = _spread(weights[0], old.groups)
        plain.get_layer(old.name).set_weights(weights)
    # Keras exports nothing that has never been called.
    zeros = [np.zeros((1, *each.shape[1:]), np.float32) for each in plain.inputs]
    plain.predict(as_inputs(zeros), verbose=0)
    return plain


def _spread(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Turn a grouped kernel (h, w, I / groups, O) into a plain one, (h, w, I, O)."""
    height, width, inputs, outputs = kernel.shape
    plain = np.zeros((height, width, inputs * groups, outputs), kernel.dtype)
    share = outputs // groups
    for group in range(groups):
        channels = slice(group * share, (group + 1) * share)
        plain[:, :, group * inputs : (group + 1) * inputs, channels] = kernel[..., channels]
    return plain


def _import_runtime(name: str) -> ModuleType:
    try:
        return [importlib.import_module(each) for each in FORMATS[name].modules][-1]
    except ImportError as error:
        raise GanvasError(
            f"Exporting as {name} needs the module {error.name}, which can't be imported: "
            'run `pip install "ganvas[export]"`, or leave the format out of export.formats.'
        ) from error
