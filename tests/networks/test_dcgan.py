from itertools import pairwise

import keras
import numpy as np
import pytest

from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.config import TrainParams
from ganvas.training.fused_ops import with_fused_norms
from ganvas.training.gan import GAN


def count_trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


def test_parameter_counts_are_those_of_the_original():
    generator, discriminator, decoder, _ = build_dcgan(DcganParams(), (64, 64, 3))
    assert decoder is None
    # nz·8w·16 + 8w·4w·16 + 4w·2w·16 + 2w·w·16 + w·3·16, and two per normalized channel.
    widths = [512, 256, 128, 64]
    kernels = 100 * 512 * 16 + sum(
        a * b * 16 for a, b in zip(widths, [*widths[1:], 3], strict=True)
    )
    assert count_trainable(generator) == kernels + 2 * sum(widths) == 3_576_704
    kernels = 16 * sum(a * b for a, b in pairwise([3, *widths[::-1], 1]))
    assert count_trainable(discriminator) == kernels + 2 * (128 + 256 + 512) == 2_765_568


def test_initial_weights_follow_the_paper():
    keras.utils.set_random_seed(0)
    generator, discriminator, *_ = build_dcgan(DcganParams(), (64, 64, 3))
    for model in (generator, discriminator):
        for layer in model.layers:
            if hasattr(layer, "kernel"):
                assert float(np.std(layer.kernel)) == pytest.approx(0.02, rel=0.05)
            if isinstance(layer, keras.layers.BatchNormalization):
                assert float(np.mean(layer.gamma)) == pytest.approx(1.0, abs=0.01)
                assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
            assert getattr(layer, "use_bias", False) is False


def test_saved_networks_load_in_safe_mode_with_equal_outputs(networks, tmp_path):
    latents = np.random.default_rng(0).standard_normal((3, 6), dtype=np.float32)
    generator, discriminator = networks
    for model, inputs in ((generator, latents), (discriminator, generator(latents))):
        file = tmp_path / f"{model.name}.keras"
        model.save(file)
        loaded = keras.saving.load_model(file, safe_mode=True)
        np.testing.assert_array_equal(loaded(inputs), model(inputs))


@pytest.fixture
def spectral_networks() -> GanNetworks:
    keras.utils.set_random_seed(0)
    params = DcganParams(
        latent=6, generator_width=2, discriminator_width=4, kernel=3, spectral_norm=True
    )
    return build_dcgan(params, (32, 32, 3))


def largest_singular_values(model: keras.Model) -> list[float]:
    kernels = [layer.layer.kernel.numpy() for layer in model.layers if hasattr(layer, "layer")]
    return [np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) for kernel in kernels]


def test_spectral_norm_is_only_in_the_discriminator(spectral_networks, networks):
    generator, discriminator, *_ = spectral_networks
    plain = build_dcgan(DcganParams(discriminator_width=4, kernel=3), (32, 32, 3)).discriminator
    assert count_trainable(discriminator) == count_trainable(plain)
    assert len(largest_singular_values(discriminator)) == 4
    assert largest_singular_values(generator) == largest_singular_values(networks[1]) == []


@pytest.mark.slow
def test_training_keeps_the_largest_singular_values_at_1(spectral_networks, images):
    generator, discriminator, *_ = spectral_networks
    assert max(largest_singular_values(discriminator)) < 0.5
    gan = GAN(spectral_networks, generator, TrainParams())
    latents = np.random.default_rng(0).standard_normal((4, generator.input_shape[1]), np.float32)
    gan.compile(keras.optimizers.Adam(2e-4), keras.optimizers.Adam(2e-4))
    for _ in range(20):
        gan.train_step((images[:4], latents))
    assert largest_singular_values(discriminator) == pytest.approx([1] * 4, abs=0.03)


def test_the_fused_model_shares_spectral_norm_layers(spectral_networks, images):
    discriminator = spectral_networks.discriminator
    fused = with_fused_norms(discriminator)
    shared = [layer for layer in discriminator.layers if hasattr(layer, "layer")]
    assert [layer for layer in fused.layers if hasattr(layer, "layer")] == shared
    inputs = images[:4].astype(np.float32) / 127.5 - 1
    initial, results = discriminator.get_weights(), []
    for model in (discriminator, fused):
        discriminator.set_weights(initial)
        results.append([model(inputs, training=True), *discriminator.get_weights()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_singular_vectors_are_saved_with_the_discriminator(spectral_networks, tmp_path):
    discriminator = spectral_networks.discriminator
    inputs = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    discriminator(inputs, training=True)
    discriminator.save(tmp_path / "discriminator.keras")
    loaded = keras.saving.load_model(tmp_path / "discriminator.keras", safe_mode=True)
    for training in (False, True, False):
        np.testing.assert_array_equal(
            loaded(inputs, training=training), discriminator(inputs, training=training)
        )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_spectral_norm_keeps_float32_weights(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        params = DcganParams(generator_width=1, discriminator_width=2, spectral_norm=True)
        discriminator = build_dcgan(params, (32, 32, 3)).discriminator
    finally:
        keras.config.set_dtype_policy(before)
    discriminator(np.ones((2, 32, 32, 3), np.float32), training=True)
    for layer in discriminator.layers:
        if hasattr(layer, "layer"):
            kernel = layer.layer.kernel.value
            rounded = keras.ops.cast(keras.ops.cast(kernel, layer.layer.compute_dtype), "float32")
            assert layer.layer.compute_dtype == policy.removeprefix("mixed_")
            assert (np.asarray(rounded) != np.asarray(kernel)).mean() > 0.5
