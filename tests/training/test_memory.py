"""The memory that training is estimated to take."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.errors import GanvasError
from ganvas.networks import NetworkParams, build
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.equalized import convolution, make_one
from ganvas.networks.gan_networks import GanNetworks
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.training.config import TrainParams
from ganvas.training.memory import (
    _list_changes,
    check_memory,
    estimate_memory,
    measure_layers,
)

ANCHORED = {"simultaneous_updates": True, "anchor": {"every": 2}}
# (H, W, C) of images that take 96 KiB as floats.
SHAPE = (96, 64, 4)


def build_networks(dtype: str = "float32") -> GanNetworks:
    """Build networks whose outputs are large beside their weights, with a frozen backbone."""
    latent = keras.Input((4,))
    x = layers.Dense(24 * 16 * 2, dtype=dtype)(latent)
    x = layers.UpSampling2D(4, dtype=dtype)(layers.Reshape((24, 16, 2))(x))
    x = layers.ReLU(dtype=dtype)(layers.Conv2D(32, 3, padding="same", dtype=dtype)(x))
    generator = keras.Model(latent, layers.Conv2D(SHAPE[-1], 1, dtype="float32")(x))
    images = keras.Input(SHAPE)
    maps = layers.Conv2D(8, 3, 2, "same", trainable=False)(images)
    backbone = keras.Model(images, [images, maps], name="backbone")
    inputs = [keras.Input(x.shape[1:]) for x in backbone.outputs]
    logits = layers.Dense(1)(layers.Flatten()(layers.LeakyReLU()(inputs[1])))
    heads = keras.Model(inputs, logits, name="heads")
    images = keras.Input(SHAPE)
    return GanNetworks(generator, keras.Model(images, heads(backbone(images))))


@pytest.fixture(scope="module")
def networks():
    return build_networks()


def estimate(networks, **params):
    return estimate_memory(networks, TrainParams(**({"batch_size": 16} | params)))


def test_layer_outputs_are_added_up_submodels_included(networks):
    made, judged = measure_layers(networks.generator), measure_layers(networks.discriminator)
    pixels = 96 * 64
    # Dense, upsampled, convolution (ReLU takes its memory), images.
    assert made.kept == 4 * (24 * 16 * 2 + pixels * 2 + pixels * 32 + pixels * 4)
    assert made.largest == 4 * pixels * 32
    # The backbone's convolution, the head's leaky ReLU, and the logit.
    assert judged.kept == 4 * (2 * 48 * 32 * 8 + 1)
    half = measure_layers(build_networks("mixed_bfloat16").generator)
    assert 0.5 * made.kept < half.kept < 0.6 * made.kept


def test_operations_count_by_what_their_gradients_read():
    images = keras.Input((8, 8, 2))
    one = make_one(images)
    logits = convolution(one, images, 4, 3, "conv", halve=True)
    measured = measure_layers(keras.Model(images, logits))
    # The low-pass filter, the convolution and its activation, but not the weights.
    assert measured.kept == 4 * (9 * 9 * 2 + 2 * 4 * 4 * 4)
    # Input, kernel and biases.
    assert measured.layers == 3


def test_activations_grow_with_the_batch_and_fall_with_its_micro_batches(networks):
    whole = estimate(networks)
    assert estimate(networks, batch_size=32).activations == 2 * whole.activations
    parts = estimate(networks, gradient_accumulation_steps=4)
    assert parts.activations < 0.4 * whole.activations
    assert parts.gradients == 2 * whole.gradients and parts.process > whole.process
    shared = estimate_memory(networks, TrainParams(batch_size=32), replicas=2)
    assert shared.activations == pytest.approx(whole.activations, rel=0.1)


def test_what_a_step_keeps_depends_on_its_kind(networks):
    made, judged = (measure_layers(network).kept for network in networks[:2])
    simultaneous = estimate(networks, simultaneous_updates=True).activations
    # Both kinds of images pass the discriminator while the generator's outputs are kept.
    assert estimate(networks).activations == simultaneous
    again = estimate(networks, resample_latents=True).activations
    assert simultaneous - again == 16 * min(made, judged)
    penalized = estimate(networks, penalty={"r1": 1.0}).activations
    assert penalized - simultaneous == 16 * judged
    assert estimate(networks, **ANCHORED).activations < simultaneous + 16 * 2 * judged


def test_state_is_that_of_weights_optimizer_and_ema(networks):
    weights = [sum(x.size for x in n.get_weights()) for n in networks[:2]]
    trained = sum(np.prod(x.shape) for n in networks[:2] for x in n.trainable_weights)
    plain = estimate(networks)
    assert plain.weights == 4 * sum(weights) and plain.optimizer == 8 * trained
    assert plain.copies == plain.weights + plain.optimizer
    assert estimate(networks, ema_decay=0.9).weights == plain.weights + 4 * weights[0]
    assert estimate(networks, optimizer={"name": "rmsprop"}).optimizer == 4 * trained
    gpu = estimate_memory(networks, TrainParams(batch_size=16), gpu=True)
    assert gpu.copies == 0 and gpu.total < plain.total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side", "batch", "measured"),
    [("dcgan", 128, 16, 1.74e9), ("projected", 64, 16, 1.59e9)],
)
def test_estimates_are_within_a_fifth_of_peaks_that_were_measured(name, side, batch, measured):
    networks = build(NetworkParams(name=name), (side, side, 3))
    params = {"batch_size": batch, "ema_decay": 0.998} | (ANCHORED if name == "projected" else {})
    found = estimate_memory(networks, TrainParams(**params))
    # Two steps, without copies for checkpoints and without samples.
    total = found._replace(copies=0, sampling=0).total
    assert total == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize("params", [{}, ANCHORED], ids=["plain", "anchored"])
def test_what_does_not_fit_is_refused_with_a_batch_that_does(networks, params):
    params = TrainParams(**({"batch_size": 2000} | params))
    with pytest.raises(GanvasError, match=r"this process may use 2\.2 GB") as error:
        check_memory(networks, params, limit=int(2.2e9))
    changes = re.findall(r"train\.(\w+)=(\d+)", str(error.value))
    assert changes and "would take about" in str(error.value)
    changed = params.model_copy(update={name: int(value) for name, value in changes})
    assert check_memory(networks, changed, limit=int(2.2e9)).total <= 0.8 * 2.2e9
    # Valid together, anchors included.
    TrainParams(**changed.model_dump()).check_anchors()


def test_networks_that_are_too_large_by_themselves_are_refused(networks):
    with pytest.raises(GanvasError, match=r"the GPU has 1 MB: .*(narrower|lower ingest\.size)"):
        check_memory(networks, TrainParams(batch_size=2), limit=10**6, gpu=True)


def test_networks_with_styles_are_narrowed_by_parameters_that_they_have():
    params = Stylegan2Params(channel_base=64, max_width=4, latent=6, style=5, mapping_layers=1)
    networks = build_stylegan2(params, (8, 8, 3))
    with pytest.raises(GanvasError, match=r"half of network\.stylegan2\.channel_base and"):
        check_memory(networks, TrainParams(batch_size=2), limit=10**4, gpu=True)


def test_where_samples_take_the_memory_a_narrower_generator_is_advised(networks):
    latent = keras.Input((4,))
    x = layers.Reshape((96, 64, 1))(layers.Dense(96 * 64)(latent))
    # 16 MB an image, and 64 at once.
    x = layers.Conv2D(SHAPE[-1], 1)(layers.Conv2D(640, 1)(x))
    wide = networks._replace(generator=keras.Model(latent, x))
    with pytest.raises(GanvasError, match="generating 64 samples at once takes 1\\.0"):
        check_memory(wide, TrainParams(batch_size=4), limit=int(1.5e9))


def test_what_may_not_fit_is_a_warning(networks, caplog):
    params = TrainParams(batch_size=64)
    need = int(estimate_memory(networks, params).total)
    assert check_memory(networks, params, limit=2 * need).total == pytest.approx(need, rel=1e-6)
    check_memory(networks, params, limit=None)
    assert not caplog.text
    # Estimates may be too high by a seventh: what may fit is not refused.
    for limit in (1.1 * need, need / 1.14):
        caplog.clear()
        check_memory(networks, params, limit=int(limit))
        assert "if it ends by a lack of memory, " in caplog.text
    with pytest.raises(GanvasError, match="Training would need about"):
        check_memory(networks, params, limit=int(need / 1.16))


def test_micro_batches_of_one_image_are_not_advised_with_batch_normalization(networks):
    images = keras.Input(SHAPE)
    x = layers.BatchNormalization()(layers.Flatten()(layers.MaxPooling2D(8)(images)))
    normed = networks._replace(discriminator=keras.Model(images, layers.Dense(1)(x)))

    def find_fewest(networks):
        params = TrainParams(batch_size=8)
        changed = [
            params.model_copy(update=changes) for changes in _list_changes(networks, params, 1)
        ]
        return min(each.batch_size // each.gradient_accumulation_steps for each in changed)

    assert find_fewest(networks) == 1 and find_fewest(normed) == 2
