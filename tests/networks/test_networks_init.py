"""Requirements on every network of training, sampling and the gallery."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from ganvas.networks import NETWORKS, NetworkParams, build
from ganvas.networks.sampling import one_hot
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN

CONF = Path(__file__).parents[2] / "conf"
PRESET = yaml.safe_load((CONF / "keras_faces" / "parameters_train.yml").read_text())
KERAS_IO = PRESET["network"]["dcgan"] | {"generator_widths": None, "discriminator_widths": None}
NARROW = {"latent": 6, "generator_width": 2, "discriminator_width": 2}
R3GAN = {"latent": 6, "width": 4, "max_width": 8, "group_width": 4, "blocks": 1}
STYLEGAN2 = {"latent": 6, "style": 8, "channel_base": 128, "max_width": 8}
PROJECTED = {
    "latent": 6,
    "generator_width": 2,
    "projection": 4,
    "head_width": 4,
    "pixel_width": 2,
}
# One narrow network of each kind.
KINDS = {
    "dcgan": {"dcgan": NARROW},
    "dcgan_dense": {"dcgan": NARROW | {"kernel": 5, "stem": "dense", "head": "dense"}},
    "dcgan_keras_io": {"dcgan": KERAS_IO | NARROW},
    "dcgan_spectral": {"dcgan": NARROW | {"spectral_norm": True}},
    "artgan": {"artgan": {"latent": 6, "width": 4}},
    "artgan_softmax": {"artgan": {"latent": 6, "width": 4, "class_loss": "softmax"}},
    "artgan_improved": {"artgan": {"latent": 6, "width": 4, "variant": "improved"}},
    "r3gan": {"r3gan": R3GAN},
    "fastgan": {"fastgan": NARROW | {"class_embedding": 4}},
    "stylegan2": {"stylegan2": STYLEGAN2},
    "projected": {"projected": PROJECTED},
    "projected_by_itself": {"projected": PROJECTED | {"mixing": "across_channels"}},
    "projected_fastgan": {"projected": PROJECTED | {"generator": "fastgan"}},
    "projected_unmixed": {"projected": PROJECTED | {"mixing": "none"}},
}
CASES = [
    (kind, classes)
    for kind in KINDS
    for classes in (0, 3)
    if classes or not NETWORKS[kind.split("_")[0]].always_conditional
]


def build_kind(kind: str, classes: int, side: int = 32, **changes):
    keras.utils.set_random_seed(0)
    name = kind.split("_")[0]
    params = NetworkParams(name=name, **{name: KINDS[kind][name] | changes})
    return build(params, (side, side, 3), classes)


def make_inputs(model: keras.Model, count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        one_hot(np.arange(count) % x.shape[-1], x.shape[-1])
        if x.name == "classes"
        else rng.uniform(-1, 1, (count, *x.shape[1:])).astype(np.float32)
        for x in model.inputs
    ]


def call(model: keras.Model, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    return {name: np.asarray(value) for name, value in outputs.items()}


def test_every_network_is_tested():
    assert {kind.split("_")[0] for kind in KINDS} == set(NETWORKS)


LOAD = """
import pathlib, sys
import keras
import numpy as np

for file in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    model = keras.saving.load_model(file, safe_mode=True)
    with np.load(file.with_suffix(".inputs.npz")) as arrays:
        inputs = [arrays[x.name] for x in model.inputs]
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    np.savez(file.with_suffix(".outputs.npz"), **outputs)
assert "ganvas" not in sys.modules
"""


@pytest.mark.exhaustive
@pytest.mark.slow
def test_saved_networks_load_in_safe_mode_where_only_keras_is_installed(tmp_path):
    expected, rng = {}, np.random.default_rng(0)
    for kind, classes in CASES:
        for model in build_kind(kind, classes)[:2]:
            for weight in model.weights:
                if "seed" not in weight.name:
                    # Initial moving averages and biases are all equal.
                    weight.assign(3 * weight + rng.uniform(0, 0.05, weight.shape))
            file = tmp_path / f"{kind}_{classes}_{model.name}.keras"
            inputs = make_inputs(model)
            model.save(file)
            names = [x.name for x in model.inputs]
            np.savez(file.with_suffix(".inputs.npz"), **dict(zip(names, inputs, strict=True)))
            expected[file] = call(model, inputs)
    subprocess.run([sys.executable, "-c", LOAD, tmp_path], check=True, capture_output=True)
    assert len(expected) == 2 * len(CASES)
    for file, outputs in expected.items():
        with np.load(file.with_suffix(".outputs.npz")) as loaded:
            assert set(loaded) == set(outputs)
            for name, value in outputs.items():
                assert np.ptp(value) > 1e-3, (file.name, name)
                np.testing.assert_allclose(loaded[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "changes", "params"),
    [
        ("dcgan", {}, {}),
        # On a CPU TensorFlow compiles each grouped convolution again.
        (
            "r3gan",
            {"group_width": 16},
            {"loss": {"name": "relativistic"}, "penalty": {"r1": 1, "r2": 1}},
        ),
    ],
)
def test_a_training_step_at_256_pixels_changes_all_weights(kind, changes, params):
    networks = build_kind(kind, 0, 256, **changes)
    gan = GAN(networks, networks.generator, TrainParams(batch_size=2, **params))
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))
    before = [[weight.numpy() for weight in model.trainable_weights] for model in networks[:2]]
    rng = np.random.default_rng(0)
    real = tf.constant(rng.integers(0, 256, (2, 256, 256, 3), dtype=np.uint8))
    logs = tf.function(gan.train_step)((real, tf.constant(make_inputs(networks.generator, 2)[0])))
    assert all(np.isfinite(value) for value in logs.values())
    for model, old in zip(networks[:2], before, strict=True):
        changed = [
            np.any(w.numpy() != o) for w, o in zip(model.trainable_weights, old, strict=True)
        ]
        # A block that is still the identity passes no gradient to its first kernels.
        unchanged = 4 * 7 if kind == "r3gan" else 0
        assert sum(changed) == len(changed) - unchanged
